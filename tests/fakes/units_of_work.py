"""A service's database and broker without either: what a consumption needs, kept in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition

from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.errors import Unavailable
from overread.contracts.topics import AUDIT_RECORDED, Topic
from overread.runtime.inbox import Transaction
from overread.runtime.publisher import Outgoing
from tests.builders.events import NOON, SITE


class FakeInbox:
    """The one statement of the inbox that a transaction sends."""

    def __init__(self, seen: set[tuple[str, UUID, int]]) -> None:
        self.seen = seen

    async def fetch(self, sql: str, consumer: str, ids: list[UUID], attempts: list[int]) -> list[dict[str, Any]]:
        """Keep the new ones and return them, as INSERT … ON CONFLICT DO NOTHING RETURNING does."""
        assert sql.startswith("INSERT INTO inbox")
        new = [row for row in dict.fromkeys(zip(ids, attempts, strict=True)) if (consumer, *row) not in self.seen]
        self.seen |= {(consumer, *row) for row in new}
        return [{"event_id": event_id, "replay_attempt": attempt} for event_id, attempt in new]


class FakeUnitsOfWork:
    """A service with (or without) a database, whose transactions commit or roll back as one."""

    def __init__(self, *, has_database: bool = True, name: str = "governance") -> None:
        self.name = name
        self.has_database = has_database
        self.seen: set[tuple[str, UUID, int]] = set()
        self.published: list[Outgoing] = []
        self.is_away = False
        self.commits = 0
        self.commit_fails: Exception | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Commit on leaving, forget everything on an error."""
        if self.is_away:
            raise Unavailable("the database does not answer")
        inbox = FakeInbox(set(self.seen))
        connection: Any = inbox if self.has_database else None
        tx = Transaction(service=self.name, site_id=SITE, clock=lambda: NOON, connection=connection)
        yield tx
        if self.commit_fails is not None:
            raise self.commit_fails
        self.seen = inbox.seen
        self.published += tx.outgoing
        self.commits += 1

    async def dependencies_answer(self) -> bool:
        """Say whether the fake is there."""
        return not self.is_away


class FakeConsumer:
    """A consumer of a few partitions that remembers what it was told."""

    def __init__(self, topic: Topic = AUDIT_RECORDED, partitions: Sequence[int] = (0, 1)) -> None:
        self.assigned = {TopicPartition(topic.name, partition) for partition in partitions}
        self.committed_offsets: dict[int, int] = {}
        self.sought: dict[int, int] = {}
        self.paused_partitions: set[TopicPartition] = set()
        self.ends: dict[int, int] = dict.fromkeys(partitions, 0)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Keep the offsets."""
        self.committed_offsets |= {partition.partition: offset for partition, offset in offsets.items()}

    async def committed(self, partition: TopicPartition) -> int | None:
        """Return the committed offset."""
        return self.committed_offsets.get(partition.partition)

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where the partitions begin."""
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where the partitions end."""
        return {partition: self.ends[partition.partition] for partition in partitions}

    def assignment(self) -> set[TopicPartition]:
        """Return what is assigned."""
        return self.assigned

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Keep where it was set back to."""
        self.sought[partition.partition] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        """Keep what is paused."""
        self.paused_partitions |= set(partitions)

    def paused(self) -> set[TopicPartition]:
        """Return what is paused."""
        return self.paused_partitions

    def resume(self, *partitions: TopicPartition) -> None:
        """Run again."""
        self.paused_partitions -= set(partitions)


def a_record(
    content: Event[Body] | bytes | None,
    *,
    offset: int = 0,
    partition: int = 0,
    topic: Topic = AUDIT_RECORDED,
    headers: Mapping[str, str | None] | None = None,
    key: bytes = b"site",
) -> "ConsumerRecord[bytes, bytes]":
    """Return what a consumer polled: an event, or any bytes."""
    value = codec.encode(content) if isinstance(content, Event) else content
    return ConsumerRecord(
        topic=topic.name,
        partition=partition,
        offset=offset,
        timestamp=1_795_348_800_000,
        timestamp_type=1,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=len(key),
        serialized_value_size=len(value or b""),
        headers=tuple((name, None if text is None else text.encode()) for name, text in (headers or {}).items()),
    )
