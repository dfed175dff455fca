from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from overread.contracts import codec
from overread.contracts.events.reports import Verdict
from overread.contracts.report_life import ReportState, TransitionRefused
from overread.review import sign_off
from overread.review.identity import Identity
from overread.review.refusals import (
    CaseMoved,
    ClaimedByAnother,
    NotEntitled,
    SessionTooOld,
    StaleDigest,
    VerdictIncomplete,
)
from overread.review.revision import Revision
from overread.review.sign_off import Reading, SigningRequest
from tests.builders.events import (
    CASE_ID,
    NOON,
    REPORT_ID,
    SITE,
    a_case,
    a_finding,
    a_report_document,
    a_signer,
    a_study,
)

DRAFT = a_report_document()
CONTENT = codec.document_bytes(DRAFT)
LIMIT = timedelta(minutes=15)


def a_reader(**changed: Any) -> Identity:
    """Return a radiologist who signed in five minutes ago."""
    fields: dict[str, Any] = {
        "subject": "dr.test",
        "site_id": SITE,
        "roles": frozenset({"radiologist"}),
        "entitlements": frozenset({"sign"}),
        "auth_time": NOON - timedelta(minutes=5),
        "family_name": "BÁC SĨ",
        "given_name": "THỬ",
    }
    return Identity(**fields | changed)


def a_claimed_revision(**changed: Any) -> Revision:
    """Return the draft in the hands of `a_reader()`."""
    claimed = Revision(
        site_id=SITE,
        report_id=REPORT_ID,
        report_revision=1,
        case_id=CASE_ID,
        study_revision=1,
        identity_version=1,
        state=ReportState.IN_REVIEW,
        reason="",
        changed_by="dr.test",
        claimed_by="dr.test",
        claimed_at=NOON,
        document=CONTENT,
        digest=codec.sha256(CONTENT),
        basis="",
        signed_digest="",
        drafted_at=NOON,
        changed_at=NOON,
    )
    return replace(claimed, **changed)


def a_reading(**changed: Any) -> Reading:
    """Return a reading in which nothing is wrong."""
    fields: dict[str, Any] = {"revision": a_claimed_revision(), "case": a_case(), "reader": a_reader()}
    return Reading(**fields | changed)


def a_request(**changed: Any) -> SigningRequest:
    """Accept the draft as it is."""
    return SigningRequest.model_validate({"digest": codec.sha256(CONTENT), "verdict": Verdict.ACCEPTED} | changed)


def check(reading: Reading, request: SigningRequest | None = None) -> None:
    """Check at noon."""
    sign_off.check(reading, request or a_request(), now=NOON, session_limit=LIMIT)


def test_reading_with_nothing_wrong_is_signed() -> None:
    """Every refusal below is about one thing only."""
    check(a_reading())


@pytest.mark.parametrize(
    "reader", [a_reader(entitlements=frozenset()), a_reader(roles=frozenset({"ops"})), a_reader(roles=frozenset())]
)
def test_nobody_signs_without_entitlement_and_role(reader: Identity) -> None:
    """Nothing is final without an entitled clinician."""
    with pytest.raises(NotEntitled):
        check(a_reading(reader=reader))


def test_session_is_fresh_to_the_second() -> None:
    """The limit itself is still fresh; a second later is not."""
    check(a_reading(reader=a_reader(auth_time=NOON - LIMIT)))

    with pytest.raises(SessionTooOld):
        check(a_reading(reader=a_reader(auth_time=NOON - LIMIT - timedelta(seconds=1))))


def test_other_document_than_the_one_seen_is_not_signed() -> None:
    """The clinician signs what was on the screen."""
    with pytest.raises(StaleDigest):
        check(a_reading(), a_request(digest=codec.sha256(b"another")))


@pytest.mark.parametrize("state", [state for state in ReportState if state is not ReportState.IN_REVIEW])
def test_only_a_report_in_review_is_signed(state: ReportState) -> None:
    """The table says from where."""
    with pytest.raises(TransitionRefused):
        check(a_reading(revision=a_claimed_revision(state=state)))


def test_claim_of_another_is_not_signed() -> None:
    """Who claimed it decides."""
    with pytest.raises(ClaimedByAnother):
        check(a_reading(revision=a_claimed_revision(claimed_by="dr.other")))


@pytest.mark.parametrize(
    "case",
    [
        a_case(identity_version=2),
        a_case(study=a_study(study_revision=2)),
        a_case(study=None),
        a_case(is_withdrawn=True),
    ],
)
def test_document_of_another_case_than_it_is_now_is_not_signed(case: Any) -> None:
    """Patient, order and images are those of the document."""
    with pytest.raises(CaseMoved):
        check(a_reading(case=case))


@pytest.mark.parametrize(
    "request_",
    [a_request(findings=()), a_request(verdict=Verdict.CHANGED), a_request(verdict=Verdict.CHANGED, conclusion="  ")],
)
def test_verdict_and_findings_fit_together(request_: SigningRequest) -> None:
    """Accepted is as it is; changed says what."""
    with pytest.raises(VerdictIncomplete):
        check(a_reading(), request_)


def test_accepted_document_is_the_draft_with_its_signer() -> None:
    """Nothing else differs."""
    signed = sign_off.signed_document(DRAFT, a_request(), a_signer(), now=NOON)

    expected = {"verdict": Verdict.ACCEPTED, "signed_by": a_signer(), "signed_at": NOON}
    assert signed == DRAFT.model_copy(update=expected)


def test_changed_findings_get_a_conclusion_of_their_own() -> None:
    """The draft's sentence names numbers that the clinician changed: it does not stay."""
    request = a_request(verdict=Verdict.CHANGED, findings=(a_finding(value="5400"),))

    signed = sign_off.signed_document(DRAFT, request, a_signer(), now=NOON)

    assert signed.conclusion == "Kết quả: Lung volume 5400 mL."
    assert signed.ai_results == DRAFT.ai_results


def test_rejected_findings_are_not_stated() -> None:
    """The models' own stay beside, and the report says that they were not accepted."""
    signed = sign_off.signed_document(DRAFT, a_request(verdict=Verdict.REJECTED), a_signer(), now=NOON)

    assert (signed.findings, signed.ai_results) == ((), DRAFT.ai_results)
    assert "không chấp nhận" in signed.conclusion
