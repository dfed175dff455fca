"""A report document as the message that one destination gets: rendered once, kept as bytes from then on."""

import base64
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

from pydantic import ValidationError

from overread.contracts import codec
from overread.contracts.errors import Malformed
from overread.contracts.events import orders as contract
from overread.contracts.events.inference import Finding, Outcome
from overread.contracts.events.reports import ModelResult, ReportDocument
from overread.contracts.identifiers import deterministic_id
from overread.delivery.destinations import Hl7Destination
from overread.protocols import mllp
from overread.protocols.hl7 import oru
from overread.protocols.hl7.data_types import (
    CodedElement,
    EntityIdentifier,
    Patient,
    PatientIdentifier,
    PersonName,
    Practitioner,
    Visit,
)
from overread.protocols.hl7.oru_content import (
    Coded,
    Language,
    ModelVersion,
    Numeric,
    Observation,
    OruContent,
    Party,
    ResultStatus,
    without_value,
)

FORM = "oru"
IMAGING_STUDY = CodedElement(identifier="18748-4", text="Diagnostic imaging study", coding_system="LN")
"""OBR-4 where no order names the service."""

CORRECTS: dict[Language, str] = {
    Language.VIETNAMESE: "Kết quả này thay thế kết quả đã ký trước đó.",
    Language.ENGLISH: "This result replaces the one that was signed before.",
    Language.FRENCH: "Ce résultat remplace celui qui avait été signé.",
}


class UnreadableDocument(Malformed):
    """The bytes are not a report document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundMessage:
    """A rendered message, with what it was rendered from."""

    delivery_id: UUID
    destination: str
    form: str
    case_id: UUID
    report_id: UUID
    report_revision: int
    order_id: UUID | None
    status: ResultStatus
    message: bytes
    message_digest: str
    message_control_id: str
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a message says that the document does not: who sends it, when, on which clock, and why."""

    sending: Party
    time_zone: tzinfo
    now: datetime
    reason: str = ""


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


def contents_for(
    document: ReportDocument, destination: Hl7Destination, status: ResultStatus, occasion: Occasion
) -> Iterator[tuple[OruContent, contract.ServiceRequest | None]]:
    """Yield what `destination` is told: one message for each order the report answers, or one without an order."""
    for order in orders_of(document) or (None,):
        yield _content(document, order, destination, status, occasion), order


def rendered(
    content: OruContent,
    document: ReportDocument,
    order: contract.ServiceRequest | None,
    destination: Hl7Destination,
    raw: bytes,
) -> OutboundMessage:
    """Return `content` as the bytes that will be sent; raise `NotRenderable` when HL7 can't say it."""
    message = oru.render(content)
    mllp.encode(message)
    return OutboundMessage(
        delivery_id=_delivery_id(document, order, destination, content.status),
        destination=destination.name,
        form=FORM,
        case_id=document.case_id,
        report_id=document.report_id,
        report_revision=document.report_revision,
        order_id=order.order_id if order else None,
        status=content.status,
        message=message,
        message_digest=codec.sha256(message),
        message_control_id=content.message_control_id,
        document=raw,
    )


def messages_for(
    raw: bytes,
    destination: Hl7Destination,
    status: ResultStatus,
    occasion: Occasion,
    *,
    report_revision: int | None = None,
) -> tuple[OutboundMessage, ...]:
    """Return the document `raw` as the messages that say it to `destination` under `status`.

    A withdrawal is of a later `report_revision` than the document when the newest draft never left.
    """
    document = read_document(raw)
    if report_revision is not None:
        document = document.model_copy(update={"report_revision": report_revision})
    contents = contents_for(document, destination, status, occasion)
    return tuple(rendered(content, document, order, destination, raw) for content, order in contents)


def _delivery_id(
    document: ReportDocument,
    order: contract.ServiceRequest | None,
    destination: Hl7Destination,
    status: ResultStatus,
) -> UUID:
    report = (document.site_id, str(document.report_id), str(document.report_revision))
    return deterministic_id("delivery", *report, destination.name, status.value, str(order.order_id if order else ""))


def message_control_id_of(delivery_id: UUID) -> str:
    """Return MSH-10: 96 bits of the delivery's ID in twenty letters and digits (ST of 20; HL7 v2.5.1, 2.15.9.10)."""
    return base64.b32encode(delivery_id.bytes[:12]).decode("ascii").rstrip("=")


def _content(
    document: ReportDocument,
    order: contract.ServiceRequest | None,
    destination: Hl7Destination,
    status: ResultStatus,
    occasion: Occasion,
) -> OruContent:
    language = Language(destination.language)
    signer, signed_at = (document.signed_by, document.signed_at) if status.is_signed else (None, None)
    is_cancelled = status is ResultStatus.CANCELLED
    return OruContent(
        message_control_id=message_control_id_of(_delivery_id(document, order, destination, status)),
        message_datetime=occasion.now.astimezone(occasion.time_zone),
        processing_id="T" if document.is_synthetic else "P",
        sending=occasion.sending,
        receiving=Party(application=destination.receiving_application, facility=destination.receiving_facility),
        language=language,
        is_synthetic=document.is_synthetic,
        patient=_patient(document.patient),
        visit=_visit(order) if order else None,
        placer_order_number=_number(order.placer_order_number, order.placer_namespace) if order else None,
        filler_order_number=_number(order.filler_order_number, order.filler_namespace) if order else None,
        universal_service_identifier=_service(order),
        accession_number=order.accession_number if order else None,
        study_instance_uid=document.study_instance_uid,
        ordering_provider=_ordering_provider(order) if order else None,
        priority=order.priority or None if order else None,
        observed_at=observed_at(document.study_date_time, occasion.time_zone),
        status=status,
        status_changed_at=_status_changed_at(document, status, occasion),
        observations=_observations(document, is_cancelled=is_cancelled, time_zone=occasion.time_zone),
        narrative="" if is_cancelled else document.conclusion,
        signer=Practitioner(id_number=signer.subject, family_name=signer.family_name, given_name=signer.given_name)
        if signer
        else None,
        signed_at=signed_at.astimezone(occasion.time_zone) if signed_at else None,
        reason=_reason(status, language, occasion),
    )


