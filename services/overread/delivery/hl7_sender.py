"""Stored messages out to one MLLP receiver, one at a time: each resend is the same bytes (HL7 v2.5.1, 2.9.2 and 2.9.3).

The receiver's word ends a message; a receiver that is away never does.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.destinations import Hl7Destination
from overread.delivery.store import OutboundRow
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from overread.runtime.telemetry import DESTINATION_AWAY, log

READ_BYTES = 64 * 1024
LONGEST_ANSWER_BYTES = 256 * 1024
LONGEST_REASON = 300


class NoAnswer(Unavailable):
    """The destination took the message or part of it, and did not say what became of it."""


class Outbox(Protocol):
    """The rows of one destination, as the sender sees them."""

    async def next_row(self) -> OutboundRow | None:
        """Return the message that is due, None when there is none."""

    async def mark_sending(self, row: OutboundRow) -> None:
        """Keep that it is about to leave."""

    async def postpone(self, row: OutboundRow, delay: timedelta, reason: str) -> None:
        """Keep that it was not answered and when it is due again."""

    async def end(self, row: OutboundRow, outcome: DeliveryOutcome, reason: str) -> None:
        """Keep how it ended, and say so to the other services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait: for a connection, for an answer, and between tries."""

    connect_seconds: float
    acknowledgment_seconds: float
    first_retry_seconds: float
    longest_retry_seconds: float
    idle_seconds: float = 0.5

    def delay(self, failures: int, jitter: float) -> float:
        """Return the pause after so many failures in a row; `jitter` in 0..1 spreads it over its upper half."""
        doubled = self.first_retry_seconds * 2.0 ** min(max(failures - 1, 0), 30)
        return float(min(doubled, self.longest_retry_seconds)) * (0.5 + 0.5 * jitter)


class MllpClient:
    """One connection to a listener, kept open between messages and opened anew when it was lost."""

    def __init__(self, destination: Hl7Destination, patience: Patience) -> None:
        self._destination = destination
        self._patience = patience
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._decoder = mllp.FrameDecoder(LONGEST_ANSWER_BYTES)

    async def connect(self) -> None:
        """Have a connection, or raise `Unavailable`."""
        if self._streams is not None and not self._streams[0].at_eof():
            return
        await self.close()
        try:
            async with asyncio.timeout(self._patience.connect_seconds):
                self._streams = await self._open()
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"no connection: {type(error).__name__}") from error
        self._decoder = mllp.FrameDecoder(LONGEST_ANSWER_BYTES)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        context = await asyncio.to_thread(_tls_context, self._destination) if self._destination.uses_tls else None
        return await asyncio.open_connection(self._destination.host, self._destination.port, ssl=context)

    async def exchange(self, message: bytes, message_control_id: str) -> Acknowledgment:
        """Send `message` and return its own acknowledgment; raise `NoAnswer` when none comes in time.

        MSA-2 must be the message's MSH-10: what answers another message, late or foreign, is dropped.
        """
        if self._streams is None:
            raise Unavailable("not connected")
        try:
            async with asyncio.timeout(self._patience.acknowledgment_seconds):
                self._streams[1].write(mllp.encode(message))
                await self._streams[1].drain()
                return await self._answer_to(self._streams[0], message_control_id)
        except (OSError, TimeoutError) as error:
            raise NoAnswer(f"no acknowledgment: {type(error).__name__}") from error

    async def _answer_to(self, reader: asyncio.StreamReader, message_control_id: str) -> Acknowledgment:
        while chunk := await reader.read(READ_BYTES):
            for event in self._decoder.feed(chunk):
                answer = self._read(event)
                if answer is not None and answer.message_control_id == message_control_id:
                    return answer
                log.warning("answer_dropped", destination=self._destination.name, what=type(event).__name__)
        raise NoAnswer("the connection ended before the acknowledgment came")

    def _read(self, event: mllp.Event) -> Acknowledgment | None:
        if not isinstance(event, mllp.Frame):
            return None
        try:
            return parse_ack(event.payload)
        except Malformed:
            return None

    async def close(self) -> None:
        """Leave the connection; an answer that still comes on it is nobody's."""
        if self._streams is None:
            return
        _, writer = self._streams
        self._streams = None
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), timeout=1.0)


class Hl7Sender:
    """Sends the rows of one destination, in the order of each case, for ever."""

    def __init__(
        self,
        destination: Hl7Destination,
        outbox: Outbox,
        patience: Patience,
        *,
        jitter: Callable[[], float],
    ) -> None:
        self._destination = destination
        self._outbox = outbox
        self._patience = patience
        self._jitter = jitter
        self._client = MllpClient(destination, patience)
        self._failures = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for rows now."""
        self._woken.set()

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                self._woken.clear()
                row = await self._outbox.next_row()
                if row is None:
                    await self._rest()
                else:
                    await self._send_or_wait(row)
        finally:
            await self._client.close()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._patience.idle_seconds)

    async def _send_or_wait(self, row: OutboundRow) -> None:
        try:
            await self._client.connect()
        except Unavailable as away:
            await self._back_off(away)
            return
        await self._outbox.mark_sending(row)
        try:
            answer = await self._client.exchange(row.message, row.message_control_id)
        except Unavailable as away:
            await self._client.close()
            await self._outbox.postpone(row, self._delay(row.attempts + 1), str(away))
            await self._back_off(away)
            return
        self._answered()
        await self._end(row, answer)

    def _delay(self, failures: int) -> timedelta:
        return timedelta(seconds=self._patience.delay(failures, self._jitter()))

    async def _back_off(self, away: Unavailable) -> None:
        self._failures += 1
        DESTINATION_AWAY.labels(self._destination.name).set(1)
        log.warning("destination_away", destination=self._destination.name, reason=str(away), failures=self._failures)
        await asyncio.sleep(self._delay(self._failures).total_seconds())

    def _answered(self) -> None:
        if self._failures:
            log.info("destination_answers", destination=self._destination.name)
        self._failures = 0
        DESTINATION_AWAY.labels(self._destination.name).set(0)

    async def _end(self, row: OutboundRow, answer: Acknowledgment) -> None:
        if answer.code.is_positive:
            await self._outbox.end(row, DeliveryOutcome.ACKNOWLEDGED, "")
        else:
            log.error(
                "message_refused", destination=row.destination, delivery_id=str(row.delivery_id), code=answer.code
            )
            await self._outbox.end(row, DeliveryOutcome.GIVEN_UP, refusal(answer))


def refusal(answer: Acknowledgment) -> str:
    """Return why the destination refused: MSA-1, the condition of ERR-3, and its own words, cut to a line."""
    words = " ".join(answer.text.split())
    parts = (answer.code.value, answer.error_condition, answer.error_location, words)
    return " ".join(part for part in parts if part)[:LONGEST_REASON]


def _tls_context(destination: Hl7Destination) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=destination.ca_file)
