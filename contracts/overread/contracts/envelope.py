"""The outer event, after CloudEvents 1.0: who says it, when, about what, and what led to it."""

from datetime import datetime
from typing import Annotated, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

from overread.contracts.identifiers import SiteId, deterministic_id

MAX_EVENT_BYTES = 256 * 1024
"""No event is larger; what is larger is a stored object that the event names (claim check)."""


class Value(BaseModel):
    """A frozen part of a body. Unknown fields are ignored, so that producers may add what old consumers don't know.

    Numbers are finite: JSON has no word for NaN.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Body(Value):
    """What an event says. One class per event type and version; published versions are never changed, only added to."""

    event_version: ClassVar[int] = 1

    @classmethod
    def event_type(cls) -> str:
        """Return the type on the wire, as `StudyReady.v1`."""
        return f"{cls.__name__}.v{cls.event_version}"


B = TypeVar("B", bound=Body)
B_co = TypeVar("B_co", bound=Body, covariant=True)

TraceParent = Annotated[str, StringConstraints(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")]


class Event(Value, Generic[B_co]):
    """One fact on a topic.

    `id` is deterministic (the same cause and output give the same id), so a repeat is recognised anywhere;
    `subject` names the aggregate; `caused_by` is the id of the event that led to this one.
    """

    id: UUID
    type: str
    source: str
    time: AwareDatetime
    subject: str
    site_id: SiteId
    traceparent: TraceParent
    caused_by: UUID | None
    data: B_co


def event_of(
    data: B,
    *,
    source: str,
    time: datetime,
    subject: str,
    site_id: str,
    traceparent: str,
    own_key: str,
    caused_by: UUID | None = None,
    event_id: UUID | None = None,
) -> Event[B]:
    """Wrap `data`; the id is made of producer, cause and the output's own key unless `event_id` is given."""
    return Event(
        id=event_id or deterministic_id(source, str(caused_by), data.event_type(), own_key),
        type=data.event_type(),
        source=source,
        time=time,
        subject=subject,
        site_id=site_id,
        traceparent=traceparent,
        caused_by=caused_by,
        data=data,
    )
