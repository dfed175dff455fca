"""What a reconciler is shown: an order and a study side by side, how well they fit and why, what was decided."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from overread.assembly.candidates import OrderSide, Score, StudySide
from overread.assembly.decisions import Decision, DecisionKind
from overread.assembly.desk_store import Entry
from overread.contracts.events.orders import OrderStatus, Patient, PatientIdentifier


class EntryView(BaseModel):
    """One thing on the desk; of a doubt about an order `version` is what a dismissal must have seen."""

    kind: str
    subject: str
    case_id: UUID | None
    order_id: UUID | None
    reason: str
    raised_at: datetime
    version: str


class PageView(BaseModel):
    """A page of the desk; `next` asks for the following one, empty on the last."""

    items: list[EntryView]
    next: str


class PatientView(BaseModel):
    """Who it is about, as it was stated."""

    identifiers: list[PatientIdentifier]
    family_name: str
    given_name: str
    birth_date: date | None
    sex: str


class OrderView(BaseModel):
    """The order's side."""

    order_id: UUID
    status: OrderStatus
    placer_order_number: str
    filler_order_number: str
    accession_number: str
    study_instance_uid: str
    service: str
    modality: str
    priority: str
    scheduled_at: datetime | None
    patient_location: str
    ordering_provider: str
    patient: PatientView


class StudyView(BaseModel):
    """The images' side."""

    case_id: UUID
    study_instance_uid: str
    accession_numbers: list[str]
    modalities: list[str]
    body_part_examined: str
    study_description: str
    study_date_time: str
    patient: PatientView


class ReasonView(BaseModel):
    """One thing that speaks for or against."""

    code: str
    field: str
    points: int
    params: dict[str, str]


class DecisionView(BaseModel):
    """What a person decided; the order and the case are named by id."""

    decision_id: UUID
    number: int
    kind: DecisionKind
    case_id: UUID | None
    order_id: UUID | None
    entry_kind: str
    entry_subject: str
    entry_reason: str
    decided_by: str
    decided_at: datetime
    reason: str
    seen_score: int | None
    undoes: UUID | None
    is_undone: bool


class PairView(BaseModel):
    """An order and a study side by side; `version` is what a decision about them must have seen."""

    order: OrderView
    study: StudyView
    score: int
    reasons: list[ReasonView]
    is_linked: bool
    conflict: str
    verdict: str
    version: str
    decisions: list[DecisionView]


class CandidateView(BaseModel):
    """One that may fit, with how well."""

    order: OrderView | None
    study: StudyView | None
    score: int
    reasons: list[ReasonView]
    is_linked: bool
    is_kept_apart: bool


class CandidatesView(BaseModel):
    """One side with all that may fit it, best first."""

    order: OrderView | None
    study: StudyView | None
    candidates: list[CandidateView]


class HistoryView(BaseModel):
    """What was decided, newest first; `before` asks for what came before, None at the end."""

    items: list[DecisionView]
    before: int | None


def entry_view(entry: Entry) -> EntryView:
    """Return an entry with the order it is about, where it is about one."""
    is_order = entry.kind in {"order", "no_images"}
    return EntryView(
        kind=entry.kind,
        subject=entry.subject,
        case_id=entry.case_id,
        order_id=UUID(entry.subject) if is_order else None,
        reason=entry.reason,
        raised_at=entry.raised_at,
        version=entry.version,
    )


def order_view(side: OrderSide) -> OrderView:
    """Return the order's side."""
    order = side.order
    provider = order.ordering_provider
    return OrderView(
        order_id=order.order_id,
        status=order.status,
        placer_order_number=order.placer_order_number,
        filler_order_number=order.filler_order_number,
        accession_number=order.accession_number or "",
        study_instance_uid=order.study_instance_uid or "",
        service=(order.service.text or order.service.identifier) if order.service else "",
        modality=order.modality,
        priority=order.priority,
        scheduled_at=order.scheduled_at,
        patient_location=" ".join(order.patient_location.replace("^", " ").split()),
        ordering_provider=(provider.text or provider.identifier).replace("^", " ").strip() if provider else "",
        patient=patient_view(side.patient),
    )


def study_view(case_id: UUID, side: StudySide) -> StudyView:
    """Return the images' side."""
    return StudyView(
        case_id=case_id,
        study_instance_uid=side.study_instance_uid,
        accession_numbers=sorted(side.accession_numbers),
        modalities=list(side.modalities),
        body_part_examined=side.body_part_examined,
        study_description=side.study_description,
        study_date_time=side.study_date_time,
        patient=patient_view(side.patient),
    )


def patient_view(patient: Patient) -> PatientView:
    """Return who it is about."""
    return PatientView(
        identifiers=list(patient.identifiers),
        family_name=patient.family_name,
        given_name=patient.given_name,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


def reason_views(score: Score) -> list[ReasonView]:
    """Return the reasons, the weightiest first."""
    ranked = sorted(score.reasons, key=lambda reason: -abs(reason.points))
    return [ReasonView(code=one.code, field=one.field, points=one.points, params=one.params) for one in ranked]


def decision_view(decision: Decision) -> DecisionView:
    """Return a decision."""
    seen = decision.seen.get("score")
    return DecisionView(
        decision_id=decision.decision_id,
        number=decision.number,
        kind=decision.kind,
        case_id=decision.case_id,
        order_id=decision.order_id,
        entry_kind=decision.entry_kind,
        entry_subject=decision.entry_subject,
        entry_reason=decision.entry_reason,
        decided_by=decision.decided_by,
        decided_at=decision.decided_at,
        reason=decision.reason,
        seen_score=seen if isinstance(seen, int) else None,
        undoes=decision.undoes,
        is_undone=decision.is_undone,
    )
