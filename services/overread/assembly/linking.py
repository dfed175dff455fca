"""Brings one order and one case to what `matching` decides, and tells what changed."""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial
from uuid import UUID

from overread.assembly import (
    candidate_store,
    decision_store,
    decisions,
    matching,
    order_store,
    patient_numbers,
    patient_store,
    patients,
    store,
)
from overread.assembly.known_patients import KnownPatients
from overread.assembly.order_folding import StoredOrder
from overread.assembly.seen_patients import Person, Persons
from overread.contracts.events import cases
from overread.contracts.events.orders import OrderStatus, Patient
from overread.contracts.identifiers import case_id_for
from overread.contracts.topics import CASES_CHANGED
from overread.runtime.inbox import Cause, Transaction


async def order_changed(
    tx: Transaction, cause: Cause, stored: StoredOrder, case_id: UUID, *, identity_moved: bool
) -> None:
    """Settle an order that reads differently with a case that it belongs to, or could."""
    case = await store.lock_case(tx, cause.site_id, case_id)
    if case is None:
        return
    study = await store.imaged_study(tx, cause.site_id, case)
    is_linked = await store.is_linked(tx, cause.site_id, case_id, stored.order.order_id)
    decision = await _decide(tx, cause.site_id, stored, study, is_linked=is_linked)
    if not is_linked:
        await _settle(tx, cause, case, decision)
        return
    if not isinstance(decision, matching.Link):
        identity_moved = True
        await store.unlink(tx, cause.site_id, case_id, decision.order_id)
        await _settle(tx, cause, case, decision)
    else:
        await _show(tx, cause, case, decision.order_id, decision.for_the_desk)
    is_cancelled = stored.order.status is OrderStatus.CANCELLED and isinstance(decision, matching.Link)
    body = cases.OrderCancelled if is_cancelled else cases.OrderChangedOnCase
    await tell(tx, cause, case, partial(body, order_id=stored.order.order_id), identity_moved=identity_moved)


async def link_waiting_orders(tx: Transaction, cause: Cause, case: store.CaseRow) -> store.CaseRow:
    """Settle the case, whose images show something new, with every order that waits for them."""
    study = await store.imaged_study(tx, cause.site_id, case)
    decided = [
        (waiting, await _decide(tx, cause.site_id, waiting, study, is_linked=False))
        for waiting in await order_store.orders_for_study(tx, cause.site_id, study)
        if not await store.is_linked(tx, cause.site_id, case.case_id, waiting.order.order_id)
    ]
    for decision in await _of_one_patient(tx, cause.site_id, case.case_id, decided):
        case = await _settle(tx, cause, case, decision)
    return case


async def _of_one_patient(
    tx: Transaction, site_id: str, case_id: UUID, decided: Sequence[tuple[StoredOrder, matching.Decision]]
) -> list[matching.Decision]:
    """Let a person say whose the study is where orders of two patients would link themselves at once."""
    linking = [stored for stored, decision in decided if isinstance(decision, matching.Link)]
    if len(linking) < 2:
        return [decision for _, decision in decided]
    holding = await decision_store.holding(tx.connection, site_id, case_id)
    rivals: set[UUID] = set()
    for one in linking:
        others = [other.patient for other in linking if other is not one]
        if one.order.order_id not in holding and await patients_conflict(tx, site_id, one.patient, others):
            rivals.add(one.order.order_id)
    return [
        matching.ToTheDesk(decision.order_id, decisions.TWO_PATIENTS) if decision.order_id in rivals else decision
        for _, decision in decided
    ]


