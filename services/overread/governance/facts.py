"""What governance keeps of an event: ids, states and times out of a fixed list; never a patient, text or document."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overread.contracts.envelope import Body, Event

KEPT: tuple[str, ...] = (
    "order_id",
    "report_id",
    "report_revision",
    "revision",
    "study_revision",
    "superseded_revision",
    "job_id",
    "delivery_id",
    "state",
    "verdict",
    "outcome",
    "status",
    "form",
    "destination",
    "attempts",
    "deadline",
    "rules_digest",
    "digest",
    "message_digest",
    "started_at",
    "ended_at",
    "decided_at",
    "changed_at",
    "signed_at",
)
"""The only fields of a body that are kept: each names one of our own things, a state, a time or a count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something happened to one of our things."""

    site_id: str
    event_id: UUID
    topic: str
    type: str
    source: str
    occurred_at: datetime
    subject: UUID | None
    case_id: UUID | None
    caused_by: UUID | None
    trace_id: str
    said: dict[str, object]


def fact_of(topic: str, event: Event[Body]) -> Fact:
    """Return what is kept of `event`; its subject only when it is one of our own IDs."""
    body = event.data.model_dump(mode="json", include=set(KEPT))
    return Fact(
        site_id=event.site_id,
        event_id=event.id,
        topic=topic,
        type=event.type,
        source=event.source,
        occurred_at=event.time,
        subject=_as_uuid(event.subject),
        case_id=getattr(event.data, "case_id", None),
        caused_by=event.caused_by,
        trace_id=event.traceparent.split("-")[1],
        said=body | _model(event.data),
    )


def _model(body: Body) -> dict[str, object]:
    model = getattr(body, "model", None)
    return {"model": model.name, "model_version": model.version} if model is not None else {}


def _as_uuid(subject: str) -> UUID | None:
    try:
        return UUID(subject)
    except ValueError:
        return None
