"""What becomes of one message: judged, published, and only then answered."""

import asyncio
import base64
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid4

from overread.contracts import codec
from overread.contracts.envelope import event_of
from overread.contracts.errors import Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.identifiers import deterministic_id
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.duplicates import DuplicateGuard, Fresh, Key, Repeat, ReusedControlId
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.protocols.hl7.acknowledgement import (
    AcknowledgmentCode,
    AcknowledgmentMode,
    acknowledge,
    code_for,
    mode_of,
    wants_accept_acknowledgment,
)
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.order import check_supported, read_orders
from overread.protocols.hl7.tokenise import Header, Message, read_header, tokenise
from overread.runtime.clock import Clock
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import HL7_ACKNOWLEDGED, log, new_traceparent

CLAIM_CHECK_BYTES = 128 * 1024
"""A larger message is stored as an object that its event names."""


class Enqueue(Protocol):
    """How a record leaves: it takes its place in the order when this returns, and is kept when the result is awaited."""

    async def __call__(self, record: Outgoing) -> Awaitable[None]:
        """Queue the record; await the result for the broker's acknowledgement."""
        ...


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A message that may be published."""

    message: Message
    key: Key
    digest: str
    event_id: UUID


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A message on its way to the broker, and the answer that it will get."""

    digest: str
    answer: "asyncio.Future[bytes]"


