"""Requests enter the job table; what happens to a case cancels the jobs it makes pointless."""

import asyncio
from collections.abc import Sequence

from overread.contracts.envelope import Event
from overread.contracts.events.cases import CaseBody, CaseWithdrawn, OrderCancelled, StudySuperseded
from overread.contracts.events.inference import InferenceRequested, Outcome
from overread.contracts.events.orders import OrderStatus
from overread.contracts.topics import INFERENCE_DONE
from overread.inference_worker import store
from overread.inference_worker.results import ended_without_findings
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction


class Handlers:
    """`work` is set whenever there may be a job to claim."""

    def __init__(self, work: asyncio.Event) -> None:
        self._work = work

    async def inference_requested(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Put each request into the job table, once."""
        for delivered in batch:
            event: Event[InferenceRequested] = delivered.event
            await store.add(tx, event)
        self._work.set()

    async def cases_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Cancel what no longer needs an answer."""
        for delivered in batch:
            revision, reason = cancelled_by(delivered.event.data)
            if reason:
                await self._cancel(tx, delivered.event, revision, reason)

    async def _cancel(self, tx: Transaction, event: Event[CaseBody], revision: int, reason: str) -> None:
        for job in await store.cancel(tx, event.site_id, event.data.case_id, revision):
            done = ended_without_findings(job, Outcome.CANCELLED, reason, ended_at=tx.clock())
            tx.publish(INFERENCE_DONE, done, subject=str(done.case_id), own_key=str(done.job_id), caused_by=job)


def cancelled_by(body: CaseBody) -> tuple[int, str]:
    """Return the newest study revision whose jobs the event makes pointless, and the reason; empty for none."""
    newest = body.case.study.study_revision if body.case.study else 0
    match body:
        case StudySuperseded():
            return body.superseded_revision, "more images came for the study"
        case CaseWithdrawn():
            return newest, "the case was withdrawn"
        case OrderCancelled() if all(order.status is OrderStatus.CANCELLED for order in body.case.orders):
            return newest, "the order was cancelled"
    return 0, ""
