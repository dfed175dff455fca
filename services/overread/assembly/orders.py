"""From order messages to orders: what one message asks for, and how it folds into what was known. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import TypeVar
from uuid import UUID

from pydantic import ValidationError

from overread.assembly import patients
from overread.contracts.errors import Malformed
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


_IN_ONE_SECOND = {OrderControl.NEW: 0, OrderControl.CANCEL: 2, OrderControl.DISCONTINUE: 2}


@dataclass(frozen=True, kw_only=True)
class StoredOrder:
    """An order as all messages about it, folded, say it; `revision` grows whenever that reads differently."""

    revision: int
    order: contract.ServiceRequest
    patient: contract.Patient


@dataclass(frozen=True, kw_only=True)
class NamedOrder:
    """An order that a message's number names; `suffix` tells it from others under the same number."""

    order_id: UUID
    suffix: str
    accession_number: str | None
    study_instance_uid: str | None


@dataclass(frozen=True, kw_only=True)
class Addressed:
    """An order that a message is about, and its suffix."""

    order_id: UUID
    suffix: str


@dataclass(frozen=True, kw_only=True)
class OrderMessage:
    """One order as one message says it, and the numbers that name it.

    `suffix` tells apart the orders of a message that asks for several studies under one number.
    """

    request: OrderRequest
    is_synthetic: bool
    received_at: datetime
    suffix: str = ""

    @property
    def placer(self) -> str:
        """Return ORC-2 with its namespace, empty when the message has none."""
        return _number(self.request.placer_order_number)

    @property
    def filler(self) -> str:
        """Return ORC-3 with its namespace, empty when the message has none."""
        return _number(self.request.filler_order_number)

    @property
    def accession_numbers(self) -> frozenset[str]:
        """Return the accession number, if the message has one."""
        return frozenset({self.request.accession_number} - {None})  # type: ignore[arg-type]  # None is taken out

    @property
    def study_instance_uids(self) -> frozenset[str]:
        """Return the StudyInstanceUID, if the message has one."""
        return frozenset({self.request.study_instance_uid} - {None})  # type: ignore[arg-type]  # None is taken out

    @property
    def place(self) -> tuple[datetime, datetime, int]:
        """Return the message's place among those about its order: MSH-7, then ORC-9, each standing in for the other.

        Within one second a new order comes before a change, and a change before a cancellation. A message without
        any time counts from when it came.
        """
        said, sent = self.request.ordered_at, self.request.message_datetime
        moments = [moment.utc for moment in (sent or said, said or sent) if moment] or [self.received_at] * 2
        return moments[0], moments[1], _IN_ONE_SECOND.get(self.request.order_control, 1)


def read(raw: bytes, fallback_charset: str, time_zone: tzinfo, *, received_at: datetime) -> list[OrderMessage]:
    """Return the orders of a message, or raise `Malformed` with the first field without which it is none."""
    message = tokenise(raw, fallback_charset or None)
    is_synthetic = message.header.processing_id in ("T", "D")
    requests = read_orders(message, time_zone=time_zone)
    return [
        OrderMessage(request=request, is_synthetic=is_synthetic, received_at=received_at, suffix=suffix)
        for request, suffix in zip(requests, _suffixes(requests), strict=True)
    ]


def addressed(message: OrderMessage, known: Sequence[NamedOrder], site_id: str) -> tuple[Addressed, ...]:
    """Return the orders that `message` is about, out of those that its numbers name (the placer's first).

    A message that names no study, as a plain cancellation, is about every order under its number.
    """
    for order in known:
        if order.suffix == message.suffix:
            return (Addressed(order_id=order.order_id, suffix=order.suffix),)
    for order in known:
        if {order.accession_number, order.study_instance_uid} & (
            message.accession_numbers | message.study_instance_uids
        ):
            return (Addressed(order_id=order.order_id, suffix=order.suffix),)
    if known and not (message.accession_numbers or message.study_instance_uids):
        return tuple(dict.fromkeys(Addressed(order_id=order.order_id, suffix=order.suffix) for order in known))
    number = (message.placer or message.filler) + message.suffix
    return (Addressed(order_id=deterministic_id("order", site_id, number), suffix=message.suffix),)


def fold(messages: Sequence[OrderMessage], order_id: UUID, *, before: StoredOrder | None) -> StoredOrder:
    """Return the order as `messages` (in order of arrival) say it together; `before` itself when they add nothing.

    They fold by the sender's sequence, not by arrival: an old new-order message never revives a cancelled order, and
    what it alone says is still known.
    """
    order, patient = None, contract.Patient(identifiers=())
    for message in sorted(messages, key=lambda message: message.place):
        order = _order(order, message, order_id)
        patient = _patient(patient, message.request.patient)
    if order is None:
        raise ValueError("an order is folded out of at least one message")
    if before is not None and (before.order, before.patient) == (order, patient):
        return before
    return StoredOrder(revision=before.revision + 1 if before else 1, order=order, patient=patient)


