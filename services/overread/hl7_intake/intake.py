"""What becomes of one message: judged, published, and only then answered."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.answer import Answer
from overread.hl7_intake.duplicates import DuplicateGuard, Key, Repeat, ReusedControlId, Taken
from overread.hl7_intake.incoming import Incoming, LinkRules
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.hl7_intake.tally import Tally
from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, acknowledge
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import Header, read_header
from overread.runtime.clock import Clock
from overread.runtime.group_commit import OnKept
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import HL7_ACKNOWLEDGED, log

MOST_CONTROL_ID = 64
"""What is logged of MSH-10: 20 characters by the book (HL7 v2.5.1, 2.15.9.10), 199 since v2.7, and nobody uses those."""

CLAIM_CHECK_BYTES = 128 * 1024
"""A larger message is stored as an object that its event names."""


class Enqueue(Protocol):
    """How a record leaves: it has its place in the order when this returns; `on_kept` is told later."""

    def __call__(self, record: Outgoing, on_kept: OnKept) -> None:
        """Queue the record, and tell `on_kept` once what became of it; raise `Unavailable` or `Malformed` at once."""


class Objects(Protocol):
    """Where large messages go."""

    async def put(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Return when the object is on synced disk; `Unavailable` when there is no room."""


@dataclass(slots=True)
class _InFlight:
    """A message on its way to the broker, and the answer that it and its repeats will get."""

    message: Incoming
    taken: Taken
    answer: Answer = field(default_factory=Answer)
    positive: bytes | None = None


