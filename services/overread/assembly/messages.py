"""The messages that were taken, as people look for them, read them, and mend one that was set aside."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid4

from pydantic import BaseModel

from overread.assembly import message_fixing, message_store, message_text
from overread.assembly.door import NotFound, Refused
from overread.assembly.message_fixing import Mended
from overread.assembly.message_index import digests_under, patient_key
from overread.assembly.message_store import Found, Wanted
from overread.assembly.message_taking import Contents, event_in
from overread.assembly.message_text import Judged, Rules
from overread.assembly.settings import AssemblySettings
from overread.contracts.envelope import Event
from overread.contracts.events.audit import Recorded
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import AUDIT_RECORDED, HL7_RECEIVED
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.explain import ExplainedSegment
from overread.protocols.hl7.sentences import Language
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.dead_letters import record_at
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore, ObjectMissing
from overread.runtime.passes import Visitor
from overread.runtime.service import Service

Records = Callable[[int, int], Awaitable[SourceRecord | None]]
"""Reads the record of `hl7.received` in a partition and at an offset; None when it is not kept any more."""


class Use(BaseModel):
    """What a message was used for: an order, a patient's record, results or an appointment; empty ids where it has none."""

    kind: str
    id: str


_KINDS = {"ORU": "result", "SIU": "appointment"}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A message with what it was used for, and its content as far as it is kept."""

    found: Found
    used_for: Sequence[Use]
    event: Event[HL7Received] | None
    raw: bytes | None

    def explained(self, language: Language, *, shows_patient: bool) -> Sequence[ExplainedSegment] | None:
        """Return its segments in words; None when they are not kept, or can't be cut."""
        if self.raw is None or self.event is None:
            return None
        try:
            charset = self.event.data.fallback_charset
            return message_text.explained(self.raw, charset, language, shows_patient=shows_patient)
        except HL7Error:
            return None

    def lines(self) -> list[str]:
        """Return its segments as text."""
        if self.raw is None or self.event is None:
            return []
        return message_text.lines_of(self.raw, self.event.data.fallback_charset)


class Messages:
    """Reads and writes the index in transactions of its own; content comes from the topic."""

    def __init__(
        self,
        service: Service,
        settings: AssemblySettings,
        objects: LocalObjectStore,
        records: Records,
    ) -> None:
        self._service = service
        self._settings = settings
        self._contents = Contents(objects).of
        self._put = objects.put
        self._records = records
        self._digests = digests_under(settings.message_index_key)

    @classmethod
    def of(cls, service: Service) -> "Messages":
        """Return the messages of assembly, read from the broker and the object store of its settings."""
        settings = service.settings
        if not isinstance(settings, AssemblySettings):
            raise TypeError("messages are assembly's")
        objects = LocalObjectStore(settings.objects_folder)
        return cls(service, settings, objects, partial(record_at, settings, HL7_RECEIVED.name))

    def patient_key(self, number: str) -> str:
        """Return the search key of a patient's number, or refuse where the site has no secret."""
        key = patient_key(number, self._digests)
        if key is None:
            raise Refused("patients' numbers are not in the index: set OVERREAD_MESSAGE_INDEX_SECRET")
        return key

    async def search(self, wanted: Wanted, visitor: Visitor, *, of_patient: bool) -> list[Found]:
        """Return the messages that are wanted; a search for a patient is recorded, without the number."""
        async with self._service.transaction() as tx:
            if of_patient:
                _record(tx, visitor.subject, "search", "", "by patient identifier")
            return await message_store.search(tx.connection, tx.site_id, wanted)

    async def opened(self, event_id: UUID) -> Opened | None:
        """Return a message with its content; None when the index has none of this id."""
        async with self._service.transaction() as tx:
            found = await message_store.message(tx.connection, tx.site_id, event_id)
            used_for = await _used_for(tx, found) if found else []
        if found is None:
            return None
        event = await self._event(found)
        return Opened(found=found, used_for=used_for, event=event, raw=await self._raw(event))

    async def record(self, visitor: Visitor, action: str, found: Found) -> None:
        """Record that somebody saw a message with its patient."""
        async with self._service.transaction() as tx:
            _record(tx, visitor.subject, action, str(found.event_id))

    async def judge(self, event_id: UUID, lines: Sequence[str], language: Language) -> Judged:
        """Say what the listener would answer to a mended form of a message."""
        event, _ = await self._kept(event_id)
        return Rules(event.data, self._settings.time_zone).judge_lines(lines, language)

    async def fix(self, event_id: UUID, lines: Sequence[str], requested_by: str, reason: str) -> UUID:
        """Let mended lines stand for a message that was set aside; return the event that will hold them."""
        event, original = await self._kept(event_id)
        raw = message_text.written(lines, event.data.fallback_charset)
        mended = Mended(event=event, original=original, raw=raw, requested_by=requested_by, reason=reason)
        message_fixing.check(mended, self._settings.time_zone)
        object_key = await message_fixing.stored(mended, self._put)
        async with self._service.transaction() as tx:
            return await message_fixing.request(tx, mended, object_key)

    async def _kept(self, event_id: UUID) -> tuple[Event[HL7Received], bytes]:
        opened = await self.opened(event_id)
        if opened is None or opened.event is None or opened.raw is None:
            raise NotFound("the topic does not keep this message any more")
        return opened.event, opened.raw

    async def _event(self, found: Found) -> Event[HL7Received] | None:
        record = await self._records(found.partition, found.record_offset)
        event = event_in(record) if record else None
        return event if event is not None and event.id == found.event_id else None

    async def _raw(self, event: Event[HL7Received] | None) -> bytes | None:
        try:
            return None if event is None else await self._contents(event.data)
        except ObjectMissing:
            return None


async def _used_for(tx: Transaction, found: Found) -> list[Use]:
    if found.outcome != "used":
        return []
    orders = [
        Use(kind="order", id=str(each)) for each in await message_store.orders_of(tx.connection, tx.site_id, found)
    ]
    patients = [
        Use(kind="patient", id=str(each)) for each in await message_store.patients_of(tx.connection, tx.site_id, found)
    ]
    others = [Use(kind=_KINDS[found.message_type], id="")] if found.message_type in _KINDS else []
    return [*orders, *patients, *others]


def _record(tx: Transaction, actor: str, action: str, object_id: str, detail: str = "") -> None:
    body = Recorded(
        actor=actor,
        action=action,
        object_type="HL7 message",
        object_id=object_id,
        outcome="done",
        recorded_at=tx.clock(),
        detail=detail,
        case_id=None,
    )
    tx.publish(AUDIT_RECORDED, body, subject=object_id or "HL7 message", own_key=str(uuid4()), caused_by=None)
