"""Brings orders and cases to what is known of their patients now, and tells what reads differently."""

from overread.assembly import collecting, context_telling, linking, mapping_store, order_store, patient_store
from overread.assembly.known_patients import KnownPatients
from overread.assembly.order_folding import StoredOrder
from overread.assembly.patient_numbers import id_numbers
from overread.contracts.events.orders import OrderChanged, Patient
from overread.contracts.topics import ORDERS_CHANGED
from overread.runtime.inbox import Cause, Transaction


async def correct(tx: Transaction, cause: Cause, was: KnownPatients, now: KnownPatients) -> None:
    """Settle every order and case of the patients who `now` read differently than they did (`was`)."""
    records = (*was.records, *now.records)
    numbers = id_numbers(one for record in records for one in (*record.identifiers, *record.former))
    cases = set(await patient_store.cases_imaging(tx, cause.site_id, numbers))
    orders = await patient_store.orders_naming(tx, cause.site_id, numbers)
    ordered = [(stored.order.order_id, stored.patient) for stored in orders]
    await patient_store.note_doubtful(tx, cause.site_id, now, ordered)
    for stored in orders:
        if _reads_as(was, stored.patient) != _reads_as(now, stored.patient):
            await _correct_order(tx, cause, stored, now.shown(stored.patient))
            cases.update(await order_store.cases_for_order(tx, cause.site_id, stored.order))
    for case_id in sorted(cases):
        await linking.patient_changed(tx, cause, case_id, was, now)
        await collecting.settle_series(tx, cause.site_id, case_id)
    await context_telling.tell_what_differs(tx, dict.fromkeys(cases, cause))  # results of another number are theirs now


async def _correct_order(tx: Transaction, cause: Cause, stored: StoredOrder, patient: Patient) -> None:
    order_id, revision = stored.order.order_id, stored.revision + 1
    await patient_store.raise_order(tx, cause.site_id, order_id)
    order = (await mapping_store.current(tx, cause.site_id)).shown(stored.order)
    changed = OrderChanged(order_id=order_id, revision=revision, changed_at=tx.clock(), order=order, patient=patient)
    tx.publish(ORDERS_CHANGED, changed, subject=str(order_id), own_key=f"{order_id}/{revision}", caused_by=cause)


def _reads_as(known: KnownPatients, stated: Patient) -> tuple[Patient, Patient]:
    return known.shown(stated), known.compared(stated)
