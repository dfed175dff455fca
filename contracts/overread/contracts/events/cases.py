"""What happens to a case: a study with the orders and the patient it belongs to.

Every event carries the whole case as it is after the event, so a consumer keeps the newest and needs no second source.
"""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body, Value
from overread.contracts.events.orders import CodedElement, Patient, ServiceRequest
from overread.contracts.identifiers import Sha256, StudyInstanceUid


class CompletenessBasis(StrEnum):
    """Why the study was taken for whole; `listed`: all that the modality or an archive lists is here."""

    LISTED = "listed"
    QUIET_AFTER_ASSOCIATION = "quiet_after_association"
    QUIET = "quiet"
    HOLD_CAP = "hold_cap"


class SeriesSummary(Value):
    """One series of a study; `modality` is empty where its images do not say it."""

    series_instance_uid: str
    modality: str = ""
    instance_count: int


class Study(Value):
    """The newest complete revision of a study; the manifest is a stored object.

    `series` are those of the manifest; empty in what was made before they were kept, and where there are too many for an
    event.
    """

    study_instance_uid: StudyInstanceUid
    study_revision: int
    manifest_key: str
    manifest_digest: Sha256
    modalities: tuple[str, ...]
    body_part_examined: str = ""
    study_description: str = ""
    study_date_time: str = ""
    series_count: int
    instance_count: int
    completeness_basis: CompletenessBasis
    series: tuple[SeriesSummary, ...] = ()


class ContextObservation(Value):
    """The newest value of one thing that was observed about the patient: by a laboratory, or at the bedside.

    `concept` is the word of our list under which it is shown; `code` is the sender's own. `value` is text as it came,
    `status` OBX-11 (table HL70085), `abnormal_flag` OBX-8. `observed_at` is absent where no message said it.
    """

    concept: str
    code: CodedElement
    value: str
    unit: str = ""
    reference_range: str = ""
    abnormal_flag: str = ""
    status: str = ""
    observed_at: AwareDatetime | None = None


class ElsewhereReading(Value):
    """A reader's final report that another system sent: who reported, when, and as what (OBR-25: `F`, `C`).

    `link_id` and `sending_application` say who told it. The report's text is not kept here.
    """

    reporter: str
    status: str
    reported_at: AwareDatetime
    link_id: str
    sending_application: str = ""


class AppointmentStatus(StrEnum):
    """What became of an appointment (SIU)."""

    BOOKED = "booked"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class Appointment(Value):
    """When an order's examination is booked, as a scheduling system said it last; a note, which changes no order."""

    order_id: UUID
    status: AppointmentStatus
    scheduled_at: AwareDatetime | None = None


class Case(Value):
    """A case as it is now. `revision` grows with each event, `identity_version` whenever patient or orders change.

    `laboratory` and `bedside` are what was observed lately about the patient, newest value of each thing; empty where
    nothing is known, or nothing of our list. `read_elsewhere` is present while a reader's report of another system
    stands. `appointments` are notes about the case's orders; empty where no scheduling system spoke.
    """

    case_id: UUID
    revision: int
    identity_version: int
    study_instance_uid: StudyInstanceUid
    patient: Patient
    orders: tuple[ServiceRequest, ...]
    study: Study | None
    is_withdrawn: bool = False
    is_synthetic: bool = False
    laboratory: tuple[ContextObservation, ...] = ()
    bedside: tuple[ContextObservation, ...] = ()
    read_elsewhere: ElsewhereReading | None = None
    appointments: tuple[Appointment, ...] = ()


class CaseBody(Body):
    """What every case event says."""

    case_id: UUID
    case: Case


class StudyReady(CaseBody):
    """The study is complete in the revision that `case.study` names, and may be read."""


class StudySuperseded(CaseBody):
    """Images came after the study was complete: results of earlier revisions are out of date."""

    superseded_revision: int


class OrderLinked(CaseBody):
    """An order now belongs to the case; nothing is inferred again."""

    order_id: UUID


class OrderChangedOnCase(CaseBody):
    """An order of the case reads differently."""

    order_id: UUID


class OrderCancelled(CaseBody):
    """An order of the case was cancelled or discontinued."""

    order_id: UUID


class PatientCorrected(CaseBody):
    """The patient's data on the case changed."""


class PatientsMerged(CaseBody):
    """The case's patient was merged into another (ADT A40)."""

    prior_identifiers: tuple[str, ...]


class CaseWithdrawn(CaseBody):
    """The case is no longer to be read or reported."""

    reason: str


class ReadElsewhere(CaseBody):
    """A reader's report of another system became final, was corrected, or was taken back (`case.read_elsewhere` absent)."""


class ContextChanged(CaseBody):
    """What is known around the case changed: laboratory, bedside, appointments; not its patient, orders or images."""