class Intake:
    """One link: its rules, and what it has taken."""

    def __init__(
        self, settings: HL7IntakeSettings, link: Link, enqueue: Enqueue, objects: Objects, clock: Clock
    ) -> None:
        self._site_id = settings.site_id
        self._time_zone = settings.time_zone
        self._rules = LinkRules(settings.site_id, link, settings.time_zone)
        self._enqueue = enqueue
        self._objects = objects
        self._clock = clock
        self._in_flight: dict[Key, _InFlight] = {}
        self._refuses_for: Unavailable | None = None
        self._acknowledged = {code: HL7_ACKNOWLEDGED.labels(link.link_id, code.value) for code in AcknowledgmentCode}
        self._record_key = link.link_id.encode()  # what HL7_RECEIVED.key says
        self.link = link
        self.guard = DuplicateGuard(link.duplicate_window, link.duplicate_entries)
        self.tally = Tally()

    def begin(self, raw: bytes) -> Answer:
        """Take one message in its order on the link; the answer is there once the message is kept or refused.

        An answer that is being waited for may belong to several repeats: who waits must not cancel it. A message above
        CLAIM_CHECK_BYTES is stored first, and has its place in the order only when it is answered.
        """
        now = self._clock()
        self.tally.came(len(raw), now)
        try:
            message = self._rules.read(raw, now)
        except HL7Error as error:
            return self._refused(read_header(raw), error)
        return self._known(message) or self._no_room(message) or self._take(message)

    def corrected(self, raw: bytes, corrects: UUID, object_key: str | None) -> HL7Received:
        """Return what tells of a message that a person mended, or raise the HL7Error that refuses it."""
        message = self._rules.read(raw, self._clock())
        return message.sender.events.correction(message, object_key, corrects)

    def become(self, link: Link) -> None:
        """Take from now on what `link`, a new form of the same link, says; what was taken is known as before."""
        if link.duplicate_key_has_message_datetime is self.link.duplicate_key_has_message_datetime:
            self.guard.resize(link.duplicate_window, link.duplicate_entries)
        else:  # what is known is known under other keys
            self.guard = DuplicateGuard(link.duplicate_window, link.duplicate_entries)
        self._rules = LinkRules(self._site_id, link, self._time_zone)
        self.link = link

    def refuse_all(self, reason: Unavailable | None) -> None:
        """Refuse what is new for `reason`, None to take it again; who repeats what was kept still hears so."""
        if (reason is None) is not (self._refuses_for is None):
            log.warning("disk_watermark", link=self.link.link_id, takes=reason is None)
        self._refuses_for = reason

    @property
    def refuses_because(self) -> str | None:
        """Return why nothing new is taken at present, None when it is."""
        return None if self._refuses_for is None else str(self._refuses_for)

    def refuse_oversize(self, head: bytes) -> Answer:
        """Return the answer to a message larger than the link takes."""
        self.tally.came(len(head), self._clock())
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
            self.tally.duplicates += 1
            return earlier.answer
        judgement = ReusedControlId() if earlier else self.guard.judge(message.key, message.digest, message.received_at)
        if isinstance(judgement, Repeat):
            self.tally.duplicates += 1
            log.info("repeat_answered", link=self.link.link_id, event_id=message.event_id)
            self._count(judgement.first)
            return Answer.ready(self._positive_answer(message, judgement.first))
        if isinstance(judgement, ReusedControlId):
            log.warning("control_id_reused", link=self.link.link_id, event_id=message.event_id)
            return (
                self._refused(read_header(message.raw), _reused()) if self.link.reused_control_id == "refuse" else None
            )
        return None

    def _no_room(self, message: Incoming) -> Answer | None:
        if self._refuses_for is None:
            return None
        return Answer.not_kept(self._answer(read_header(message.raw), _not_kept(self._refuses_for)))

    def _take(self, message: Incoming) -> Answer:
        flight = _InFlight(message, Taken(message.digest, message.sender.code.value, message.received_at))
        if len(message.raw) > CLAIM_CHECK_BYTES:
            storing = asyncio.get_running_loop().create_task(self._store(flight))
            storing.add_done_callback(partial(self._on_stored, flight))
        else:
            try:
                self._publish(flight, None)
            except (Unavailable, Malformed) as failure:
                return Answer.not_kept(self._answer(read_header(message.raw), _not_kept(failure)))
        if not flight.answer.done():
            self._in_flight[message.key] = flight
            flight.positive = self._positive_answer(message, flight.taken)  # now, while the broker is busy
        return flight.answer

    def _publish(self, flight: _InFlight, object_key: str | None) -> None:
        value = flight.message.sender.events.write(flight.message, object_key)
        self._enqueue(Outgoing(HL7_RECEIVED.name, self._record_key, value), partial(self._on_kept, flight))

    async def _store(self, flight: _InFlight) -> None:
        object_key = f"{self._site_id}/hl7/{flight.message.digest}"
        await self._objects.put(object_key, [flight.message.raw])
        self._publish(flight, object_key)

    def _on_stored(self, flight: _InFlight, storing: "asyncio.Task[None]") -> None:
        """Refuse what there was no room for; a bug ends the connection that waits, and leaves nothing in flight."""
        failure = None if storing.cancelled() else storing.exception()
        if storing.cancelled() or isinstance(failure, Unavailable | Malformed):
            self._refuse_flight(flight, failure)
        elif failure is not None:
            self._forget(flight)
            flight.answer.fail(failure)

    def _on_kept(self, flight: _InFlight, failure: OverreadError | None) -> None:
        """Answer when the broker has the message on disk, or has said that it has not."""
        message = flight.message
        if failure is not None:
            log.warning("message_not_kept", event_id=message.event_id, failure=type(failure).__name__)
            self._refuse_flight(flight, failure)
            return
        self.guard.remember(message.key, flight.taken)
        self._land(flight, flight.positive or self._positive_answer(message, flight.taken))
        self._count(flight.taken)

    def _refuse_flight(self, flight: _InFlight, failure: BaseException | None) -> None:
        flight.answer.is_committed = False
        self._land(flight, self._answer(read_header(flight.message.raw), _not_kept(failure)))

    def _land(self, flight: _InFlight, written: bytes | None) -> None:
        self._forget(flight)
        flight.answer.set(written)

    def _forget(self, flight: _InFlight) -> None:
        if self._in_flight.get(flight.message.key) is flight:
            del self._in_flight[flight.message.key]

    def _positive_answer(self, message: Incoming, taken: Taken) -> bytes | None:
        """Write the answer from what is known of the message alone, so that a repeat gets the same bytes."""
        code, sender = AcknowledgmentCode(taken.acknowledgment_code), message.sender
        if not sender.wants_positive:
            return None
        return sender.answers.write(
            code,
            now=taken.received_at,
            control_id=message.event_id.replace("-", "")[:20],
            echoed_control_id=message.echoed_control_id,
        )

    def _count(self, taken: Taken) -> None:
        self._acknowledged[AcknowledgmentCode(taken.acknowledgment_code)].inc()
        self.tally.answered(taken.acknowledgment_code)

    def _refused(self, header: Header, error: HL7Error) -> Answer:
        """Refuse for what is in the message; the log names the message and the place, and nothing that stands there."""
        log.info(
            "message_refused",
            link=self.link.link_id,
            message_control_id=_loggable(header.message_control_id),
            condition=error.condition.value,
            place=error.location.spoken if error.location else "",
            reason=error.sentence,
        )
        return Answer.ready(self._answer(header, error))

    def _answer(self, header: Header, error: HL7Error) -> bytes | None:
        code = self._rules.code(header, error)
        self._acknowledged[code].inc()
        self.tally.answered(code.value)
        self.tally.refuse(error, code.value, self._clock())
        if not self._rules.wants(header, code):
            return None
        control_id = uuid4().hex[:20]
        return acknowledge(
            header, code, now=self._clock(), control_id=control_id, error=error, language=self.link.language
        )


def _loggable(control_id: str) -> str:
    """Return MSH-10 as far as it may be one; what is longer, or no single word, is something else in the wrong field."""
    may_be_one = len(control_id) <= MOST_CONTROL_ID and control_id.isprintable() and " " not in control_id
    return control_id if may_be_one and "^" not in control_id else "(not an identifier)"


def _reused() -> HL7Error:
    sentence = "This control ID (MSH-10) was used for another message: send the message under a new one."
    return HL7Error(MessageErrorCondition.DUPLICATE_KEY_IDENTIFIER, ErrorLocation("MSH", 1, 10), sentence)


def _not_kept(failure: BaseException | None) -> HL7Error:
    reason = str(failure) if isinstance(failure, Unavailable) else "it could not be written"
    return _internal(f"The message could not be kept, send it again later: {reason}.")


def _internal(sentence: str) -> HL7Error:
    return HL7Error(MessageErrorCondition.APPLICATION_INTERNAL_ERROR, None, sentence)
