"""Lets a mended message stand for one that was set aside, once: what came stays as it is, and the intake keeps the new one."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID, uuid4

from overread.assembly import message_store
from overread.assembly.door import NotFound, Refused
from overread.assembly.message_index import SET_ASIDE
from overread.assembly.message_text import Rules
from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.events.audit import Recorded
from overread.contracts.events.intake import CorrectionRequested, HL7Received
from overread.contracts.identifiers import corrected_event_id
from overread.contracts.topics import AUDIT_RECORDED, CORRECTIONS_REQUESTED
from overread.runtime.inbox import Transaction

CLAIM_CHECK_BYTES = 128 * 1024
"""A larger message is stored as an object that its event names."""

Store = Callable[[str, Sequence[bytes]], Awaitable[None]]
"""Puts an object on synced disk under its key."""


class AnsweredAlready(Refused):
    """Another message stands for this one already: two never do."""

    kind = "answered-already"


class NotSetAside(Refused):
    """The message was used, so there is nothing to mend: its sender corrects it by a new message."""

    kind = "not-set-aside"


class Unchanged(Refused):
    """Nothing was changed: the same bytes are given back by a replay."""

    kind = "unchanged"


@dataclass(frozen=True, kw_only=True)
class Mended:
    """The message as it came, its bytes, those of the mended one, who mended it, and why."""

    event: Event[HL7Received]
    original: bytes
    raw: bytes
    requested_by: str
    reason: str

    @property
    def digest(self) -> str:
        """Return the digest of the mended bytes."""
        return codec.sha256(self.raw)

    @property
    def event_id(self) -> UUID:
        """Return the id of the event that will stand for the one that was set aside."""
        return corrected_event_id(self.event.site_id, self.event.id, self.digest)


def check(mended: Mended, time_zone: tzinfo) -> None:
    """Raise what refuses the mended message: `HL7Error` as the listener would, `Unchanged` for the bytes that came."""
    if mended.raw.strip(b"\r\n") == mended.original.replace(b"\r\n", b"\r").replace(b"\n", b"\r").strip(b"\r\n"):
        raise Unchanged
    Rules(mended.event.data, time_zone).check(mended.raw)


async def request(tx: Transaction, mended: Mended, object_key: str | None) -> UUID:
    """Ask the intake to keep the mended message, mark what it stands for, and record who mended it and why.

    Asked again with the same bytes it is the same request; with others it is refused.
    """
    site_id, event = mended.event.site_id, mended.event
    found = await message_store.lock(tx, site_id, event.id)
    if found is None:
        raise NotFound("there is no such message in the index")
    if found.answered_by not in (None, mended.event_id):
        raise AnsweredAlready
    if found.answered_by == mended.event_id:
        return mended.event_id
    if found.outcome != SET_ASIDE:
        raise NotSetAside
    await message_store.answer(tx, site_id, event.id, mended.event_id)
    _ask(tx, mended, object_key)
    _record(tx, mended)
    return mended.event_id


async def stored(mended: Mended, put: Store) -> str | None:
    """Store a mended message that is too large for an event, and return its key; None for one that is not."""
    if len(mended.raw) <= CLAIM_CHECK_BYTES:
        return None
    object_key = f"{mended.event.site_id}/hl7/{mended.digest}"
    await put(object_key, [mended.raw])
    return object_key


def _ask(tx: Transaction, mended: Mended, object_key: str | None) -> None:
    body = CorrectionRequested(
        link_id=mended.event.data.link_id,
        corrects=mended.event.id,
        digest=mended.digest,
        requested_by=mended.requested_by,
        requested_at=tx.clock(),
        raw_base64=None if object_key else base64.b64encode(mended.raw).decode("ascii"),
        object_key=object_key,
    )
    tx.publish(CORRECTIONS_REQUESTED, body, subject=body.link_id, own_key=str(mended.event_id), caused_by=mended.event)


def _record(tx: Transaction, mended: Mended) -> None:
    body = Recorded(
        actor=mended.requested_by,
        action="fix",
        object_type="HL7 message",
        object_id=str(mended.event.id),
        outcome="done",
        recorded_at=tx.clock(),
        detail=f"stands for it: {mended.event_id}; {mended.reason}",
        case_id=None,
    )
    tx.publish(AUDIT_RECORDED, body, subject=str(mended.event.id), own_key=str(uuid4()), caused_by=mended.event)
