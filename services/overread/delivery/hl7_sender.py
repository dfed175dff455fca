"""Stored messages out to one MLLP receiver, one at a time: each resend is the same bytes (HL7 v2.5.1, 2.9.2 and 2.9.3).

The receiver's word ends a message only when it names a fault of its content; a receiver that is away, or that refuses
without saying why, never does.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.destinations import Hl7Destination
from overread.delivery.store import OutboundRow, Why
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from overread.protocols.hl7.errors import MessageErrorCondition
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.telemetry import DELIVERIES_POSTPONED, DESTINATION_AWAY, log

READ_BYTES = 64 * 1024
LONGEST_ANSWER_BYTES = 256 * 1024
LONGEST_RECEIVER_TEXT = 300

_PASSING = (MessageErrorCondition.APPLICATION_RECORD_LOCKED, MessageErrorCondition.APPLICATION_INTERNAL_ERROR)
CONTENT_ERRORS = frozenset(
    {str(condition.value) for condition in MessageErrorCondition if condition not in _PASSING} | {"104", "105"}
)
"""Conditions of table HL70357 that the same bytes meet again; 104 and 105 came after v2.5.1. 206 and 207 pass."""

_CONDITION = re.compile(r"[A-Za-z0-9._-]{1,20}")
_LOCATION = re.compile(r"[A-Z][A-Z0-9]{2}(\^\d{0,4}){0,5}")


class NoAnswer(Unavailable):
    """The destination took the message or part of it, and did not say what became of it."""


class Outbox(Protocol):
    """The rows of one destination, as the sender sees them."""

    async def next_row(self) -> OutboundRow | None:
        """Return the message that is due, None when there is none."""

    async def mark_sending(self, row: OutboundRow) -> None:
        """Keep that it is about to leave."""

    async def postpone(self, row: OutboundRow, delay: timedelta, why: Why) -> None:
        """Keep that it was not taken and when it is due again."""

    async def is_overtaken(self, row: OutboundRow) -> bool:
        """Say whether a later message of the same report waits behind it."""

    async def end(self, row: OutboundRow, outcome: DeliveryOutcome, why: Why) -> None:
        """Keep how it ended, and say so to the other services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait: for a connection, for an answer, and between tries."""

    connect_seconds: float
    acknowledgment_seconds: float
    first_retry_seconds: float
    longest_retry_seconds: float
    longest_refusal_seconds: float
    idle_seconds: float = 0.5

    def delay(self, failures: int, jitter: float) -> float:
        """Return the pause after so many failures in a row; `jitter` in 0..1 spreads it over its upper half."""
        return self._doubled(failures, self.longest_retry_seconds) * (0.5 + 0.5 * jitter)

    def delay_after_refusal(self, row: OutboundRow, jitter: float) -> float:
        """Return the pause before a refused message is tried again; an unread result, that others wait for, soon."""
        longest = self.longest_refusal_seconds if row.status.is_signed else self.longest_retry_seconds
        return self._doubled(row.attempts + 1, longest) * (0.5 + 0.5 * jitter)

    def _doubled(self, failures: int, longest: float) -> float:
        return float(min(self.first_retry_seconds * 2.0 ** min(max(failures - 1, 0), 30), longest))


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
                    await self._send_or_put_off(row)
        finally:
            await self._client.close()

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._patience.idle_seconds)

    async def _send_or_put_off(self, row: OutboundRow) -> None:
        failed = await or_any_defect(self._send_or_wait(row), delivery_id=str(row.delivery_id))
        if isinstance(failed, Defect):
            await self._client.close()
            delay = timedelta(seconds=self._patience.longest_retry_seconds)
            await self._outbox.postpone(row, delay, Why(reason=f"a defect of our own ({failed.name})"))

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
            await self._outbox.postpone(row, self._delay(row.attempts + 1), Why(reason=str(away)))
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
            await self._outbox.end(row, DeliveryOutcome.ACKNOWLEDGED, Why())
        elif await self._is_hopeless(row, answer):
            log.error("message_refused", **_said(row, answer))
            await self._outbox.end(row, DeliveryOutcome.GIVEN_UP, refusal(answer))
        else:
            await self._put_off(row, answer)

    async def _is_hopeless(self, row: OutboundRow, answer: Acknowledgment) -> bool:
        """Say whether the same bytes are refused again, or are an unread result that would hold back what follows."""
        if answer.error_condition in CONTENT_ERRORS:
            return True
        return not row.status.is_signed and await self._outbox.is_overtaken(row)

    async def _put_off(self, row: OutboundRow, answer: Acknowledgment) -> None:
        seconds = self._patience.delay_after_refusal(row, self._jitter())
        log.warning(
            "message_refused_for_now", attempts=row.attempts + 1, seconds=round(seconds, 1), **_said(row, answer)
        )
        DELIVERIES_POSTPONED.labels(row.destination).inc()
        await self._outbox.postpone(row, timedelta(seconds=seconds), refusal(answer))


def _said(row: OutboundRow, answer: Acknowledgment) -> dict[str, str]:
    return {"destination": row.destination, "delivery_id": str(row.delivery_id), "refusal": refusal(answer).reason}


def refusal(answer: Acknowledgment) -> Why:
    """Return why the destination refused: MSA-1, condition and place of ERR; apart from them its own words, one line.

    A condition or place that has not the form of one is the receiver's words too.
    """
    condition = answer.error_condition if _CONDITION.fullmatch(answer.error_condition) else ""
    location = answer.error_location if _LOCATION.fullmatch(answer.error_location) else ""
    strange = [text for text in (answer.error_condition, answer.error_location) if text not in (condition, location)]
    words = " ".join(" ".join((*strange, answer.text)).split())
    reason = " ".join(part for part in (answer.code.value, condition, location) if part)
    return Why(reason=reason, receiver_text=words[:LONGEST_RECEIVER_TEXT])


def _tls_context(destination: Hl7Destination) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=destination.ca_file)
