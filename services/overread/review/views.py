"""What the API shows: the shapes of its answers, and how they are made of rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from overread.contracts.events.cases import Case
from overread.contracts.events.deliveries import DeliveryDone
from overread.contracts.events.inference import InferenceDone, InferencePlanned
from overread.contracts.events.orders import Patient
from overread.contracts.events.reports import ReportDocument
from overread.contracts.report_life import TABLE, ReportAction, ReportState
from overread.review.identity import Identity
from overread.review.queries import Numbered
from overread.review.revision import SIGNED_STATES, Revision
from overread.review.store import Signature


class Act(StrEnum):
    """What a person may do to a report; each is the last part of an address."""

    CLAIM = "claim"
    RELEASE = "release"
    REJECT = "reject"
    SIGN = "sign"
    RESUBMIT = "resubmit"
    CONFIRM_AGAIN = "confirm-again"
    RELEASE_HELD = "release-held"
    WITHDRAW = "withdraw"
    WITHDRAW_FINAL = "withdraw-final"
    READ_AGAIN = "read-again"
    NO_CHANGE = "no-change"


ACTIONS: Mapping[Act, ReportAction] = {
    act: ReportAction(act.value.replace("-", "_"))
    for act in Act
    if act not in {Act.WITHDRAW_FINAL, Act.READ_AGAIN, Act.NO_CHANGE}
} | {Act.WITHDRAW_FINAL: ReportAction.SIGN_WITHDRAWAL}
"""What each act is in the table of a report's life; answering a question about new images is none of its actions."""

CLAIMANTS = frozenset({Act.RELEASE, Act.REJECT, Act.SIGN})
"""Only the reader who claimed the report may do these."""

SIGNERS = frozenset({Act.SIGN, Act.RESUBMIT, Act.CONFIRM_AGAIN, Act.RELEASE_HELD, Act.WITHDRAW, Act.WITHDRAW_FINAL})
"""Only a reader entitled to sign may do these."""

AFTER_THE_GATE = frozenset({Act.CONFIRM_AGAIN, Act.RELEASE_HELD, Act.WITHDRAW})
"""What is decided about a held report: only once the gate has answered, or it may have let it out meanwhile."""


class ReportSummary(BaseModel):
    """A report in a list: its newest revision."""

    report_id: UUID
    report_revision: int
    state: ReportState
    reason: str
    case_id: UUID
    study_instance_uid: str
    accession_numbers: list[str]
    patient: Patient
    modalities: list[str]
    is_synthetic: bool
    claimed_by: str
    digest: str = Field(description="SHA-256 of the document shown; send it back when you sign.")
    drafted_at: datetime
    changed_at: datetime


class ReportList(BaseModel):
    """One page of reports, newest first; ask on with `after=next`."""

    items: list[ReportSummary]
    next: int | None


class SignatureView(BaseModel):
    """Who signed, when, and with which certificate."""

    subject: str
    signed_at: datetime
    certificate_pem: str


class DeliveryView(BaseModel):
    """How a message about the report ended at its destination."""

    delivery_id: UUID
    report_revision: int
    destination: str
    form: str
    status: str
    outcome: str
    reason: str
    attempts: int
    message_control_id: str
    ended_at: datetime


class HistoryStep(BaseModel):
    """Something that was done to the report, also when it changed nothing."""

    report_revision: int
    action: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    at: datetime


class ReportView(ReportSummary):
    """The newest revision of a report: the document as it stands, what may be done, and what was done."""

    document: ReportDocument
    case_revision: int = Field(description="The case as it was shown; send it back when you release a held report.")
    signature: SignatureView | None
    allowed_actions: list[Act]
    deliveries: list[DeliveryView]
    history: list[HistoryStep]


class Resubmitted(BaseModel):
    """The signed report was put before the gate once more: what an operator may know of it."""

    report_id: UUID
    report_revision: int
    state: ReportState
    submission: int = Field(description="1 by the signature, one more for each release after a hold.")
    repeats: int = Field(description="How often this submission was sent again.")


