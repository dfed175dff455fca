"""Reading the dead-letter topics: from their beginning to where they end now, or one letter, outside any group."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from aiokafka import ConsumerRecord

from overread.contracts.events.operations import ReplayRequested
from overread.runtime.dead_letter import REPLAY_ATTEMPT, SourceRecord
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import reading

MOST_DIGITS = 19
"""An offset has no more: it is a 64-bit number."""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One record that was set aside, with why and by whom; `again` is the record as its consumer takes it once more."""

    record: SourceRecord
    again: SourceRecord
    kind: str
    reason: str
    consumer: str

    @property
    def place(self) -> str:
        """Return where the letter lies, as commands name it."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"


async def letters(settings: ServiceSettings, topics: Sequence[str]) -> AsyncGenerator[DeadLetter, None]:
    """Yield every dead letter of `topics`, one at a time however many there are, or raise `Unavailable`."""
    async with reading(settings, *topics) as reader:
        everywhere = [partition for topic in topics for partition in reader.partitions(topic)]
        for partition, (first, end) in (await reader.spans(everywhere)).items():
            async for record in reader.read(partition, first, end):
                yield letter_of(record)


async def letter_at(settings: ServiceSettings, topic: str, partition: int, offset: int) -> DeadLetter | None:
    """Return the dead letter in exactly that place, None when none is kept there; or raise `Unavailable`."""
    found = await _kept_at(settings, topic, partition, offset)
    return letter_of(found) if found else None


async def record_at(settings: ServiceSettings, topic: str, partition: int, offset: int) -> SourceRecord | None:
    """Return the record in exactly that place of any topic, None when none is kept there; or raise `Unavailable`."""
    found = await _kept_at(settings, topic, partition, offset)
    return _kept(found) if found else None


async def _kept_at(
    settings: ServiceSettings, topic: str, partition: int, offset: int
) -> "ConsumerRecord[bytes, bytes] | None":
    async with reading(settings, topic) as reader:
        wanted = next((found for found in reader.partitions(topic) if found.partition == partition), None)
        if wanted is None:
            return None
        first, end = await reader.span(wanted)
        if not first <= offset < end:
            return None
        found = [record async for record in reader.read(wanted, offset, offset + 1)]
        return found[0] if found else None


def request_for(letter: DeadLetter, *, requested_by: str, now: datetime) -> ReplayRequested:
    """Return the request that gives `letter` back to its consumer; publish it on `replays.requested`, by its place."""
    return ReplayRequested(
        consumer=letter.consumer,
        dead_topic=letter.record.topic,
        partition=letter.record.partition,
        offset=letter.record.offset,
        requested_by=requested_by,
        requested_at=now,
    )


def letter_of(record: ConsumerRecord[bytes, bytes]) -> DeadLetter:
    """Return the dead letter that a record of a dead-letter topic is."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    kept = _kept(record, replay_attempt=_number(headers.get(REPLAY_ATTEMPT, "")))
    again = replace(
        kept,
        topic=record.topic.removesuffix(".dead"),
        partition=_number(headers.get("source_partition", "")),
        offset=_number(headers.get("source_offset", "")),
        replay_attempt=kept.replay_attempt + 1,
    )
    return DeadLetter(
        record=kept,
        again=again,
        kind=headers.get("kind", ""),
        reason=headers.get("reason", ""),
        consumer=headers.get("consumer", ""),
    )


def _kept(record: ConsumerRecord[bytes, bytes], *, replay_attempt: int = 0) -> SourceRecord:
    return SourceRecord(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key or b"",
        value=record.value or b"",
        replay_attempt=replay_attempt,
    )


def _number(text: str) -> int:
    """Return a header's number; what a stranger wrote there instead counts as 0."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < MOST_DIGITS else 0