class Intake:
    """One link: its rules, and what it has been answered."""

    def __init__(
        self, settings: HL7IntakeSettings, link: Link, enqueue: Enqueue, objects: LocalObjectStore, clock: Clock
    ) -> None:
        self._site_id = settings.site_id
        self._time_zone = settings.time_zone
        self._enqueue = enqueue
        self._objects = objects
        self._clock = clock
        self._in_flight: dict[Key, _InFlight] = {}
        self.link = link
        self.guard = DuplicateGuard(link.duplicate_window, link.duplicate_entries)

    async def begin(self, raw: bytes) -> Awaitable[bytes | None]:
        """Take one message in its order on the link; await the result for its answer, None when none is wanted."""
        header = read_header(raw)
        try:
            accepted = self._accept(raw)
            if (earlier := self._in_flight.get(accepted.key)) is not None and earlier.digest == accepted.digest:
                return self._if_wanted(asyncio.shield(earlier.answer), header)
            judgement = ReusedControlId() if earlier else self._judge(accepted)
            if isinstance(judgement, Fresh):
                return self._if_wanted(await self._publish(raw, header, accepted), header)
            return self._repeated(header, accepted, judgement)
        except HL7Error as error:
            return self._refused(header, error)
        except Unavailable as away:
            return self._refused(header, _internal(str(away)))

    def refuse_oversize(self, head: bytes) -> bytes | None:
        """Return the answer to a message larger than the link takes."""
        sentence = f"The message is larger than this link takes ({self.link.maximum_frame_bytes} bytes)."
        error = HL7Error(MessageErrorCondition.APPLICATION_INTERNAL_ERROR, None, sentence)
        return self._answer(read_header(head), error)

    def _accept(self, raw: bytes) -> _Accepted:
        message = tokenise(raw, self.link.fallback_charset or None)
        check_supported(message, self.link.acceptance)
        read_orders(message, time_zone=self._time_zone)
        header = message.header
        key = (header.component(3, 1), header.component(4, 1), header.message_control_id)
        digest = codec.sha256(raw)
        return _Accepted(message, key, digest, deterministic_id("hl7", self._site_id, self.link.link_id, *key, digest))

    def _judge(self, accepted: _Accepted) -> Fresh | Repeat | ReusedControlId:
        return self.guard.judge(accepted.key, accepted.digest, self._clock())

    async def _publish(self, raw: bytes, header: Header, accepted: _Accepted) -> Awaitable[bytes]:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._in_flight[accepted.key] = _InFlight(accepted.digest, answer)
        try:
            kept = await self._enqueue(await self._record(raw, header, accepted))
        except Unavailable as away:
            self._settle(accepted, answer, self._written(header, _internal(str(away))))
            return answer
        return asyncio.ensure_future(self._answer_when_kept(kept, header, accepted, answer))

    async def _answer_when_kept(
        self, kept: Awaitable[None], header: Header, accepted: _Accepted, answer: "asyncio.Future[bytes]"
    ) -> bytes:
        try:
            await kept
        except Unavailable as away:
            written = self._written(header, _internal(str(away)))
        else:
            written = self._written(header, None)
            self.guard.remember(accepted.key, accepted.digest, written, self._clock())
        self._settle(accepted, answer, written)
        return written

    def _settle(self, accepted: _Accepted, answer: "asyncio.Future[bytes]", written: bytes) -> None:
        del self._in_flight[accepted.key]
        answer.set_result(written)

    async def _if_wanted(self, answer: Awaitable[bytes], header: Header) -> bytes | None:
        written = await answer
        return written if wants_accept_acknowledgment(header, self._code(header, None)) else None

    async def _record(self, raw: bytes, header: Header, accepted: _Accepted) -> Outgoing:
        object_key = None
        if len(raw) > CLAIM_CHECK_BYTES:
            object_key = f"{self._site_id}/hl7/{accepted.digest}"
            await self._objects.put(object_key, [raw])
        now = self._clock()
        received = HL7Received(
            link_id=self.link.link_id,
            message_type=header.message_code,
            trigger_event=header.trigger_event,
            version_id=header.version_id,
            message_control_id=header.message_control_id,
            sending_application=accepted.key[0],
            sending_facility=accepted.key[1],
            digest=accepted.digest,
            fallback_charset=self.link.fallback_charset,
            received_at=now,
            acknowledgment_code=self._code(header, None).value,
            raw_base64=None if object_key else base64.b64encode(raw).decode("ascii"),
            object_key=object_key,
        )
        event = event_of(
            received,
            source="hl7_intake",
            time=now,
            subject=self.link.link_id,
            site_id=self._site_id,
            traceparent=new_traceparent(),
            own_key="",
            event_id=accepted.event_id,
        )
        return Outgoing(HL7_RECEIVED.name, HL7_RECEIVED.key_of(event), codec.encode(event))

    def _repeated(
        self, header: Header, accepted: _Accepted, judgement: Repeat | ReusedControlId
    ) -> Awaitable[bytes | None]:
        if isinstance(judgement, ReusedControlId):
            sentence = "This control ID (MSH-10) was used for another message: send the message under a new one."
            where = ErrorLocation("MSH", 1, 10)
            return self._refused(header, HL7Error(MessageErrorCondition.DUPLICATE_KEY_IDENTIFIER, where, sentence))
        log.info("repeat_answered", link=self.link.link_id, event_id=str(accepted.event_id))
        return _ready(judgement.answer or self._written(header, None))

    def _refused(self, header: Header, error: HL7Error) -> Awaitable[bytes | None]:
        log.info("message_refused", link=self.link.link_id, condition=error.condition.value, reason=error.sentence)
        return _ready(self._answer(header, error))

    def _answer(self, header: Header, error: HL7Error | None) -> bytes | None:
        written = self._written(header, error)
        return written if wants_accept_acknowledgment(header, self._code(header, error)) else None

    def _written(self, header: Header, error: HL7Error | None) -> bytes:
        code = self._code(header, error)
        HL7_ACKNOWLEDGED.labels(self.link.link_id, code.value).inc()
        return acknowledge(header, code, now=self._clock(), control_id=uuid4().hex[:20], error=error)

    def _code(self, header: Header, error: HL7Error | None) -> AcknowledgmentCode:
        on_the_line = self.link.answers_application_ack_on_the_line
        return code_for(AcknowledgmentMode.ORIGINAL if on_the_line else mode_of(header), error)


def _internal(reason: str) -> HL7Error:
    sentence = f"The message could not be kept, send it again later: {reason}."
    return HL7Error(MessageErrorCondition.APPLICATION_INTERNAL_ERROR, None, sentence)


async def _ready(answer: bytes | None) -> bytes | None:
    return answer
