"""Which forms a destination gets under which status."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from overread.delivery.destinations import (
    Destination,
    DicomDestination,
    FhirDestination,
    Hl7Destination,
)
from overread.delivery.document_form import DocumentForm
from overread.delivery.fhir_form import FhirForm
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.insurance_form import InsuranceForm
from overread.delivery.order_status_form import OrderStatusForm
from overread.delivery.oru_form import OruForm
from overread.delivery.sequence import Status
from overread.delivery.telling import Form
from overread.delivery.templates import Hl7Form

_HL7_FORMS: Mapping[Hl7Form, Callable[[], Form[Any, Any]]] = {
    Hl7Form.ORU: OruForm,
    Hl7Form.MDM: DocumentForm,
    Hl7Form.ORDER_STATUS: OrderStatusForm,
}


def forms_for(destination: Destination, status: Status) -> Iterator[Form[Any, Any]]:
    """Yield the forms in the order in which they are sent."""
    match destination:
        case Hl7Destination():
            yield from (_HL7_FORMS[form]() for form in destination.forms)
        case FhirDestination():
            yield FhirForm()
        case InsuranceDestination():
            yield InsuranceForm()
        case DicomDestination():
            yield from _dicom_forms(destination, status)


def needs_images(destination: Destination) -> bool:
    """Say whether what `destination` gets is made of the study's images too."""
    match destination:
        case DicomDestination():
            return True
        case Hl7Destination(attachments=attachments):
            return attachments.needs_images
        case FhirDestination() | InsuranceDestination():
            return False


def _dicom_forms(destination: DicomDestination, status: Status) -> Iterator[Form[Any, Any]]:
    # Imported here: image libraries cost a second, and a site may send no DICOM at all.
    from overread.delivery import dicom_forms  # noqa: PLC0415

    if status.takes_back:
        yield dicom_forms.RejectionNoteForm()
    else:
        yield from (form for name, form in dicom_forms.FORMS.items() if name in destination.forms)
