"""From a plan and what the models answered to a draft document: pure, so that the same facts give the same draft."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from overread.contracts import codec
from overread.contracts.events.cases import Case, Study
from overread.contracts.events.inference import (
    Decision,
    Finding,
    InferenceDone,
    InferencePlanned,
    Outcome,
    PlannedModel,
)
from overread.contracts.events.orders import OrderStatus
from overread.contracts.events.reports import ModelResult, ReportDocument, Withdrawal
from overread.contracts.identifiers import nfc
from overread.contracts.report_life import ReportState
from overread.review.revision import OPEN_STATES, Revision, report_id_for

NO_ANSWER = "no answer before the deadline"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_UNIT_TEXT: Mapping[str, str] = {"[hnsf'U]": "HU"}

_SENTENCES: Mapping[str, Mapping[str, str]] = {
    "vi": {
        "read": "Kết quả tự động ({model}): {findings}.",
        "nothing": "Kết quả tự động ({model}): không có phát hiện.",
        "missing": "Chưa có kết quả của: {models}.",
        "none": "Không có mô hình nào đọc lượt chụp này.",
        "stated": "Kết quả: {findings}.",
        "stated_nothing": "Không có phát hiện.",
        "rejected": "Bác sĩ không chấp nhận kết quả của AI; báo cáo không chứa kết quả nào của AI.",
        "withdrawn": "Báo cáo này đã bị thu hồi: không nội dung nào còn giá trị. Lý do: {reason}",
        "withdrawn_wrong_patient": "Báo cáo này đã bị thu hồi vì thuộc về người bệnh khác: không nội dung nào còn giá trị. Lý do: {reason}",
    },
    "en": {
        "read": "Automatic result ({model}): {findings}.",
        "nothing": "Automatic result ({model}): no finding.",
        "missing": "No result from: {models}.",
        "none": "No model read this study.",
        "stated": "Findings: {findings}.",
        "stated_nothing": "No findings.",
        "rejected": "The reader did not accept the AI results; this report states none of them.",
        "withdrawn": "This report is withdrawn: nothing in it holds. Reason: {reason}",
        "withdrawn_wrong_patient": "This report is withdrawn, since it was about another patient: nothing in it holds. Reason: {reason}",
    },
    "fr": {
        "read": "Résultat automatique ({model}) : {findings}.",
        "nothing": "Résultat automatique ({model}) : aucune constatation.",
        "missing": "Pas de résultat de : {models}.",
        "none": "Aucun modèle n'a lu cet examen.",
        "stated": "Constatations : {findings}.",
        "stated_nothing": "Aucune constatation.",
        "rejected": "Le lecteur n'a pas accepté les résultats de l'IA ; ce compte rendu n'en contient aucun.",
        "withdrawn": "Ce compte rendu est retiré : rien n'en reste valable. Motif : {reason}",
        "withdrawn_wrong_patient": "Ce compte rendu est retiré, car il concernait un autre patient : rien n'en reste valable. Motif : {reason}",
    },
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A new draft is due: its document, and the digest of the facts it rests on."""

    document: ReportDocument
    basis: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """The open report is no longer wanted."""

    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The signed report must not leave before a person has looked again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """The final report stays as it is; its history keeps, once, that the case is no longer the one it is about."""

    reason: str


@dataclass(frozen=True, slots=True)
class CloseReadElsewhere:
    """A reader of another system has reported: nobody is asked for this report, and one that was signed stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a draft rests on, as it is known now; `superseded_revision` of the study is out of date, 0: none is."""

    site_id: str
    case: Case
    plan: InferencePlanned | None
    results: Sequence[InferenceDone]
    language: str
    superseded_revision: int = 0


Decided = Draft | Withdraw | Hold | Note | CloseReadElsewhere


def decide(newest: Revision | None, facts: Facts, *, now: datetime) -> Decided | None:
    """Say what the facts ask of the case's report, whose newest revision is `newest`.

    A final report is left as it is: what comes later raises a task or is noted, it never undoes a final.
    """
    reason = why_not_reportable(facts.case)
    if newest and newest.state in {ReportState.SIGNED, ReportState.FINAL}:
        moved = (
            _hold(newest, facts, reason) if newest.state is ReportState.SIGNED else _note(newest, facts.case, reason)
        )
        return moved or _read_elsewhere(newest, facts.case)
    if reason:
        return Withdraw(reason) if newest and newest.state in OPEN_STATES else None
    if facts.case.read_elsewhere:
        return _read_elsewhere(newest, facts.case)
    if newest and newest.state in {ReportState.HELD, ReportState.REPLACED}:
        return None
    if newest and newest.is_signed_withdrawal and newest.may_be_sent_again:
        return None  # first the withdrawal leaves, then what takes its place is drafted
    draft = due_draft(facts, report_revision=newest.report_revision + 1 if newest else 1, now=now)
    return draft if draft and _brings_news(newest, draft) else None