class CaseSummary(BaseModel):
    """A case in a list: as it is now."""

    case_id: UUID
    revision: int
    study_instance_uid: str
    case: Case


class CaseList(BaseModel):
    """One page of cases, newest first; ask on with `after=next`."""

    items: list[CaseSummary]
    next: int | None


class CaseView(CaseSummary):
    """A case with the plan of its study revision and what the models said."""

    plan: InferencePlanned | None
    results: list[InferenceDone]
    report: ReportSummary | None


def allowed_actions(revision: Revision, reader: Identity) -> list[Act]:
    """Return what `reader` may do to the report now."""
    return [act for act in ACTIONS if _is_allowed(act, revision, reader)]


def _is_allowed(act: Act, revision: Revision, reader: Identity) -> bool:
    if not isinstance(TABLE[revision.state][ACTIONS[act]], ReportState):
        return False
    if act in SIGNERS and not reader.may_sign:
        return False
    if (act in AFTER_THE_GATE and revision.awaits_gate) or (act is Act.RESUBMIT and not revision.may_be_sent_again):
        return False
    return act not in CLAIMANTS or revision.claimed_by == reader.subject


def summary_of(revision: Revision, case: Case) -> ReportSummary:
    """Return the report as a list shows it."""
    return ReportSummary(
        report_id=revision.report_id,
        report_revision=revision.report_revision,
        state=revision.state,
        reason=revision.reason,
        case_id=revision.case_id,
        study_instance_uid=case.study_instance_uid,
        accession_numbers=[order.accession_number for order in case.orders if order.accession_number],
        patient=case.patient,
        modalities=list(case.study.modalities) if case.study else [],
        is_synthetic=case.is_synthetic,
        claimed_by=revision.claimed_by,
        digest=revision.shown_digest,
        drafted_at=revision.drafted_at,
        changed_at=revision.changed_at,
    )


def case_summary(case: Case) -> CaseSummary:
    """Return the case as a list shows it."""
    return CaseSummary(
        case_id=case.case_id, revision=case.revision, study_instance_uid=case.study_instance_uid, case=case
    )


def report_view(
    revision: Revision,
    case: Case,
    reader: Identity,
    *,
    signature: Signature | None,
    deliveries: Sequence[DeliveryDone],
    history: Sequence[Mapping[str, Any]],
) -> ReportView:
    """Return the report as one reader sees it: the signed document once there is one, else the draft."""
    is_signed = signature is not None and (revision.state in SIGNED_STATES or revision.is_signed_withdrawal)
    content = signature.document if signature and is_signed else revision.document
    return ReportView(
        **summary_of(revision, case).model_dump(),
        document=ReportDocument.model_validate_json(content),
        case_revision=case.revision,
        signature=_signature_view(signature) if signature else None,
        allowed_actions=allowed_actions(revision, reader),
        deliveries=[DeliveryView.model_validate(delivery, from_attributes=True) for delivery in deliveries],
        history=[HistoryStep.model_validate(step) for step in history],
    )


def report_list(found: Sequence[Numbered], limit: int) -> ReportList:
    """Return one page of reports."""
    reports = [summary_of(each.revision, each.case) for each in found if each.revision]
    return ReportList(items=reports, next=_next(found, limit))


def case_list(found: Sequence[Numbered], limit: int) -> CaseList:
    """Return one page of cases."""
    cases = [case_summary(each.case) for each in found]
    return CaseList(items=cases, next=_next(found, limit))


def _next(found: Sequence[Numbered], limit: int) -> int | None:
    return found[-1].number if len(found) == limit else None


def _signature_view(signature: Signature) -> SignatureView:
    return SignatureView(
        subject=signature.subject, signed_at=signature.signed_at, certificate_pem=signature.certificate_pem
    )
