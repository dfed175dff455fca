"""How a demo ends: by itself, or, with --keep, when it is told to."""

import argparse
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from overread.cli import demo, demo_keep
from overread.cli.demo_story import Story


class Stage:
    """The story without servers: what was done, in order."""

    def __init__(self) -> None:
        self.done: list[str] = []

    @asynccontextmanager
    async def stack(self, _progress: Any) -> AsyncIterator[None]:
        self.done.append("up")
        yield
        self.done.append("down")

    async def keep(self, *_: Any) -> None:
        self.done.append("kept")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    bare = Stage()

    class Told:
        def __init__(self, *_: Any) -> None:
            bare.done.append("told")

        async def go(self) -> dict[str, Any]:
            return {}

    monkeypatch.setattr(demo, "_Demo", Told)
    monkeypatch.setattr(demo, "_tell", lambda *_, **__: None)
    monkeypatch.setattr(demo_keep, "keep", bare.keep)
    return bare


@pytest.mark.parametrize(
    ("keep", "done"),
    [("", ["up", "told", "down"]), ("--keep", ["up", "told", "kept", "down"])],
    ids=["plain", "--keep"],
)
async def test_demo_sends_further_cases_only_with_keep(
    stage: Stage, tmp_path: Path, keep: str, done: list[str]
) -> None:
    """Without it the demo ends by itself, in its own time; the stack is stopped either way."""
    told = argparse.Namespace(keep=bool(keep), json=False)
    anything: Any = stage

    await demo._with_stack(told, anything, anything, Story(io.StringIO()), tmp_path)

    assert stage.done == done
