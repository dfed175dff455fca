"""The only place where a report becomes signed, and where a signed one is put before the gate.

Checked here: entitlement, a fresh sign-in, the claim, the digest the clinician saw, and that the case is still the
one the document is about. Document, signature, state and events are written in one transaction.
"""

import base64
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from overread.contracts import codec
from overread.contracts.envelope import Value
from overread.contracts.events.cases import Case
from overread.contracts.events.deliveries import GateVerdict
from overread.contracts.events.inference import Finding
from overread.contracts.events.reports import ReportDocument, ReportSigned, SeenCase, Signer, Verdict, Withdrawal
from overread.contracts.identifiers import Sha256
from overread.contracts.report_life import ReportAction, ReportState, next_state
from overread.contracts.topics import REPORTS_SIGNED
from overread.review import queries, store
from overread.review.findings import in_nfc, rejected_conclusion, stated_conclusion, withdrawn_conclusion
from overread.review.identity import Identity
from overread.review.keys import KeyChain
from overread.review.refusals import (
    CaseMoved,
    ClaimedByAnother,
    GateAnswered,
    NotEntitled,
    NotFound,
    SessionTooOld,
    StaleDigest,
    Superseded,
    VerdictIncomplete,
)
from overread.review.revision import Head, Revision
from overread.review.transitions import Act, apply
from overread.runtime import signatures
from overread.runtime.inbox import Transaction

AWAITS_ANSWER = ""
"""The gate's verdict on a submission that it has not answered yet."""


class DisagreementReason(StrEnum):
    """Why a clinician changed or rejected what the models found."""

    FALSE_POSITIVE = "false_positive"
    MISSED_FINDING = "missed_finding"
    WRONG_VALUE = "wrong_value"
    WRONG_LOCATION = "wrong_location"
    POOR_IMAGE_QUALITY = "poor_image_quality"
    NOT_RELEVANT = "not_relevant"
    OTHER = "other"


class SigningRequest(Value):
    """What the clinician decided about the document with `digest`."""

    digest: Sha256
    verdict: Verdict
    conclusion: str | None = None
    findings: tuple[Finding, ...] | None = None
    reasons: tuple[DisagreementReason, ...] = ()


