"""Reading the dead-letter topics from their beginning to where they end now, outside any consumer group."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from overread.runtime.dead_letter import REPLAY_ATTEMPT, SourceRecord
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import reading


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
    async with reading(settings) as reader:
        return [
            _letter(record)
            for topic in topics
            for partition in await reader.partitions(topic)
            async for record in reader.read(partition, *await reader.span(partition))
        ]


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
