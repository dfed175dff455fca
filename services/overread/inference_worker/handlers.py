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

READ_ELSEWHERE = "a reader of another system has reported the case"


class Handlers:
    """`work` is set whenever there may be a job to claim; `infers_read_elsewhere`: the models are asked all the same."""

    def __init__(self, work: asyncio.Event, *, infers_read_elsewhere: bool = False) -> None:
        self._work = work
        self._infers_read_elsewhere = infers_read_elsewhere

    async def inference_requested(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Put each request into the job table, once; for a case that is read elsewhere it ends there."""
        await _lock_cases(tx, batch)
        for delivered in batch:
            event: Event[InferenceRequested] = delivered.event
            await store.add(tx, event)
            if await store.is_read_elsewhere(tx, event.site_id, event.data.case_id):
                await self._cancel_as_read(tx, event)
        self._work.set()

    async def cases_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Cancel what no longer needs an answer."""
        await _lock_cases(tx, batch)
        for delivered in batch:
            event: Event[CaseBody] = delivered.event
            revision, reason = cancelled_by(event.data)
            if reason:
                _tell_cancelled(tx, await store.cancel(tx, event.site_id, event.data.case_id, revision), reason)
            if not self._infers_read_elsewhere:
                await self._follow_reading(tx, event)

    async def _follow_reading(self, tx: Transaction, event: Event[CaseBody]) -> None:
        """Let the models rest while another reader's report stands; a report that is taken back leaves them to it."""
        place = (tx, event.site_id, event.data.case_id)
        if event.data.case.read_elsewhere:
            await store.note_read_elsewhere(*place)
            await self._cancel_as_read(tx, event)
        elif await store.forget_read_elsewhere(*place):
            await store.revive(*place)
            self._work.set()

    async def _cancel_as_read(self, tx: Transaction, event: Event[CaseBody] | Event[InferenceRequested]) -> None:
        jobs = await store.cancel_while_read_elsewhere(tx, event.site_id, event.data.case_id)
        _tell_cancelled(tx, jobs, READ_ELSEWHERE)


async def _lock_cases(tx: Transaction, batch: Sequence[Delivered]) -> None:
    await store.lock_cases(tx, {(d.event.site_id, d.event.data.case_id) for d in batch})


def _tell_cancelled(tx: Transaction, jobs: Sequence[store.Job], reason: str) -> None:
    for job in jobs:
        done = ended_without_findings(job, Outcome.CANCELLED, reason, ended_at=tx.clock())
        tx.publish(INFERENCE_DONE, done, subject=str(done.case_id), own_key=job.end_key, caused_by=job)


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
