"""From statements about orders, in other forms than HL7 v2, to what an HL7 message would have said. Pure.

So all that follows is one way: sequence, numbers, folding, linking. An order told by HL7 and by a statement under one
number is one order.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from overread.assembly import bare_numbers
from overread.assembly.orders import OrderMessage
from overread.contracts.events import orders as contract
from overread.contracts.events.order_statements import (
    OrderAction,
    OrderForm,
    OrderNumber,
    OrderReceived,
    OrderStatement,
    RequestPriority,
)
from overread.protocols.hl7 import data_types
from overread.protocols.hl7.order import OrderRequest
from overread.protocols.hl7.timestamps import Timestamp, write_timestamp

ORDER_CONTROLS: Mapping[OrderAction, str] = {
    OrderAction.NEW: "NW",
    OrderAction.CHANGE: "XO",
    OrderAction.CANCEL: "CA",
    OrderAction.DISCONTINUE: "DC",
    OrderAction.HOLD: "HD",
    OrderAction.RELEASE: "RL",
    OrderAction.COMPLETE: "SC",
}
"""ORC-1 (table HL70119) that says the same; `complete` is a changed status, CM in ORC-5."""

PRIORITIES: Mapping[RequestPriority, str] = {
    RequestPriority.ROUTINE: "R",
    RequestPriority.URGENT: "A",
    RequestPriority.ASAP: "A",
    RequestPriority.STAT: "S",
}
"""TQ1-9 (table HL70485) that says the same."""

_IN_FILES = frozenset({OrderForm.CSV, OrderForm.XML})
"""A file that was mended is dropped again whole, with rows that were taken before."""

_FIELDS = {"clinical_information": "relevant_clinical_information"}
"""What HL7 calls by another name."""


def read(received: OrderReceived) -> list[OrderMessage]:
    """Return what a statement says of its order, and then of the one that it replaces (as RO does, and RP after it)."""
    return [
        OrderMessage(
            request=request,
            is_synthetic=received.statement.is_synthetic,
            received_at=received.received_at,
            link_id=received.link_id,
            sender=bare_numbers.sender_on(received.link_id),
            may_be_old=received.statement.stated_at is None and received.form in _IN_FILES,
        )
        for request in _requests(received)
    ]


def _requests(received: OrderReceived) -> Iterator[OrderRequest]:
    statement = received.statement
    control = "RO" if statement.replaces else ORDER_CONTROLS[statement.action]
    yield _request(received.message_id, statement, control)
    if statement.replaces:
        old = OrderStatement(
            action=OrderAction.CANCEL,
            stated_at=statement.stated_at,
            placer=statement.replaces,
            patient=statement.patient,
        )
        yield _request(received.message_id, old, "RP")


def _request(message_id: str, said: OrderStatement, order_control: str) -> OrderRequest:
    service = said.service
    return OrderRequest(
        message_control_id=message_id,
        message_datetime=_moment(said.stated_at),
        order_control=order_control,
        order_status="CM" if said.action is OrderAction.COMPLETE else None,
        placer_order_number=_number(said.placer),
        filler_order_number=_number(said.filler),
        accession_number=said.accession_number,
        study_instance_uid=said.study_instance_uid,
        universal_service_identifier=_coded(service) if service else None,
        modality=said.modality.upper() if said.modality else None,
        priority=PRIORITIES[said.priority] if said.priority else None,
        scheduled_at=_moment(said.scheduled_at),
        ordered_at=_moment(said.stated_at),
        ordering_provider=_practitioner(said.ordering_provider),
        relevant_clinical_information=said.clinical_information or None,
        patient=_patient(said.patient),
        visit=_visit(said),
        cleared=frozenset(_FIELDS.get(name.value, name.value) for name in said.cleared),
        parent=_number(said.parent),
        body_part=_coded(said.body_part) if said.body_part else None,
    )


def _moment(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    return Timestamp(original=write_timestamp(moment), utc=moment.astimezone(UTC))


def _number(number: OrderNumber | None) -> data_types.EntityIdentifier | None:
    if number is None:
        return None
    return data_types.EntityIdentifier(entity_identifier=number.number, namespace_id=number.namespace)


def _coded(element: contract.CodedElement) -> data_types.CodedElement:
    return data_types.CodedElement(
        identifier=element.identifier, text=element.text, coding_system=element.coding_system
    )


def _practitioner(element: contract.CodedElement | None) -> data_types.Practitioner | None:
    if element is None or not (element.identifier or element.text):
        return None
    family_name, _, given_name = element.text.partition("^")
    return data_types.Practitioner(id_number=element.identifier, family_name=family_name, given_name=given_name)


def _patient(patient: contract.Patient) -> data_types.Patient:
    is_named = bool(patient.family_name or patient.given_name)
    name = data_types.PersonName(family_name=patient.family_name, given_name=patient.given_name)
    return data_types.Patient(
        identifiers=tuple(_identifiers(patient.identifiers)),
        names=(name,) if is_named else (),
        birth_date=patient.birth_date.isoformat() if patient.birth_date else None,
        administrative_sex=patient.sex or None,
    )


def _identifiers(identifiers: Sequence[contract.PatientIdentifier]) -> Iterator[data_types.PatientIdentifier]:
    return (
        data_types.PatientIdentifier(
            id_number=one.id_number,
            assigning_authority=one.assigning_authority,
            identifier_type_code=one.identifier_type_code,
        )
        for one in identifiers
    )


def _visit(said: OrderStatement) -> data_types.Visit | None:
    """Return PV1 as far as it was said; none where nothing was, so that what is known of the visit stays."""
    if not (said.patient_class or said.patient_location or said.visit_number):
        return None
    return data_types.Visit(
        patient_class=said.patient_class.upper() if said.patient_class else None,
        assigned_patient_location=tuple(said.patient_location.split("^")) if said.patient_location else (),
        visit_number=data_types.PatientIdentifier(id_number=said.visit_number) if said.visit_number else None,
    )
