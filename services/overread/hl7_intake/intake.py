"""What becomes of one message: judged, published, and only then answered."""

import asyncio
import base64
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import uuid4

from overread.contracts import codec
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.duplicates import DuplicateGuard, Key, Repeat, ReusedControlId, Taken
from overread.hl7_intake.incoming import Incoming, LinkRules
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, acknowledge
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import Header, read_header
from overread.runtime.clock import Clock
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import HL7_ACKNOWLEDGED, log, new_traceparent

CLAIM_CHECK_BYTES = 128 * 1024
"""A larger message is stored as an object that its event names."""

Answer = asyncio.Future[bytes | None]
"""What goes back on the line, None when the sender wants nothing."""


class Enqueue(Protocol):
    """How a record leaves: it takes its place in the order when this returns, and is kept when the result is awaited."""

    async def __call__(self, record: Outgoing) -> Awaitable[None]:
        """Queue the record; await the result for the broker's acknowledgement."""
        ...


class Objects(Protocol):
    """Where large messages go."""

    async def put(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Return when the object is on synced disk; `Unavailable` when there is no room."""


@dataclass(frozen=True, slots=True)
class _InFlight:
    """A message on its way to the broker, and the answer that it and its repeats will get."""

    message: Incoming
    answer: Answer


class Intake:
    """One link: its rules, and what it has taken."""

    def __init__(
        self, settings: HL7IntakeSettings, link: Link, enqueue: Enqueue, objects: Objects, clock: Clock
    ) -> None:
        self._site_id = settings.site_id
        self._rules = LinkRules(settings.site_id, link, settings.time_zone)
        self._enqueue = enqueue
        self._objects = objects
        self._clock = clock
        self._in_flight: dict[Key, _InFlight] = {}
        self._acknowledged = {code: HL7_ACKNOWLEDGED.labels(link.link_id, code.value) for code in AcknowledgmentCode}
        self._record_key = link.link_id.encode()  # what HL7_RECEIVED.key says
        self.link = link
        self.guard = DuplicateGuard(link.duplicate_window, link.duplicate_entries)

    async def begin(self, raw: bytes) -> Answer:
        """Take one message in its order on the link; the answer is there once the message is kept or refused.

        An answer that is being waited for may belong to several repeats: who waits must not cancel it.
        """
        try:
            message = self._rules.read(raw, self._clock())
        except HL7Error as error:
            return self._refused(read_header(raw), error)
        return self._known(message) or await self._publish(message)

    def refuse_oversize(self, head: bytes) -> Answer:
        """Return the answer to a message larger than the link takes."""
        sentence = f"The message is larger than this link takes ({self.link.maximum_frame_bytes} bytes)."
        return self._refused(read_header(head), _internal(sentence))

    def recall(self, received: HL7Received) -> None:
        """Know again a message that was taken before this start; newest first."""
        names = (received.sending_application, received.sending_facility, received.message_control_id)
        key = self._rules.key(*names, received.message_datetime or "")
        self.guard.recall(key, Taken(received.digest, received.acknowledgment_code, received.received_at))

    def _known(self, message: Incoming) -> Answer | None:
        """Return the answer to a repeat or to a reused control ID, None for a message that is to be published."""
        earlier = self._in_flight.get(message.key)
        if earlier and earlier.message.digest == message.digest:
            return earlier.answer
        judgement = ReusedControlId() if earlier else self.guard.judge(message.key, message.digest, message.received_at)
        if isinstance(judgement, Repeat):
            log.info("repeat_answered", link=self.link.link_id, event_id=str(message.event_id))
            return _ready(self._positive_answer(message, judgement.first))
        if isinstance(judgement, ReusedControlId):
            log.warning("control_id_reused", link=self.link.link_id, event_id=str(message.event_id))
            return self._refused(message.header, _reused()) if self.link.reused_control_id == "refuse" else None
        return None

    async def _publish(self, message: Incoming) -> Answer:
        flight = _InFlight(message, asyncio.get_running_loop().create_future())
        self._in_flight[message.key] = flight
        try:
            kept = asyncio.ensure_future(await self._enqueue(await self._record(message)))
        except (Unavailable, Malformed) as failure:
            self._land(flight, self._answer(message.header, _not_kept(failure)))
        except BaseException:
            self._land(flight, None)
            raise
        else:
            kept.add_done_callback(partial(self._on_kept, flight))
        return flight.answer

    def _on_kept(self, flight: _InFlight, kept: "asyncio.Future[None]") -> None:
        """Answer when the broker has the message on disk, or has said that it has not."""
        message, failure = flight.message, None if kept.cancelled() else kept.exception()
        if kept.cancelled() or failure is not None:
            log.warning("message_not_kept", event_id=str(message.event_id), failure=type(failure).__name__)
            self._land(flight, self._answer(message.header, _not_kept(failure)))
            return
        taken = Taken(message.digest, message.sender.code.value, message.received_at)
        self.guard.remember(message.key, taken)
        self._land(flight, self._positive_answer(message, taken))

    def _land(self, flight: _InFlight, written: bytes | None) -> None:
        if self._in_flight.get(flight.message.key) is flight:
            del self._in_flight[flight.message.key]
        flight.answer.set_result(written)

    async def _record(self, message: Incoming) -> Outgoing:
        object_key = None
        if len(message.raw) > CLAIM_CHECK_BYTES:
            object_key = f"{self._site_id}/hl7/{message.digest}"
            await self._objects.put(object_key, [message.raw])
        encoded = codec.encode_fields(
            HL7Received,
            self._received(message, object_key),
            id=message.event_id,
            source="hl7_intake",
            time=message.received_at,
            subject=self.link.link_id,
            site_id=self._site_id,
            traceparent=new_traceparent(),
            caused_by=None,
        )
        return Outgoing(HL7_RECEIVED.name, self._record_key, encoded)

    def _received(self, message: Incoming, object_key: str | None) -> Mapping[str, object]:
        """Say an HL7Received, field by field."""
        sender = message.sender
        return {
            "link_id": self.link.link_id,
            "message_type": sender.message_type,
            "trigger_event": sender.trigger_event,
            "version_id": sender.version_id,
            "message_control_id": message.message_control_id,
            "message_datetime": message.message_datetime or None,
            "sending_application": sender.application,
            "sending_facility": sender.facility,
            "digest": message.digest,
            "fallback_charset": self.link.fallback_charset,
            "received_at": message.received_at,
            "acknowledgment_code": sender.code.value,
            "raw_base64": None if object_key else base64.b64encode(message.raw).decode("ascii"),
            "object_key": object_key,
        }

    def _positive_answer(self, message: Incoming, taken: Taken) -> bytes | None:
        """Write the answer from what is known of the message alone, so that a repeat gets the same bytes."""
        code = AcknowledgmentCode(taken.acknowledgment_code)
        self._acknowledged[code].inc()
        if not message.sender.wants_positive:
            return None
        return acknowledge(message.header, code, now=taken.received_at, control_id=message.event_id.hex[:20])

    def _refused(self, header: Header, error: HL7Error) -> Answer:
        log.info("message_refused", link=self.link.link_id, condition=error.condition.value, reason=error.sentence)
        return _ready(self._answer(header, error))

    def _answer(self, header: Header, error: HL7Error) -> bytes | None:
        code = self._rules.code(header, error)
        self._acknowledged[code].inc()
        if not self._rules.wants(header, code):
            return None
        return acknowledge(header, code, now=self._clock(), control_id=uuid4().hex[:20], error=error)


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
