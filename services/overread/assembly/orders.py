"""From order messages to orders: what one message asks for, and how it folds into what was known. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from typing import TypeVar
from uuid import UUID

from overread.contracts.events import orders as contract
from overread.contracts.identifiers import deterministic_id
from overread.protocols.hl7 import data_types
from overread.protocols.hl7.order import OrderControl, OrderRequest, read_orders
from overread.protocols.hl7.tokenise import tokenise

T = TypeVar("T")

_STATUS = {
    OrderControl.NEW: contract.OrderStatus.ACTIVE,
    OrderControl.CANCEL: contract.OrderStatus.CANCELLED,
    OrderControl.DISCONTINUE: contract.OrderStatus.CANCELLED,
}
_STATUS_BY_ORC_5 = {
    "CA": contract.OrderStatus.CANCELLED,
    "DC": contract.OrderStatus.CANCELLED,
    "CM": contract.OrderStatus.COMPLETED,
    "HD": contract.OrderStatus.HELD,
}


@dataclass(frozen=True, kw_only=True)
class StoredOrder:
    """An order with its revision and the place of its last message in the sender's sequence."""

    revision: int
    sender_sequence: str
    order: contract.ServiceRequest
    patient: contract.Patient


@dataclass(frozen=True, kw_only=True)
class OrderMessage:
    """One order as one message says it, and the numbers that name it.

    `suffix` tells apart the orders of a message that asks for several studies under one number.
    """

    request: OrderRequest
    is_synthetic: bool
    suffix: str = ""

    @property
    def placer(self) -> str:
        """Return ORC-2 with its namespace, empty when the message has none."""
        return _number(self.request.placer_order_number, self.suffix)

    @property
    def filler(self) -> str:
        """Return ORC-3 with its namespace, empty when the message has none."""
        return _number(self.request.filler_order_number, self.suffix)

    @property
    def numbers(self) -> frozenset[str]:
        """Return every number that names the order."""
        return frozenset(number for number in (self.placer, self.filler) if number)

    @property
    def accession_numbers(self) -> frozenset[str]:
        """Return the accession number, if the message has one."""
        return frozenset({self.request.accession_number} - {None})  # type: ignore[arg-type]  # None is taken out

    @property
    def study_instance_uids(self) -> frozenset[str]:
        """Return the StudyInstanceUID, if the message has one."""
        return frozenset({self.request.study_instance_uid} - {None})  # type: ignore[arg-type]  # None is taken out

    @property
    def sender_sequence(self) -> str:
        """Return the message's place among those about this order: ORC-9 or MSH-7 in UTC, then MSH-10."""
        said = self.request.ordered_at or self.request.message_datetime
        sent = self.request.message_datetime or said
        moments = [moment.utc.isoformat() if moment else "" for moment in (sent, said)]
        return f"{moments[0]} {moments[1]} {self.request.message_control_id}"

    def new_order_id(self, site_id: str) -> UUID:
        """Return the id of an order that this message is the first to name."""
        return deterministic_id("order", site_id, self.placer or self.filler)


def read(raw: bytes, fallback_charset: str, time_zone: tzinfo) -> list[OrderMessage]:
    """Return the orders of a message, or raise `Malformed` with the first field without which it is none."""
    message = tokenise(raw, fallback_charset or None)
    is_synthetic = message.header.processing_id in ("T", "D")
    requests = read_orders(message, time_zone=time_zone)
    return [
        OrderMessage(request=request, is_synthetic=is_synthetic, suffix=suffix)
        for request, suffix in zip(requests, _suffixes(requests), strict=True)
    ]


def fold(before: StoredOrder | None, message: OrderMessage, order_id: UUID) -> StoredOrder | None:
    """Return the order after `message`, None when the message is older than what is known or changes nothing.

    Messages fold by the sender's sequence: an old new-order message never revives a cancelled order.
    """
    if before is not None and message.sender_sequence <= before.sender_sequence:
        return None
    order = _order(before.order if before else None, message, order_id)
    patient = _patient(message.request.patient)
    if before is not None and (before.order, before.patient) == (order, patient):
        return replace(before, sender_sequence=message.sender_sequence)
    return StoredOrder(
        revision=before.revision + 1 if before else 1,
        sender_sequence=message.sender_sequence,
        order=order,
        patient=patient,
    )


