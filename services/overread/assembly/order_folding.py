"""How an order reads after its messages: folded one by one by the sender's sequence, whatever came when. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar
from uuid import UUID

from pydantic import ValidationError

from overread.assembly import patients
from overread.assembly.orders import OrderMessage, Place
from overread.contracts.errors import Malformed
from overread.contracts.events import orders as contract
from overread.protocols.hl7 import data_types
from overread.protocols.hl7.order import OrderRequest
from overread.protocols.hl7.order_controls import CONTROLS, Effect

T = TypeVar("T")
Status = contract.OrderStatus
Reading = tuple[contract.ServiceRequest | None, contract.Patient]
"""What messages so far say of an order, None before the first, and of its patient."""

NOTHING: Reading = (None, contract.Patient(identifiers=()))

_STATUS_BY_ORC_5 = {
    "CA": Status.CANCELLED,
    "DC": Status.CANCELLED,
    "RP": Status.CANCELLED,
    "CM": Status.COMPLETED,
    "HD": Status.HELD,
}
_UNDER_WAY = frozenset({"IP", "SC", "A"})
"""ORC-5 of an order that somebody works on (table HL70038), so it is not on hold."""


@dataclass(frozen=True, kw_only=True)
class StoredOrder:
    """An order as all messages about it, folded, say it; `revision` grows whenever that reads differently."""

    revision: int
    order: contract.ServiceRequest
    patient: contract.Patient


class OrderLife:
    """One order in one transaction: what is stored of it, and what each message that comes makes of it.

    `newest` is the place of the last message that `stored` is folded from, None where that was not noted. A message
    whose place is after it is folded onto what is stored; for an earlier one the messages before must be recalled.
    """

    def __init__(self, order_id: UUID, stored: StoredOrder | None = None, newest: Place | None = None) -> None:
        self.order_id = order_id
        self.stored = stored
        self.newest = newest
        self._is_recalled = stored is None
        self._messages: list[OrderMessage] = []  # by place, all of them once recalled, else those of this transaction
        self._places: list[Place] = []
        self._readings: list[Reading] = []

    def must_recall(self, message: OrderMessage) -> bool:
        """Say whether `message` can be taken only after `recall`."""
        return not self._is_recalled and (self.newest is None or message.place < self.newest)

    def recall(self, kept: Sequence[OrderMessage]) -> None:
        """Know again every message that was kept about the order before this transaction, in order of arrival."""
        messages = sorted([*kept, *self._messages], key=lambda message: message.place)
        self._is_recalled, self._messages, self._places, self._readings = True, [], [], []
        self._append(messages, NOTHING)

    def take(self, message: OrderMessage) -> bool:
        """Fold `message` in, at its place, and say whether the order reads differently now."""
        if self.must_recall(message):
            raise ValueError("a message before what is folded needs those that were kept")
        position = bisect_right(self._places, message.place)
        later = [message, *self._messages[position:]]
        del self._messages[position:], self._places[position:], self._readings[position:]
        self._append(later, self._readings[-1] if self._readings else self._before())
        return self._settle(*self._readings[-1])

    def _before(self) -> Reading:
        return NOTHING if self._is_recalled or self.stored is None else (self.stored.order, self.stored.patient)

    def _append(self, messages: Iterable[OrderMessage], reading: Reading) -> None:
        for message in messages:
            reading = step(reading, message, self.order_id)
            self._messages.append(message)
            self._places.append(message.place)
            self._readings.append(reading)

    def _settle(self, order: contract.ServiceRequest | None, patient: contract.Patient) -> bool:
        before, self.newest = self.stored, self._places[-1]
        if order is None or (before is not None and (before.order, before.patient) == (order, patient)):
            return False
        self.stored = StoredOrder(revision=before.revision + 1 if before else 1, order=order, patient=patient)
        return True


def step(reading: Reading, message: OrderMessage, order_id: UUID) -> Reading:
    """Return what is known once `message`, the next in the sender's sequence, was heard."""
    order, patient = NOTHING if _uses_the_number_again(reading, message) else reading
    return _order(order, message, order_id), _patient(patient, message.request.patient)


def _uses_the_number_again(reading: Reading, message: OrderMessage) -> bool:
    """Say whether a new order has the number of another patient's: it inherits nothing of that one."""
    order, patient = reading
    is_new = order is not None and CONTROLS[message.request.order_control].effect is Effect.OPENS
    return is_new and names_another(message, patient)


