"""Results as ORU^R01: one message for each order that the report answers, or one without an order."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

from overread.contracts.events import orders as contract
from overread.contracts.events.inference import Concept, Finding, ModelReference
from overread.contracts.identifiers import deterministic_id, nfc
from overread.delivery import attachments, faithful
from overread.delivery.attachments import attachments_of
from overread.delivery.destinations import Hl7Destination
from overread.delivery.sequence import Status
from overread.delivery.telling import Telling, Written, authors_of, observed_at, source_of
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
    ModelVersion,
    Numeric,
    Observation,
    OruContent,
    Party,
    ResultStatus,
    TakenBack,
    differences,
    without_value,
)
from overread.protocols.hl7.oru_reading import read_back

FORM = "oru"
IMAGING_STUDY = CodedElement(identifier="18748-4", text="Diagnostic imaging study", coding_system="LN")
"""OBR-4 where no order names the service."""


class OruForm:
    """ORU^R01 v2.5.1 (HL7 v2.5.1, 7.3.1)."""

    def write(self, telling: Telling[Hl7Destination]) -> Iterator[Written[OruContent]]:
        """Yield one message for each order; raise `NotRenderable` when HL7 can't say it."""
        attached = attachments_of(telling)
        for order in telling.orders or (None,):
            content = replace(content_for(telling, order), attachments=attached)
            message = oru.render(content, telling.destination.layout)
            mllp.encode(message)
            yield Written(
                form=FORM, message=message, message_control_id=content.message_control_id, meant=content, order=order
            )

    def unlike(self, written: Written[OruContent], telling: Telling[Hl7Destination]) -> Iterator[str]:
        """Compare the message with what was meant, and with the document itself and not with what was made of it."""
        said = read_back(written.message, telling.destination.layout)
        yield from differences(written.meant, said)
        yield from unlike_document(said, telling, written.order)
        yield from attachments.unlike(said.attachments, telling)


def unlike_document(
    said: OruContent, telling: Telling[Hl7Destination], order: contract.ServiceRequest | None
) -> Iterator[str]:
    """Name what a message says otherwise than the document itself, as far as its destination is to hear of it."""
    document = telling.document
    if (said.status, said.taken_back) != _status(telling):
        yield "status"
    if said_patient(said.patient) != patient_in(telling):
        yield "patient"
    yield from unlike_accession(said.accession_number, said.filler_order_number, telling, order)
    if said.study_instance_uid != document.study_instance_uid or said.is_synthetic != document.is_synthetic:
        yield "study"
    if (said.signer.id_number if said.signer else "") != _signer_of(telling):
        yield "signer"
    if faithful.lines(said.narrative) != faithful.lines(_narrative(telling)):
        yield "conclusion"
    stated = _without_property(faithful.stated(telling.stated, without_values=telling.status.takes_back))
    if tuple(_said_finding(observation) for observation in said.observations) != stated:
        yield "findings"
    retracted = _without_property(faithful.stated(telling.retracted, without_values=True))
    if tuple(_said_finding(observation) for observation in said.retracted) != retracted:
        yield "findings that hold no more"


def _without_property(stated: Sequence[faithful.SaidFinding]) -> tuple[faithful.SaidFinding, ...]:
    """Leave out what the number measures: OBX-3 has no place for a broader concept (CE: both codes mean the same)."""
    return tuple(finding[:-2] for finding in stated)


def _signer_of(telling: Telling[Hl7Destination]) -> str:
    signed_by = telling.document.signed_by
    return nfc(signed_by.subject) if telling.status.is_signed and signed_by else ""


def said_patient(patient: Patient) -> tuple[object, ...]:
    """Return whose a message is, in the shape in which it is compared."""
    identifiers = frozenset((i.id_number, i.assigning_authority, i.identifier_type_code) for i in patient.identifiers)
    names = tuple((name.family_name, name.given_name) for name in patient.names)
    return identifiers, names, patient.birth_date or "", patient.administrative_sex or ""


def patient_in(telling: Telling[Hl7Destination]) -> tuple[object, ...]:
    """Return whose the document is, without the identifiers that its destination does not get."""
    document, template = telling.document, telling.destination.template
    identifiers = frozenset(
        (number, authority, type_code)
        for number, authority, type_code in faithful.identifiers_of(document)
        if not template.withholds(authority, type_code)
    )
    name = faithful.name_of(document)
    names = (name,) if any(name) else ()
    return identifiers, names, faithful.birth_date_of(document), faithful.sex_of(document)


