"""What a reader does at the desk: looks, claims, decides. Each act is one transaction with its audit record."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from overread.contracts.errors import Malformed
from overread.contracts.report_life import ReportAction, ReportState, TransitionRefused
from overread.review import audit, findings, listing, queries, sign_off, store, task_store, tasks
from overread.review.identity import Identity
from overread.review.keys import KeyChain
from overread.review.refusals import (
    AlreadyAnswered,
    CaseMoved,
    ClaimedByAnother,
    GateSilent,
    NotEntitled,
    NotFound,
    ReviewRefused,
    StaleCase,
)
from overread.review.revision import Head, Revision, report_id_for
from overread.review.settings import ReviewSettings
from overread.review.sign_off import Reading, SigningRequest, WithdrawalRequest
from overread.review.transitions import Act, apply, facts_of, open_draft, settle
from overread.review.views import Act as Deed
from overread.review.views import (
    CaseList,
    CaseView,
    ReportList,
    ReportView,
    Resubmitted,
    case_list,
    case_summary,
    report_list,
    report_view,
    summary_of,
)
from overread.runtime.inbox import Transaction
from overread.runtime.service import Service

V = TypeVar("V")
Decide = Callable[[Transaction, Head, Revision], Awaitable[Revision]]
Show = Callable[[Transaction, Identity, Revision], Awaitable[V]]


class RejectReason(StrEnum):
    """Why a reader sends a draft back without a report."""

    WRONG_PATIENT = "wrong_patient"
    WRONG_STUDY = "wrong_study"
    POOR_IMAGE_QUALITY = "poor_image_quality"
    FINDINGS_UNUSABLE = "findings_unusable"
    NEEDS_ANOTHER_READER = "needs_another_reader"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Desk:
    """The acts of a reader; who may do what is decided here and in `sign_off`."""

    service: Service
    settings: ReviewSettings
    keys: KeyChain

    @property
    def session_limit(self) -> timedelta:
        """Return how old a sign-in may be when one signs."""
        return timedelta(seconds=self.settings.signing_session_seconds)

    async def reports(self, reader: Identity, search: queries.Search) -> ReportList:
        """Return a page of reports."""
        reader.must_read()
        async with self.service.transaction() as tx:
            found = await queries.reports_found(tx.connection, reader.site_id, search)
            audit.record(tx, actor=reader.subject, action="list", object_type="reports", object_id="")
            return report_list(found, search.limit)

    async def report(self, reader: Identity, report_id: UUID) -> ReportView:
        """Return the newest revision of a report."""
        reader.must_read()
        async with self.service.transaction() as tx:
            newest = await store.newest_revision(tx.connection, reader.site_id, report_id)
            if newest is None:
                raise NotFound
            self._record(tx, reader, "view", newest)
            return await view_of(tx, reader, newest)

    async def cases(self, reader: Identity, search: queries.Search) -> CaseList:
        """Return a page of cases."""
        reader.must_read()
        async with self.service.transaction() as tx:
            found = await queries.cases_found(tx.connection, reader.site_id, search)
            audit.record(tx, actor=reader.subject, action="list", object_type="cases", object_id="")
            return case_list(found, search.limit)

    async def case(self, reader: Identity, case_id: UUID) -> CaseView:
        """Return a case with its plan, the models' answers and its report."""
        reader.must_read()
        async with self.service.transaction() as tx:
            head = _unlocked_head(reader.site_id, case_id)
            facts = await facts_of(tx, head, language=self.settings.language)
            if facts is None:
                raise NotFound
            newest = await store.newest_revision(tx.connection, reader.site_id, head.report_id)
            audit.record(
                tx, actor=reader.subject, action="view", object_type="case", object_id=str(case_id), case_id=case_id
            )
            return CaseView(
                **case_summary(facts.case).model_dump(),
                plan=facts.plan,
                results=list(facts.results),
                report=summary_of(newest, facts.case) if newest else None,
            )

    async def claim(self, reader: Identity, report_id: UUID) -> ReportView:
        """Claim a draft; claiming again what one has claimed already changes nothing."""
        reader.must_read()

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            if newest.state is ReportState.IN_REVIEW:
                _must_be_claimant(reader, newest)
                return newest
            return await apply(tx, head, newest, _act(ReportAction.CLAIM, reader, ""))

        return await self._decide(reader, report_id, Deed.CLAIM, decide)

    async def release(self, reader: Identity, report_id: UUID) -> ReportView:
        """Give a claimed draft back."""
        return await self._claimants(reader, report_id, Deed.RELEASE, ReportAction.RELEASE, "")

    async def reject(self, reader: Identity, report_id: UUID, reason: RejectReason, comment: str) -> ReportView:
        """Send a claimed draft back with a reason; it can be claimed again."""
        said = f"{reason.value}: {comment}" if comment else reason.value
        return await self._claimants(reader, report_id, Deed.REJECT, ReportAction.REJECT, said)

    async def sign(self, reader: Identity, report_id: UUID, request: SigningRequest) -> ReportView:
        """Sign the document that the reader saw."""
        sign_off.must_be_fresh(reader, now=self.service.clock(), session_limit=self.session_limit)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            case = await store.case_of(tx.connection, head.site_id, head.case_id)
            if case is None:
                raise NotFound
            superseded = await store.superseded_revision_of(tx.connection, head.site_id, head.case_id)
            reading = Reading(revision=newest, case=case, reader=reader, superseded_revision=superseded)
            return await sign_off.sign_off(tx, head, reading, request, keys=self.keys, session_limit=self.session_limit)

        return await self._decide(reader, report_id, Deed.SIGN, decide)

    async def resubmit(self, reader: Identity, report_id: UUID) -> Resubmitted:
        """Send a signed report to the gate once more, when its event was set aside on the way; shows no document."""
        if not (reader.may_sign or reader.operates):
            raise NotEntitled("this needs the entitlement 'sign', or the role ops")

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            return await sign_off.resubmit(tx, head, newest, _act(ReportAction.RESUBMIT, reader, "sent again"))

        return await self._decide_and_show(reader, report_id, Deed.RESUBMIT, decide, _resubmitted)

    async def confirm_again(self, reader: Identity, report_id: UUID) -> ReportView:
        """Take a held report back into review: a new draft of what is known now, claimed by the reader."""
        _must_sign(reader)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            _gate_must_have_answered(newest)
            act = _act(ReportAction.CONFIRM_AGAIN, reader, "to be confirmed again")
            await apply(tx, head, newest, act)
            drafted = await self._draft_again(tx, head, newest)
            return await apply(tx, head, drafted, _act(ReportAction.CLAIM, reader, ""))

        return await self._decide(reader, report_id, Deed.CONFIRM_AGAIN, decide)

    async def release_held(
        self, reader: Identity, report_id: UUID, reason: str, *, case_revision: int | None
    ) -> ReportView:
        """Put a held report before the gate as it was signed, on the word of a reader who saw `case_revision` of the case.

        Who names none is taken to have seen the case as it is now.
        """
        sign_off.must_be_fresh(reader, now=self.service.clock(), session_limit=self.session_limit)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            _gate_must_have_answered(newest)
            case = await store.case_of(tx.connection, head.site_id, head.case_id)
            if case is None:
                raise NotFound
            if case_revision not in {None, case.revision}:
                raise StaleCase
            act = _act(ReportAction.RELEASE_HELD, reader, reason)
            return await sign_off.release_held(tx, head, newest, act, case=case)

        return await self._decide(reader, report_id, Deed.RELEASE_HELD, decide)

    async def withdraw(self, reader: Identity, report_id: UUID, reason: str) -> ReportView:
        """Take back a report that has not left; where the case has moved since, a new draft is about what it is now."""
        sign_off.must_be_fresh(reader, now=self.service.clock(), session_limit=self.session_limit)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            _gate_must_have_answered(newest)
            withdrawn = await apply(tx, head, newest, _act(ReportAction.WITHDRAW, reader, reason))
            await settle(tx, head, head.cause, language=self.settings.language)
            return withdrawn

        return await self._decide(reader, report_id, Deed.WITHDRAW, decide)

    async def withdraw_final(self, reader: Identity, report_id: UUID, request: WithdrawalRequest) -> ReportView:
        """Take a final report back under the reader's own signature."""
        sign_off.must_be_fresh(reader, now=self.service.clock(), session_limit=self.session_limit)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            final = await tasks.final_revision(tx, head) or newest
            return await sign_off.sign_withdrawal(tx, head, final, reader, request, keys=self.keys)

        return await self._decide(reader, report_id, Deed.WITHDRAW_FINAL, decide)

    async def read_again(self, reader: Identity, report_id: UUID, task_id: UUID) -> ReportView:
        """Answer that the new images are to be read: a new draft of what is known now, claimed by the reader."""
        _must_sign(reader)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            await _must_be_asked(tx, head, task_id)
            _must_be_free(reader, newest)
            drafted = await self._draft_again(tx, head, newest)
            await task_store.answer(
                tx.connection, head, tasks.READ_AGAIN, reason="", actor=reader.subject, now=tx.clock()
            )
            return await apply(tx, head, drafted, _act(ReportAction.CLAIM, reader, ""))

        return await self._decide(reader, report_id, Deed.READ_AGAIN, decide)

    async def no_change(self, reader: Identity, report_id: UUID, task_id: UUID, reason: str) -> ReportView:
        """Answer that the new images change nothing: the final report stays as it is."""
        _must_sign(reader)

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            await _must_be_asked(tx, head, task_id)
            await task_store.answer(
                tx.connection, head, tasks.NO_CHANGE, reason=reason, actor=reader.subject, now=tx.clock()
            )
            return newest

        return await self._decide(reader, report_id, Deed.NO_CHANGE, decide)

    async def _draft_again(self, tx: Transaction, head: Head, newest: Revision) -> Revision:
        """Open a draft of what is known now, or say why there is none yet."""
        facts = await facts_of(tx, head, language=self.settings.language)
        number = newest.report_revision + 1
        draft = findings.due_draft(facts, report_revision=number, now=tx.clock()) if facts else None
        if facts is None or draft is None or facts.superseded_revision >= draft.document.study_revision:
            raise CaseMoved("the models still read the newest images of this case")
        if reason := findings.why_not_reportable(facts.case):
            raise CaseMoved(f"{reason}: withdraw the report, or, unless the case itself is gone, release it as signed")
        return await open_draft(tx, head, draft, head.cause)

    async def _claimants(
        self, reader: Identity, report_id: UUID, deed: Deed, action: ReportAction, reason: str
    ) -> ReportView:
        reader.must_read()

        async def decide(tx: Transaction, head: Head, newest: Revision) -> Revision:
            if newest.state is ReportState.IN_REVIEW:
                _must_be_claimant(reader, newest)
            return await apply(tx, head, newest, _act(action, reader, reason))

        return await self._decide(reader, report_id, deed, decide)

    async def _decide(self, reader: Identity, report_id: UUID, deed: Deed, decide: Decide) -> ReportView:
        return await self._decide_and_show(reader, report_id, deed, decide, view_of)

    async def _decide_and_show(self, reader: Identity, report_id: UUID, deed: Deed, decide: Decide, show: Show[V]) -> V:
        """Lock the report, do it, record it, show it; a refusal is recorded too."""
        try:
            async with self.service.transaction() as tx:
                head = await store.lock_report(tx.connection, reader.site_id, report_id)
                newest = await store.newest_revision(tx.connection, reader.site_id, report_id)
                if head is None or newest is None:
                    raise NotFound
                decided = await decide(tx, head, newest)
                await listing.refresh(tx, head, language=self.settings.language)
                self._record(tx, reader, deed.value, decided, cause=head)
                return await show(tx, reader, decided)
        except (ReviewRefused, TransitionRefused, Malformed) as refused:
            await self._record_refusal(reader, deed, report_id, refused)
            raise

    def _record(
        self, tx: Transaction, reader: Identity, action: str, revision: Revision, *, cause: Head | None = None
    ) -> None:
        audit.record(
            tx,
            actor=reader.subject,
            action=action,
            object_type="report",
            object_id=str(revision.report_id),
            detail=f"revision {revision.report_revision}",
            case_id=revision.case_id,
            cause=cause.cause if cause else None,
        )

    async def _record_refusal(self, reader: Identity, deed: Deed, report_id: UUID, refused: Exception) -> None:
        async with self.service.transaction() as tx:
            audit.record(
                tx,
                actor=reader.subject,
                action=deed.value,
                object_type="report",
                object_id=str(report_id),
                outcome=audit.REFUSED,
                detail=type(refused).__name__,
            )


