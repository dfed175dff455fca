"""A person decides about an order and a study: checked against what they saw, kept for good, and settled at once.

Locks are taken as the handlers take them: patients, numbers, the order, the case.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from uuid import UUID, uuid4

from overread.assembly import (
    audit,
    candidate_store,
    decision_store,
    linking,
    matching,
    order_store,
    patient_store,
    store,
)
from overread.assembly.candidates import score
from overread.assembly.decisions import AGREES, NO_NUMBER, Decision, DecisionKind, obeying, verdict_of
from overread.assembly.door import NotFound, Refused
from overread.assembly.order_folding import StoredOrder
from overread.assembly.seen_patients import Persons
from overread.runtime.inbox import Transaction
from overread.runtime.telemetry import new_traceparent

WITHOUT_A_ROW = frozenset({"no_order", "no_images"})
"""What is on the desk since something is missing: a study without an order, an order without images."""


class Stale(Refused):
    """Order, study or an earlier decision changed since you looked: look again, then decide."""

    kind = "stale"


class PatientsConflict(Refused):
    """Order and study name two patients; attach them only on your word that they are one, with the reason."""

    kind = "patients-conflict"


class TwoPatients(Refused):
    """An order of another patient is attached to this study: detach that one first."""

    kind = "two-patients"


class NotSo(Refused):
    """What was asked is so already, or was never so."""

    kind = "not-so"


class ReasonOwed(Refused):
    """A reason is owed, for whoever asks later."""

    status = 422
    kind = "reason-owed"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person wants of a pair; `version` is what stood on their screen."""

    kind: DecisionKind
    case_id: UUID
    order_id: UUID
    reason: str
    version: str
    despite_conflict: bool = False
    undoes: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What lies on the desk, as it was seen."""

    kind: str
    subject: str
    case_id: UUID | None
    reason: str
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An order and a case, held, with what holds between them."""

    stored: StoredOrder
    case: store.CaseRow
    is_linked: bool
    matched: matching.Decision
    persons: Persons
    made: list[Decision]

    @property
    def conflict(self) -> str:
        """Return why both can't be one patient, empty where nothing speaks against it."""
        return self.persons.conflict

    @property
    def standing(self) -> Decision | None:
        """Return the decision that holds, None where none does."""
        return next((one for one in self.made if not one.is_undone), None)

    @property
    def before(self) -> Decision | None:
        """Return the decision that holds once the present one is undone, None where none does."""
        return next((one for one in self.made if not one.is_undone and one is not self.standing), None)

    @property
    def verdict(self) -> str:
        """Return what matching says by itself."""
        return verdict_of(self.matched)

    def is_still_away(self, reason: str) -> bool:
        """Say whether the doubt is of an order that was let go, whose numbers agree no more than then."""
        is_undecided = self.standing is None and not self.is_linked
        return reason == matching.MOVED_AWAY and is_undecided and self.verdict == NO_NUMBER

    @property
    def version(self) -> str:
        """Return what a decision must have seen: who and what the case is about, the order, what was decided."""
        number = max((one.number for one in self.made), default=0) * 2 + sum(one.is_undone for one in self.made)
        return f"{self.entry_version}.{number}"

    @property
    def entry_version(self) -> str:
        """Return what a dismissal of the doubt about them must have seen."""
        return f"{self.case.identity_version}.{self.stored.revision}"


@dataclass(frozen=True, kw_only=True)
class _Cause:
    """A decision as what led to an event."""

    id: UUID
    site_id: str
    traceparent: str


async def held_pair(tx: Transaction, case_id: UUID, order_id: UUID) -> Pair:
    """Return the pair and hold it, or raise `NotFound`."""
    await patient_store.lock_patients(tx, {tx.site_id}, to_change=False)
    await order_store.lock_matching(tx, tx.site_id, await _keys(tx, case_id, order_id))
    lives = await order_store.lock_orders(tx, tx.site_id, [order_id])
    case = await store.lock_case(tx, tx.site_id, case_id)
    stored = lives[order_id].stored if order_id in lives else None
    if case is None or stored is None:
        raise NotFound
    return await _pair(tx, stored, case)


async def _pair(tx: Transaction, stored: StoredOrder, case: store.CaseRow) -> Pair:
    order_id = stored.order.order_id
    study = await store.imaged_study(tx, tx.site_id, case)
    return Pair(
        stored=stored,
        case=case,
        is_linked=await store.is_linked(tx, tx.site_id, case.case_id, order_id),
        matched=await linking.matched_by_itself(tx, tx.site_id, stored, study),
        persons=await linking.persons_of(tx, tx.site_id, stored.patient, study.patient),
        made=await decision_store.of_pair(tx.connection, tx.site_id, case.case_id, order_id),
    )


