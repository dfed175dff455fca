import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from overread.embedded.places import StackError
from overread.embedded.processes import Command, end_leftovers, finish, marked, start, stop

SLEEP = "import time; time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def a_command(code: str = SLEEP, mark: str = "test") -> Command:
    return Command(argv=[sys.executable, "-c", code], environment={"PATH": os.defpath}).marked(mark)


async def test_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    """Ctrl-C on the terminal reaches the supervisor alone, which then stops in order."""
    process = await start(a_command(), tmp_path / "log")

    session = os.getsid(process.pid)

    assert session == process.pid
    await stop(process, signal.SIGTERM, timeout_seconds=5)


async def test_deaf_child_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    """Waits are bounded."""
    log = tmp_path / "log"
    process = await start(a_command(STUBBORN), log)
    while "deaf" not in log.read_text():  # noqa: ASYNC110  # it is another process that speaks
        await asyncio.sleep(0.01)

    await stop(process, signal.SIGTERM, timeout_seconds=0.2)

    assert process.returncode == -signal.SIGKILL


async def test_leftovers_are_found_by_their_mark_and_ended(tmp_path: Path) -> None:
    """What an earlier run left behind ends; what carries another mark stays."""
    left = await start(a_command(mark=f"left-{tmp_path.name}"), tmp_path / "log")
    other = await start(a_command(mark=f"other-{tmp_path.name}"), tmp_path / "log")
    while not marked(f"left-{tmp_path.name}"):  # noqa: ASYNC110  # it is another process that starts
        await asyncio.sleep(0.01)

    found = await asyncio.to_thread(end_leftovers, f"left-{tmp_path.name}")

    assert found == 1
    assert await left.wait() in {-signal.SIGQUIT, -signal.SIGKILL}  # a busy machine may take longer than the grace
    assert other.returncode is None
    await stop(other, signal.SIGTERM, timeout_seconds=5)


async def test_step_that_fails_names_its_log(tmp_path: Path) -> None:
    """An error says where to look."""
    with pytest.raises(StackError, match=r"failed with status 3; see .*steps\.log"):
        await finish(a_command("raise SystemExit(3)"), tmp_path / "steps.log", timeout_seconds=10)
