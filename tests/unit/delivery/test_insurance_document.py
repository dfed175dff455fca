"""The chapter of docs/results.md on the insurance table: its settings are taken, its file is what would be put there."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from overread.cli import deliveries
from overread.embedded.places import CHECKOUT

_CHAPTER = (
    (CHECKOUT / "docs" / "results.md")
    .read_text(encoding="utf-8")
    .partition("\n## The insurance table XML4\n")[2]
    .partition("\n## ")[0]
)


def block(language: str) -> str:
    """Return the one block of that language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", _CHAPTER, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_file_of_the_chapter_is_what_its_command_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-OUT-32, REQ-OUT-33: by the chapter's own settings, but for the result's number."""
    monkeypatch.chdir(tmp_path)
    Path("destinations.toml").write_text(block("toml"), encoding="utf-8")
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())

    told = parser.parse_args(shlex.split(block("sh"))[2:])
    told.run(told)

    shown = re.sub('result="[^"]*"', 'result="…"', capsys.readouterr().out)
    assert shown == block("xml")
