"""Group commit: what arrives while the broker flushes leaves together afterwards, one flush for many records.

A key has one batch on its way and one that fills, so the order of arrival is kept. Senders that wait for their answer
send again as soon as they have it: after a batch of several, the next one waits for them for a moment, so that they
share one flush instead of taking turns. What waits is bounded: a record beyond that is refused.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.publisher import MAX_RECORD_BYTES, Line, OnSent, Outgoing

MOST_WAITING_BYTES = 64 * 1024 * 1024
"""What one key may hold that the broker has not acknowledged yet."""

GATHER_SECONDS = 0.002
"""How long a batch may wait for those who were just answered; a loop's timer counts milliseconds, and cuts the first."""

MOST_EXPECTED = 32
"""So many share one flush well; with more it is better that some are on their way while others are answered."""

OnKept = Callable[[OverreadError | None], None]
"""Told, once, that a record is kept, or why it is not."""


class BatchSender(Protocol):
    """Who sends whole batches; the real one is `KafkaPublisher`."""

    def new_batch(self) -> Any:
        """Return an empty batch, which has `append` and says None when it is full."""

    def send_batch(self, batch: Any, line: Line, records: int, on_sent: OnSent) -> None:
        """Send `batch`, and tell `on_sent`, once, that all of it is acknowledged, or why not."""


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
    """One key: the records that wait, and the batch that is on its way."""

    def __init__(self, sender: BatchSender, line: Line) -> None:
        self.waiting_bytes = 0
        self._sender = sender
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._is_sending = False
        self._expected = 1
        self._gathering: asyncio.TimerHandle | None = None

    def add(self, record: Outgoing, size: int, on_kept: OnKept) -> None:
        """Put `record` behind those that wait, and send them unless more are expected at once."""
        self._waiting.append(_Waiting(record, size, on_kept))
        self.waiting_bytes += size
        if not self._is_sending and (self._gathering is None or len(self._waiting) >= self._expected):
            self._send()

    def _send(self) -> None:
        """Send what waits, as far as one batch holds it."""
        self._end_gathering()
        if not self._waiting:
            return
        batch, taken = self._sender.new_batch(), list[_Waiting]()
        self._is_sending = True
        try:
            self._fill(batch, taken)
            self._sender.send_batch(batch, self._line, len(taken), partial(self._on_sent, taken))
        except Exception as fault:  # noqa: BLE001 - a bug of ours: whoever waits hears that nothing was kept
            self._report(fault)
            self._on_sent(taken, Unavailable("the record could not be given to the event broker"))

    def _fill(self, batch: Any, taken: list["_Waiting"]) -> None:
        """Move what fits from those that wait into `batch`."""
        while self._waiting:
            one = self._waiting.popleft()
            taken.append(one)  # first: whatever becomes of the next line, it is told
            record, headers = one.record, list(one.record.headers)
            offset = len(taken) - 1
            if batch.append(offset, timestamp=None, key=record.key, value=record.value, headers=headers) is None:
                self._waiting.appendleft(taken.pop())
                return

    def _on_sent(self, taken: Sequence["_Waiting"], failure: OverreadError | None) -> None:
        """Tell the records of a batch what became of it; then send what waits, once who is expected is there."""
        self._is_sending = False
        self.waiting_bytes -= sum(one.size for one in taken)
        if failure is None:
            self._gather(len(taken) + len(self._waiting))
        for one in taken:
            self._tell(one, failure)
        if not self._is_sending and (self._gathering is None or len(self._waiting) >= self._expected):
            self._send()

    def _gather(self, at_once: int) -> None:
        """Expect those who were just answered, and those who wait, to be there together in a moment."""
        self._end_gathering()
        self._expected = min(at_once, MOST_EXPECTED)
        if at_once > 1:
            self._gathering = self._loop.call_later(GATHER_SECONDS, self._send)

    def _end_gathering(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    def _tell(self, one: "_Waiting", failure: OverreadError | None) -> None:
        try:
            one.on_kept(failure)
        except Exception as fault:  # noqa: BLE001 - the failure of one is not that of the others
            self._report(fault)

    def _report(self, fault: Exception) -> None:
        self._loop.call_exception_handler({"message": "a record's way to the broker failed", "exception": fault})


class _Waiting(NamedTuple):
    """A record that waits, its size, and who hears what becomes of it."""

    record: Outgoing
    size: int
    on_kept: OnKept
