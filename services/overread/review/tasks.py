"""What a clinician is asked about a final report: new images came after the signature, or its orders are other ones.

Neither undoes a final report. Of orders that were detached or attached the clinician withdraws it, which tells every
receiver, or reads the case again under the orders as they are now, or says with a reason that it stands.
"""

from collections.abc import Container

from overread.contracts.events.cases import Case
from overread.contracts.events.orders import OrderStatus, PatientIdentifier, ServiceRequest
from overread.contracts.events.reports import ReportDocument
from overread.contracts.identifiers import deterministic_id
from overread.contracts.report_life import ReportState
from overread.review import merge_store, queries, task_store
from overread.review.findings import Facts, was_known_at_release
from overread.review.revision import Head, Revision
from overread.review.task_store import NEW_IMAGES, OTHER_ORDER, Task
from overread.runtime.inbox import Transaction

READ_AGAIN = "read_again"
NO_CHANGE = "no_change"
NO_LONGER = "no_longer_final"
AS_BEFORE = "as_before"

SIGNED_ON_ITS_WAY = frozenset({ReportState.SIGNED, ReportState.HELD})
"""A next revision of which the gate or a person decides first."""


async def look(tx: Transaction, head: Head, facts: Facts, newest: Revision | None) -> Task | None:
    """Ask what a final report raises, unless that was asked before; return the open question.

    A final stands until the next revision takes its place: a draft beside it, which may be rejected, keeps nobody from
    being asked about its orders. A question about a report that is final no longer answers itself.
    """
    if newest is None:
        return None
    final = await _standing(tx, head, newest)
    if final is None:
        await _no_longer(tx, head)
        return None
    if newest is final:
        await _look_at_images(tx, head, facts, final)
    else:
        await _no_longer(tx, head, NEW_IMAGES)
    if newest.state not in SIGNED_ON_ITS_WAY:
        await _look_at_orders(tx, head, facts.case, final)
    asked = await task_store.newest(tx.connection, head.site_id, head.report_id)
    return asked if asked and asked.is_open else None


async def _standing(tx: Transaction, head: Head, newest: Revision) -> Revision | None:
    if newest.state is ReportState.FINAL:
        return newest
    return await final_revision(tx, head) if newest.report_revision > 1 else None


async def _no_longer(tx: Transaction, head: Head, kind: str = "") -> None:
    await task_store.answer(tx.connection, head, NO_LONGER, reason="", actor="", now=tx.clock(), kind=kind)


async def _look_at_images(tx: Transaction, head: Head, facts: Facts, final: Revision) -> None:
    asked = await task_store.newest(tx.connection, head.site_id, head.report_id, NEW_IMAGES)
    study_revision = facts.case.study.study_revision if facts.case.study else 0
    if study_revision > max(final.study_revision, asked.study_revision if asked else 0):
        task_id = deterministic_id("task", head.site_id, str(head.report_id), str(study_revision))
        await task_store.add(tx.connection, head, task_id, NEW_IMAGES, (study_revision, 0), now=tx.clock())


async def _look_at_orders(tx: Transaction, head: Head, case: Case, final: Revision) -> None:
    """Ask once about each time that the orders came to be other ones; take it back when they are as before."""
    if case.identity_version <= final.identity_version:
        await _no_longer(tx, head, OTHER_ORDER)
        return
    asked = await task_store.newest(tx.connection, head.site_id, head.report_id, OTHER_ORDER)
    if asked and case.identity_version <= asked.identity_version:
        return
    merged = await merge_store.merged_numbers(tx.connection, head.site_id, head.case_id)
    if is_of_other_identity(final, case, merged):
        task_id = deterministic_id("task", head.site_id, str(head.report_id), "identity", str(case.identity_version))
        revisions = (final.study_revision, case.identity_version)
        await task_store.add(tx.connection, head, task_id, OTHER_ORDER, revisions, now=tx.clock())
    elif asked and asked.is_open:
        await task_store.answer(tx.connection, head, AS_BEFORE, reason="", actor="", now=tx.clock(), kind=OTHER_ORDER)


def is_of_other_identity(final: Revision, case: Case, merged: Container[str]) -> bool:
    """Say whether the final report is of other orders or of another patient than the case, in a way nobody has seen."""
    if case.is_withdrawn or was_known_at_release(final, case):
        return False
    document = ReportDocument.model_validate_json(final.document)
    return _has_other_orders(document, case) or _is_of_another_patient(document, case, merged)


def _has_other_orders(document: ReportDocument, case: Case) -> bool:
    """Say whether the report answers an order that is not the case's, or one of the case's is not answered."""
    answered = {order.order_id for order in document.orders if _wants_report(order)}
    linked = {order.order_id for order in case.orders}
    wanting = {order.order_id for order in case.orders if _wants_report(order)}
    return not (answered <= linked and wanting <= {order.order_id for order in document.orders})


def _is_of_another_patient(document: ReportDocument, case: Case, merged: Container[str]) -> bool:
    """Say whether the report names nobody that the case does, and no number that was merged into its patient's."""
    reported, named = document.patient.identifiers, case.patient.identifiers
    if not reported or not named or any(one.id_number in merged for one in reported):
        return False
    return not any(_may_be_same(one, other) for one in reported for other in named)


def _may_be_same(one: PatientIdentifier, other: PatientIdentifier) -> bool:
    """Say whether both can be one number: an image header leaves its authority out."""
    authorities = {one.assigning_authority, other.assigning_authority} - {""}
    return one.id_number == other.id_number and len(authorities) < 2


def _wants_report(order: ServiceRequest) -> bool:
    return order.status is not OrderStatus.CANCELLED


async def final_revision(tx: Transaction, head: Head) -> Revision | None:
    """Return the revision that is final, None when there is none: the newest may be a draft of newer images."""
    for revision in reversed(await queries.revisions_of(tx.connection, head.site_id, head.report_id)):
        if revision.state is ReportState.FINAL:
            return revision
    return None
