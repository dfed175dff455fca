"""The chapters of docs/orders.md on folders and worklists: what is typed there is typed, and the settings are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

from overread.embedded.places import CHECKOUT
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.sources import parse
from overread.order_intake.worklist_settings import WorklistLink

_PAGE = (CHECKOUT / "docs" / "orders.md").read_text(encoding="utf-8")
_FOLDER = _PAGE.partition("\n## A folder of CSV or XML\n")[2].partition("\n## ")[0]
_WORKLIST = _PAGE.partition("\n## A modality worklist\n")[2].partition("\n## ")[0]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_a_sample_is_tried_as_the_chapter_says(tmp_path: Path) -> None:
    """REQ-NON-41: the links, the sample, and what one sees."""
    (_, typed), (_, seen) = _BLOCK.findall(_FOLDER)
    (tmp_path / "run").write_text(f'#!/bin/sh\nshift\nexec {sys.executable} -m overread.cli.app "$@"\n')
    (tmp_path / "run").chmod(0o755)

    done = subprocess.run(["sh", "-ec", typed], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, seen), done.stderr


def test_the_worklist_of_the_chapter_is_a_link() -> None:
    toml = next(text for kind, text in _BLOCK.findall(_WORKLIST) if kind == "toml")

    (link,) = parse(toml, Path("orders.toml"))

    assert isinstance(link, WorklistLink)
    assert link.link_id == "ris"


def test_settings_and_numbers_of_the_chapters_are_those_of_the_code() -> None:
    fields, defaults = FolderLink.model_fields, WorklistLink.model_fields

    named = {
        name for row in re.findall(r"^\| (`[^|]*) \|", _FOLDER, re.MULTILINE) for name in re.findall(r"`(\w+)", row)
    }

    assert named <= set(fields)
    assert (fields["settle_seconds"].default, fields["poll_seconds"].default) == (5, 5)
    assert (fields["files_per_round"].default, fields["maximum_rows"].default) == (50, 50_000)
    assert fields["maximum_file_bytes"].default == 16 * 1024 * 1024
    assert [defaults[name].default for name in ("days_before", "days_after", "maximum_items")] == [1, 7, 5_000]
    assert [defaults[name].default for name in ("retry_seconds", "longest_retry_seconds")] == [5, 600]