async def _keys(tx: Transaction, case_id: UUID, order_id: UUID) -> set[str]:
    stored = await order_store.stored_orders(tx, tx.site_id, [order_id])
    side = await candidate_store.study_side(tx, tx.site_id, case_id)
    if not stored or side is None:
        raise NotFound
    order = stored[0].order
    accessions = {order.accession_number, *side.accession_numbers} - {None}
    studies = {order.study_instance_uid, side.study_instance_uid} - {None}
    return matching.matching_keys(_strings(accessions), _strings(studies))


def _strings(values: Iterable[str | None]) -> set[str]:
    return {value for value in values if value}


async def decide(tx: Transaction, actor: str, asked: Asked, time_zone: tzinfo) -> Decision:
    """Keep what was decided about a pair and settle it, or raise why not; nothing is inferred again."""
    pair = await held_pair(tx, asked.case_id, asked.order_id)
    if asked.version != pair.version:
        raise Stale
    await _check(tx, asked, pair)
    decision = Decision(
        decision_id=uuid4(),
        number=0,
        kind=asked.kind,
        case_id=asked.case_id,
        order_id=asked.order_id,
        entry_kind="",
        entry_subject="",
        entry_reason="",
        decided_by=actor,
        decided_at=tx.clock(),
        reason=asked.reason.strip(),
        seen=await _seen(tx, pair, time_zone),
        undoes=asked.undoes,
        is_undone=False,
    )
    await decision_store.keep(tx.connection, tx.site_id, decision)
    cause = _Cause(id=decision.decision_id, site_id=tx.site_id, traceparent=new_traceparent())
    await linking.settle_pair(tx, cause, pair.stored, pair.case.case_id)
    _record(tx, decision, "order", str(asked.order_id))
    return decision


async def _check(tx: Transaction, asked: Asked, pair: Pair) -> None:
    """Raise why this can't be decided as things are."""
    _reason_where_owed(asked, pair)
    match asked.kind:
        case DecisionKind.ATTACH:
            await _may_attach(tx, asked, pair)
        case DecisionKind.DETACH if not pair.is_linked:
            raise NotSo("this order is not attached to this study")
        case DecisionKind.KEEP_APART if pair.is_linked:
            raise NotSo("this order is attached to this study: detach it")
        case DecisionKind.KEEP_APART if pair.standing and not pair.standing.attaches and not _speaks_up(pair):
            raise NotSo("this order is kept apart from this study already")
        case DecisionKind.UNDO:
            await _may_undo(tx, asked, pair)
        case _:
            pass


def _reason_where_owed(asked: Asked, pair: Pair) -> None:
    is_plain = asked.kind is DecisionKind.ATTACH and pair.verdict == AGREES
    if not is_plain and not asked.reason.strip():
        raise ReasonOwed


async def _may_attach(tx: Transaction, asked: Asked, pair: Pair) -> None:
    if pair.is_linked and pair.standing and not _speaks_up(pair):
        raise NotSo("this order is attached to this study already")
    await _may_be_together(tx, asked, pair)


async def _may_undo(tx: Transaction, asked: Asked, pair: Pair) -> None:
    """Raise why not: what attaches again by it is checked, as things are now, like a new attachment."""
    if pair.standing is None or pair.standing.decision_id != asked.undoes:
        raise NotSo("only the decision that holds can be undone")
    if pair.before and pair.before.attaches:
        await _may_be_together(tx, asked, pair)


async def _may_be_together(tx: Transaction, asked: Asked, pair: Pair) -> None:
    if pair.conflict and not asked.despite_conflict:
        raise PatientsConflict
    linked = await candidate_store.linked_orders(tx, tx.site_id, pair.case.case_id)
    others = [one for one in linked if one.order.order_id != asked.order_id]
    if await linking.patients_conflict(tx, tx.site_id, pair.stored.patient, [one.patient for one in others]):
        raise TwoPatients


def _speaks_up(pair: Pair) -> bool:
    """Say whether what came since speaks against the decision that holds."""
    if pair.standing is None:
        return False
    decided = obeying(pair.standing, pair.matched, pair.persons)
    has_doubt = not isinstance(decided, matching.ToTheDesk) and bool(decided.doubt)
    return has_doubt or pair.standing.seen_verdict != pair.verdict


async def _seen(tx: Transaction, pair: Pair, time_zone: tzinfo) -> dict[str, object]:
    """Return what stood before the person: of the patient digests, never a value."""
    side = await candidate_store.study_side(tx, tx.site_id, pair.case.case_id)
    order = await candidate_store.order_side(tx, tx.site_id, pair.stored)
    compared = score(order, side, time_zone) if side else None
    return {
        "verdict": pair.verdict,
        "persons": pair.persons.to_keep(),
        "version": pair.version,
        "score": compared.points if compared else 0,
        "reasons": [reason.code for reason in compared.reasons] if compared else [],
    }