def unlike_accession(
    said: str | None,
    filler_order_number: EntityIdentifier | None,
    telling: Telling[Hl7Destination],
    order: contract.ServiceRequest | None,
) -> Iterator[str]:
    """Compare the accession number wherever the destination's template has it."""
    template = telling.destination.template
    expected = nfc((order.accession_number if order else None) or "")
    if nfc(said or "") != (expected if template.layout.accession_fields else ""):
        yield "accession number"
    in_obr_3 = filler_order_number.entity_identifier if filler_order_number else ""
    if template.has_accession_as_filler_number and nfc(in_obr_3) != expected:
        yield "accession number in OBR-3"


def _said_finding(observation: Observation) -> tuple[str, ...]:
    identifier = observation.identifier
    name = (identifier.coding_system, identifier.identifier, observation.sub_id)
    match observation.value:
        case Numeric(value=value, unit=unit):
            said = (value, unit.identifier if unit else "", "", "")
        case Coded(value=value):
            said = ("", "", value.coding_system, value.identifier)
        case None:
            said = ("", "", "", "")
        case _:
            said = ("text", "", "", "")
    site = observation.body_site
    where = (site.coding_system, site.identifier) if site else ("", "")
    return (*name, *said, observation.probability, observation.abnormal_flag, *where)


def delivery_id_of(telling: Telling[Hl7Destination], order: contract.ServiceRequest | None) -> UUID:
    """Return the ID of the result that answers `order`."""
    document = telling.document
    report = (document.site_id, str(document.report_id), str(document.report_revision))
    order_id = str(order.order_id if order else "")
    return deterministic_id("delivery", *report, telling.destination.name, telling.status.value, order_id)


def own_id_of(telling: Telling[Hl7Destination], form: str, order: contract.ServiceRequest | None) -> UUID:
    """Return the ID that a message of another form about `order` is numbered by."""
    return deterministic_id("delivery", str(delivery_id_of(telling, order)), form)


def message_control_id_of(delivery_id: UUID) -> str:
    """Return MSH-10: 96 bits of the delivery's ID in twenty letters and digits (ST of 20; HL7 v2.5.1, 2.15.9.10)."""
    return base64.b32encode(delivery_id.bytes[:12]).decode("ascii").rstrip("=")


def content_for(telling: Telling[Hl7Destination], order: contract.ServiceRequest | None) -> OruContent:
    """Return what one message says, as values."""
    document, occasion, destination = telling.document, telling.occasion, telling.destination
    status, taken_back = _status(telling)
    return OruContent(
        message_control_id=message_control_id_of(delivery_id_of(telling, order)),
        message_datetime=occasion.now.astimezone(occasion.time_zone),
        processing_id="T" if document.is_synthetic else "P",
        sending=occasion.sending,
        receiving=Party(application=destination.receiving_application, facility=destination.receiving_facility),
        accept_acknowledgment_type=destination.acknowledgment.accept,
        application_acknowledgment_type=destination.acknowledgment.application,
        country_code=destination.country_code,
        language=telling.language,
        is_synthetic=document.is_synthetic,
        patient=_patient(document.patient, destination),
        visit=_visit(order) if order else None,
        placer_order_number=_number(order.placer_order_number, order.placer_namespace) if order else None,
        filler_order_number=_filler_number(order, destination) if order else None,
        universal_service_identifier=_service(order),
        accession_number=order.accession_number if order and destination.template.layout.accession_fields else None,
        study_instance_uid=document.study_instance_uid,
        ordering_provider=_ordering_provider(order) if order else None,
        priority=order.priority or None if order else None,
        scheduled_at=_scheduled_at(order, occasion.time_zone) if order else None,
        observed_at=observed_at(document.study_date_time, occasion.time_zone),
        status=status,
        status_changed_at=telling.said_at,
        observations=tuple(_observations(telling)),
        retracted=tuple(without_value(_observation(*each, telling)) for each in telling.retracted),
        narrative=_narrative(telling),
        **_written_by(telling),
        signer=_signer(telling),
        signed_at=telling.said_at if status.is_signed else None,
        reason=telling.reason or None,
        taken_back=taken_back,
    )


