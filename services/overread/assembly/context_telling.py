"""Tells a case whose context reads differently now than its newest event said."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from overread.assembly import case_context, context_store, linking, reader_reports, store
from overread.assembly.case_context import ToldContext
from overread.contracts.events import cases
from overread.runtime.inbox import Cause, Transaction


async def tell_what_differs(tx: Transaction, touched: Mapping[UUID, Cause]) -> None:
    """Tell each case that reads differently, in the order of their ids, with what led to it."""
    for case_id in sorted(touched):
        await _tell_of(tx, touched[case_id], case_id)


async def _tell_of(tx: Transaction, cause: Cause, case_id: UUID) -> None:
    row = await store.lock_case(tx, cause.site_id, case_id)
    if row is None:
        return
    now = await store.shown_case(tx, cause.site_id, row)
    await _doubts_to_the_desk(tx, cause.site_id, now)
    before, after = await case_context.told_of(tx, cause.site_id, now), ToldContext.of(now)
    if before == after:
        return
    is_about_reading = before.read_elsewhere != after.read_elsewhere
    body = cases.ReadElsewhere if is_about_reading else cases.ContextChanged
    await linking.tell(tx, cause, row, partial(body), identity_moved=False)


async def _doubts_to_the_desk(tx: Transaction, site_id: str, case: cases.Case) -> None:
    """Leave to a person each report that names the case and another patient; it closes nothing."""
    names = await case_context.names_of(tx, site_id, case)
    reasons: dict[str, str | None] = {}
    for report in await context_store.reader_reports_for(tx, site_id, case, names.accession_numbers):
        reason = reader_reports.conflict(report, names) if reader_reports.is_about(report, names) else None
        reasons[report.key] = reasons.get(report.key) or reason  # of several under one number each may speak against it
    for key, reason in reasons.items():
        place = (tx, site_id, case.case_id, "report", key)
        if reason:
            await store.to_the_desk(*place, f"a reader's report of another system names this case: {reason}")
        else:
            await store.off_the_desk(*place)
