"""What a destination is to be told, and what a form of it is: something that writes messages and reads them back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from uuid import UUID

from pydantic import ValidationError

from overread.contracts.errors import Malformed
from overread.contracts.events import orders as contract
from overread.contracts.events.inference import Finding, Outcome
from overread.contracts.events.reports import ModelResult, ReportDocument, Verdict
from overread.delivery import faithful, reasons
from overread.delivery.destinations import Destination
from overread.delivery.faithful import NumberedFinding
from overread.delivery.sequence import Position, Status
from overread.protocols.hl7.oru_content import Language, Party

if TYPE_CHECKING:
    from overread.delivery.imaging import Imaging


class UnreadableDocument(Malformed):
    """The bytes are not a report document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a message says that the document does not: who sends it, when, on which clock, and why."""

    sending: Party
    time_zone: tzinfo
    now: datetime
    reason: str = ""


D = TypeVar("D", bound=Destination)
M = TypeVar("M")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling(Generic[D]):
    """One report for one destination.

    `raw` are the bytes of the document that was drafted or signed. `earlier` is what the destination got of this report
    or is about to get, `previous` the document it was told last, in the bytes `previous_raw`. `imaging` is there where a form needs
    the images.
    """

    document: ReportDocument
    raw: bytes
    destination: D
    status: Status
    occasion: Occasion
    earlier: Sequence[Position] = ()
    previous: ReportDocument | None = None
    previous_raw: bytes = b""
    imaging: "Imaging | None" = None

    @property
    def language(self) -> Language:
        """Return the language of our own sentences."""
        return Language(self.destination.language)

    @property
    def orders(self) -> tuple[contract.ServiceRequest, ...]:
        """Return the orders that the report answers."""
        return orders_of(self.document)

    @property
    def stated(self) -> tuple[NumberedFinding, ...]:
        """Return the findings that are said, each under its sub-ID; a signed withdrawal states nothing."""
        return () if self.status is Status.WITHDRAWN else faithful.numbered(self.document.findings)

    @property
    def retracted(self) -> tuple[NumberedFinding, ...]:
        """Return the findings that the destination was told before and that are said no more."""
        before = faithful.numbered(self.previous.findings if self.previous else ())
        own = faithful.numbered(self.document.findings)
        said = {faithful.name_of_finding(*each) for each in self.stated}
        told = {faithful.name_of_finding(*each): each for each in (*before, *own)}
        return tuple(each for name, each in told.items() if name not in said)

    @property
    def reason(self) -> str:
        """Return why this replaces or takes back what was told before; empty where it does neither."""
        match self.status:
            case Status.CORRECTED:
                return reasons.of_correction(self.document, self.language)
            case Status.CANCELLED:
                return self.occasion.reason or "withdrawn"
            case Status.WITHDRAWN:
                return (self.document.withdrawal.reason if self.document.withdrawal else "").strip() or "withdrawn"
            case _:
                return ""

    @property
    def said_at(self) -> datetime:
        """Return when it was signed, drafted, or taken back, on the hospital's clock."""
        if self.status is Status.CANCELLED:
            moment = self.occasion.now
        else:
            moment = (self.document.signed_at if self.status.is_signed else None) or self.document.drafted_at
        return moment.astimezone(self.occasion.time_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written(Generic[M]):
    """A message as bytes, and what it was made from; `order` where there is one message for each order."""

    form: str
    message: bytes
    message_control_id: str
    meant: M
    order: contract.ServiceRequest | None = None


class Form(Protocol[D, M]):
    """One form of results: ORU, FHIR, SR, … Writing is a function: equal tellings give equal bytes."""

    def write(self, telling: Telling[D]) -> Iterator[Written[M]]:
        """Yield the messages that say it; raise an `OverreadError` when this form can't."""

    def unlike(self, written: Written[M], telling: Telling[D]) -> Iterator[str]:
        """Read the message back, and name what it says otherwise than it was meant, or than the document says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """A rendered message, with what it was rendered from.

    The bytes of a large one are a stored object: `message_key` names it, and `message` is empty.
    """

    delivery_id: UUID
    destination: str
    form: str
    case_id: UUID
    report_id: UUID
    report_revision: int
    order_id: UUID | None
    status: Status
    message: bytes
    message_digest: str
    message_control_id: str
    document: bytes
    message_key: str = ""


def read_document(raw: bytes) -> ReportDocument:
    """Return the document in `raw`, or raise `UnreadableDocument` without quoting it."""
    try:
        return ReportDocument.model_validate_json(raw)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise UnreadableDocument(
            f"the document is not readable at {'.'.join(str(part) for part in fault['loc'])}"
        ) from error


def orders_of(document: ReportDocument) -> tuple[contract.ServiceRequest, ...]:
    """Return the orders that the report answers."""
    return tuple(order for order in document.orders if order.status is not contract.OrderStatus.CANCELLED)


def source_of(finding: Finding, ai_results: Sequence[ModelResult]) -> ModelResult | None:
    """Return the model that said exactly this; what a clinician changed or added is no model's word."""
    completed = (result for result in ai_results if result.outcome is Outcome.COMPLETED)
    return next((result for result in completed if finding in result.findings), None)


def authors_of(document: ReportDocument) -> tuple[ModelResult, ...]:
    """Return the models whose words the text is: all that answered, once signed those that the clinician left standing."""
    completed = tuple(result for result in document.ai_results if result.outcome is Outcome.COMPLETED)
    if document.verdict in (None, Verdict.ACCEPTED):
        return completed
    return tuple(result for result in completed if any(finding in document.findings for finding in result.findings))


def observed_at(study_date_time: str, time_zone: tzinfo) -> datetime | None:
    """Read the study's local time (ISO 8601) on the hospital's clock; a date alone counts from its first moment."""
    try:
        moment = datetime.fromisoformat(study_date_time)
    except ValueError:
        return None
    return moment.astimezone(time_zone) if moment.tzinfo else moment.replace(tzinfo=time_zone)
