"""Reading topics outside any consumer group: dead letters whole, others from their tail, or what comes from now on."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from overread.contracts.errors import Unavailable
from overread.runtime.publisher import kafka_client_options, partition_of
from overread.runtime.settings import ServiceSettings

TAIL_CHUNK_RECORDS = 1_000
LET_GO_TURNS = 20


class TopicReader:
    """Reads what is there, from one offset to another; nothing is committed."""

    def __init__(self, consumer: AIOKafkaConsumer, topics: Sequence[str]) -> None:
        self._consumer = consumer
        # Asked now: once a partition is assigned, the client forgets the topics that it does not read.
        self._partitions = {topic: sorted(consumer.partitions_for_topic(topic) or ()) for topic in topics}

    def partitions(self, topic: str) -> list[TopicPartition]:
        """Return the partitions of one of the topics that the reader was made for."""
        return [TopicPartition(topic, number) for number in self._partitions[topic]]

    async def span(self, partition: TopicPartition) -> tuple[int, int]:
        """Return the first offset that is kept, and the one after the last."""
        return (await self.spans([partition]))[partition]

    async def spans(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        """Return the span of each, asked at once and before any is read.

        While the client waits for records the broker answers nothing else on its connection: each question more would
        wait with it.
        """
        first = await self._consumer.beginning_offsets(partitions)
        end = await self._consumer.end_offsets(partitions)
        return {partition: (first[partition], end[partition]) for partition in partitions}

    async def offset_at(self, partition: TopicPartition, moment: datetime) -> int | None:
        """Return the offset of the first record from `moment` on (the broker's time), None when there is none."""
        found = await self._consumer.offsets_for_times({partition: int(moment.timestamp() * 1000)})
        at = found.get(partition)
        return None if at is None else at.offset

    async def read(
        self, partition: TopicPartition, first: int, end: int
    ) -> AsyncGenerator[ConsumerRecord[bytes, bytes], None]:
        """Yield the records of `partition` from offset `first` up to, without, `end`."""
        if first >= end:
            return
        self._consumer.assign([partition])
        self._consumer.seek(partition, first)
        while await self._consumer.position(partition) < end:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    if record.offset < end:
                        yield record

    async def follow(self, starts: Mapping[TopicPartition, int]) -> AsyncGenerator[ConsumerRecord[bytes, bytes], None]:
        """Yield what comes to each partition from its offset on, as it comes; it never ends by itself."""
        self._consumer.assign(list(starts))
        for partition, offset in starts.items():
            self._consumer.seek(partition, offset)
        while True:
            for records in (await self._consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield record


async def let_go() -> None:
    """Let the fetcher see that it has no partitions any more.

    While it ends what it had begun for them, aiokafka 0.14 swallows the cancellation by which `stop` ends it, for ever.
    """
    for _ in range(LET_GO_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def reading(settings: ServiceSettings, *topics: str) -> AsyncIterator[TopicReader]:
    """Connect a reader of `topics` for the time of the block; `Unavailable` when the broker does not answer."""
    consumer = AIOKafkaConsumer(
        *topics, group_id=None, auto_offset_reset="earliest", enable_auto_commit=False, **kafka_client_options(settings)
    )
    try:
        await consumer.start()
        reader = TopicReader(consumer, topics)
        consumer.unsubscribe()  # the subscription was for the partitions' names only
        await let_go()
        yield reader
    except (KafkaError, OSError) as error:
        raise Unavailable("the event broker does not answer: is the stack up?") from error
    finally:
        await consumer.stop()


async def tail(
    settings: ServiceSettings, topic: str, key: bytes, *, most: int, since: datetime
) -> AsyncGenerator[bytes, None]:
    """Yield what was last written to `topic` under `key`, newest first: at most `most` records, none before `since`."""
    async with reading(settings, topic) as reader:
        partition = partition_of(key, reader.partitions(topic))
        first, end = await reader.span(partition)
        begin = await reader.offset_at(partition, since)
        first = max(first, end - most, end if begin is None else begin)
        while end > first:
            start = max(first, end - TAIL_CHUNK_RECORDS)
            async with contextlib.aclosing(reader.read(partition, start, end)) as records:
                chunk = [record async for record in records]
            for record in reversed(chunk):
                if record.key == key and record.value is not None:
                    yield record.value
            end = start
