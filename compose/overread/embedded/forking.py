"""The supervisor's side of the zygote: orders go out, services come back as running children."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overread.embedded.places import StackError
from overread.embedded.processes import Command, log_file, start, stop


@dataclass(kw_only=True)
class Forked:
    """One service forked from the zygote."""

    pid: int
    ended: asyncio.Future[int]

    @property
    def returncode(self) -> int | None:
        """Return how it ended, negative for a signal; None while it runs."""
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        """Wait until it has ended."""
        return await asyncio.shield(self.ended)

    def send_signal(self, signal: int) -> None:
        """Send it a signal."""
        if not self.ended.done():
            os.kill(self.pid, signal)


@dataclass(kw_only=True)
class Order:
    """What to fork: the service's name, its `module:function`, its settings and its log."""

    name: str
    target: str
    environment: Mapping[str, str]
    log: Path

    def line(self, ticket: int) -> bytes:
        """Return the order as the zygote reads it."""
        words = {"name": self.name, "target": self.target, "environment": dict(self.environment), "log": str(self.log)}
        return json.dumps({"ticket": ticket, **words}).encode() + b"\n"


@dataclass(kw_only=True)
class _Life:
    """One forking process from its start to its end, and the services that live of it."""

    process: asyncio.subprocess.Process
    writer: asyncio.StreamWriter
    log: Path
    listening: asyncio.Task[None] = field(init=False)
    _tickets: "itertools.count[int]" = field(default_factory=itertools.count)
    _awaited: dict[int, asyncio.Future[Forked]] = field(default_factory=dict)
    _living: dict[int, asyncio.Future[int]] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Tell whether the process has ended."""
        return self.listening.done()

    def order(self, order: Order) -> asyncio.Future[Forked]:
        """Send an order; the future is the service."""
        ticket = next(self._tickets)
        self._awaited[ticket] = asyncio.get_running_loop().create_future()
        self.writer.write(order.line(ticket))
        return self._awaited[ticket]

    async def listen(self, reader: asyncio.StreamReader) -> None:
        """Hear what became of the services, until the process ends."""
        try:
            with contextlib.suppress(ConnectionError):
                while (line := await reader.readline()).endswith(b"\n"):
                    self._hear(json.loads(line))
        finally:
            self._lose_all()

    def _hear(self, fact: dict[str, int]) -> None:
        if "started" in fact:
            ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._living[fact["started"]] = ended
            awaited = self._awaited.pop(fact["ticket"], None)
            if awaited is not None and not awaited.done():
                awaited.set_result(Forked(pid=fact["started"], ended=ended))
        elif (living := self._living.pop(fact["ended"], None)) is not None:
            living.set_result(fact["status"])

    def _lose_all(self) -> None:
        """Count every service as ended: the kernel ends them with the zygote."""
        self.writer.close()
        for ended in self._living.values():
            ended.set_result(-signal.SIGKILL)
        for awaited in self._awaited.values():
            if not awaited.done():
                awaited.set_exception(StackError(f"the process that forks services ended; see {self.log}"))
        self._living.clear()
        self._awaited.clear()


@dataclass(kw_only=True)
class Zygote:
    """The forking process, started again when it has died: one at a time, however many services ask for it."""

    modules: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    folder: Path = field(default_factory=Path.cwd)
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _life: _Life | None = None
    _is_ended: bool = False

    async def fork(self, order: Order) -> Forked:
        """Fork a service; the zygote is started first, or again, if it is not there."""
        life = await self.begin()
        with log_file(order.log):
            return await life.order(order)

    async def begin(self) -> _Life:
        """Start the zygote unless it is there; it imports while others work."""
        async with self._starting:
            if self._is_ended:
                raise StackError("the stack stops: nothing is started any more")
            if self._life is None or self._life.is_over:
                self._life = await self._begin()
            return self._life

    async def _begin(self) -> _Life:
        ours, theirs = socket.socketpair()
        # -P: the services resolve relative paths from the caller's folder, but import nothing from it.
        words = [sys.executable, "-P", "-m", "overread.embedded.zygote", *self.modules]
        command = Command(argv=words, environment=self.environment, folder=self.folder)
        try:
            with theirs:
                process = await start(command, self.log, stdin=theirs.fileno())
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()  # a zygote without its socket ends by itself
            raise
        life = _Life(process=process, writer=writer, log=self.log)
        life.listening = asyncio.create_task(life.listen(reader))
        return life

    async def end(self) -> None:
        """End the zygote, and start none any more; its services were ended before. Never raises."""
        async with self._starting:
            self._is_ended = True
        if self._life is not None:
            await stop(self._life.process, signal.SIGTERM, timeout_seconds=2)
            await asyncio.gather(self._life.listening, return_exceptions=True)
