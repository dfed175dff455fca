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
class Zygote:
    """The forking process, and the services that live of it."""

    modules: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    _process: asyncio.subprocess.Process | None = None
    _writer: asyncio.StreamWriter | None = None
    _listening: asyncio.Task[None] | None = None
    _tickets: "itertools.count[int]" = field(default_factory=itertools.count)
    _awaited: dict[int, asyncio.Future[Forked]] = field(default_factory=dict)
    _living: dict[int, asyncio.Future[int]] = field(default_factory=dict)

    async def fork(self, order: Order) -> Forked:
        """Fork a service; the zygote is started first, or again, if it is not there."""
        if self._listening is None or self._listening.done():
            await self.begin()
        if self._writer is None:
            raise StackError("the zygote is not there")
        ticket = next(self._tickets)
        self._awaited[ticket] = asyncio.get_running_loop().create_future()
        with log_file(order.log):
            self._writer.write(order.line(ticket))
        return await self._awaited[ticket]

    async def begin(self) -> None:
        """Start the zygote; it imports while others work."""
        ours, theirs = socket.socketpair()
        command = Command(
            argv=[sys.executable, "-m", "overread.embedded.zygote", *self.modules], environment=self.environment
        )
        with theirs:
            self._process = await start(command, self.log, stdin=theirs.fileno())
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._listening = asyncio.create_task(self._listen(reader))

    async def end(self) -> None:
        """End the zygote; its services were ended before."""
        if self._process is not None:
            await stop(self._process, signal.SIGTERM, timeout_seconds=2)
        if self._writer is not None:
            self._writer.close()
        if self._listening is not None:
            await self._listening

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self._hear(json.loads(line))
        self._lose_all()

    def _hear(self, fact: dict[str, int]) -> None:
        if "started" in fact:
            ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self._living[fact["started"]] = ended
            self._awaited.pop(fact["ticket"]).set_result(Forked(pid=fact["started"], ended=ended))
        else:
            self._living.pop(fact["ended"]).set_result(fact["status"])

    def _lose_all(self) -> None:
        """Count every service as ended: the kernel ends them with the zygote."""
        for ended in self._living.values():
            ended.set_result(-signal.SIGKILL)
        for awaited in self._awaited.values():
            awaited.set_exception(StackError(f"the process that forks services ended; see {self.log}"))
        self._living.clear()
        self._awaited.clear()