def _status(telling: Telling[Hl7Destination]) -> tuple[ResultStatus, TakenBack | None]:
    """Return OBR-25, and OBX-11 of the findings where a signed result is taken back (HL7 v2.5.1, OBX-11)."""
    if telling.status is not Status.WITHDRAWN:
        return ResultStatus(telling.status.value), None
    withdrawal = telling.document.withdrawal
    is_wrong_patient = withdrawal is not None and withdrawal.is_wrong_patient
    return ResultStatus.CORRECTED, TakenBack.WRONG_PATIENT if is_wrong_patient else TakenBack.DELETED


def _narrative(telling: Telling[Hl7Destination]) -> str:
    """Return the text: the conclusion, or why it holds no more; a cancellation says that in NTE alone."""
    if telling.status is Status.WITHDRAWN:
        return telling.reason
    return "" if telling.status.takes_back else telling.document.conclusion


def _written_by(telling: Telling[Hl7Destination]) -> dict[str, Any]:
    """Return which models wrote the text, and when the last of them had."""
    results = authors_of(telling.document)
    if telling.status.takes_back or not (telling.status.is_unconfirmed or telling.document.conclusion.strip()):
        return {}
    ended = [result.ended_at.astimezone(telling.occasion.time_zone) for result in results if result.ended_at]
    return {"models": tuple(_model(result.model) for result in results), "analysed_at": max(ended, default=None)}


def _signer(telling: Telling[Hl7Destination]) -> Practitioner | None:
    signer = telling.document.signed_by if telling.status.is_signed else None
    if signer is None:
        return None
    return Practitioner(id_number=signer.subject, family_name=signer.family_name, given_name=signer.given_name)


def _patient(patient: contract.Patient, destination: Hl7Destination) -> Patient:
    name = PersonName(family_name=patient.family_name, given_name=patient.given_name, name_type_code="L")
    return Patient(
        identifiers=tuple(
            PatientIdentifier(
                id_number=identifier.id_number,
                assigning_authority=identifier.assigning_authority,
                identifier_type_code=identifier.identifier_type_code,
            )
            for identifier in patient.identifiers
            if not destination.template.withholds(identifier.assigning_authority, identifier.identifier_type_code)
        ),
        names=(name,) if patient.family_name or patient.given_name else (),
        birth_date=patient.birth_date.isoformat() if patient.birth_date else None,
        administrative_sex=patient.sex or None,
    )


def _scheduled_at(order: contract.ServiceRequest, time_zone: tzinfo) -> datetime | None:
    return order.scheduled_at.astimezone(time_zone) if order.scheduled_at else None


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


def _filler_number(order: contract.ServiceRequest, destination: Hl7Destination) -> EntityIdentifier | None:
    """Return OBR-3; where the receiver looks for the accession number there, that one in its place."""
    if destination.template.has_accession_as_filler_number:
        return _number(order.accession_number or "", "")
    return _number(order.filler_order_number, order.filler_namespace)


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


def _observations(telling: Telling[Hl7Destination]) -> Iterator[Observation]:
    for finding, sub_id in telling.stated:
        said = _observation(finding, sub_id, telling)
        yield without_value(said) if telling.status.takes_back else said


def _observation(finding: Finding, sub_id: str, telling: Telling[Hl7Destination]) -> Observation:
    source = source_of(finding, telling.document.ai_results)
    analysed_at = source.ended_at if source else None
    return Observation(
        identifier=CodedElement(identifier=finding.code, text=finding.display, coding_system=finding.scheme),
        sub_id=sub_id,
        value=_value(finding),
        abnormal_flag=finding.abnormal_flag,
        probability=finding.probability or "",
        body_site=_site(finding.finding_site) if finding.finding_site else None,
        model=_model(source.model) if source else None,
        analysed_at=analysed_at.astimezone(telling.occasion.time_zone) if analysed_at else None,
    )


def _site(site: Concept) -> CodedElement:
    return CodedElement(identifier=site.code, text=site.display, coding_system=site.scheme)


def _model(model: ModelReference) -> ModelVersion:
    """Name the version, and by an OID made of a UUID (X.667) the files that ran."""
    if not model.digest:
        return ModelVersion(name=model.name, version=model.version)
    files = deterministic_id("model", model.name, model.version, model.digest)
    return ModelVersion(name=model.name, version=model.version, uid=f"2.25.{files.int}")


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
