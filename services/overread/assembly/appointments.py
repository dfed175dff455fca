"""What scheduling systems say of orders: a note beside the order, never an order. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from overread.assembly import patients
from overread.assembly.observed_patients import patient_said
from overread.assembly.reader_reports import Number
from overread.assembly.senders import sender_of
from overread.contracts.events.cases import Appointment, AppointmentStatus, Case
from overread.contracts.events.intake import HL7Received
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.protocols.hl7.siu import AppointmentNotice


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One appointment as its newest message says it; `sender` is empty where the namespace in `key` says whose it is."""

    key: str
    status: AppointmentStatus
    numbers: tuple[Number, ...]
    scheduled_at: datetime | None
    said_at: datetime
    patient: Patient | None
    sender: str = ""

    def may_be(self, other: "Notice") -> bool:
        """Say whether `other`, of the same key, can be the same appointment: it names no other patient."""
        return not (self.patient and other.patient and patients.conflict(self.patient, other.patient))


def notice_of(said: AppointmentNotice, received: HL7Received) -> Notice:
    """Return the notice of a message."""
    return Notice(
        key=f"{said.appointment.entity_identifier}^{said.appointment.namespace_id}",
        status=AppointmentStatus(said.booking.value),
        numbers=tuple(Number(number=one.entity_identifier, namespace=one.namespace_id) for one in said.numbers),
        scheduled_at=said.starts_at,
        said_at=said.sent_at or received.received_at,
        patient=patient_said(said.patient) if said.patient else None,
        sender="" if said.appointment.namespace_id else sender_of(received),
    )


def beside(notices: Iterable[Notice], case: Case, patient: Patient) -> tuple[Appointment, ...]:
    """Return the newest notice about each order of the case; one that names another patient is none."""
    theirs = [one for one in notices if one.patient is None or patients.conflict(one.patient, patient) is None]
    in_order = sorted(theirs, key=lambda one: (one.said_at, one.key))
    found = ((order, [one for one in in_order if _is_about(one, order)]) for order in case.orders)
    return tuple(
        Appointment(order_id=order.order_id, status=about[-1].status, scheduled_at=about[-1].scheduled_at)
        for order, about in found
        if about
    )


def numbers_of(case: Case) -> list[str]:
    """Return every number by which a notice may name an order of the case."""
    said = ((o.placer_order_number, o.filler_order_number, o.accession_number or "") for o in case.orders)
    return sorted({number for numbers in said for number in numbers} - {""})


def _is_about(notice: Notice, order: ServiceRequest) -> bool:
    names = [
        Number(number=order.placer_order_number, namespace=order.placer_namespace),
        Number(number=order.filler_order_number, namespace=order.filler_namespace),
        Number(number=order.accession_number or ""),
    ]
    return any(said.number and said.may_be(name) for said in notice.numbers for name in names)
