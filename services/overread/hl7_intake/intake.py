"""What becomes of one message: judged, published, and only then answered."""

import asyncio
import base64
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

from overread.contracts import codec
from overread.contracts.envelope import event_of
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.identifiers import deterministic_id
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.duplicates import DuplicateGuard, Key, Repeat, ReusedControlId, Taken
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
from overread.protocols.hl7.order import check_orders, check_supported
from overread.protocols.hl7.tokenise import Header, read_header, tokenise
from overread.runtime.clock import Clock
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import HL7_ACKNOWLEDGED, log, new_traceparent

CLAIM_CHECK_BYTES = 128 * 1024
"""A larger message is stored as an object that its event names."""

MOST_KEY_CHARACTERS = 227
"""What MSH-3 and MSH-4 may hold (HL7 v2.5.1, 2.15.9); longer names and control IDs are no names."""

Answer = asyncio.Future[bytes | None]
"""What goes back on the line, None when the sender wants nothing."""


class Enqueue(Protocol):
    """How a record leaves: it takes its place in the order when this returns, and is kept when the result is awaited."""

    async def __call__(self, record: Outgoing) -> Awaitable[None]:
        """Queue the record; await the result for the broker's acknowledgement."""
        ...


@dataclass(frozen=True, slots=True)
class _Message:
    """A message that may be taken."""

    header: Header
    key: Key
    digest: str
    event_id: UUID
    received_at: datetime


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A message on its way to the broker, and the answer that it and its repeats will get."""

    message: _Message
    answer: Answer


class Intake:
    """One link: its rules, and what it has taken."""

    def __init__(
        self, settings: HL7IntakeSettings, link: Link, enqueue: Enqueue, objects: LocalObjectStore, clock: Clock
    ) -> None:
        self._site_id = settings.site_id
        self._time_zone = settings.time_zone
        self._enqueue = enqueue
        self._objects = objects
        self._clock = clock
        self._in_flight: dict[Key, _InFlight] = {}
        self._acceptance = link.acceptance
        self.link = link
        self.guard = DuplicateGuard(link.duplicate_window, link.duplicate_entries)

    async def begin(self, raw: bytes) -> Answer:
        """Take one message in its order on the link; the answer is there once the message is kept or refused.

        An answer that is being waited for may belong to several repeats: who waits must not cancel it.
        """
        try:
            message = self._checked(raw)
        except HL7Error as error:
            return self._refused(read_header(raw), error)
        return await self._take(raw, message)

    def refuse_oversize(self, head: bytes) -> Answer:
        """Return the answer to a message larger than the link takes."""
        sentence = f"The message is larger than this link takes ({self.link.maximum_frame_bytes} bytes)."
        return self._refused(read_header(head), _internal(sentence))

    def recall(self, received: HL7Received) -> None:
        """Know again a message that was taken before this start; newest first."""
        key = self._key(
            received.sending_application,
            received.sending_facility,
            received.message_control_id,
            received.message_datetime or "",
        )
        self.guard.recall(key, Taken(received.digest, received.acknowledgment_code, received.received_at))

    def _checked(self, raw: bytes) -> _Message:
        message = tokenise(raw, self.link.fallback_charset or None)
        check_supported(message, self._acceptance)
        check_orders(message, time_zone=self._time_zone)
        header = message.header
        names = (_name(header, 3), _name(header, 4), _name(header, 10))
        digest = codec.sha256(raw)
        event_id = deterministic_id("hl7", self._site_id, self.link.link_id, *names, digest)
        return _Message(header, self._key(*names, header.component(7, 1)), digest, event_id, self._clock())

    def _key(self, application: str, facility: str, control_id: str, message_datetime: str) -> Key:
        key = (application, facility, control_id)
        return (*key, message_datetime) if self.link.duplicate_key_has_message_datetime else key

    async def _take(self, raw: bytes, message: _Message) -> Answer:
        earlier = self._in_flight.get(message.key)
        if earlier and earlier.message.digest == message.digest:
            return earlier.answer
        judgement = ReusedControlId() if earlier else self.guard.judge(message.key, message.digest, message.received_at)
        if isinstance(judgement, Repeat):
            return self._repeated(message, judgement.first)
        if isinstance(judgement, ReusedControlId):
            log.warning("control_id_reused", link=self.link.link_id, event_id=str(message.event_id))
            if self.link.reused_control_id == "refuse":
                return self._refused(message.header, _reused())
        return await self._publish(raw, message)

    async def _publish(self, raw: bytes, message: _Message) -> Answer:
        flight = _InFlight(message, asyncio.get_running_loop().create_future())
        self._in_flight[message.key] = flight
        try:
            kept = asyncio.ensure_future(await self._enqueue(await self._record(raw, message)))
        except (Unavailable, Malformed) as away:
            self._land(flight, self._answer(message.header, _not_kept(away)))
        except BaseException:
            self._land(flight, None)
            raise
        else:
            kept.add_done_callback(partial(self._on_kept, flight))
        return flight.answer

    def _on_kept(self, flight: _InFlight, kept: "asyncio.Future[None]") -> None:
        """Answer when the broker has the message on disk, or has said that it has not."""
        message, failure = flight.message, None if kept.cancelled() else kept.exception()
        if failure is None and not kept.cancelled():
            taken = Taken(message.digest, self._code(message.header, None), message.received_at)
            self.guard.remember(message.key, taken)
            self._land(flight, self._positive_answer(message, taken))
            return
        if failure is not None and not isinstance(failure, Unavailable):
            log.error("message_not_kept", event_id=str(message.event_id), failure=type(failure).__name__)
        self._land(flight, self._answer(message.header, _not_kept(failure)))

    def _land(self, flight: _InFlight, written: bytes | None) -> None:
        if self._in_flight.get(flight.message.key) is flight:
            del self._in_flight[flight.message.key]
        flight.answer.set_result(written)

    async def _record(self, raw: bytes, message: _Message) -> Outgoing:
        object_key = None
        if len(raw) > CLAIM_CHECK_BYTES:
            object_key = f"{self._site_id}/hl7/{message.digest}"
            await self._objects.put(object_key, [raw])
        event = event_of(
            self._received(raw, message, object_key),
            source="hl7_intake",
            time=message.received_at,
            subject=self.link.link_id,
            site_id=self._site_id,
            traceparent=new_traceparent(),
            own_key="",
            event_id=message.event_id,
        )
        return Outgoing(HL7_RECEIVED.name, HL7_RECEIVED.key_of(event), codec.encode(event))

    def _received(self, raw: bytes, message: _Message, object_key: str | None) -> HL7Received:
        header = message.header
        return HL7Received(
            link_id=self.link.link_id,
            message_type=header.message_code,
            trigger_event=header.trigger_event,
            version_id=header.version_id,
            message_control_id=header.message_control_id,
            message_datetime=header.component(7, 1) or None,
            sending_application=message.key[0],
            sending_facility=message.key[1],
            digest=message.digest,
            fallback_charset=self.link.fallback_charset,
            received_at=message.received_at,
            acknowledgment_code=self._code(header, None),
            raw_base64=None if object_key else base64.b64encode(raw).decode("ascii"),
            object_key=object_key,
        )

    def _repeated(self, message: _Message, first: Taken) -> Answer:
        log.info("repeat_answered", link=self.link.link_id, event_id=str(message.event_id))
        return _ready(self._positive_answer(message, first))

    def _refused(self, header: Header, error: HL7Error) -> Answer:
        log.info("message_refused", link=self.link.link_id, condition=error.condition.value, reason=error.sentence)
        return _ready(self._answer(header, error))

    def _positive_answer(self, message: _Message, taken: Taken) -> bytes | None:
        """Write the answer from what is known of the message alone, so that a repeat gets the same bytes."""
        code = AcknowledgmentCode(taken.acknowledgment_code)
        HL7_ACKNOWLEDGED.labels(self.link.link_id, taken.acknowledgment_code).inc()
        if not self._is_wanted(message.header, code):
            return None
        return acknowledge(message.header, code, now=taken.received_at, control_id=message.event_id.hex[:20])

    def _answer(self, header: Header, error: HL7Error) -> bytes | None:
        code = self._code(header, error)
        HL7_ACKNOWLEDGED.labels(self.link.link_id, code.value).inc()
        if not self._is_wanted(header, code):
            return None
        return acknowledge(header, code, now=self._clock(), control_id=uuid4().hex[:20], error=error)

    def _code(self, header: Header, error: HL7Error | None) -> AcknowledgmentCode:
        on_the_line = self.link.answers_application_ack_on_the_line
        return code_for(AcknowledgmentMode.ORIGINAL if on_the_line else mode_of(header), error)

    def _is_wanted(self, header: Header, code: AcknowledgmentCode) -> bool:
        """Whether the sender waits for the answer; one that is used to AA on the line waits for every one."""
        return self.link.answers_application_ack_on_the_line or wants_accept_acknowledgment(header, code)


def _name(header: Header, number: int) -> str:
    name = header.message_control_id if number == 10 else header.component(number, 1)
    if len(name) > MOST_KEY_CHARACTERS:
        sentence = f"MSH-{number} is longer than {MOST_KEY_CHARACTERS} characters."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, ErrorLocation("MSH", 1, number), sentence)
    return name


def _reused() -> HL7Error:
    sentence = "This control ID (MSH-10) was used for another message: send the message under a new one."
    return HL7Error(MessageErrorCondition.DUPLICATE_KEY_IDENTIFIER, ErrorLocation("MSH", 1, 10), sentence)


def _not_kept(failure: BaseException | None) -> HL7Error:
    reason = str(failure) if isinstance(failure, Unavailable) else "it could not be written"
    return _internal(f"The message could not be kept, send it again later: {reason}.")


def _internal(sentence: str) -> HL7Error:
    return HL7Error(MessageErrorCondition.APPLICATION_INTERNAL_ERROR, None, sentence)


def _ready(answer: bytes | None) -> Answer:
    ready: Answer = asyncio.get_running_loop().create_future()
    ready.set_result(answer)
    return ready
