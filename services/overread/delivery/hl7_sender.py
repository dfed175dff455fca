"""ORU^R01 out to one MLLP receiver over a connection that is kept open (HL7 v2.5.1, 2.9.2 and 2.9.3)."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping

from overread.contracts.errors import Malformed, Unavailable
from overread.delivery.destinations import Hl7Destination
from overread.delivery.refusals import CONTENT_ERRORS, Treatment, treatment_by
from overread.delivery.sending import Answer, NoAnswer, NotTaken, Patience, Taken, receiver_text
from overread.delivery.store import OutboundRow, Why
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from overread.runtime.telemetry import log

READ_BYTES = 64 * 1024
LONGEST_ANSWER_BYTES = 256 * 1024

_CONDITION = re.compile(r"[A-Za-z0-9._-]{1,20}")
_LOCATION = re.compile(r"[A-Z][A-Z0-9]{2}(\^\d{0,4}){0,5}")


class MllpChannel:
    """One connection to a listener, kept open between messages and opened anew when it was lost."""

    def __init__(self, destination: Hl7Destination, patience: Patience) -> None:
        self._destination = destination
        self._patience = patience
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._decoder = mllp.FrameDecoder(LONGEST_ANSWER_BYTES)

    @property
    def destination(self) -> str:
        """Return the destination's name."""
        return self._destination.name

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

    async def exchange(self, row: OutboundRow) -> Answer:
        """Send the message and return its own acknowledgment; raise `NoAnswer` when none comes in time.

        MSA-2 must be the message's MSH-10: what answers another message, late or foreign, is dropped.
        """
        if self._streams is None:
            raise Unavailable("not connected")
        try:
            async with asyncio.timeout(self._patience.acknowledgment_seconds):
                self._streams[1].write(mllp.encode(row.message))
                await self._streams[1].drain()
                answer = await self._answer_to(self._streams[0], row.message_control_id)
                return answer_of(answer, self._destination.refusals)
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

    async def idle(self) -> None:
        """Keep the connection: MLLP receivers expect one that stays."""

    async def close(self) -> None:
        """Leave the connection; an answer that still comes on it is nobody's."""
        if self._streams is None:
            return
        _, writer = self._streams
        self._streams = None
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), timeout=1.0)


def answer_of(acknowledgment: Acknowledgment, refusals: Mapping[str, Treatment]) -> Answer:
    """Return what an acknowledgment means for the message it answers, by the destination's table of refusals."""
    if acknowledgment.code.is_positive:
        return Taken()
    condition = acknowledgment.error_condition
    return NotTaken(
        refusal(acknowledgment),
        is_content_fault=condition in CONTENT_ERRORS,
        by_policy=treatment_by(refusals, acknowledgment.code.value, condition),
    )


def refusal(answer: Acknowledgment) -> Why:
    """Return why the destination refused: MSA-1, condition and place of ERR; apart from them its own words, one line.

    A condition or place that has not the form of one is the receiver's words too.
    """
    condition = answer.error_condition if _CONDITION.fullmatch(answer.error_condition) else ""
    location = answer.error_location if _LOCATION.fullmatch(answer.error_location) else ""
    strange = [text for text in (answer.error_condition, answer.error_location) if text not in (condition, location)]
    reason = " ".join(part for part in (answer.code.value, condition, location) if part)
    return Why(reason=reason, receiver_text=receiver_text(*strange, answer.text))


def _tls_context(destination: Hl7Destination) -> ssl.SSLContext:
    """Return what TLS 1.2 or later (BCP 195) asks of the receiver, and what is shown to it where that is set."""
    context = ssl.create_default_context(cafile=destination.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if destination.certificate_file is not None:
        context.load_cert_chain(destination.certificate_file, destination.key_file)
    return context