READ_ELSEWHERE = "read elsewhere"
"""The reason of a report that was closed since a reader of another system has reported."""


def why_not_reportable(case: Case) -> str:
    """Return why no report is wanted of `case`, empty when one is. A study needs no order."""
    if case.is_withdrawn:
        return "the case was withdrawn"
    if case.orders and all(order.status is OrderStatus.CANCELLED for order in case.orders):
        return "the order was cancelled"
    return ""


def due_draft(facts: Facts, *, report_revision: int, now: datetime) -> Draft | None:
    """Return the draft that the facts give, None while the study or a planned model's answer is awaited."""
    study, plan = facts.case.study, facts.plan
    if study is None or plan is None or plan.study_revision != study.study_revision:
        return None
    if not is_due(plan, facts.results, now=now):
        return None
    document = _document(facts, study, plan, report_revision=report_revision, now=now)
    return Draft(document, basis_of(document))


def is_due(plan: InferencePlanned, results: Sequence[InferenceDone], *, now: datetime) -> bool:
    """Say whether every planned job has ended or the deadline has passed."""
    answered = {_key(result) for result in results}
    return now >= plan.deadline or all(
        _key(planned) in answered for planned in plan.planned if planned.decision is Decision.JOB
    )


def basis_of(document: ReportDocument) -> str:
    """Return the digest of what the draft says, whatever its number and time, and however far its orders got."""
    progress = {"status": OrderStatus.ACTIVE, "scheduled_at": None, "link_id": "", "models": None}
    orders = tuple(order.model_copy(update=progress) for order in document.orders)
    said = document.model_copy(update={"report_revision": 0, "drafted_at": _EPOCH, "orders": orders})
    return codec.sha256(codec.document_bytes(said))


def conclusion_of(ai_results: Sequence[ModelResult], language: str) -> str:
    """Return the sentences a draft opens with: what each model found, and which planned model is missing."""
    texts = _SENTENCES[language]
    read = [_read_sentence(result, texts) for result in ai_results if result.outcome is Outcome.COMPLETED]
    missing = [_name(r) for r in ai_results if r.decision == Decision.JOB and r.outcome is not Outcome.COMPLETED]
    sentences = [*read, texts["missing"].format(models=", ".join(missing)) if missing else ""]
    return " ".join(sentence for sentence in sentences if sentence) or texts["none"]


def stated_conclusion(stated: Sequence[Finding], language: str) -> str:
    """Return the sentence of a report whose findings the clinician changed without writing a conclusion."""
    said = "; ".join(finding_text(finding) for finding in stated)
    return _SENTENCES[language]["stated" if said else "stated_nothing"].format(findings=said)


def rejected_conclusion(language: str) -> str:
    """Return the sentence of a report whose AI results the clinician rejected without own words."""
    return _SENTENCES[language]["rejected"]


def withdrawn_conclusion(withdrawal: Withdrawal, language: str) -> str:
    """Return the sentence of a final report that was taken back."""
    kind = "withdrawn_wrong_patient" if withdrawal.is_wrong_patient else "withdrawn"
    return _SENTENCES[language][kind].format(reason=withdrawal.reason)


def in_nfc(document: ReportDocument) -> ReportDocument:
    """Return `document` with every text in Unicode normalisation form C."""
    return ReportDocument.model_validate(_nfc_deep(document.model_dump()))


def _read_elsewhere(newest: Revision | None, case: Case) -> CloseReadElsewhere | None:
    return CloseReadElsewhere() if newest and case.read_elsewhere else None


def _hold(newest: Revision, facts: Facts, reason: str) -> Hold | None:
    case = facts.case
    if newest.released_by and not case.is_withdrawn:
        # A clinician let it go, knowing how far the case had moved.
        is_as_seen = newest.was_released_for(case, facts.superseded_revision)
        return None if is_as_seen else Hold("the case moved after the report was released")
    moved = reason or _moved(newest, facts)
    return Hold(moved) if moved else None


def _note(newest: Revision, case: Case, reason: str) -> Note | None:
    if was_known_at_release(newest, case) or not (reason or case.identity_version != newest.identity_version):
        return None
    said = reason or "patient or order changed"
    return Note(f"{said} after the report was final, which stays as it is (identity {case.identity_version})")


def was_known_at_release(newest: Revision, case: Case) -> bool:
    """Say whether a clinician let the report go, knowing patient and orders (a cancelled one too) as they are."""
    if not newest.released_by:
        return False
    if newest.released_case is None:
        return case.revision == newest.released_case_revision
    return not case.is_withdrawn and case.identity_version == newest.released_case.identity_version