async def view_of(tx: Transaction, reader: Identity, revision: Revision) -> ReportView:
    """Return a revision as one reader sees it."""
    case = await store.case_of(tx.connection, revision.site_id, revision.case_id)
    if case is None:
        raise NotFound
    return report_view(
        revision,
        case,
        reader,
        signature=await _signature(tx, revision),
        deliveries=await queries.deliveries_of(tx.connection, revision.site_id, revision.report_id),
        history=await queries.history_of(tx.connection, revision.site_id, revision.report_id),
    )


async def _signature(tx: Transaction, revision: Revision) -> store.Signature | None:
    of = store.withdrawal_of if revision.is_signed_withdrawal else store.signature_of
    return await of(tx.connection, revision)


async def _resubmitted(_tx: Transaction, _reader: Identity, revision: Revision) -> Resubmitted:
    return Resubmitted.model_validate(revision, from_attributes=True)


def _gate_must_have_answered(newest: Revision) -> None:
    if newest.state is ReportState.HELD and newest.awaits_gate:
        raise GateSilent("the gate has not answered yet, try again in a moment")


def _must_be_free(reader: Identity, newest: Revision) -> None:
    """Raise why the newest revision may not give way to a new draft: somebody reads it, or it is signed."""
    if newest.state is ReportState.IN_REVIEW:
        _must_be_claimant(reader, newest)
    if newest.state in tasks.SIGNED_ON_ITS_WAY:
        raise CaseMoved("the next revision of this report is signed: decide about that one first")


async def _must_be_asked(tx: Transaction, head: Head, task_id: UUID) -> None:
    asked = await task_store.newest(tx.connection, head.site_id, head.report_id)
    if asked is None or asked.task_id != task_id:
        raise NotFound("there is no such question about this report")
    if not asked.is_open:
        raise AlreadyAnswered


def _must_be_claimant(reader: Identity, newest: Revision) -> None:
    if newest.claimed_by != reader.subject:
        raise ClaimedByAnother


def _must_sign(reader: Identity) -> None:
    if not reader.may_sign:
        raise NotEntitled("this needs the entitlement 'sign' and the role radiologist or clinician")


def _act(action: ReportAction, reader: Identity, reason: str) -> Act:
    return Act(action=action, reason=reason, actor=reader.subject)


def _unlocked_head(site_id: str, case_id: UUID) -> Head:
    return Head(site_id=site_id, report_id=report_id_for(site_id, case_id), case_id=case_id, report_revision=0)
