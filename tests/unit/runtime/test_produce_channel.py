"""Answers find their requests whatever the line does; who waits is always told, once."""

import asyncio
import struct
from typing import Any

import pytest
from aiokafka.errors import CorrelationIdError, KafkaConnectionError, KafkaError, NotLeaderForPartitionError
from aiokafka.protocol.produce import ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from overread.runtime.produce_channel import ProduceChannel
from overread.runtime.produce_request import ProduceBatch

REQUEST = ProduceBatch("hl7.received", 3, b"a batch", 8_000)
NOT_LEADER = 6


class FakeTransport:
    """A line that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_aborted = False

    def write(self, content: bytes) -> None:
        self.written.append(content)

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


def a_channel() -> tuple[ProduceChannel, FakeTransport]:
    transport: Any = FakeTransport()
    return ProduceChannel(transport, lambda: None), transport


def answer(correlation_id: int, error_code: int = 0) -> bytes:
    said = (
        struct.pack(">i", correlation_id)
        + ProduceResponse_v7([("hl7.received", [(3, error_code, 1, -1, 0)])], 0).encode()
    )
    return b"".join((struct.pack(">i", len(said)), said))


def sent(channel: ProduceChannel, count: int, seconds: float = 60) -> list[KafkaError | str | None]:
    """Send requests, and return where each answer will stand."""
    told: list[KafkaError | str | None] = ["nothing yet"] * count
    for number in range(count):
        channel.send(REQUEST, lambda error, number=number: told.__setitem__(number, error), seconds)  # type: ignore[misc]
    return told


@given(cuts=st.lists(st.integers(1, 80), max_size=8))
def test_answers_are_told_in_order_however_the_line_cuts_them(cuts: list[int]) -> None:
    """Promise 1: what one batch was told never becomes another's."""

    async def exchange() -> list[Any]:
        channel, _ = a_channel()
        told, line = sent(channel, 3), answer(1) + answer(2, NOT_LEADER) + answer(3)
        for cut in (*cuts, len(line)):
            piece, line = line[:cut], line[cut:]
            channel.data_received(piece)
        channel.connection_lost(None)
        return told

    first, second, third = asyncio.run(exchange())

    assert (first, type(second), third) == (None, NotLeaderForPartitionError, None)


@pytest.mark.parametrize("said", [answer(2), b"\x00\x00\x00\x0c\x00\x00\x00\x01" + b"\x00\x00\x00\x01\x00\x0chl"])
async def test_an_answer_that_does_not_fit_is_no_success_and_ends_the_connection(said: bytes) -> None:
    """Its successors would fit no better."""
    channel, transport = a_channel()
    told = sent(channel, 2)

    channel.data_received(said)
    channel.connection_lost(None)

    assert transport.is_aborted
    assert all(isinstance(error, KafkaError) for error in told)
    assert not channel.is_open


async def test_a_connection_that_is_lost_tells_all_who_wait() -> None:
    """Nobody waits for ever."""
    channel, _ = a_channel()
    told = sent(channel, 2)

    channel.connection_lost(ConnectionResetError())

    assert [type(error) for error in told] == [KafkaConnectionError] * 2


async def test_a_broker_that_does_not_answer_in_time_is_given_up() -> None:
    """The request may have been taken: who repeats it carries the same event id."""
    channel, transport = a_channel()
    told = sent(channel, 1, seconds=0)

    await asyncio.sleep(0.01)
    channel.connection_lost(None)

    assert transport.is_aborted
    assert type(told[0]).__name__ == "RequestTimedOutError"


async def test_an_answer_that_nobody_waits_for_ends_the_connection() -> None:
    """It is out of step."""
    channel, transport = a_channel()

    channel.data_received(answer(1))

    assert transport.is_aborted
    assert isinstance(channel._why, CorrelationIdError)