def _moved(newest: Revision, facts: Facts) -> str:
    if facts.case.identity_version != newest.identity_version:
        return "patient or order changed after the signature"
    known = facts.case.study.study_revision if facts.case.study else 0
    if known != newest.study_revision or facts.superseded_revision >= newest.study_revision:
        return "newer images came after the signature"
    return ""


def _brings_news(newest: Revision | None, draft: Draft) -> bool:
    if newest is None or newest.state is ReportState.SUPERSEDED:
        return True  # the newest is superseded only while the case is read elsewhere, and it no longer is
    if _was_withdrawn_by_a_person(newest) and not _is_about_another(draft.document, newest):
        return False
    return draft.basis != newest.basis


def _was_withdrawn_by_a_person(newest: Revision) -> bool:
    return newest.state is ReportState.WITHDRAWN and newest.changed_by != ""


def _is_about_another(document: ReportDocument, newest: Revision) -> bool:
    """Say whether images, patient or order are other ones: a person's withdrawal is of what the report was about.

    A report withdrawn for the wrong patient leaves the right one's images unread.
    """
    return document.study_revision > newest.study_revision or document.identity_version > newest.identity_version


def _document(
    facts: Facts, study: Study, plan: InferencePlanned, *, report_revision: int, now: datetime
) -> ReportDocument:
    case = facts.case
    ai_results = _ai_results(plan, facts.results)
    document = ReportDocument(
        report_id=report_id_for(facts.site_id, case.case_id),
        case_id=case.case_id,
        site_id=facts.site_id,
        report_revision=report_revision,
        study_instance_uid=case.study_instance_uid,
        study_revision=study.study_revision,
        manifest_digest=study.manifest_digest,
        manifest_key=study.manifest_key,
        identity_version=case.identity_version,
        patient=case.patient,
        orders=case.orders,
        study_date_time=study.study_date_time,
        modalities=study.modalities,
        study_description=study.study_description,
        findings=_findings(ai_results),
        ai_results=ai_results,
        verdict=None,
        conclusion=conclusion_of(ai_results, facts.language),
        language=facts.language,
        is_synthetic=case.is_synthetic,
        drafted_at=now,
        signed_by=None,
        signed_at=None,
        series=study.series,
    )
    return in_nfc(document)


def _ai_results(plan: InferencePlanned, results: Sequence[InferenceDone]) -> tuple[ModelResult, ...]:
    by_model = {_key(result): result for result in results if result.study_revision == plan.study_revision}
    return tuple(_ai_result(planned, by_model.get(_key(planned))) for planned in plan.planned)


def _ai_result(planned: PlannedModel, result: InferenceDone | None) -> ModelResult:
    if planned.decision is not Decision.JOB:
        return ModelResult(model=planned.model, outcome=None, reasons=planned.reasons, decision=planned.decision.value)
    if result is None:
        return ModelResult(model=planned.model, outcome=None, reasons=(NO_ANSWER,), decision=planned.decision.value)
    return ModelResult(
        model=result.model,
        outcome=result.outcome,
        reasons=result.reasons,
        findings=result.findings,
        decision=planned.decision.value,
        ended_at=result.ended_at,
        artefacts=result.artefacts,
    )


def _findings(ai_results: Sequence[ModelResult]) -> tuple[Finding, ...]:
    completed = (result for result in ai_results if result.outcome is Outcome.COMPLETED)
    return tuple(finding for result in completed for finding in result.findings)


def _key(of: PlannedModel | InferenceDone) -> tuple[str, str]:
    """Return what a job is unique by within a study revision: model and version."""
    return of.model.name, of.model.version


def _name(result: ModelResult) -> str:
    return f"{result.model.title or result.model.name} {result.model.version}"


def _read_sentence(result: ModelResult, texts: Mapping[str, str]) -> str:
    said = "; ".join(finding_text(finding) for finding in result.findings)
    return texts["read" if said else "nothing"].format(model=_name(result), findings=said)


def finding_text(finding: Finding) -> str:
    """Return a finding as a line says it: what, how much, in which unit."""
    unit = _UNIT_TEXT.get(finding.unit, finding.unit)
    said = finding.value if finding.value is not None else finding.coded_value_display or finding.coded_value
    return " ".join(part for part in (finding.display, said, unit) if part)


def _nfc_deep(value: Any) -> Any:
    match value:
        case str():
            return nfc(value)
        case dict():
            return {name: _nfc_deep(part) for name, part in value.items()}
        case list() | tuple():
            return tuple(_nfc_deep(part) for part in value)
        case _:
            return value
