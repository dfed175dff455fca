"""The acknowledgement policy, decided once: when an offset is committed, and what becomes of a record that fails.

A batch runs in one transaction. When it fails it rolls back and runs record by record: `Malformed` is set aside at
once; `Unavailable` pauses the partitions (polling goes on) until the dependencies answer; anything else is our bug,
tried five times and then set aside as a `Defect`. The offset is committed after the effects, never before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.identifiers import deterministic_id
from overread.contracts.topics import Topic
from overread.runtime.dead_letter import DeadLetterKind, SourceRecord, dead_letter
from overread.runtime.inbox import Transaction
from overread.runtime.offsets import OffsetsClient
from overread.runtime.telemetry import BATCH_SECONDS, CONSUMED, DEAD_LETTERS, PAUSED, log, parent_context, tracer

DEFECT_ATTEMPTS = 5
RESUME_SECONDS = 0.5

Opens = Callable[["SourceRecord"], Event[Any]]
"""Makes a record of others an event of ours; raises `Malformed` with the reason why it is none."""

Handler = Callable[[Sequence["Delivered"], Transaction], Awaitable[None]]
SetAside = Callable[[SourceRecord, Transaction], Awaitable[None]]
"""What a service keeps of a record that it sets aside, in the transaction of the dead letter."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """An event as a handler gets it: with the broker's time of arrival (ms since 1970) and its place."""

    event: Event[Any]
    broker_milliseconds: int
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class _Opened:
    """A record read from the topic: its event, or the reason why it has none."""

    source: SourceRecord
    delivered: Delivered | None
    fault: Malformed | None

    @property
    def identity(self) -> tuple[UUID, int]:
        if self.delivered is not None:
            return self.delivered.event.id, self.source.replay_attempt
        place = deterministic_id("undecodable", self.source.topic, str(self.source.partition), str(self.source.offset))
        return place, self.source.replay_attempt


class UnitsOfWork(Protocol):
    """What a consumption needs of its service."""

    name: str

    @property
    def has_database(self) -> bool:
        """Say whether the service owns state."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a unit of work; leaving it commits effects and outgoing events."""

    async def dependencies_answer(self) -> bool:
        """Say whether every dependency answers its ping now."""


