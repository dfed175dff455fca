"""A connection that carries nothing but Produce requests: an answer is told in the turn of the loop in which it comes.

aiokafka opens it (TLS, SASL), then hands it over. Its own reading costs a task, a future and a time-out for each request,
and some turns of the loop, which is what one sender who waits for its answer notices.
"""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import CorrelationIdError, KafkaConnectionError, KafkaError, RequestTimedOutError

from overread.runtime.produce_request import ProduceBatch, error_code_of, error_of

CLIENT = "overread"
MOST_CORRELATION_ID = 2**31 - 1

OnAnswer = Callable[[KafkaError | None], None]
"""Told, once, that the broker has the batch, or what it or the connection says instead."""

_HEAD = struct.Struct(">ii")  # length of the answer, correlation id
_LENGTH_BYTES = 4


class ProduceChannel(asyncio.Protocol):
    """One connection to one broker; answers come in the order of the requests."""

    def __init__(self, transport: asyncio.Transport, let_go: Callable[[], object]) -> None:
        self._transport = transport
        self._let_go = let_go
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[int, OnAnswer, asyncio.TimerHandle]] = deque()
        self._received = b""
        self._correlation_id = 0
        self._why: KafkaError | None = None

    @classmethod
    async def opened(
        cls, host: str, port: int, timeout_milliseconds: int, options: Mapping[str, Any]
    ) -> "ProduceChannel":
        """Connect and authenticate as aiokafka does, with its `options`; raise its errors."""
        connection = AIOKafkaConnection(
            host, port, client_id=CLIENT, request_timeout_ms=timeout_milliseconds, **options
        )
        _, writer = await connection.connect()
        channel = cls(writer.transport, connection.close)  # kept: it closes the line when it is collected
        writer.transport.set_protocol(channel)
        return channel

    @property
    def is_open(self) -> bool:
        """Say whether requests can be sent."""
        return self._why is None and not self._transport.is_closing()

    def send(self, request: ProduceBatch, on_answer: OnAnswer, timeout_seconds: float) -> None:
        """Write `request` now, and tell `on_answer`, at the latest when the time is over and the connection given up."""
        self._correlation_id = self._correlation_id % MOST_CORRELATION_ID + 1
        timer = self._loop.call_later(timeout_seconds, self._give_up, RequestTimedOutError())
        self._waiting.append((self._correlation_id, on_answer, timer))
        self._transport.write(request.encode(self._correlation_id, CLIENT.encode()))

    def close(self) -> None:
        """Close; who still waits hears that the connection is closed."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Tell each whole answer."""
        self._received = self._received + data if self._received else data
        while len(self._received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES], "big")
            if len(self._received) < end:
                return
            answer, self._received = self._received[:end], self._received[end:]
            self._take(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait."""
        said = f"the connection to the event broker was closed ({type(exc).__name__})"
        self._why = self._why or KafkaConnectionError(said)
        self._let_go()
        waiting, self._waiting = self._waiting, deque()
        for _, on_answer, timer in waiting:
            timer.cancel()
            on_answer(self._why)

    def _take(self, answer: bytes) -> None:
        if not self._waiting:
            self._give_up(CorrelationIdError("an answer that nobody waits for"))
            return
        correlation_id, on_answer, timer = self._waiting.popleft()
        timer.cancel()
        try:
            error = self._error_in(answer, correlation_id)
        except (struct.error, KafkaError) as fault:
            error = fault if isinstance(fault, KafkaError) else KafkaError("an answer that can't be read")
            self._give_up(error)
        on_answer(error)

    def _error_in(self, answer: bytes, correlation_id: int) -> KafkaError | None:
        _, said = _HEAD.unpack_from(answer)
        if said != correlation_id:
            raise CorrelationIdError(f"the answer is to request {said}, not {correlation_id}")
        error_code = error_code_of(memoryview(answer)[_HEAD.size :])
        return error_of(error_code) if error_code else None

    def _give_up(self, why: KafkaError) -> None:
        """Close the connection, whose answers no longer fit its requests."""
        self._why = self._why or why
        self._transport.abort()