def _order(known: contract.ServiceRequest | None, message: OrderMessage, order_id: UUID) -> contract.ServiceRequest:
    request, cleared = message.request, message.request.cleared
    old = known or contract.ServiceRequest(order_id=order_id, status=contract.OrderStatus.ACTIVE)
    placer, filler = request.placer_order_number, request.filler_order_number
    service = request.universal_service_identifier
    provider = request.ordering_provider
    visit = request.visit
    return contract.ServiceRequest(
        order_id=order_id,
        status=_status(old.status, request),
        placer_order_number=placer.entity_identifier if placer else old.placer_order_number,
        placer_namespace=placer.namespace_id if placer else old.placer_namespace,
        filler_order_number=filler.entity_identifier if filler else old.filler_order_number,
        filler_namespace=filler.namespace_id if filler else old.filler_namespace,
        accession_number=_said("accession_number", request.accession_number, old.accession_number, cleared),
        study_instance_uid=_said("study_instance_uid", request.study_instance_uid, old.study_instance_uid, cleared),
        service=_coded(service) if service else old.service,
        modality=request.modality or old.modality,
        priority=_said("priority", request.priority, old.priority, cleared) or "R",
        ordering_provider=_provider(provider) if provider else old.ordering_provider,
        visit_number=visit.visit_number.id_number if visit and visit.visit_number else old.visit_number,
        patient_class=(visit.patient_class if visit else None) or old.patient_class,
        patient_location="^".join(visit.assigned_patient_location) if visit else old.patient_location,
        clinical_information=_said(
            "relevant_clinical_information", request.relevant_clinical_information, old.clinical_information, cleared
        )
        or "",
        is_synthetic=message.is_synthetic,
    )


def _status(before: contract.OrderStatus, request: OrderRequest) -> contract.OrderStatus:
    by_control = _STATUS.get(request.order_control)
    if by_control is not None:
        return by_control
    return _STATUS_BY_ORC_5.get(request.order_status or "", before)


def _said(name: str, said: T | None, before: T | None, cleared: frozenset[str]) -> T | None:
    """Return what the message says; nothing said keeps what was known, two double quotes delete it (2.7.1)."""
    return None if name in cleared else said if said is not None else before


def _patient(patient: data_types.Patient) -> contract.Patient:
    name = patient.names[0] if patient.names else data_types.PersonName(family_name="")
    given = (name.given_name, name.second_and_further_given_names)
    return contract.Patient(
        identifiers=tuple(
            contract.PatientIdentifier(
                id_number=identifier.id_number,
                assigning_authority=identifier.assigning_authority,
                identifier_type_code=identifier.identifier_type_code,
            )
            for identifier in patient.identifiers
        ),
        family_name=name.family_name,
        given_name=" ".join(part for part in given if part),
        birth_date=_full_date(patient.birth_date),
        sex=patient.administrative_sex or "",
    )


def _full_date(iso: str | None) -> date | None:
    return date.fromisoformat(iso) if iso and len(iso) == 10 else None


def _coded(element: data_types.CodedElement) -> contract.CodedElement:
    return contract.CodedElement(identifier=element.identifier, text=element.text, coding_system=element.coding_system)


def _provider(person: data_types.Practitioner) -> contract.CodedElement:
    return contract.CodedElement(
        identifier=person.id_number, text=f"{person.family_name}^{person.given_name}".rstrip("^")
    )


def _number(identifier: data_types.EntityIdentifier | None, suffix: str) -> str:
    return f"{identifier.entity_identifier}^{identifier.namespace_id}{suffix}" if identifier else ""


def _suffixes(requests: Sequence[OrderRequest]) -> list[str]:
    shared = Counter(request.placer_order_number or request.filler_order_number for request in requests)
    return [
        f"#{request.accession_number or request.study_instance_uid}"
        if shared[request.placer_order_number or request.filler_order_number] > 1
        else ""
        for request in requests
    ]
