"""Group commit: what arrives while the broker flushes leaves together afterwards, one flush and one task for many records.

A key has one batch on its way and one that fills, so the order of arrival is kept. The batch that waits is sent as soon
as the one before it is acknowledged. What waits is bounded: a record beyond that is refused.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.publisher import MAX_RECORD_BYTES, Outgoing

MOST_WAITING_BYTES = 64 * 1024 * 1024
"""What one key may hold that the broker has not acknowledged yet."""

OnKept = Callable[[OverreadError | None], None]
"""Told, once, that a record is kept, or why it is not."""

Line = tuple[str, bytes]
"""A topic and a key, whose records keep their order."""


class BatchSender(Protocol):
    """Who sends whole batches; the real one is `KafkaPublisher`."""

    def new_batch(self) -> Any:
        """Return an empty batch, which has `append` and says None when it is full."""

    async def send_batch(self, batch: Any, line: Line, records: int) -> None:
        """Return when all of `batch` is acknowledged, or raise `Unavailable` or `Malformed`."""


class GroupCommit:
    """Gives each record its place; all records of a batch are acknowledged, or not, together."""

    def __init__(self, sender: BatchSender, most_waiting_bytes: int = MOST_WAITING_BYTES) -> None:
        self._sender = sender
        self._most_waiting_bytes = most_waiting_bytes
        self._lines: dict[Line, _Line] = {}

    def enqueue(self, record: Outgoing, on_kept: OnKept) -> None:
        """Give `record` its place in the order, and tell `on_kept` what becomes of it; raise what can be told now."""
        key = (record.topic, record.key)
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(self._sender, key)
        size = len(record.value) + len(record.key)
        if size > MAX_RECORD_BYTES:
            raise Malformed("the record is larger than the broker takes")
        if line.waiting_bytes + size > self._most_waiting_bytes:
            raise Unavailable("more is waiting for the event broker than can be held")
        line.add(record, size, on_kept)


class _Line:
    """One key: the records that wait, and the task that sends one batch after the other while there are any."""

    def __init__(self, sender: BatchSender, line: Line) -> None:
        self.waiting_bytes = 0
        self._sender = sender
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Outgoing, int, OnKept]] = deque()
        self._sending: asyncio.Task[None] | None = None

    def add(self, record: Outgoing, size: int, on_kept: OnKept) -> None:
        """Put `record` behind those that wait."""
        self._waiting.append((record, size, on_kept))
        self.waiting_bytes += size
        if self._sending is None:
            self._sending = self._loop.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._waiting:
                await self._send_batch()
        finally:
            self._sending = None  # whatever ended it: the next record starts it again

    async def _send_batch(self) -> None:
        batch, told = self._sender.new_batch(), list[OnKept]()
        size = self._fill(batch, told)
        failure: OverreadError | None = Unavailable("the event broker was not asked: the service stops")
        try:
            await self._sender.send_batch(batch, self._line, len(told))
            failure = None
        except OverreadError as error:
            failure = error
        finally:
            self.waiting_bytes -= size
            for on_kept in told:
                self._loop.call_soon(on_kept, failure)  # so that the failure of one is not that of the others

    def _fill(self, batch: Any, told: list[OnKept]) -> int:
        """Move what fits from those that wait into `batch`; return how many bytes of records that is."""
        filled, waiting = 0, self._waiting
        while waiting:
            record, size, on_kept = waiting[0]
            headers = list(record.headers)
            if batch.append(len(told), timestamp=None, key=record.key, value=record.value, headers=headers) is None:
                break
            waiting.popleft()
            told.append(on_kept)
            filled += size
        return filled
