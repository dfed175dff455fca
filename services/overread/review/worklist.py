"""The worklist's rows, made from what is known of a case: pure, so that the same facts give the same row."""

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Decision, InferenceDone, ModelReference, Outcome, PlannedModel
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.contracts.report_life import ReportState
from overread.review.findings import NO_ANSWER, Facts, finding_text, why_not_reportable
from overread.review.revision import Revision, report_id_for
from overread.review.task_store import OTHER_ORDER

NOT_READABLE = 100
"""Added to the rank of what can't be read yet, so that it stands below what waits for a reader."""

_RANKS: Mapping[str, int] = {"S": 0, "A": 1}
_OTHER_RANK = 2


class AiKind(StrEnum):
    """What the models' part in a case comes to; the first that is true of any model is the case's."""

    FOUND = "found"
    DID_NOT_RUN = "did_not_run"
    WAITING = "waiting"
    NOTHING = "nothing"
    NOT_FOR_THIS_PATIENT = "not_for_this_patient"
    NONE = "none"


class Status(StrEnum):
    """Where a case is for the one who reads."""

    ARRIVING = "arriving"
    WAITING_FOR_AI = "waiting_for_ai"
    DRAFTED = "drafted"
    IN_REVIEW = "in_review"
    REJECTED = "rejected"
    SIGNED = "signed"
    HELD = "held"
    FINAL = "final"
    REPLACED = "replaced"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    NEW_IMAGES = "new_images"
    OTHER_ORDER = "other_order"
    READ_ELSEWHERE = "read_elsewhere"


READABLE = frozenset(
    {Status.DRAFTED, Status.IN_REVIEW, Status.REJECTED, Status.HELD, Status.NEW_IMAGES, Status.OTHER_ORDER}
)
OPEN = READABLE | {Status.ARRIVING, Status.WAITING_FOR_AI}


class ModelLine(BaseModel):
    """One model's part in a case."""

    name: str
    version: str
    title: str
    kind: AiKind
    line: str
    reasons: list[str]


class Ai(BaseModel):
    """What the models found, or why they did not run."""

    kind: AiKind
    line: str
    models: list[ModelLine]


class PatientLine(BaseModel):
    """Who the case is about; the age is that at the study."""

    family_name: str
    given_name: str
    patient_id: str
    sex: str
    birth_date: date | None
    age_years: int | None


class TaskLine(BaseModel):
    """A question to a clinician about a report that is final."""

    task_id: UUID
    kind: str
    study_revision: int
    raised_at: datetime


class Row(BaseModel):
    """One case in the worklist."""

    case_id: UUID
    report_id: UUID
    report_revision: int
    status: Status
    state: ReportState | None
    priority: str
    is_stat: bool
    patient: PatientLine
    accession_numbers: list[str]
    procedure: str
    modalities: list[str]
    body_part: str
    study_description: str
    study_date_time: str
    study_instance_uid: str
    claimed_by: str
    signed_by: str
    reason: str
    is_synthetic: bool
    ai: Ai
    task: TaskLine | None
    read_elsewhere_by: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether a reader still has to do something about the case, or will have to."""
        return self.status in OPEN

    @property
    def rank(self) -> int:
        """Return the place by urgency: what can be read first, and of that STAT first."""
        below = 0 if self.status in READABLE else NOT_READABLE
        return _RANKS.get(self.priority, _OTHER_RANK) + below

    @property
    def search_text(self) -> str:
        """Return what the search looks in."""
        patient = self.patient
        names = f"{patient.family_name} {patient.given_name}"
        words = (names, patient.patient_id, *self.accession_numbers, self.study_instance_uid)
        return folded(" ".join(words))


def row_of(
    facts: Facts, newest: Revision | None, task: TaskLine | None, *, is_superseded: bool, signed_by: str, now: datetime
) -> Row:
    """Return the row of the case."""
    case, study = facts.case, facts.case.study
    order = most_urgent(case.orders)
    return Row(
        case_id=case.case_id,
        report_id=report_id_for(facts.site_id, case.case_id),
        report_revision=newest.report_revision if newest else 0,
        status=status_of(case, newest, task, is_superseded=is_superseded),
        state=newest.state if newest else None,
        priority=order.priority if order else "R",
        is_stat=bool(order) and order is not None and order.priority == "S",
        patient=patient_line(case.patient, study.study_date_time if study else ""),
        accession_numbers=[o.accession_number for o in case.orders if o.accession_number],
        procedure=order.service.text or order.service.identifier if order and order.service else "",
        modalities=list(study.modalities) if study else [],
        body_part=study.body_part_examined if study else "",
        study_description=study.study_description if study else "",
        study_date_time=study.study_date_time if study else "",
        study_instance_uid=case.study_instance_uid,
        claimed_by=newest.claimed_by if newest else "",
        signed_by=signed_by,
        reason=newest.reason if newest else why_not_reportable(case),
        is_synthetic=case.is_synthetic,
        ai=ai_of(facts, now=now),
        task=task,
        read_elsewhere_by=case.read_elsewhere.reporter if case.read_elsewhere else "",
    )


def status_of(case: Case, newest: Revision | None, task: TaskLine | None, *, is_superseded: bool) -> Status:
    """Return where the case is."""
    if newest is None:
        return _status_without_report(case, is_superseded=is_superseded)
    if task is not None and newest.state is ReportState.FINAL:
        return Status.OTHER_ORDER if task.kind == OTHER_ORDER else Status.NEW_IMAGES
    if case.read_elsewhere and newest.state is ReportState.SUPERSEDED:
        return Status.READ_ELSEWHERE
    return Status(newest.state.value)


def _status_without_report(case: Case, *, is_superseded: bool) -> Status:
    if why_not_reportable(case):
        return Status.WITHDRAWN
    if case.read_elsewhere:
        return Status.READ_ELSEWHERE
    return Status.ARRIVING if case.study is None or is_superseded else Status.WAITING_FOR_AI


def ai_of(facts: Facts, *, now: datetime) -> Ai:
    """Return what the models' plan and answers come to, each model apart."""
    if facts.plan is None:
        kind = AiKind.WAITING if facts.case.study else AiKind.NONE
        return Ai(kind=kind, line="", models=[])
    answers = {(result.model.name, result.model.version): result for result in facts.results}
    is_late = now >= facts.plan.deadline
    models = [
        _model_line(planned, answers.get((planned.model.name, planned.model.version)), is_late=is_late)
        for planned in facts.plan.planned
    ]
    kind = next((kind for kind in AiKind if any(model.kind is kind for model in models)), AiKind.NONE)
    lines = dict.fromkeys(model.line for model in models if model.kind is kind and model.line)
    return Ai(kind=kind, line="; ".join(lines), models=models)


