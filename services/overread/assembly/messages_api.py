"""The routes of messages: search, one message segment by segment, and mending one that was set aside.

Who looks after the system sees everything but the patient; an integrator sees the patient where he asks for it, and each
look is recorded. Numbers are looked for in a body, never in a URL, which servers write down.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from overread.assembly import message_store, messages
from overread.assembly.asked import PLAIN, Moment, in_utc
from overread.assembly.door import INTEGRATORS, OPERATORS, Asking, Door, NotFound, Refused
from overread.assembly.message_index import accession_key, control_key, order_key
from overread.assembly.message_store import Found, Wanted
from overread.assembly.messages import Messages, Opened
from overread.protocols.hl7.explain import ExplainedSegment
from overread.protocols.hl7.sentences import translate
from overread.runtime.passes import Visitor

Number = Annotated[str, StringConstraints(min_length=1, max_length=199, strip_whitespace=True), PLAIN]
Line = Annotated[str, StringConstraints(max_length=8 * 1024 * 1024)]
"""A segment; a document in OBX-5 may fill the longest message that the listener takes."""
Lines = Annotated[list[Line], Field(min_length=1, max_length=5_000)]
Tongue = Literal["vi", "en", "fr"]


class NotYours(Refused):
    """Patients are for integrators: your role sees messages without them."""

    status = 403
    kind = "not-entitled"


class SearchAsked(BaseModel):
    """What is looked for: all that is said must hold. `before` is `next` of the page before."""

    control_id: Number | None = None
    accession_number: Number | None = None
    order_number: Number | None = None
    patient_id: Number | None = None
    link_id: Number | None = None
    outcome: Literal["used", "set_aside"] | None = None
    since: Moment | None = None
    until: Moment | None = None
    before: Annotated[str, StringConstraints(max_length=100)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    language: Tongue = "en"


class MessageRow(BaseModel):
    """A message without its content: where it lies, what became of it, and which message stands for it."""

    event_id: UUID
    place: str
    link_id: str
    message_type: str
    trigger_event: str
    message_control_id: str
    received_at: datetime
    outcome: str
    reason: str
    corrects: UUID | None
    answered_by: UUID | None


class SearchView(BaseModel):
    """A page of messages, the newest first; `next` asks for the page after, null on the last one."""

    items: list[MessageRow]
    next: str | None


class FieldView(BaseModel):
    """One field that was sent: place, name, what each repetition says, and whether the patient is hidden in it."""

    place: str
    name: str
    values: list[str]
    is_hidden: bool


class SegmentView(BaseModel):
    """One segment with its fields."""

    name: str
    sequence: int
    title: str
    fields: list[FieldView]


class MessageView(BaseModel):
    """One message: its row, what it was used for, and its segments; null where the topic does not keep it any more."""

    message: MessageRow
    used_for: list[messages.Use]
    segments: list[SegmentView] | None
    shows_patient: bool
    may_show_patient: bool


class OpenedView(MessageView):
    """A message with the patient, and as lines of text for mending."""

    lines: list[str]


class VerdictAsked(BaseModel):
    """A mended message, a segment a line, and the language of whoever mends it."""

    lines: Lines
    language: Tongue = "en"


class VerdictView(BaseModel):
    """What the listener would answer; for a refused message why, where, and what to change."""

    is_taken: bool
    code: str
    sentence: str
    place: str
    condition: int | None
    change: str
    taken_as: list[str]


class FixAsked(BaseModel):
    """A mended message, and why it was mended: the reason names no patient, it is kept with the audit."""

    lines: Lines
    reason: Annotated[str, StringConstraints(min_length=3, max_length=300, strip_whitespace=True), PLAIN]


class FixView(BaseModel):
    """The event of the message that stands for the one that was set aside."""

    event_id: UUID


class MessagesApi:
    """What operators and integrators see of messages."""

    def __init__(self, kept: Messages) -> None:
        self._messages = kept

    def router(self, door: Door) -> APIRouter:
        """Return the routes."""
        router = door.router("/messages", INTEGRATORS | OPERATORS)
        router.add_api_route("/search", self.search, methods=["POST"])
        router.add_api_route("/{event_id}", self.one, methods=["GET"])
        router.add_api_route("/{event_id}/open", self.open, methods=["POST"])
        router.add_api_route("/{event_id}/verdict", self.verdict, methods=["POST"])
        router.add_api_route("/{event_id}/fix", self.fix, methods=["POST"])
        return router

    async def search(self, asked: SearchAsked, visitor: Asking) -> SearchView:
        """Return the messages that are looked for; a search for a patient is an integrator's, and is recorded."""
        keys = [
            key(number)
            for key, number in (
                (control_key, asked.control_id),
                (accession_key, asked.accession_number),
                (order_key, asked.order_number),
            )
            if number
        ]
        if asked.patient_id:
            _must_see_patients(visitor)
            keys.append(self._messages.patient_key(asked.patient_id))
        return _page(
            await self._messages.search(_wanted(asked, keys), visitor, of_patient=bool(asked.patient_id)), asked
        )

    async def one(self, event_id: UUID, visitor: Asking, language: Tongue = "en") -> MessageView:
        """Return one message without the patient."""
        opened = await self._opened(event_id)
        return MessageView(**_shown(opened, visitor, language, shows_patient=False))

    async def open(self, event_id: UUID, visitor: Asking, language: Tongue = "en") -> OpenedView:
        """Return one message with the patient; it is recorded who looked."""
        _must_see_patients(visitor)
        opened = await self._opened(event_id)
        if opened.raw is None:
            raise NotFound("the topic does not keep this message any more")
        await self._messages.record(visitor, "view", opened.found)
        return OpenedView(**_shown(opened, visitor, language, shows_patient=True), lines=opened.lines())

    async def verdict(self, event_id: UUID, asked: VerdictAsked, visitor: Asking) -> VerdictView:
        """Say what the listener would answer to a mended message."""
        _must_see_patients(visitor)
        judged = await self._messages.judge(event_id, asked.lines, asked.language)
        return VerdictView(is_taken=judged.is_taken, **judged._asdict())

    async def fix(self, event_id: UUID, asked: FixAsked, visitor: Asking) -> FixView:
        """Let a mended message stand for one that was set aside."""
        _must_see_patients(visitor)
        return FixView(event_id=await self._messages.fix(event_id, asked.lines, visitor.subject, asked.reason))

    async def _opened(self, event_id: UUID) -> Opened:
        opened = await self._messages.opened(event_id)
        if opened is None:
            raise NotFound("there is no such message in the index; it may be older than the topic keeps")
        return opened


