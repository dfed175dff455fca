"""Which orders belong to which studies. Pure: values in, decisions out.

An order links itself only if accession number or StudyInstanceUID agrees *and* the patient does not conflict, and stays
linked only while that is so; the rest goes to the desk, where a person decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from overread.assembly import patients
from overread.contracts.events.orders import OrderStatus, Patient, ServiceRequest

MOVED_AWAY = "the order was linked, and its numbers no longer agree with the study"
CANCELLED_BEFORE = "the order was cancelled before its images came"
ON_HOLD = "the order is on hold, and its images are there"


@dataclass(frozen=True)
class Link:
    """The order belongs to the study; one on hold too: its images are read, and a person is told.

    `doubt` is what has come to speak against a person's decision, empty where nothing has.
    """

    order_id: UUID
    is_on_hold: bool = False
    doubt: str = ""

    @property
    def for_the_desk(self) -> str:
        """Return what a person is told about the linked order, empty where nothing is."""
        return self.doubt or (ON_HOLD if self.is_on_hold else "")


@dataclass(frozen=True)
class ToTheDesk:
    """A person decides: the numbers agree, or did, but something speaks against it."""

    order_id: UUID
    reason: str


@dataclass(frozen=True)
class NoMatch:
    """Nothing ties the order to the study, or a person keeps them apart; `doubt` is what speaks against that since."""

    order_id: UUID
    doubt: str = ""


Decision = Link | ToTheDesk | NoMatch


@dataclass(frozen=True, kw_only=True)
class ImagedStudy:
    """What the images of a study say about order and patient."""

    study_instance_uid: str
    accession_numbers: frozenset[str]
    patient: Patient


def decide(order: ServiceRequest, ordered_patient: Patient, study: ImagedStudy, *, is_linked: bool) -> Decision:
    """Say whether `order` belongs to `study`. An order that is cancelled once it is linked stays linked."""
    if not _numbers_agree(order, study):
        return ToTheDesk(order.order_id, MOVED_AWAY) if is_linked else NoMatch(order.order_id)
    if reason := patients.conflict(ordered_patient, study.patient):
        return ToTheDesk(order.order_id, reason)
    if order.status is OrderStatus.CANCELLED and not is_linked:
        return ToTheDesk(order.order_id, CANCELLED_BEFORE)
    return Link(order.order_id, is_on_hold=order.status is OrderStatus.HELD)


def _numbers_agree(order: ServiceRequest, study: ImagedStudy) -> bool:
    if order.study_instance_uid is not None and order.study_instance_uid == study.study_instance_uid:
        return True
    return order.accession_number is not None and order.accession_number in study.accession_numbers


def matching_keys(accession_numbers: Iterable[str], study_instance_uids: Iterable[str]) -> set[str]:
    """Return what must be locked so that an order and its images can't miss each other."""
    accessions = {f"accession {number}" for number in accession_numbers}
    return accessions | {f"study {uid}" for uid in study_instance_uids}