def kind_of(planned: PlannedModel, answer: InferenceDone | None, *, is_late: bool) -> AiKind:
    """Return one model's kind: what it found, or whether it failed, is awaited, or was never meant to run."""
    if planned.decision is not Decision.JOB:
        return AiKind.NOT_FOR_THIS_PATIENT
    if answer is None:
        return AiKind.DID_NOT_RUN if is_late else AiKind.WAITING
    if answer.outcome is not Outcome.COMPLETED:
        return AiKind.DID_NOT_RUN
    return AiKind.FOUND if answer.findings else AiKind.NOTHING


def _model_line(planned: PlannedModel, answer: InferenceDone | None, *, is_late: bool) -> ModelLine:
    kind = kind_of(planned, answer, is_late=is_late)
    reasons = _reasons(planned, answer, kind)
    said = [finding_text(finding) for finding in answer.findings] if answer and kind is AiKind.FOUND else reasons
    return ModelLine(**_named(planned.model), kind=kind, line="; ".join(said), reasons=reasons)


def _reasons(planned: PlannedModel, answer: InferenceDone | None, kind: AiKind) -> list[str]:
    if planned.decision is not Decision.JOB:
        return list(planned.reasons)
    if kind is AiKind.DID_NOT_RUN:
        return list(answer.reasons) if answer else [NO_ANSWER]
    return list(answer.reasons) if answer else []


def _named(model: ModelReference) -> dict[str, str]:
    return {"name": model.name, "version": model.version, "title": model.title or model.name}


def patient_line(patient: Patient, study_date_time: str) -> PatientLine:
    """Return who the case is about, under the first of the patient's identifiers."""
    return PatientLine(
        family_name=patient.family_name,
        given_name=patient.given_name,
        patient_id=patient.identifiers[0].id_number if patient.identifiers else "",
        sex=patient.sex,
        birth_date=patient.birth_date,
        age_years=age_at(patient.birth_date, study_date_time),
    )


def age_at(birth_date: date | None, study_date_time: str) -> int | None:
    """Return the age in whole years on the day of the study, None where either day is unknown."""
    try:
        studied = date.fromisoformat(study_date_time[:10])
    except ValueError:
        return None
    if birth_date is None or studied < birth_date:
        return None
    return studied.year - birth_date.year - ((studied.month, studied.day) < (birth_date.month, birth_date.day))


def most_urgent(orders: Sequence[ServiceRequest]) -> ServiceRequest | None:
    """Return the order that decides how urgent the case is."""
    return min(orders, key=lambda order: _RANKS.get(order.priority, _OTHER_RANK), default=None)


def folded(text: str) -> str:
    """Return `text` for searching: lower case, no diacritics, one blank between words."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(bare.casefold().split())