def _must_see_patients(visitor: Visitor) -> None:
    if not visitor.roles & INTEGRATORS:
        raise NotYours


def _wanted(asked: SearchAsked, keys: list[str]) -> Wanted:
    return Wanted(
        keys=keys,
        link_id=asked.link_id,
        outcome=asked.outcome,
        since=asked.since,
        until=asked.until,
        before=_place_of(asked.before),
        limit=asked.limit + 1,
    )


def _place_of(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    moment, _, event_id = cursor.partition(" ")
    try:
        return in_utc(datetime.fromisoformat(moment)), UUID(event_id)
    except ValueError:
        raise BadCursor from None


class BadCursor(Refused):
    """`before` is `next` of the page before, as it was answered."""

    status = 422
    kind = "malformed"


def _page(found: list[Found], asked: SearchAsked) -> SearchView:
    shown, is_last = found[: asked.limit], len(found) <= asked.limit
    after = None if is_last else f"{shown[-1].received_at.isoformat()} {shown[-1].event_id}"
    return SearchView(items=[_row(one, asked.language) for one in shown], next=after)


def _row(found: Found, language: Tongue) -> MessageRow:
    place = f"{message_store.TOPIC}/{found.partition}/{found.record_offset}"
    names = MessageRow.model_fields.keys() - {"place", "reason"}
    reason = translate(found.reason, language)
    return MessageRow(place=place, reason=reason, **{name: getattr(found, name) for name in names})


def _shown(opened: Opened, visitor: Visitor, language: Tongue, *, shows_patient: bool) -> dict[str, Any]:
    segments = opened.explained(language, shows_patient=shows_patient)
    return {
        "message": _row(opened.found, language),
        "used_for": list(opened.used_for),
        "segments": None if segments is None else [_segment(segment) for segment in segments],
        "shows_patient": shows_patient,
        "may_show_patient": bool(visitor.roles & INTEGRATORS),
    }


def _segment(segment: ExplainedSegment) -> SegmentView:
    fields = [
        FieldView(place=one.place, name=one.name, values=list(one.values), is_hidden=one.is_hidden)
        for one in segment.fields
    ]
    return SegmentView(name=segment.name, sequence=segment.sequence, title=segment.title, fields=fields)
