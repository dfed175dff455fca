"""One handler a topic: keep what it says, then settle each case's report once."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.contracts.errors import Malformed
from overread.contracts.events.cases import CaseBody, PatientsMerged, StudySuperseded
from overread.contracts.events.deliveries import DeliveryDone, GateDecided, GateVerdict
from overread.contracts.report_life import ReportAction
from overread.contracts.topics import CASES_CHANGED, DELIVERIES_DONE, INFERENCE_DONE, INFERENCE_PLANNED
from overread.review import listing, merge_store, queries, store
from overread.review.revision import Head, Revision
from overread.review.settings import ReviewSettings
from overread.review.transitions import Act, apply, settle
from overread.runtime.consume import Delivered, Handler
from overread.runtime.inbox import Cause, Transaction
from overread.runtime.service import Service

if TYPE_CHECKING:
    from overread.runtime.database import Connection


Keep = Callable[["Connection", str, Any], Awaitable[None]]


def register(service: Service, settings: ReviewSettings) -> None:
    """Let `service` consume what leads to drafts, and what becomes of signed reports."""
    service.consumes(CASES_CHANGED)(_keeping(_keep_case, settings.language))
    service.consumes(INFERENCE_PLANNED)(_keeping(store.save_plan, settings.language))
    service.consumes(INFERENCE_DONE)(_keeping(store.save_result, settings.language))
    service.consumes(DELIVERIES_DONE)(_following(settings.language))


def _keeping(keep: Keep, language: str) -> Handler:
    """Return the handler that keeps each event's body and then settles the reports of the batch's cases."""

    async def handle(batch: Sequence[Delivered], tx: Transaction) -> None:
        heads = await _lock(tx, batch)
        for delivered in batch:
            await keep(tx.connection, delivered.event.site_id, delivered.event.data)
        await _settle(tx, heads, batch, language)

    return handle


async def _keep_case(connection: "Connection", site_id: str, body: CaseBody) -> None:
    await store.save_case(connection, site_id, body.case)
    if isinstance(body, StudySuperseded):
        await store.save_superseded(connection, site_id, body.case_id, body.superseded_revision)
    if isinstance(body, PatientsMerged):
        await merge_store.save_merged(connection, site_id, body.case_id, body.prior_identifiers)


def _following(language: str) -> Handler:
    """Return the handler that takes the gate's decisions to the table, and keeps how each message ended."""

    async def handle(batch: Sequence[Delivered], tx: Transaction) -> None:
        heads = await _lock(tx, batch)
        for delivered in batch:
            event = delivered.event
            match event.data:
                case GateDecided() as decided:
                    head = heads[event.site_id, decided.case_id]
                    await _gate_decided(tx, head, decided, event)
                    await settle(tx, head, event, language=language)  # a draft may wait for a withdrawal to be out
                    await listing.refresh(tx, head, language=language)
                case DeliveryDone() as done:
                    await store.save_delivery(tx.connection, event.site_id, done)

    return handle


async def _lock(tx: Transaction, batch: Iterable[Delivered]) -> dict[tuple[str, UUID], Head]:
    """Lock the report of every case in the batch, at once and in one order."""
    return await store.lock_heads(tx.connection, {(d.event.site_id, d.event.data.case_id) for d in batch})


async def _settle(
    tx: Transaction, heads: dict[tuple[str, UUID], Head], batch: Sequence[Delivered], language: str
) -> None:
    last = {(d.event.site_id, d.event.data.case_id): d.event for d in batch}
    for case, event in last.items():
        await store.remember_cause(tx.connection, heads[case], event)
        await settle(tx, heads[case], event, language=language)
        await listing.refresh(tx, heads[case], language=language)


async def _gate_decided(tx: Transaction, head: Head, decided: GateDecided, cause: Cause) -> None:
    if decided.report_id != head.report_id:
        raise Malformed("the gate decided about a report that is not the case's")
    released = decided.verdict is GateVerdict.RELEASED
    action = ReportAction.GATE_RELEASED if released else ReportAction.GATE_HELD
    for revision in await queries.revisions_of(tx.connection, head.site_id, head.report_id):
        if revision.report_revision == decided.report_revision:
            await _take_answer(tx, head, revision, decided, Act(action=action, reason=decided.reason, cause=cause))


async def _take_answer(tx: Transaction, head: Head, revision: Revision, decided: GateDecided, act: Act) -> None:
    """Keep the gate's verdict on the submission that awaits it; what it says of another one only moves the state."""
    is_awaited = revision.awaits_gate and decided.submission == revision.submission
    answered = replace(revision, gate_verdict=decided.verdict.value) if is_awaited else revision
    changed = await apply(tx, head, answered, act)
    if is_awaited and changed is answered:
        await store.save_state(tx.connection, answered)
