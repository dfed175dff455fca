"""Group commit: what arrives while the broker flushes leaves together afterwards, a future and no task for each record.

A partition has one batch on its way and one that fills, so the order of arrival is kept and memory is bounded: a record
that finds no room waits for its turn. The batch that waits is sent as soon as the one before it is acknowledged.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.publisher import MAX_RECORD_BYTES, Outgoing

Partition = tuple[str, int]


class BatchSender(Protocol):
    """Who sends whole batches; the real one is `KafkaPublisher`."""

    async def partition_for(self, record: Outgoing) -> int:
        """Return the partition of `record`, or raise `Unavailable`."""

    def new_batch(self) -> Any:
        """Return an empty batch, which has `append` and says None when it is full."""

    async def send_batch(self, batch: Any, topic: str, partition: int, records: int) -> None:
        """Return when all of `batch` is acknowledged, or raise `Unavailable` or `Malformed`."""


class GroupCommit:
    """Gives each record its place; all records of a batch are acknowledged, or not, together."""

    def __init__(self, sender: BatchSender) -> None:
        self._sender = sender
        self._lines: dict[Partition, _Line] = {}

    async def enqueue(self, record: Outgoing) -> Awaitable[None]:
        """Give `record` its place in the order; await the result for the broker's acknowledgement."""
        if len(record.value) + len(record.key) > MAX_RECORD_BYTES:
            raise Malformed("the record is larger than the broker takes")
        place = (record.topic, await self._sender.partition_for(record))
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = _Line(self._sender, *place)
        return await line.add(record)


class _Line:
    """One partition: the batch that fills, and the task that sends one batch after the other while there are any."""

    def __init__(self, sender: BatchSender, topic: str, partition: int) -> None:
        self._sender = sender
        self._topic = topic
        self._partition = partition
        self._filling = _Group(sender.new_batch())
        self._has_room = asyncio.Event()
        self._turn = asyncio.Lock()
        self._sending: asyncio.Task[None] | None = None

    async def add(self, record: Outgoing) -> Awaitable[None]:
        """Put `record` into the batch that fills; when it is full, wait in order of arrival for the next."""
        if not self._turn.locked() and (place := self._place(record)) is not None:
            return place
        async with self._turn:
            while (place := self._place(record)) is None:
                self._has_room.clear()
                await self._has_room.wait()
            return place

    def _place(self, record: Outgoing) -> "asyncio.Future[None] | None":
        place = self._filling.add(record)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())
        return place

    async def _send(self) -> None:
        while self._filling.places:
            group, self._filling = self._filling, _Group(self._sender.new_batch())
            self._has_room.set()
            count = len(group.places)
            await group.settle(self._sender.send_batch(group.batch, self._topic, self._partition, count))
        self._sending = None


class _Group:
    """The records of one batch, and who waits for them."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.places: list[asyncio.Future[None]] = []

    def add(self, record: Outgoing) -> "asyncio.Future[None] | None":
        """Return the record's acknowledgement to come, None when the batch is full."""
        headers = list(record.headers)
        if self.batch.append(timestamp=None, key=record.key, value=record.value, headers=headers) is None:
            return None
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.places.append(place)
        return place

    async def settle(self, sending: Coroutine[Any, Any, None]) -> None:
        """Tell all who wait what became of the batch."""
        failure: OverreadError = Unavailable("the event broker was not asked: the service stops")
        sent = False
        try:
            await sending
            sent = True
        except OverreadError as error:
            failure = error
        finally:
            for place in self.places:
                if not place.done():
                    place.set_result(None) if sent else place.set_exception(failure)