class Consumption(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """One topic as one service reads it."""

    def __init__(
        self,
        service: UnitsOfWork,
        topic: Topic,
        handler: Handler,
        *,
        set_aside: SetAside | None = None,
        opens: Opens | None = None,
    ) -> None:
        self._service = service
        self._handler = handler
        self._note_set_aside = set_aside
        self._opens = opens
        self._processed: dict[int, int] = {}
        self._watch: asyncio.Task[None] | None = None
        self.topic = topic
        self.consumer_now: Callable[[], AIOKafkaConsumer | None] = lambda: None
        self.offsets: OffsetsClient | None = None
        self.paused_because: str | None = None

    @property
    def group_id(self) -> str:
        """Return the consumer group: one a topic, so that one topic's rebalance disturbs no other."""
        return f"{self._service.name}.{self.topic.name}"

    @property
    def consumer(self) -> AIOKafkaConsumer | None:
        """Return what polls the topic, None before the start and on a fake broker."""
        return self.consumer_now()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """Forget how far revoked partitions were read: another process goes on from the committed offset."""
        for partition in revoked:
            self._processed.pop(partition.partition, None)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """Begin from the committed offsets: how far an earlier assignment read is no longer true."""
        for partition in assigned:
            self._processed.pop(partition.partition, None)

    async def on_records(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Handle one polled batch to its end: committed, set aside, or rewound and paused."""
        opened = [self._open(_source(record), record.timestamp or 0) for record in records]
        try:
            with BATCH_SECONDS.labels(self.topic.name).time():
                await self._handle(opened)
        except Unavailable as away:
            await self._pause(records, str(away))
        except Exception as error:  # noqa: BLE001 - even a dead letter can fail, and no record may be passed over
            log.exception("consumption_failed", topic=self.topic.name, records=len(records))
            await self._pause(records, f"the consumption itself fails with {type(error).__name__}")
        else:
            await self._commit(records)

    async def take_again(self, source: SourceRecord, *, broker_milliseconds: int) -> None:
        """Handle a record that was set aside once more, to its end; no offset moves. Its id is known with its attempt."""
        await self._to_an_end(self._open(source, broker_milliseconds))

    def _open(self, source: SourceRecord, broker_milliseconds: int) -> _Opened:
        try:
            event = self._opens(source) if self._opens else codec.decode(source.value, self.topic.bodies)
        except Malformed as fault:
            return _Opened(source, None, fault)
        return _Opened(source, Delivered(event, broker_milliseconds, source.partition, source.offset), None)

    async def _handle(self, opened: Sequence[_Opened]) -> None:
        if any(o.fault for o in opened):
            await self._one_by_one(opened)
            return
        try:
            await self._in_one_transaction(opened)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the policy: whatever a handler raises, no record is lost
            log.warning("batch_falls_back", topic=self.topic.name, records=len(opened), error=type(error).__name__)
            await self._one_by_one(opened)

    async def _in_one_transaction(self, opened: Sequence[_Opened]) -> None:
        async with self._service.transaction() as tx:
            fresh = [o.delivered for o in await self._unseen(tx, opened) if o.delivered]
            if fresh:
                with tracer().start_as_current_span(
                    f"{self._service.name} {self.topic.name}", parent_context(fresh[0].event.traceparent)
                ):
                    await self._handler(fresh, tx)

    async def _unseen(self, tx: Transaction, opened: Sequence[_Opened]) -> Sequence[_Opened]:
        if not self._service.has_database or not opened:
            return opened
        unseen = await tx.unseen(self.topic.name, [o.identity for o in opened])
        first: dict[tuple[UUID, int], _Opened] = {}
        for o in opened:
            first.setdefault(o.identity, o)
        return [o for identity, o in first.items() if identity in unseen]

    async def _one_by_one(self, opened: Sequence[_Opened]) -> None:
        for o in opened:
            await self._to_an_end(o)

    async def _to_an_end(self, opened: _Opened) -> None:
        if opened.fault is not None:
            await self._set_aside(opened, DeadLetterKind.MALFORMED, str(opened.fault), attempts=1)
            return
        for attempt in range(1, DEFECT_ATTEMPTS + 1):
            try:
                await self._in_one_transaction([opened])
            except Unavailable:
                raise
            except Malformed as fault:
                await self._set_aside(opened, DeadLetterKind.MALFORMED, str(fault), attempts=attempt)
                return
            except Exception as error:  # noqa: BLE001 - our bug: tried five times, then set aside, loudly
                log.exception("handler_failed", topic=self.topic.name, attempt=attempt, offset=opened.source.offset)
                defect = f"{type(error).__name__} in {self._service.name}"
                await asyncio.sleep(0.05 * attempt)
            else:
                return
        await self._set_aside(opened, DeadLetterKind.DEFECT, defect, attempts=DEFECT_ATTEMPTS)

    async def _set_aside(self, opened: _Opened, kind: DeadLetterKind, reason: str, *, attempts: int) -> None:
        async with self._service.transaction() as tx:
            if not await self._unseen(tx, [opened]):
                return
            letter = dead_letter(
                self.topic,
                opened.source,
                kind=kind,
                reason=reason,
                attempts=attempts,
                consumer=self._service.name,
                now=tx.clock(),
            )
            tx.outgoing.append(letter)
            if self._note_set_aside:
                await self._note_set_aside(opened.source, tx)
        DEAD_LETTERS.labels(self.topic.name, kind.value).inc()
        log.error("dead_letter", topic=self.topic.name, kind=kind.value, reason=reason, offset=opened.source.offset)

    async def _commit(self, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        offsets = self._still_ours({TopicPartition(r.topic, r.partition): r.offset + 1 for r in records})
        self._processed |= {partition.partition: offset for partition, offset in offsets.items()}
        CONSUMED.labels(self.topic.name).inc(len(records))
        if self.consumer is None or not offsets:
            return
        try:
            await self.consumer.commit(offsets)
        except (CommitFailedError, IllegalStateError):
            log.info("commit_after_rebalance", topic=self.topic.name)
        except KafkaError as error:
            log.warning("commit_failed", topic=self.topic.name, error=type(error).__name__)

    def _still_ours(self, offsets: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Leave out partitions that went to another process while the batch ran: it goes on from its own offset."""
        if self.consumer is None:
            return offsets
        assigned = self.consumer.assignment()
        return {partition: offset for partition, offset in offsets.items() if partition in assigned}

    async def _pause(self, records: Sequence[ConsumerRecord[bytes, bytes]], reason: str) -> None:
        log.warning("consumption_paused", topic=self.topic.name, reason=reason)
        self.paused_because = reason
        PAUSED.labels(self.topic.name).set(1)
        if self.consumer is not None:
            self._rewind(self.consumer, records)
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._resume_when_answered())

    def _rewind(self, consumer: AIOKafkaConsumer, records: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Stand again before the first of `records` in each partition, and fetch no more."""
        first: dict[TopicPartition, int] = {}
        for record in records:
            first.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        assigned = consumer.assignment()
        for partition, offset in first.items():
            if partition in assigned:
                consumer.seek(partition, offset)
        consumer.pause(*assigned)

    async def _resume_when_answered(self) -> None:
        await asyncio.sleep(RESUME_SECONDS)
        while not await self._service.dependencies_answer():  # noqa: ASYNC110 - a ping has no event to wait for
            await asyncio.sleep(RESUME_SECONDS)
        if self.consumer is not None:
            self.consumer.resume(*self.consumer.paused())
        self.paused_because = None
        PAUSED.labels(self.topic.name).set(0)
        log.info("consumption_resumed", topic=self.topic.name)

    async def has_read_to_the_end(self, partitions: Sequence[int]) -> bool:
        """Say whether all that the broker held in `partitions` at this moment has had its effects committed.

        A consumption that has not started has read nothing. Raises `Unavailable` when the broker does not answer.
        """
        if self.consumer is None:
            return False
        wanted = [TopicPartition(self.topic.name, partition) for partition in partitions]
        try:
            asked = self.consumer if self.offsets is None else await self.offsets.consumer()
            ends = await asked.end_offsets(wanted)
            starts = await asked.beginning_offsets(wanted)
            for partition in wanted:
                if await self._processed_up_to(partition, starts[partition]) < ends[partition]:
                    return False
        except (KafkaError, OSError) as error:
            raise Unavailable("the event broker does not answer") from error
        return True

    async def _processed_up_to(self, partition: TopicPartition, start: int) -> int:
        if (processed := self._processed.get(partition.partition)) is not None:
            return processed
        if self.consumer is None:
            return start
        return max(start, await self.consumer.committed(partition) or 0)

    def why_it_waits(self) -> str | None:
        """Return what the consumption waits for, None while it runs."""
        return self.paused_because

    def assigned_partitions(self) -> list[int]:
        """Return the partitions that this process reads now."""
        return [] if self.consumer is None else sorted(p.partition for p in self.consumer.assignment())


def _source(record: ConsumerRecord[bytes, bytes]) -> SourceRecord:
    return SourceRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key or b"",
        value=record.value or b"",
    )
