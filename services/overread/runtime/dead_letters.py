"""Reading the dead-letter topics from their beginning to where they end now, outside any consumer group."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from overread.contracts.errors import Unavailable
from overread.runtime.dead_letter import REPLAY_ATTEMPT, SourceRecord
from overread.runtime.publisher import kafka_client_options
from overread.runtime.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One record that was set aside, with why and by whom."""

    record: SourceRecord
    kind: str
    reason: str
    consumer: str

    @property
    def place(self) -> str:
        """Return where the letter lies, as commands name it."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


async def read_all(settings: ServiceSettings, topics: Sequence[str]) -> list[DeadLetter]:
    """Return every dead letter of `topics`, or raise `Unavailable`."""
    consumer = AIOKafkaConsumer(
        group_id=None, auto_offset_reset="earliest", enable_auto_commit=False, **kafka_client_options(settings)
    )
    try:
        await consumer.start()
        letters: list[DeadLetter] = []
        for topic in topics:
            letters.extend(await _read(consumer, topic))
    except (KafkaError, OSError) as error:
        raise Unavailable("the event broker does not answer: is the stack up?") from error
    finally:
        await consumer.stop()
    return letters


async def _read(consumer: AIOKafkaConsumer, topic: str) -> list[DeadLetter]:
    await consumer.client.add_topic(topic)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
    if not partitions:
        return []
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    letters: list[DeadLetter] = []
    for partition in partitions:
        await consumer.seek_to_beginning(partition)
    while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            letters.extend(_letter(record) for record in records)
    return letters


def _letter(record: ConsumerRecord[bytes, bytes]) -> DeadLetter:
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    attempt = headers.get(REPLAY_ATTEMPT, "0")
    return DeadLetter(
        record=SourceRecord(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key or b"",
            value=record.value or b"",
            replay_attempt=int(attempt) if attempt.isdecimal() else 0,
        ),
        kind=headers.get("kind", ""),
        reason=headers.get("reason", ""),
        consumer=headers.get("consumer", ""),
    )