class WithdrawalRequest(Value):
    """Why the final report with `digest` is taken back."""

    digest: Sha256
    withdrawal: Withdrawal


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A report before a clinician: the locked revision, the case as it is now, and who reads."""

    revision: Revision
    case: Case
    reader: Identity
    superseded_revision: int = 0


def check(reading: Reading, request: SigningRequest, *, now: datetime, session_limit: timedelta) -> None:
    """Raise the first reason why this signature is refused."""
    must_be_fresh(reading.reader, now=now, session_limit=session_limit)
    if request.digest != reading.revision.digest:
        raise StaleDigest
    next_state(reading.revision.state, ReportAction.SIGN)
    if reading.revision.claimed_by != reading.reader.subject:
        raise ClaimedByAnother
    if reading.superseded_revision >= reading.revision.study_revision:
        raise Superseded
    _must_be_the_same_case(reading.revision, reading.case)
    _must_fit(request)


def must_be_fresh(reader: Identity, *, now: datetime, session_limit: timedelta) -> None:
    """Raise unless `reader` is entitled to sign and signed in a short while ago."""
    if not reader.may_sign:
        raise NotEntitled("this needs the entitlement 'sign' and the role radiologist or clinician")
    if now - reader.auth_time > session_limit:
        raise SessionTooOld(
            f"signing asks for a sign-in of the last {int(session_limit.total_seconds() // 60)} minutes"
        )


def signed_document(draft: ReportDocument, request: SigningRequest, signer: Signer, *, now: datetime) -> ReportDocument:
    """Return what is signed: the draft with the clinician's findings and conclusion; the models' own stay beside."""
    findings, conclusion = _stated(draft, request)
    signed = draft.model_copy(
        update={
            "findings": findings,
            "conclusion": conclusion,
            "verdict": request.verdict,
            "verdict_reasons": tuple(reason.value for reason in request.reasons),
            "signed_by": signer,
            "signed_at": now,
        }
    )
    return in_nfc(signed)


def withdrawing_document(
    final: ReportDocument, withdrawal: Withdrawal, signer: Signer, *, now: datetime
) -> ReportDocument:
    """Return what is signed to take a final report back: it states no finding, and says that nothing of it holds."""
    signed = final.model_copy(
        update={
            "findings": (),
            "conclusion": withdrawn_conclusion(withdrawal, final.language),
            "withdrawal": withdrawal,
            "signed_by": signer,
            "signed_at": now,
        }
    )
    return in_nfc(signed)


async def sign_off(
    tx: Transaction,
    head: Head,
    reading: Reading,
    request: SigningRequest,
    *,
    keys: KeyChain,
    session_limit: timedelta,
) -> Revision:
    """Sign the report and let it leave for the gate, or raise why not. The caller holds the lock on `head`."""
    now = tx.clock()
    check(reading, request, now=now, session_limit=session_limit)
    draft = ReportDocument.model_validate_json(reading.revision.document)
    document = codec.document_bytes(signed_document(draft, request, _signer(reading.reader), now=now))
    signature = await _signed(tx, reading.reader, document, keys, now=now)
    await store.insert_signature(tx.connection, reading.revision, signature)
    act = Act(action=ReportAction.SIGN, reason=request.verdict.value, actor=reading.reader.subject)
    signed = await apply(tx, head, reading.revision, act, signed_digest=signature.digest)
    _publish_signed(tx, head, signed, signature)
    await _replace_earlier(tx, head, signed)
    return signed


async def sign_withdrawal(
    tx: Transaction, head: Head, final: Revision, reader: Identity, request: WithdrawalRequest, *, keys: KeyChain
) -> Revision:
    """Take a final report back under the reader's signature; the gate lets the withdrawal out as it did the report.

    The caller holds the lock on `head`, and has checked entitlement and a fresh sign-in.
    """
    if request.digest != final.signed_digest:
        raise StaleDigest
    stored = await store.signature_of(tx.connection, final)
    if stored is None:
        raise NotFound
    said, now = ReportDocument.model_validate_json(stored.document), tx.clock()
    withdrawing = withdrawing_document(said, request.withdrawal, _signer(reader), now=now)
    signature = await _signed(tx, reader, codec.document_bytes(withdrawing), keys, now=now)
    await store.insert_withdrawal(tx.connection, final, signature, final_digest=final.signed_digest)
    put_again = replace(
        final,
        submission=final.submission + 1,
        repeats=0,
        released_by="",
        released_case_revision=None,
        released_case=None,
        gate_verdict=AWAITS_ANSWER,
        withdrawal_digest=signature.digest,
    )
    act = Act(action=ReportAction.SIGN_WITHDRAWAL, reason=request.withdrawal.reason, actor=reader.subject)
    withdrawn = await apply(tx, head, put_again, act)
    _publish_signed(tx, head, withdrawn, signature)
    return withdrawn


async def release_held(tx: Transaction, head: Head, held: Revision, act: Act, *, case: Case) -> Revision:
    """Put a held report before the gate again, as it was signed, on the word of a clinician who knows why it was held.

    The gate judges it anew, and then asks for everything but that the case is as it was signed: as far as a report rests
    on it, it must be as it was when the word was given, `case`.
    """
    superseded = await store.superseded_revision_of(tx.connection, head.site_id, head.case_id)
    released = replace(
        held,
        submission=held.submission + 1,
        repeats=0,
        released_by=act.actor,
        released_case_revision=case.revision,
        released_case=SeenCase.of(case, superseded),
        gate_verdict=AWAITS_ANSWER,
    )
    signed = await apply(tx, head, released, act)
    await _publish_again(tx, head, signed)
    return signed


async def resubmit(tx: Transaction, head: Head, revision: Revision, act: Act) -> Revision:
    """Send the present submission once more: stored bytes, signature and certificate, and nothing else changes.

    For an event that was set aside on its way; a gate that had it all the same recognises it. A withdrawal that the
    gate held is judged anew, as the next submission: nobody else can let it out.
    """
    if revision.is_signed_withdrawal and revision.gate_verdict == GateVerdict.HELD:
        revision = replace(revision, submission=revision.submission + 1, repeats=-1, gate_verdict=AWAITS_ANSWER)
    await apply(tx, head, revision, act)
    if not revision.awaits_gate:
        raise GateAnswered
    again = replace(revision, repeats=revision.repeats + 1)
    await store.save_state(tx.connection, again)
    await _publish_again(tx, head, again)
    return again


async def _signed(
    tx: Transaction, reader: Identity, document: bytes, keys: KeyChain, *, now: datetime
) -> store.Signature:
    """Return `document` signed by the reader's key, which the site's authority certified; `now` stands in it too."""
    key = await keys.key_of(tx.connection, reader.subject, now=now)
    return store.Signature(
        subject=reader.subject,
        document=document,
        digest=codec.sha256(document),
        signature=signatures.sign(document, key, password=keys.password),
        certificate_pem=key.certificate_pem.decode(),
        signed_at=now,
    )


async def _publish_again(tx: Transaction, head: Head, revision: Revision) -> None:
    of = store.withdrawal_of if revision.is_signed_withdrawal else store.signature_of
    signature = await of(tx.connection, revision)
    if signature is None:
        raise NotFound
    _publish_signed(tx, head, revision, signature)


def _publish_signed(tx: Transaction, head: Head, signed: Revision, signature: store.Signature) -> None:
    body = ReportSigned(
        case_id=head.case_id,
        report_id=head.report_id,
        report_revision=signed.report_revision,
        document_base64=base64.b64encode(signature.document).decode(),
        digest=signature.digest,
        signature_base64=base64.b64encode(signature.signature).decode(),
        certificate_pem=signature.certificate_pem,
        signed_at=signature.signed_at,
        released_by=signed.released_by,
        released_case_revision=signed.released_case_revision,
        released_case=signed.released_case,
        submission=signed.submission,
    )
    own_key = f"{head.report_id}/{signed.report_revision}/{signed.submission}/{signed.repeats}"
    tx.publish(REPORTS_SIGNED, body, subject=str(head.report_id), own_key=own_key, caused_by=head.cause)


async def _replace_earlier(tx: Transaction, head: Head, signed: Revision) -> None:
    """Tell every earlier revision that the next one is signed: a final one is replaced, an open one superseded."""
    closed = {ReportState.REPLACED, ReportState.SUPERSEDED, ReportState.WITHDRAWN}
    for earlier in await queries.revisions_of(tx.connection, head.site_id, head.report_id):
        if earlier.report_revision < signed.report_revision and earlier.state not in closed:
            act = Act(
                action=ReportAction.NEXT_REVISION_SIGNED, reason="the next revision is signed", actor=signed.changed_by
            )
            await apply(tx, head, earlier, act)


def _must_be_the_same_case(revision: Revision, case: Case) -> None:
    study_revision = case.study.study_revision if case.study else None
    if (case.identity_version, study_revision) != (revision.identity_version, revision.study_revision):
        raise CaseMoved
    if case.is_withdrawn:
        raise CaseMoved("the case was withdrawn")


def _must_fit(request: SigningRequest) -> None:
    match request.verdict:
        case Verdict.ACCEPTED if request.findings is not None:
            raise VerdictIncomplete("'accepted' takes the findings as they are; send 'changed' with other findings")
        case Verdict.CHANGED if request.findings is None and not (request.conclusion or "").strip():
            raise VerdictIncomplete("'changed' needs what was changed: findings, conclusion, or both")
        case _:
            return


def _stated(draft: ReportDocument, request: SigningRequest) -> tuple[tuple[Finding, ...], str]:
    said = (request.conclusion or "").strip()
    match request.verdict:
        case Verdict.ACCEPTED:
            return draft.findings, said or draft.conclusion
        case Verdict.CHANGED:
            if request.findings is None:
                return draft.findings, said
            return request.findings, said or stated_conclusion(request.findings, draft.language)
        case Verdict.REJECTED:
            return request.findings or (), said or rejected_conclusion(draft.language)


def _signer(reader: Identity) -> Signer:
    return Signer(subject=reader.subject, family_name=reader.family_name, given_name=reader.given_name)
