"""How the dead letters of many topics are asked for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition

from overread.runtime import dead_letters
from overread.runtime.settings import ServiceSettings
from overread.runtime.topic_reader import TopicReader

TOPICS = ("hl7.received.dead", "cases.changed.dead")


class FakeConsumer:
    """A client of a broker whose topics are empty; it counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return set(range(24))

    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(len(partitions))
        return dict.fromkeys(partitions, 0)

    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked.append(len(partitions))
        return dict.fromkeys(partitions, 0)


async def test_where_letters_lie_is_asked_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Partition by partition an operator waited twenty seconds for a list."""
    consumer: Any = FakeConsumer()

    @asynccontextmanager
    async def reading(_settings: Any, *topics: str) -> AsyncIterator[TopicReader]:
        yield TopicReader(consumer, topics)

    monkeypatch.setattr(dead_letters, "reading", reading)

    found = [letter async for letter in dead_letters.letters(ServiceSettings(), TOPICS)]

    assert (found, consumer.asked) == ([], [48, 48])
