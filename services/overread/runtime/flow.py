"""How the topics flow now: what is kept, how fast more comes, and how far behind each reader is. Reads, never commits."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from overread.contracts.errors import Unavailable
from overread.contracts.topics import TOPICS, Topic
from overread.runtime.publisher import kafka_client_options
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import let_go

PEEK_MILLISECONDS = 500
PEEKED_PARTITIONS = 48
"""How many lagging partitions are looked into for their oldest unread record; the lag itself counts all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFlow:
    """How far one reader of a topic is behind, and since when its oldest unread record waits."""

    service: str
    lag: int
    oldest_unread: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFlow:
    """One topic: how many records it keeps, how many it ever had, and its readers."""

    topic: Topic
    kept: int
    written: int
    dead: int
    groups: tuple[GroupFlow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """All topics at one moment, in pipeline order."""

    at: datetime
    topics: tuple[TopicFlow, ...]


def group_of(service: str, topic: Topic) -> str:
    """Return the consumer group by which `service` reads `topic`."""
    return f"{service}.{topic.name}"


class FlowReader:
    """Asks the broker; its connections are opened at the first question, and anew after the broker was away."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._asking = asyncio.Lock()
        self._open: tuple[AIOKafkaConsumer, AIOKafkaAdminClient] | None = None

    async def flow(self, now: datetime) -> Flow:
        """Return how the topics flow, or raise `Unavailable`."""
        async with self._asking:
            try:
                return await self._flow(now)
            except (KafkaError, OSError) as error:
                await self.close()
                raise Unavailable("the event broker does not answer") from error

    async def close(self) -> None:
        """Close the connections, if they are open."""
        if self._open is not None:
            consumer, admin = self._open
            self._open = None
            await admin.close()
            await consumer.stop()

    async def _flow(self, now: datetime) -> Flow:
        consumer, admin = await self._connected()
        every = [partition for topic in TOPICS for partition in (*_partitions(topic), _dead_partition(topic))]
        begins, ends = await consumer.beginning_offsets(every), await consumer.end_offsets(every)
        asking = _Asking(consumer, admin, begins, ends)
        return Flow(at=now, topics=tuple([await asking.topic_flow(topic) for topic in TOPICS]))

    async def _connected(self) -> tuple[AIOKafkaConsumer, AIOKafkaAdminClient]:
        if self._open is None:
            options = kafka_client_options(self._settings)
            names = [name for topic in TOPICS for name in (topic.name, topic.dead_name)]
            consumer = AIOKafkaConsumer(
                *names, group_id=None, enable_auto_commit=False, fetch_max_bytes=1 << 20, **options
            )
            admin = AIOKafkaAdminClient(**options)
            self._open = consumer, admin
            await consumer.start()
            consumer.unsubscribe()  # the names are told so that all leaders are learnt at once: one by one takes seconds
            await let_go()
            await admin.start()
        return self._open


class _Asking:
    """One round of questions, with the offsets that all of it is judged by."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        begins: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._begins = begins
        self._ends = ends

    async def topic_flow(self, topic: Topic) -> TopicFlow:
        own = _partitions(topic)
        readers = [service for service in topic.consumers if service not in topic.not_yet]
        return TopicFlow(
            topic=topic,
            kept=sum(self._kept(one) for one in own),
            written=sum(self._ends[one] for one in own),
            dead=self._kept(_dead_partition(topic)),
            groups=tuple([await self._group_flow(topic, service) for service in readers]),
        )

    def _kept(self, partition: TopicPartition) -> int:
        return self._ends[partition] - self._begins[partition]

    async def _group_flow(self, topic: Topic, service: str) -> GroupFlow:
        committed = await self._committed(group_of(service, topic))
        places = {one: self._next_offset(committed, one) for one in _partitions(topic)}
        behind = {one: place for one, place in places.items() if place < self._ends[one]}
        return GroupFlow(
            service=service,
            lag=sum(self._ends[one] - place for one, place in behind.items()),
            oldest_unread=await self._oldest(behind) if behind else None,
        )

    async def _committed(self, group: str) -> Mapping[TopicPartition, object]:
        """Return where the group is in each partition; on a new broker nobody is anywhere yet."""
        try:
            committed: Mapping[TopicPartition, object] = await self._admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            return {}
        return committed

    def _next_offset(self, committed: Mapping[TopicPartition, object], partition: TopicPartition) -> int:
        """Return the offset that the group reads next; what retention took away is not waited for."""
        found = getattr(committed.get(partition), "offset", -1)
        return max(found, self._begins[partition])

    async def _oldest(self, behind: Mapping[TopicPartition, int]) -> datetime | None:
        """Return the time of the oldest unread record."""
        looked_into = dict(list(behind.items())[:PEEKED_PARTITIONS])
        self._consumer.assign(list(looked_into))
        for partition, place in looked_into.items():
            self._consumer.seek(partition, place)
        found = await self._consumer.getmany(timeout_ms=PEEK_MILLISECONDS)
        self._consumer.unsubscribe()
        await let_go()
        times = [records[0].timestamp for records in found.values() if records]
        return datetime.fromtimestamp(min(times) / 1000, UTC) if times else None


def _partitions(topic: Topic) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for number in range(topic.partitions)]


def _dead_partition(topic: Topic) -> TopicPartition:
    return TopicPartition(topic.dead_name, 0)
