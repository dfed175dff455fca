"""Keeping one child alive: start, health gate, restart with back-off."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from overread.contracts.errors import OverreadError
from overread.embedded import health, processes
from overread.embedded.forking import Order, Zygote
from overread.embedded.places import StackError
from overread.embedded.processes import Command, Running

Progress = Callable[[str], None]

_ASK_EVERY_SECONDS = 0.1
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 30.0
_STEADY_SECONDS = 60.0
_START_SECONDS = 90.0
_TRIES_BEFORE_GIVING_UP = 4


class Child(Protocol):
    """What a keeper keeps: one of the servers, or a service."""

    @property
    def name(self) -> str:
        """Return the name on screen and of the log."""

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of an ordered stop."""

    @property
    def stop_seconds(self) -> float:
        """Return how long an ordered stop may take."""

    async def spawn(self) -> Running:
        """Make ready what the child needs, and start it."""

    async def is_healthy(self) -> bool:
        """Tell whether it does its work."""

    async def configure(self) -> None:
        """Tell it what it has to know once it is healthy; called after each start."""


class Server(Protocol):
    """A server program: PostgreSQL, Kafka, Triton."""

    @property
    def name(self) -> str:
        """Return the name on screen and of the log."""

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of an ordered stop."""

    @property
    def stop_seconds(self) -> float:
        """Return how long an ordered stop may take."""

    async def prepare(self) -> None:
        """Make ready what the server needs."""

    def command(self) -> Command:
        """Return what to run."""

    async def is_healthy(self) -> bool:
        """Tell whether it does its work."""

    async def configure(self) -> None:
        """Tell it what it has to know once it is healthy."""


@dataclass(frozen=True, kw_only=True)
class ServerChild:
    """A server as a child: its program, the environment's mark, its log."""

    server: Server
    mark: str
    log: Path

    @property
    def name(self) -> str:
        """Return the name on screen and of the log."""
        return self.server.name

    @property
    def stop_signal(self) -> signal.Signals:
        """Return the signal of an ordered stop."""
        return self.server.stop_signal

    @property
    def stop_seconds(self) -> float:
        """Return how long an ordered stop may take."""
        return self.server.stop_seconds

    async def spawn(self) -> Running:
        """Make ready what the server needs, and start it."""
        await self.server.prepare()
        return await processes.start(self.server.command().marked(self.mark), self.log)

    async def is_healthy(self) -> bool:
        """Tell whether it does its work."""
        return await self.server.is_healthy()

    async def configure(self) -> None:
        """Tell it what it has to know once it is healthy."""
        await self.server.configure()


@dataclass(frozen=True, kw_only=True)
class ServiceChild:
    """A service as a child: forked from the zygote, healthy when its `/readyz` says so."""

    order: Order
    zygote: Zygote
    address: Path | int
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10

    @property
    def name(self) -> str:
        """Return the name on screen and of the log."""
        return self.order.name

    async def spawn(self) -> Running:
        """Fork it; a socket that a killed predecessor left is removed first."""
        if isinstance(self.address, Path):
            self.address.unlink(missing_ok=True)
        return await self.zygote.fork(self.order)

    async def is_healthy(self) -> bool:
        """Tell whether it does its work."""
        return await health.answers(self.address, "/readyz")

    async def configure(self) -> None:
        """Do nothing: a service reads its settings at start."""


@dataclass(kw_only=True)
class Keeper:
    """Keeps one child alive until told to stop."""

    child: Child
    progress: Progress
    log: Path
    healthy: asyncio.Event = field(default_factory=asyncio.Event)
    running: Running | None = None
    starts: int = 0
    _failure: str = ""
    _task: asyncio.Task[None] | None = None
    _was_ever_healthy: bool = False

    def begin(self) -> None:
        """Start keeping."""
        self._task = asyncio.create_task(self._keep(), name=f"keeper of {self.child.name}")

    async def until_healthy(self, timeout_seconds: float = _START_SECONDS) -> None:
        """Wait for health; give up, naming the log, when the child can not get there."""
        waiting = asyncio.create_task(self.healthy.wait())
        keeping = [self._task] if self._task is not None else []
        try:
            await asyncio.wait([waiting, *keeping], timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self.healthy.is_set():
            why = self._failure or f"was not healthy within {timeout_seconds:.0f} s"
            raise StackError(f"{self.child.name} {why}; see {self.log}")

    async def stop(self) -> None:
        """Stop keeping, and end the child in order."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.healthy.clear()
        if self.running is not None:
            await processes.stop(self.running, self.child.stop_signal, timeout_seconds=self.child.stop_seconds)

    async def _keep(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            reached_health = await self._live_once(began)
            lived = time.monotonic() - began
            failures = 0 if reached_health and lived > _STEADY_SECONDS else failures + 1
            if not self._was_ever_healthy and failures >= _TRIES_BEFORE_GIVING_UP:
                return
            delay = min(_FIRST_DELAY_SECONDS * 2 ** (failures - 1) if failures else 0, _LONGEST_DELAY_SECONDS)
            self.progress(f"{self.child.name} {self._failure}; starting it again in {delay:.1f} s")
            await asyncio.sleep(delay)

    async def _live_once(self, began: float) -> bool:
        """Start the child, see it healthy, wait for its end; tell whether it ever got healthy."""
        try:
            self.running = await self.child.spawn()
        except (OSError, OverreadError) as reason:
            self._failure = f"did not start: {reason}"
            return False
        self.starts += 1
        self._failure = ""
        gate = asyncio.create_task(self._gate(began))
        gate.add_done_callback(self._judge)
        try:
            status = await self.running.wait()
        finally:
            await _ended(gate)
        reached = self.healthy.is_set()
        self.healthy.clear()
        processes.kill_group(self.running.pid)
        self._failure = self._failure or _ending(status)
        return reached

    def _judge(self, gate: "asyncio.Task[None]") -> None:
        """End a child that came up but could not be made ready: the next try may succeed."""
        if gate.cancelled() or gate.exception() is None or self.running is None:
            return
        self._failure = f"could not be made ready: {gate.exception()}"
        processes.kill_group(self.running.pid)

    async def _gate(self, began: float) -> None:
        await _until(self.child.is_healthy)
        await self.child.configure()
        self._was_ever_healthy = True
        self.healthy.set()
        self.progress(f"{self.child.name} healthy after {time.monotonic() - began:.1f} s")


def _ending(status: int) -> str:
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


async def _ended(task: "asyncio.Task[None]") -> None:
    """End `task`, asking again while it lives: `asyncio.wait_for` may swallow a cancellation (python/cpython#86296).

    A gate that asked on for ever would keep a child that died from being started again.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_ASK_EVERY_SECONDS)


async def _until(is_true: Callable[[], Awaitable[bool]]) -> None:
    while not await is_true():  # noqa: ASYNC110  # asked of another process; nothing here could set an event
        await asyncio.sleep(_ASK_EVERY_SECONDS)
