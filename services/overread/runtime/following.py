"""What passes through topics from now on, dead letters among it, as somebody who only looks sees it."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from overread.contracts.topics import Topic
from overread.runtime.dead_letters import DeadLetter, letter_of
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import reading


@dataclass(frozen=True, kw_only=True)
class Passed:
    """One record, when the broker took it, and, of a topic's dead letters, why it was set aside."""

    topic: Topic
    value: bytes
    at: datetime
    letter: DeadLetter | None


async def follow(
    settings: ServiceSettings, topics: Sequence[Topic], on_ready: Callable[[], None]
) -> AsyncGenerator[Passed, None]:
    """Yield every record of `topics` and of their dead letters that comes after `on_ready` was called.

    It ends with whoever iterates; `Unavailable` when the broker does not answer.
    """
    known = {name: topic for topic in topics for name in (topic.name, topic.dead_name)}
    async with reading(settings, *known) as reader:
        partitions = [partition for name in known for partition in reader.partitions(name)]
        ends = {partition: end for partition, (_, end) in (await reader.spans(partitions)).items()}
        on_ready()
        async with aclosing(reader.follow(ends)) as records:
            async for record in records:
                topic = known[record.topic]
                letter = letter_of(record) if record.topic == topic.dead_name else None
                at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                yield Passed(topic=topic, value=record.value or b"", at=at, letter=letter)