def _reason(status: ResultStatus, language: Language, occasion: Occasion) -> str | None:
    match status:
        case ResultStatus.CORRECTED:
            return CORRECTS[language]
        case ResultStatus.CANCELLED:
            return occasion.reason or "withdrawn"
        case _:
            return None


def _status_changed_at(document: ReportDocument, status: ResultStatus, occasion: Occasion) -> datetime:
    """OBR-22: when it was signed, drafted, or withdrawn."""
    if status is ResultStatus.CANCELLED:
        moment = occasion.now
    else:
        moment = (document.signed_at if status.is_signed else None) or document.drafted_at
    return moment.astimezone(occasion.time_zone)


def observed_at(study_date_time: str, time_zone: tzinfo) -> datetime | None:
    """Read the study's local time (ISO 8601) on the hospital's clock; a date alone counts from its first moment."""
    try:
        moment = datetime.fromisoformat(study_date_time)
    except ValueError:
        return None
    return moment.astimezone(time_zone) if moment.tzinfo else moment.replace(tzinfo=time_zone)


def _patient(patient: contract.Patient) -> Patient:
    name = PersonName(family_name=patient.family_name, given_name=patient.given_name, name_type_code="L")
    return Patient(
        identifiers=tuple(
            PatientIdentifier(
                id_number=identifier.id_number,
                assigning_authority=identifier.assigning_authority,
                identifier_type_code=identifier.identifier_type_code,
            )
            for identifier in patient.identifiers
        ),
        names=(name,) if patient.family_name or patient.given_name else (),
        birth_date=patient.birth_date.isoformat() if patient.birth_date else None,
        administrative_sex=patient.sex or None,
    )


def _visit(order: contract.ServiceRequest) -> Visit | None:
    location = order.patient_location.rstrip("^ ")
    if not (order.patient_class or location or order.visit_number):
        return None
    return Visit(
        patient_class=order.patient_class or "U",  # PV1-2 is required; U is unknown (table HL70004)
        assigned_patient_location=tuple(location.split("^")) if location else (),
        visit_number=PatientIdentifier(id_number=order.visit_number) if order.visit_number else None,
    )


def _number(number: str, namespace: str) -> EntityIdentifier | None:
    return EntityIdentifier(entity_identifier=number, namespace_id=namespace) if number else None


def _service(order: contract.ServiceRequest | None) -> CodedElement:
    service = order.service if order else None
    if service is None or not service.identifier:
        return IMAGING_STUDY
    return CodedElement(identifier=service.identifier, text=service.text, coding_system=service.coding_system)


def _ordering_provider(order: contract.ServiceRequest) -> Practitioner | None:
    provider = order.ordering_provider
    if provider is None or not (provider.identifier or provider.text):
        return None
    family_name, _, given_name = provider.text.partition("^")
    return Practitioner(id_number=provider.identifier, family_name=family_name, given_name=given_name)


def _observations(document: ReportDocument, *, is_cancelled: bool, time_zone: tzinfo) -> tuple[Observation, ...]:
    numbered = zip(document.findings, sub_ids(document.findings), strict=True)
    said = (_observation(finding, sub_id, document.ai_results, time_zone) for finding, sub_id in numbered)
    return tuple(without_value(observation) if is_cancelled else observation for observation in said)


def sub_ids(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return OBX-4 of each finding: its own, or which one of its code it is."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for finding in findings:
        seen[finding.scheme, finding.code] += 1
        found.append(finding.observation_sub_id or str(seen[finding.scheme, finding.code]))
    return tuple(found)


def _observation(finding: Finding, sub_id: str, ai_results: Sequence[ModelResult], time_zone: tzinfo) -> Observation:
    source = _source_of(finding, ai_results)
    return Observation(
        identifier=CodedElement(identifier=finding.code, text=finding.display, coding_system=finding.scheme),
        sub_id=sub_id,
        value=_value(finding),
        abnormal_flag=finding.abnormal_flag,
        probability=finding.probability or "",
        model=ModelVersion(name=source.model.name, version=source.model.version) if source else None,
        analysed_at=source.ended_at.astimezone(time_zone) if source and source.ended_at else None,
    )


def _source_of(finding: Finding, ai_results: Sequence[ModelResult]) -> ModelResult | None:
    """Return the model that said exactly this; what a clinician changed or added is no model's word."""
    completed = (result for result in ai_results if result.outcome is Outcome.COMPLETED)
    return next((result for result in completed if finding in result.findings), None)


def _value(finding: Finding) -> Numeric | Coded | None:
    if finding.value is not None:
        return Numeric(value=finding.value, unit=_unit(finding) if finding.unit else None)
    if finding.coded_value:
        return Coded(
            value=CodedElement(
                identifier=finding.coded_value,
                text=finding.coded_value_display,
                coding_system=finding.coded_value_scheme,
            )
        )
    return None


def _unit(finding: Finding) -> CodedElement:
    return CodedElement(identifier=finding.unit, text=finding.unit_display, coding_system="UCUM")