def _order(known: contract.ServiceRequest | None, message: OrderMessage, order_id: UUID) -> contract.ServiceRequest:
    try:
        return _unchecked_order(known, message, order_id)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise Malformed(f"the order's {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error


def _unchecked_order(
    known: contract.ServiceRequest | None, message: OrderMessage, order_id: UUID
) -> contract.ServiceRequest:
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
        ordering_provider=_said("ordering_provider", provider and _provider(provider), old.ordering_provider, cleared),
        visit_number=visit.visit_number.id_number if visit and visit.visit_number else old.visit_number,
        patient_class=(visit.patient_class if visit else None) or old.patient_class,
        patient_location="^".join(visit.assigned_patient_location) if visit else old.patient_location,
        clinical_information=_said(
            "relevant_clinical_information", request.relevant_clinical_information, old.clinical_information, cleared
        )
        or "",
        is_synthetic=message.is_synthetic,
        scheduled_at=_said(
            "scheduled_at", request.scheduled_at and request.scheduled_at.utc, old.scheduled_at, cleared
        ),
    )


def _status(before: contract.OrderStatus, request: OrderRequest) -> contract.OrderStatus:
    """Return ORC-1's status, else ORC-5's; only a new order revives what was cancelled."""
    by_control = _STATUS.get(request.order_control)
    if by_control is not None or before is contract.OrderStatus.CANCELLED:
        return by_control or before
    return _STATUS_BY_ORC_5.get(request.order_status or "", before)


def _said(name: str, said: T | None, before: T | None, cleared: frozenset[str]) -> T | None:
    """Return what the message says; nothing said keeps what was known, two double quotes delete it (2.7.1)."""
    return said if said is not None else None if name in cleared else before


def _patient(known: contract.Patient, said: data_types.Patient) -> contract.Patient:
    """Return the patient as the message names them; what it leaves out stays known if it is the same person's."""
    name = said.names[0] if said.names else data_types.PersonName(family_name="")
    given = (name.given_name, name.second_and_further_given_names)
    patient = contract.Patient(
        identifiers=tuple(
            contract.PatientIdentifier(
                id_number=identifier.id_number,
                assigning_authority=identifier.assigning_authority,
                identifier_type_code=identifier.identifier_type_code,
            )
            for identifier in said.identifiers
        ),
        family_name=name.family_name,
        given_name=" ".join(part for part in given if part),
        birth_date=_full_date(said.birth_date),
        sex=said.administrative_sex or "",
    )
    return _filled_up(patient, known) if patients.share_an_identifier(patient, known) else patient


def _filled_up(patient: contract.Patient, known: contract.Patient) -> contract.Patient:
    is_named = bool(patient.family_name or patient.given_name)
    return contract.Patient(
        identifiers=patient.identifiers,
        family_name=patient.family_name if is_named else known.family_name,
        given_name=patient.given_name if is_named else known.given_name,
        birth_date=patient.birth_date or known.birth_date,
        sex=patient.sex or known.sex,
    )


def _full_date(iso: str | None) -> date | None:
    return date.fromisoformat(iso) if iso and len(iso) == 10 else None


def _coded(element: data_types.CodedElement) -> contract.CodedElement:
    return contract.CodedElement(identifier=element.identifier, text=element.text, coding_system=element.coding_system)


def _provider(person: data_types.Practitioner) -> contract.CodedElement:
    return contract.CodedElement(
        identifier=person.id_number, text=f"{person.family_name}^{person.given_name}".rstrip("^")
    )


def _number(identifier: data_types.EntityIdentifier | None) -> str:
    return f"{identifier.entity_identifier}^{identifier.namespace_id}" if identifier else ""


def _suffixes(requests: Sequence[OrderRequest]) -> list[str]:
    shared = Counter(request.placer_order_number or request.filler_order_number for request in requests)
    names = [request.accession_number or request.study_instance_uid for request in requests]
    return [
        f"#{name}" if name and shared[request.placer_order_number or request.filler_order_number] > 1 else ""
        for request, name in zip(requests, names, strict=True)
    ]


def moves_identity(before: StoredOrder | None, after: StoredOrder) -> bool:
    """Say whether the order now means another person or another exam; progress and time alone (ORC-1 SC, TQ1-7) do not.

    A report signed before is then held for a clinician to confirm again.
    """
    return before is None or _meaning(before) != _meaning(after)


def _meaning(stored: StoredOrder) -> tuple[contract.ServiceRequest, contract.Patient]:
    is_cancelled = stored.order.status is contract.OrderStatus.CANCELLED
    status = contract.OrderStatus.CANCELLED if is_cancelled else contract.OrderStatus.ACTIVE
    return stored.order.model_copy(update={"status": status, "scheduled_at": None}), stored.patient
