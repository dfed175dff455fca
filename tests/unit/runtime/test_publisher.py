"""Acknowledged by the broker, or an answer that says which of the three failures it was."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from pydantic import SecretStr

from overread.contracts.errors import Malformed, Unavailable
from overread.runtime.publisher import KafkaPublisher, Outgoing, kafka_client_options
from overread.runtime.settings import ServiceSettings

RECORDS = [Outgoing("audit.recorded", b"k", value) for value in (b"1", b"2", b"3")]


class FakeProducer:
    """A producer whose acknowledgements a test decides."""

    def __init__(self, answer: Callable[[bytes], Exception | None]) -> None:
        self.answer = answer
        self.awaited: list[bytes] = []

    async def send(self, _topic: str, *, value: bytes, **_others: Any) -> "asyncio.Future[None]":
        """Take the record, and answer when asked."""

        async def acknowledge() -> None:
            self.awaited.append(value)
            if (fault := self.answer(value)) is not None:
                raise fault

        return asyncio.ensure_future(acknowledge())


def publisher(answer: Callable[[bytes], Exception | None] = lambda _: None) -> tuple[KafkaPublisher, FakeProducer]:
    """Return a publisher that is connected to a fake."""
    subject, producer = KafkaPublisher(ServiceSettings()), FakeProducer(answer)
    connected: Any = producer
    subject._producer = connected
    return subject, producer


async def test_publishing_ends_when_every_record_is_acknowledged() -> None:
    """Acknowledged means kept."""
    subject, producer = publisher()

    await subject.publish(RECORDS)

    assert producer.awaited == [b"1", b"2", b"3"]


async def test_what_has_its_place_is_waited_for_though_the_next_record_finds_none() -> None:
    """A broker that is away for long: nothing overtakes the record that found no place, and no failure goes unheard."""
    subject, _ = publisher()
    placed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asked: list[bytes] = []

    async def enqueue(record: Outgoing) -> "asyncio.Future[None]":
        asked.append(record.value)
        if len(asked) > 1:
            raise Unavailable("no place")
        return placed

    wired: Any = subject
    wired.enqueue = enqueue
    publishing = asyncio.create_task(subject.publish(RECORDS))
    await asyncio.wait([publishing], timeout=0.05)
    was_done = publishing.done()
    placed.set_exception(Unavailable("no acknowledgement"))

    with pytest.raises(Unavailable, match="no place"):
        await publishing
    assert (was_done, asked) == (False, [b"1", b"2"])


@pytest.mark.parametrize("error", [KafkaTimeoutError(), KafkaConnectionError(), ConnectionResetError()])
async def test_a_record_without_acknowledgement_is_unavailable(error: Exception) -> None:
    """One missing acknowledgement is no success; the others are still heard to their end."""
    subject, producer = publisher(lambda value: error if value == b"1" else None)

    with pytest.raises(Unavailable, match=type(error).__name__):
        await subject.publish(RECORDS)

    assert producer.awaited == [b"1", b"2", b"3"]


async def test_a_record_that_is_too_large_is_malformed() -> None:
    """It can never work, however often it is tried."""
    subject, _ = publisher(lambda _: MessageSizeTooLargeError())

    with pytest.raises(Malformed):
        await subject.publish(RECORDS)


async def test_publishing_before_the_start_is_unavailable() -> None:
    """A message that comes before the broker is refused, not lost."""
    with pytest.raises(Unavailable):
        await KafkaPublisher(ServiceSettings()).publish(RECORDS)


def test_password_reaches_the_client_and_no_repr() -> None:
    """Secrets never appear in a repr or a log."""
    settings = ServiceSettings(kafka_username="review", kafka_password=SecretStr("synthetic"))

    assert kafka_client_options(settings)["sasl_plain_password"] == "synthetic"
    assert "synthetic" not in repr(settings)