async def patient_changed(tx: Transaction, cause: Cause, case_id: UUID, was: KnownPatients, now: KnownPatients) -> None:
    """Settle a case whose patient may read differently `now` with its orders, and tell it once if they do.

    Under another patient's number it was a merge, else a correction; either way what was signed is confirmed again.
    """
    case = await store.lock_case(tx, cause.site_id, case_id)
    if case is None:
        return
    stated = await store.stated_patient(tx, cause.site_id, case)
    case = await _settle_again(tx, cause, case)
    before, after = was.shown(stated), now.shown(stated)
    if before == after:
        return
    kept = patient_numbers.id_numbers(after.identifiers)
    prior = tuple(one.id_number for one in before.identifiers if one.id_number not in kept)
    record = now.find(stated.identifiers)
    is_merge = bool(prior) and record is not None and record.names_merged(before)
    body = partial(cases.PatientsMerged, prior_identifiers=prior) if is_merge else cases.PatientCorrected
    await tell(tx, cause, case, body, identity_moved=True)


async def _settle_again(tx: Transaction, cause: Cause, case: store.CaseRow) -> store.CaseRow:
    """Link the orders that name the same patient now, and let go of those that no longer do."""
    study = await store.imaged_study(tx, cause.site_id, case)
    for stored in await order_store.orders_for_study(tx, cause.site_id, study):
        order_id = stored.order.order_id
        is_linked = await store.is_linked(tx, cause.site_id, case.case_id, order_id)
        decision = await _decide(tx, cause.site_id, stored, study, is_linked=is_linked)
        if not is_linked:
            case = await _settle(tx, cause, case, decision)
        elif not isinstance(decision, matching.Link):
            await store.unlink(tx, cause.site_id, case.case_id, order_id)
            case = await _settle(tx, cause, case, decision)
            changed = partial(cases.OrderChangedOnCase, order_id=order_id)
            case = await tell(tx, cause, case, changed, identity_moved=True)
        else:
            await _show(tx, cause, case, order_id, decision.for_the_desk)
    return case


async def _decide(
    tx: Transaction, site_id: str, stored: StoredOrder, study: matching.ImagedStudy, *, is_linked: bool
) -> matching.Decision:
    """Do as a person decided, else as order and study compare."""
    order_id, case_id = stored.order.order_id, case_id_for(site_id, study.study_instance_uid)
    holding = await decision_store.holding(tx.connection, site_id, case_id)
    standing = holding.pop(order_id, None)
    matched = await matched_by_itself(tx, site_id, stored, study, is_linked=is_linked and standing is None)
    persons = await persons_of(tx, site_id, stored.patient, study.patient) if standing else None
    decided = decisions.obeying(standing, matched, persons)
    if standing is None and isinstance(decided, matching.Link):
        attached = {one for one, decision in holding.items() if decision.attaches}
        return await _beside_others(tx, site_id, case_id, stored, attached) or decided
    if standing is None and isinstance(decided, matching.NoMatch):
        return await _still_moved_away(tx, site_id, case_id, order_id) or decided
    return decided


async def _still_moved_away(tx: Transaction, site_id: str, case_id: UUID, order_id: UUID) -> matching.ToTheDesk | None:
    """Keep on the desk an order that was let go, until its numbers agree again or a person decides."""
    place = (tx, site_id, case_id, "order", str(order_id), matching.MOVED_AWAY)
    return matching.ToTheDesk(order_id, matching.MOVED_AWAY) if await store.lies_on_desk(*place) else None


async def _beside_others(
    tx: Transaction, site_id: str, case_id: UUID, stored: StoredOrder, attached: Container[UUID]
) -> matching.ToTheDesk | None:
    """Return why an order can't link itself, or stay so, beside what is linked: a report has one patient."""
    order_id = stored.order.order_id
    others = [
        one
        for one in await candidate_store.linked_orders(tx, site_id, case_id)
        if one.order.order_id != order_id and await patients_conflict(tx, site_id, stored.patient, [one.patient])
    ]
    if not others:
        return None
    is_by_a_person = any(one.order.order_id in attached for one in others)
    reason = decisions.OTHERS_ATTACHED if is_by_a_person else decisions.OTHERS_LINKED
    return matching.ToTheDesk(order_id, reason)


async def patients_conflict(tx: Transaction, site_id: str, one: Patient, others: Sequence[Patient]) -> str:
    """Return why `one` can't be any of `others`, by all numbers that are known; empty where nothing speaks against it."""
    known = await patient_store.known(tx, site_id, one, *others)
    reasons = (patients.conflict(known.compared(one), known.compared(other)) for other in others)
    return next(filter(None, reasons), "")


