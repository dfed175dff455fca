"""The API under `/api/v1`: look at reports and cases, claim, decide, sign. Every route asks for a bearer token, or the page's session."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, StringConstraints

from overread.contracts.events.inference import Finding
from overread.contracts.events.reports import Verdict, Withdrawal
from overread.contracts.identifiers import Sha256, nfc
from overread.contracts.report_life import ReportState
from overread.review.access import Reader, TheDesk
from overread.review.desk import RejectReason
from overread.review.problems import RESPONSES
from overread.review.queries import Search
from overread.review.sign_off import DisagreementReason, SigningRequest, WithdrawalRequest
from overread.review.views import CaseList, CaseView, ReportList, ReportView, Resubmitted

Text = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]


class Rejection(BaseModel):
    """Why the draft is sent back. Write nothing here that names the patient."""

    reason: RejectReason
    comment: Annotated[str, StringConstraints(max_length=500)] = ""


class Because(BaseModel):
    """Why a person decides against what the system did. Write nothing here that names the patient."""

    reason: Reason


class ReleaseBody(Because):
    """Why a held report goes out as it was signed, and which revision of the case was seen: `case_revision` of the report.

    The gate lets it out only while the case is still at that revision; without one, at the present one.
    """

    case_revision: Annotated[int, Field(ge=0, lt=2**31)] | None = None


class SignBody(BaseModel):
    """The decision about the document with `digest`: the one that `GET /reports/{id}` showed."""

    digest: Sha256
    verdict: Verdict
    conclusion: Text | None = None
    findings: Annotated[list[Finding], Field(max_length=200)] | None = None
    reasons: Annotated[list[DisagreementReason], Field(max_length=10)] = []

    def request(self) -> SigningRequest:
        """Return the request with its text in normal form C."""
        return SigningRequest(
            digest=self.digest,
            verdict=self.verdict,
            conclusion=nfc(self.conclusion) if self.conclusion is not None else None,
            findings=tuple(self.findings) if self.findings is not None else None,
            reasons=tuple(self.reasons),
        )


class WithdrawalBody(BaseModel):
    """Why the final report with `digest` is taken back; the reason goes to every receiver of the report."""

    digest: Sha256
    reason: Reason
    is_wrong_patient: bool = False

    def request(self) -> WithdrawalRequest:
        """Return the request with its text in normal form C."""
        withdrawal = Withdrawal(reason=nfc(self.reason), is_wrong_patient=self.is_wrong_patient)
        return WithdrawalRequest(digest=self.digest, withdrawal=withdrawal)


async def search(
    accession_number: Annotated[str | None, Query(max_length=64)] = None,
    study_instance_uid: Annotated[str | None, Query(max_length=64)] = None,
    state: ReportState | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> Search:
    """Return what is asked for."""
    return Search(
        accession_number=(accession_number or "").strip() or None,
        study_instance_uid=study_instance_uid or None,
        state=state,
        limit=limit,
        after=after,
    )


router = APIRouter(prefix="/api/v1", tags=["reports"], responses=RESPONSES)


@router.get("/reports")
async def list_reports(desk: TheDesk, reader: Reader, asked: Annotated[Search, Depends(search)]) -> ReportList:
    """Return the newest revision of each report asked for, newest report first."""
    return await desk.reports(reader, asked)


@router.get("/reports/{report_id}")
async def show_report(desk: TheDesk, reader: Reader, report_id: UUID) -> ReportView:
    """Return the newest revision of a report: document, digest, state, what may be done, and what was done."""
    return await desk.report(reader, report_id)


@router.post("/reports/{report_id}/claim")
async def claim(desk: TheDesk, reader: Reader, report_id: UUID) -> ReportView:
    """Claim a draft for reading, so that nobody else decides on it."""
    return await desk.claim(reader, report_id)


@router.post("/reports/{report_id}/release")
async def release(desk: TheDesk, reader: Reader, report_id: UUID) -> ReportView:
    """Give a claimed draft back undecided."""
    return await desk.release(reader, report_id)


@router.post("/reports/{report_id}/reject")
async def reject(desk: TheDesk, reader: Reader, report_id: UUID, rejection: Rejection) -> ReportView:
    """Send a claimed draft back with a reason; nothing leaves, and it can be claimed again."""
    return await desk.reject(reader, report_id, rejection.reason, rejection.comment)


@router.post("/reports/{report_id}/sign")
async def sign(desk: TheDesk, reader: Reader, report_id: UUID, body: SignBody) -> ReportView:
    """Sign exactly the document whose digest is sent; after this the gate lets the final report out."""
    return await desk.sign(reader, report_id, body.request())


@router.post("/reports/{report_id}/resubmit")
async def resubmit(desk: TheDesk, reader: Reader, report_id: UUID) -> Resubmitted:
    """Send a signed report to the gate once more as it is, when its event was set aside; operators may, too."""
    return await desk.resubmit(reader, report_id)


@router.post("/reports/{report_id}/confirm-again")
async def confirm_again(desk: TheDesk, reader: Reader, report_id: UUID) -> ReportView:
    """Take a held report back into review, as a new draft of what is known now."""
    return await desk.confirm_again(reader, report_id)


@router.post("/reports/{report_id}/release-held")
async def release_held(desk: TheDesk, reader: Reader, report_id: UUID, body: ReleaseBody) -> ReportView:
    """Put a held report before the gate once more as it was signed, although the case has moved, and as far as was seen."""
    return await desk.release_held(reader, report_id, body.reason, case_revision=body.case_revision)


@router.post("/reports/{report_id}/withdraw")
async def withdraw(desk: TheDesk, reader: Reader, report_id: UUID, because: Because) -> ReportView:
    """Take back a report that has not left."""
    return await desk.withdraw(reader, report_id, because.reason)


@router.post("/reports/{report_id}/withdraw-final")
async def withdraw_final(desk: TheDesk, reader: Reader, report_id: UUID, body: WithdrawalBody) -> ReportView:
    """Take back a final report under one's own signature; every receiver of the report is told."""
    return await desk.withdraw_final(reader, report_id, body.request())


@router.post("/reports/{report_id}/tasks/{task_id}/read-again", tags=["tasks"])
async def read_again(desk: TheDesk, reader: Reader, report_id: UUID, task_id: UUID) -> ReportView:
    """Read images that came after the signature: a new draft, claimed by whoever asks; the final report stays till then."""
    return await desk.read_again(reader, report_id, task_id)


@router.post("/reports/{report_id}/tasks/{task_id}/no-change", tags=["tasks"])
async def no_change(desk: TheDesk, reader: Reader, report_id: UUID, task_id: UUID, because: Because) -> ReportView:
    """Say, with a reason, that images that came after the signature change nothing."""
    return await desk.no_change(reader, report_id, task_id, because.reason)


@router.get("/cases", tags=["cases"])
async def list_cases(desk: TheDesk, reader: Reader, asked: Annotated[Search, Depends(search)]) -> CaseList:
    """Return the cases asked for, with or without a report."""
    return await desk.cases(reader, asked)


@router.get("/cases/{case_id}", tags=["cases"])
async def show_case(desk: TheDesk, reader: Reader, case_id: UUID) -> CaseView:
    """Return a case with the plan for its images, the models' answers, and its report."""
    return await desk.case(reader, case_id)