async def dismiss(tx: Transaction, actor: str, entry: Entry, reason: str) -> Decision:
    """Take an entry from the desk for good, with a reason; the same doubt stays away, a new one comes."""
    if not reason.strip():
        raise ReasonOwed
    await _must_be_as_seen(tx, entry)
    if entry.kind in WITHOUT_A_ROW:
        await _must_not_be_dismissed(tx, entry)
    elif not await store.take_from_desk(tx, tx.site_id, entry.case_id, entry.kind, entry.subject, entry.reason):
        raise Stale
    decision = Decision(
        decision_id=uuid4(),
        number=0,
        kind=DecisionKind.DISMISS,
        case_id=entry.case_id,
        order_id=None,
        entry_kind=entry.kind,
        entry_subject=entry.subject,
        entry_reason=entry.reason,
        decided_by=actor,
        decided_at=tx.clock(),
        reason=reason.strip(),
        seen={},
        undoes=None,
        is_undone=False,
    )
    await decision_store.keep(tx.connection, tx.site_id, decision)
    _record(tx, decision, "desk entry", entry.subject)
    return decision


async def _must_be_as_seen(tx: Transaction, entry: Entry) -> None:
    """Hold the order that a doubt is about, and its study; the same words may be about another patient by now."""
    pair = await _pair_of(tx, entry.kind, entry.case_id, entry.subject)
    if pair is not None and entry.version != pair.entry_version:
        raise Stale


async def _pair_of(tx: Transaction, kind: str, case_id: UUID | None, subject: str) -> Pair | None:
    """Return the pair that an entry is about, held; None where it is about none."""
    if kind != "order" or case_id is None:
        return None
    try:
        return await held_pair(tx, case_id, UUID(subject))
    except ValueError:
        raise NotFound from None


async def _must_not_be_dismissed(tx: Transaction, entry: Entry) -> None:
    place = (tx.connection, tx.site_id, entry.case_id, entry.kind, entry.subject, entry.reason)
    if await decision_store.is_dismissed(*place):
        raise NotSo("this was dismissed already")


async def undo_dismissal(tx: Transaction, actor: str, decision_id: UUID, reason: str) -> Decision:
    """Put a dismissed entry back on the desk."""
    before = await decision_store.decision_of(tx.connection, tx.site_id, decision_id)
    if before is None:
        raise NotFound
    if before.kind is not DecisionKind.DISMISS or before.is_undone:
        raise NotSo("only a dismissal that holds can be undone here")
    if not reason.strip():
        raise ReasonOwed
    decision = _undoing(before, actor, reason, tx)
    await decision_store.keep(tx.connection, tx.site_id, decision)
    if before.entry_kind not in WITHOUT_A_ROW:
        await _settle_anew(tx, before, decision)
    _record(tx, decision, "desk entry", before.entry_subject)
    return decision


async def _settle_anew(tx: Transaction, dismissed: Decision, undo: Decision) -> None:
    """Put back what is still in doubt: of an order as it compares now, which may be settled."""
    entry = (dismissed.case_id, dismissed.entry_kind, dismissed.entry_subject)
    pair = await _pair_of(tx, dismissed.entry_kind, dismissed.case_id, dismissed.entry_subject)
    if pair is None or pair.is_still_away(dismissed.entry_reason):
        await store.back_to_desk(tx, tx.site_id, *entry, dismissed.entry_reason)
        return
    cause = _Cause(id=undo.decision_id, site_id=tx.site_id, traceparent=new_traceparent())
    await linking.settle_pair(tx, cause, pair.stored, pair.case.case_id)


def _undoing(before: Decision, actor: str, reason: str, tx: Transaction) -> Decision:
    return Decision(
        decision_id=uuid4(),
        number=0,
        kind=DecisionKind.UNDO,
        case_id=before.case_id,
        order_id=None,
        entry_kind=before.entry_kind,
        entry_subject=before.entry_subject,
        entry_reason=before.entry_reason,
        decided_by=actor,
        decided_at=tx.clock(),
        reason=reason.strip(),
        seen={},
        undoes=before.decision_id,
        is_undone=False,
    )


def _record(tx: Transaction, decision: Decision, object_type: str, object_id: str) -> None:
    audit.record(
        tx,
        actor=decision.decided_by,
        action=f"desk_{decision.kind.value}",
        object_type=object_type,
        object_id=object_id,
        detail=str(decision.decision_id),
        case_id=decision.case_id,
    )