async def persons_of(tx: Transaction, site_id: str, ordered: Patient, imaged: Patient) -> Persons:
    """Return whom order and study name, by all numbers that are known."""
    known = await patient_store.known(tx, site_id, ordered, imaged)
    compared, other = known.compared(ordered), known.compared(imaged)
    record = known.find(ordered.identifiers)
    return Persons(
        conflict=patients.conflict(compared, other) or "",
        share_a_number=patients.share_an_identifier(compared, other),
        ordered=Person.of(compared, (*ordered.identifiers, *(record.former if record else ()))),
    )


async def matched_by_itself(
    tx: Transaction, site_id: str, stored: StoredOrder, study: matching.ImagedStudy, *, is_linked: bool = False
) -> matching.Decision:
    """Compare order and study by all numbers that their patients are known to have, or had before a merge."""
    known = await patient_store.known(tx, site_id, stored.patient, study.patient)
    imaged = replace(study, patient=known.compared(study.patient))
    return matching.decide(stored.order, known.compared(stored.patient), imaged, is_linked=is_linked)


async def settle_pair(tx: Transaction, cause: Cause, stored: StoredOrder, case_id: UUID) -> None:
    """Settle an order with a case that a person has just decided about; nothing is told where nothing changes."""
    case = await store.lock_case(tx, cause.site_id, case_id)
    if case is None:
        return
    order_id = stored.order.order_id
    study = await store.imaged_study(tx, cause.site_id, case)
    is_linked = await store.is_linked(tx, cause.site_id, case_id, order_id)
    decision = await _decide(tx, cause.site_id, stored, study, is_linked=False)
    if is_linked and isinstance(decision, matching.Link):
        await _show(tx, cause, case, order_id, decision.for_the_desk)
        return
    if is_linked:
        await store.unlink(tx, cause.site_id, case_id, order_id)
    case = await _settle(tx, cause, case, decision)
    if is_linked:
        changed = partial(cases.OrderChangedOnCase, order_id=order_id)
        await tell(tx, cause, case, changed, identity_moved=True)


async def _settle(tx: Transaction, cause: Cause, case: store.CaseRow, decision: matching.Decision) -> store.CaseRow:
    """Do what was decided about an order that is not linked; the desk holds only what is still open."""
    place = (tx, cause.site_id, case.case_id)
    match decision:
        case matching.ToTheDesk(order_id, reason):
            await store.to_the_desk(*place, "order", str(order_id), reason)
            return case
        case matching.NoMatch(order_id):
            await _show(tx, cause, case, order_id, decision.doubt)
            return case
        case matching.Link(order_id):
            await _show(tx, cause, case, order_id, decision.for_the_desk)
            await store.link(*place, order_id)
            return await tell(tx, cause, case, partial(cases.OrderLinked, order_id=order_id), identity_moved=True)


async def _show(tx: Transaction, cause: Cause, case: store.CaseRow, order_id: UUID, reason: str) -> None:
    """Keep an order on the desk as long as there is something about it that a person should know."""
    place = (tx, cause.site_id, case.case_id, "order", str(order_id))
    if reason:
        await store.to_the_desk(*place, reason)
    else:
        await store.off_the_desk(*place)


async def tell(
    tx: Transaction,
    cause: Cause,
    case: store.CaseRow,
    make: Callable[..., cases.CaseBody],
    *,
    identity_moved: bool,
) -> store.CaseRow:
    """Raise the case's revision, let the event that `make` makes of it leave, and return the row as it is now."""
    now = await store.change_case(tx, cause.site_id, case, identity_moved=identity_moved)
    body = make(case_id=now.case_id, case=now)
    own_key = f"{now.case_id}/{now.revision}"
    tx.publish(CASES_CHANGED, body, subject=str(now.case_id), own_key=own_key, caused_by=cause)
    return replace(case, revision=now.revision, identity_version=now.identity_version)
