"""What time alone brings: a plan's deadline passes, a claim expires. Timers are rows; this only looks at them.

A row that can't be handled is logged and looked at again; the others get their turn.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.report_life import ReportAction, ReportState
from overread.review import listing, store, worklist_store
from overread.review.settings import ReviewSettings
from overread.review.transitions import Act, apply, settle
from overread.runtime.retry import or_any_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import log

LOOK_SECONDS = 1.0
LISTED_AT_ONCE = 100


async def watch(service: Service, settings: ReviewSettings) -> None:
    """Look at the due rows for ever; a database that is away is waited for."""
    is_filled = False
    while True:
        try:
            if not is_filled:
                await fill_worklist(service, settings)
                is_filled = True
            await open_due_drafts(service, settings)
            await free_expired_claims(service, settings)
        except Unavailable as away:
            log.warning("timers_wait", reason=str(away))
        await asyncio.sleep(LOOK_SECONDS)


async def fill_worklist(service: Service, settings: ReviewSettings) -> None:
    """Give each case of before there was a worklist its row; a case that can't be shown stops no other."""
    while missing := await _without_row(service):
        for site_id, case_id in missing:
            await _list(service, site_id, case_id, settings.language)


async def _without_row(service: Service) -> list[tuple[str, UUID]]:
    async with service.transaction() as tx:
        return await worklist_store.cases_without_row(tx.connection, LISTED_AT_ONCE)


async def _list(service: Service, site_id: str, case_id: UUID, language: str) -> None:
    async with service.transaction() as tx:
        head = (await store.lock_heads(tx.connection, [(site_id, case_id)]))[site_id, case_id]
        await listing.refresh(tx, head, language=language)


async def open_due_drafts(service: Service, settings: ReviewSettings) -> None:
    """Open the draft of each plan whose deadline passed, naming what is missing."""
    async with service.transaction() as tx:
        due = await store.due_plans(tx.connection, tx.clock())
    for site_id, case_id in due:
        await or_any_defect(_open_or_stop(service, site_id, case_id, settings.language), case_id=str(case_id))


async def free_expired_claims(service: Service, settings: ReviewSettings) -> None:
    """Give back each draft whose reader claimed it and went away."""
    limit = timedelta(seconds=settings.claim_seconds)
    async with service.transaction() as tx:
        expired = await store.expired_claims(tx.connection, tx.clock() - limit)
    for site_id, report_id in expired:
        await or_any_defect(_free(service, site_id, report_id, limit, settings.language), report_id=str(report_id))


async def _open_or_stop(service: Service, site_id: str, case_id: UUID, language: str) -> None:
    try:
        await _open(service, site_id, case_id, language)
    except Malformed as fault:
        log.error("draft_not_opened", case_id=str(case_id), reason=str(fault))
        await _stop_waiting(service, site_id, case_id)


async def _open(service: Service, site_id: str, case_id: UUID, language: str) -> None:
    async with service.transaction() as tx:
        head = (await store.lock_heads(tx.connection, [(site_id, case_id)]))[site_id, case_id]
        await settle(tx, head, head.cause, language=language)
        await listing.refresh(tx, head, language=language)


async def _stop_waiting(service: Service, site_id: str, case_id: UUID) -> None:
    async with service.transaction() as tx:
        head = (await store.lock_heads(tx.connection, [(site_id, case_id)]))[site_id, case_id]
        await store.plans_are_drafted(tx.connection, head, now=tx.clock())


async def _free(service: Service, site_id: str, report_id: UUID, limit: timedelta, language: str) -> None:
    async with service.transaction() as tx:
        head = await store.lock_report(tx.connection, site_id, report_id)
        newest = await store.newest_revision(tx.connection, site_id, report_id)
        if head is None or newest is None or newest.state is not ReportState.IN_REVIEW or newest.claimed_at is None:
            return
        if newest.claimed_at < tx.clock() - limit:
            act = Act(action=ReportAction.CLAIM_EXPIRED, reason="the claim expired")
            await apply(tx, head, newest, act)
            await listing.refresh(tx, head, language=language)
