"""A child that dies is started again, whatever its health gate is doing at that moment (REQ-EXT-07)."""

import asyncio
import signal
from pathlib import Path

from overread.embedded.keeper import Keeper

NO_PROCESS = 2**22 + 1
"""Above what the kernel gives out (PID_MAX_LIMIT): nobody is hit by what is sent to it."""


class Ended:
    """A process that ended at once."""

    pid = NO_PROCESS
    returncode: int | None = 1

    async def wait(self) -> int:
        await asyncio.sleep(0)
        return 1

    def send_signal(self, signal: int) -> None:
        raise ProcessLookupError


class DeadChild:
    """A child that ends as soon as it runs; asked for its health, it swallows one cancellation, as `wait_for` may."""

    name, stop_signal, stop_seconds = "triton", signal.SIGTERM, 1.0

    def __init__(self, starts: int) -> None:
        self._left = starts
        self.was_started_often = asyncio.Event()

    async def spawn(self) -> Ended:
        self._left -= 1
        if self._left == 0:
            self.was_started_often.set()
        return Ended()

    async def is_healthy(self) -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return False
        return True

    async def configure(self) -> None:
        raise AssertionError("it never was healthy")


async def test_child_is_started_again_though_its_gate_swallowed_its_end(tmp_path: Path) -> None:
    """A gate that asks on for ever would keep the child dead, and its server away until somebody restarts the stack."""
    child = DeadChild(starts=3)
    keeper = Keeper(child=child, progress=lambda _: None, log=tmp_path / "triton.log")
    keeper.begin()

    async with asyncio.timeout(10):
        await child.was_started_often.wait()

    await keeper.stop()
    assert keeper.starts >= 2