def names_another(message: OrderMessage, patient: contract.Patient) -> bool:
    """Say whether the message's patient can't be `patient`, by what both say."""
    said = stated_patient(message.request.patient)
    return said != patient and patients.conflict(said, patient) is not None


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
    location = "^".join(visit.assigned_patient_location) if visit else ""
    link_id = (message.link_id if service else "") or old.link_id
    return contract.ServiceRequest(
        order_id=order_id,
        status=_status(old.status, request, may_be_old=message.may_be_old),
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
        patient_location=location or old.patient_location,
        clinical_information=_said(
            "relevant_clinical_information", request.relevant_clinical_information, old.clinical_information, cleared
        )
        or "",
        is_synthetic=message.is_synthetic,
        scheduled_at=_said(
            "scheduled_at", request.scheduled_at and request.scheduled_at.utc, old.scheduled_at, cleared
        ),
        parent_order_number=request.parent.entity_identifier if request.parent else old.parent_order_number,
        link_id=link_id,
        body_part=_coded(request.body_part) if request.body_part else old.body_part,
        location_link_id=_other_link(
            link_id,
            message.link_id if location else old.location_link_id or (old.link_id if old.patient_location else ""),
        ),
        provider_link_id=_other_link(
            link_id,
            message.link_id if provider else old.provider_link_id or (old.link_id if old.ordering_provider else ""),
        ),
    )


def _other_link(link_id: str, said_by: str | None) -> str:
    """Return the link that said a code, where it is another than the one that said what is asked."""
    return said_by if said_by and said_by != link_id else ""


def _status(before: Status, request: OrderRequest, *, may_be_old: bool) -> Status:
    """Return what ORC-1, and where it only tells a state ORC-5, make of the status.

    What was cancelled is revived only by a new order, or by the filler's word that it could not be cancelled.
    """
    match CONTROLS[request.order_control].effect:
        case Effect.OPENS:
            return before if may_be_old else Status.ACTIVE
        case Effect.CANCELS:
            return Status.CANCELLED
        case Effect.STANDS:
            return Status.ACTIVE if before is Status.CANCELLED else before
        case Effect.HOLDS:
            return Status.HELD if before is Status.ACTIVE else before
        case Effect.RELEASES:
            return Status.ACTIVE if before is Status.HELD else before
        case Effect.TELLS:
            return _told(before, request.order_status or "")


def _told(before: Status, order_status: str) -> Status:
    if before is Status.HELD and order_status in _UNDER_WAY:
        return Status.ACTIVE
    return before if before is Status.CANCELLED else _STATUS_BY_ORC_5.get(order_status, before)


def _said(name: str, said: T | None, before: T | None, cleared: frozenset[str]) -> T | None:
    """Return what the message says; nothing said keeps what was known, two double quotes delete it (2.7.1)."""
    return said if said is not None else None if name in cleared else before


def _patient(known: contract.Patient, said: data_types.Patient) -> contract.Patient:
    """Return the patient as the message names them; what it leaves out stays known if it is the same person's."""
    patient = stated_patient(said)
    is_known = patients.share_an_identifier(patient, known) and patients.conflict(patient, known) is None
    return _filled_up(patient, known) if is_known else patient


def stated_patient(said: data_types.Patient) -> contract.Patient:
    """Return the patient as the message alone names them."""
    name = said.names[0] if said.names else data_types.PersonName(family_name="")
    given = (name.given_name, name.second_and_further_given_names)
    return contract.Patient(
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


def moves_identity(before: StoredOrder | None, after: StoredOrder) -> bool:
    """Say whether the order now means another person or another exam; progress and time alone (ORC-1 SC, TQ1-7) do not.

    Nor does another link that says the same. A report signed before is then held for a clinician to confirm again.
    """
    return before is None or _meaning(before) != _meaning(after)


def _meaning(stored: StoredOrder) -> tuple[contract.ServiceRequest, contract.Patient]:
    is_cancelled = stored.order.status is contract.OrderStatus.CANCELLED
    status = contract.OrderStatus.CANCELLED if is_cancelled else contract.OrderStatus.ACTIVE
    links = dict.fromkeys(("link_id", "location_link_id", "provider_link_id"), "")
    return stored.order.model_copy(update={"status": status, "scheduled_at": None, **links}), stored.patient
