"""How a demo starts on a machine where nothing is set up yet."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from overread.cli import demo
from overread.contracts.errors import OverreadError


class Stopped(OverreadError):
    """The story is told as far as this test asks."""


async def test_everything_is_set_up_before_the_first_server_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The receivers come out of the same set-up as the stack: on a fresh machine nothing of either is there."""
    done: list[str] = []

    async def start(_hospital: Any) -> None:
        done.append("hospital")
        raise Stopped

    monkeypatch.setattr("overread.embedded.setup.prepare", lambda _progress: done.append("set-up"))
    monkeypatch.setattr("overread.cli.demo_way.Hospital.start", start)
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(tmp_path))

    with pytest.raises(Stopped):
        await demo._in_own_folder(argparse.Namespace(out=tmp_path / "out", keep=False, json=True))

    assert done == ["set-up", "hospital"]
