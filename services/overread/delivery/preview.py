"""What a destination would get of a report: the same functions that send, and nothing is stored or sent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from overread.contracts import codec
from overread.contracts.errors import OverreadError
from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.events.reports import ReportDocument
from overread.delivery.destinations import Destination, Hl7Destination
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.insurance_form import why_no_file
from overread.delivery.rendering import written
from overread.delivery.sequence import Status
from overread.delivery.telling import Form, Occasion, Telling, Written, orders_of, read_document
from overread.protocols.hl7.conformance import require_conformance

if TYPE_CHECKING:
    from overread.delivery.imaging import Imaging

LONGEST_SHOWN = 200


class NoPreview(OverreadError):
    """There is nothing to show of this report for this destination."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One message as it would leave."""

    form: str
    message: bytes

    @property
    def segments(self) -> list[str]:
        """Return its segments, or the lines of a file."""
        return self.message.decode("utf-8").rstrip("\r\n").replace("\r", "\n").split("\n")

    @property
    def lines(self) -> list[str]:
        """Return its segments for people: of a picture or document in the message its first characters and its size."""
        return [_cut(segment) for segment in self.segments]


def _cut(segment: str) -> str:
    fields = segment.split("|")
    if fields[0] != "OBX" or "|ED|" not in segment or len(segment) <= LONGEST_SHOWN:
        return segment
    *names, data = fields[5].split("^")
    fields[5] = "^".join([*names, f"{data[:40]}… ({len(data)} characters of base64)"])
    return "|".join(fields)


def preview(raw: bytes, destination: Destination, occasion: Occasion, imaging: "Imaging | None" = None) -> list[Shown]:
    """Return each message of the report, read back and compared as the gate does, and judged by the standard's tables.

    Without `imaging` no picture of the study is in it.
    """
    if not isinstance(destination, Hl7Destination | InsuranceDestination):
        raise NoPreview(f"{destination.name} takes no HL7 v2 and no rows of a table: a preview shows those alone")
    document = read_document(raw)
    if not destination.takes(document.site_id, has_order=bool(orders_of(document))):
        raise NoPreview(f"{destination.name} gets no report of {document.site_id} that nobody ordered, or of that site")
    status = _status(document, destination)
    telling = Telling(
        document=document, raw=raw, destination=destination, status=status, occasion=occasion, imaging=imaging
    )
    shown = [_shown(form, message, telling) for form, message in written(telling)]
    if not shown:
        raise NoPreview(f"{destination.name} gets nothing of this report: {_why_nothing(telling)}")
    return shown


def _why_nothing(telling: Telling[Any]) -> str:
    if isinstance(telling.destination, InsuranceDestination):
        return why_no_file(telling)
    return f"its forms have no word for {telling.status.value}"


def _shown(form: Form[Any, Any], message: Written[Any], telling: Telling[Any]) -> Shown:
    different = sorted(set(form.unlike(message, telling)))
    if different:
        raise NoPreview(f"the rendering differs from the document in {', '.join(different)}")
    if isinstance(telling.destination, Hl7Destination):
        require_conformance(message.message)
    return Shown(form=message.form, message=message.message)


def _status(document: ReportDocument, destination: Destination) -> Status:
    if document.withdrawal is not None:
        return Status.WITHDRAWN
    if document.signed_by is not None:
        return Status.FINAL
    status = destination.send_unverified.status
    if status is None:
        raise NoPreview(f"{destination.name} gets nothing that nobody has signed (send_unverified is none)")
    return status


EXAMPLE_IDENTIFIERS = (
    PatientIdentifier(id_number="TEST-0001", assigning_authority="HIS", identifier_type_code="PI"),
    PatientIdentifier(id_number="001070000001", assigning_authority="VNBCA", identifier_type_code="NI"),
    PatientIdentifier(id_number="TEST-HC-1", assigning_authority="BHXH", identifier_type_code="HC"),
)
"""A record number, a citizen identifier and an insurance number, so that one sees which of them are sent."""


def as_example(raw: bytes, site_id: str, *, visit_number: str = "") -> bytes:
    """Return an example document as one of `site_id`, with an identifier of each kind, of a visit if one is named."""
    document = read_document(raw)
    patient = document.patient.model_copy(update={"identifiers": EXAMPLE_IDENTIFIERS})
    orders = tuple(order.model_copy(update={"visit_number": visit_number}) for order in document.orders)
    changed = {"patient": patient, "orders": orders, "is_synthetic": True, "site_id": site_id}
    return codec.document_bytes(document.model_copy(update=changed))
