"""Which orders belong to which studies. Pure: values in, decisions out.

An order links itself only if accession number or StudyInstanceUID agrees *and* the patient does not conflict;
the rest goes to the desk, where a person decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from overread.assembly import patients
from overread.contracts.events.orders import OrderStatus, Patient, ServiceRequest


@dataclass(frozen=True)
class Link:
    """The order belongs to the study."""

    order_id: UUID


@dataclass(frozen=True)
class ToTheDesk:
    """A person decides: the numbers agree, but something speaks against it."""

    order_id: UUID
    reason: str


@dataclass(frozen=True)
class NoMatch:
    """Nothing ties the order to the study."""


Decision = Link | ToTheDesk | NoMatch


@dataclass(frozen=True, kw_only=True)
class ImagedStudy:
    """What the images of a study say about order and patient."""

    study_instance_uid: str
    accession_numbers: frozenset[str]
    patient: Patient


def decide(order: ServiceRequest, ordered_patient: Patient, study: ImagedStudy) -> Decision:
    """Say whether `order` links itself to `study`."""
    if not _numbers_agree(order, study):
        return NoMatch()
    if order.status is OrderStatus.CANCELLED:
        return ToTheDesk(order.order_id, "the order was cancelled before its images came")
    if reason := patients.conflict(ordered_patient, study.patient):
        return ToTheDesk(order.order_id, reason)
    return Link(order.order_id)


def _numbers_agree(order: ServiceRequest, study: ImagedStudy) -> bool:
    if order.study_instance_uid is not None and order.study_instance_uid == study.study_instance_uid:
        return True
    return order.accession_number is not None and order.accession_number in study.accession_numbers


def matching_keys(accession_numbers: Iterable[str], study_instance_uids: Iterable[str]) -> list[str]:
    """Return what must be locked, in this order, so that an order and its images can't miss each other."""
    accessions = {f"accession {number}" for number in accession_numbers}
    return sorted(accessions | {f"study {uid}" for uid in study_instance_uids})
