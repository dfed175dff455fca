"""What comes in: one HL7 message, one DICOM instance, one hint about a study."""

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body, Value
from overread.contracts.identifiers import Sha256, SopClassUid, SopInstanceUid, StudyInstanceUid


class HL7Received(Body):
    """A link accepted one HL7 v2 message; its bytes are kept as they came.

    Either `raw_base64` or `object_key` (a body too large for an event) holds the message without its MLLP frame.
    `message_datetime` is MSH-7 as it was sent; absent when it was empty, or from a producer that did not tell.
    `accession_places` are the fields that the link's sender keeps the accession number in, as `OBR-18` or `ZPA-3.2`, the
    first that says something; empty for the usual ones.
    `corrects` is the event of a message that was set aside and that a person mended: this one stands for it. Absent in
    what a sender sent itself.
    """

    link_id: str
    message_type: str
    trigger_event: str
    version_id: str
    message_control_id: str
    sending_application: str
    sending_facility: str
    digest: Sha256
    fallback_charset: str
    received_at: AwareDatetime
    acknowledgment_code: str
    raw_base64: str | None = None
    object_key: str | None = None
    message_datetime: str | None = None
    accession_places: tuple[str, ...] = ()
    corrects: UUID | None = None


class CorrectionRequested(Body):
    """A person mended a message that was set aside; the intake keeps it as a new message of the same link.

    `corrects` is the event of the message as it came, which stays as it is. Either `raw_base64` or `object_key` holds the
    mended one. Its event has the id that `identifiers.corrected_event_id` makes of these, so that it is kept once.
    """

    link_id: str
    corrects: UUID
    digest: Sha256
    requested_by: str
    requested_at: AwareDatetime
    raw_base64: str | None = None
    object_key: str | None = None


class InstanceAttributes(Value):
    """The header attributes of an instance that later steps decide by; absent in the header is None or empty."""

    series_instance_uid: str
    accession_number: str | None = None
    patient_id: str | None = None
    issuer_of_patient_id: str | None = None
    patient_name: str | None = None
    patient_birth_date: date | None = None
    patient_sex: str | None = None
    patient_age_years: int | None = None
    modality: str | None = None
    series_number: int | None = None
    instance_number: int | None = None
    study_description: str | None = None
    series_description: str | None = None
    study_date_time: str | None = None
    body_part_examined: str | None = None
    image_type: tuple[str, ...] = ()
    rows: int | None = None
    columns: int | None = None
    number_of_frames: int | None = None
    pixel_spacing: tuple[float, float] | None = None
    slice_thickness: float | None = None
    image_position_patient: tuple[float, float, float] | None = None
    image_orientation_patient: tuple[float, float, float, float, float, float] | None = None
    convolution_kernel: tuple[str, ...] = ()
    kvp: float | None = None
    contrast_bolus_agent: str | None = None
    gantry_detector_tilt: float | None = None
    manufacturer: str | None = None
    manufacturer_model_name: str | None = None
    station_name: str | None = None
    burned_in_annotation: str | None = None
    referring_physician_name: str | None = None
    quality_control_image: str | None = None
    protocol_name: str | None = None
    sequence_name: str | None = None
    mr_acquisition_type: str | None = None
    repetition_time: float | None = None
    echo_time: float | None = None


class InstanceStored(Body):
    """An instance is on synced disk under `object_key` (Part 10 file, data set bit for bit as received)."""

    study_instance_uid: StudyInstanceUid
    sop_instance_uid: SopInstanceUid
    sop_class_uid: SopClassUid
    transfer_syntax_uid: str
    object_key: str
    digest: Sha256
    size_bytes: int
    received_at: AwareDatetime
    calling_ae_title: str
    association_id: UUID
    is_accompanying: bool
    attributes: InstanceAttributes


class HintKind(StrEnum):
    """Signals about a study that are not images."""

    ASSOCIATION_CLOSED = "association_closed"
    PROCEDURE_STEP_STARTED = "procedure_step_started"
    PROCEDURE_STEP_ENDED = "procedure_step_ended"
    INSTANCES_AVAILABLE = "instances_available"
    COMMITMENT_REQUESTED = "commitment_requested"


class StudyHint(Body):
    """A signal that shortens the wait for a study; it names what the sender delivered.

    With `list_id`, `sop_instance_uids` is a part (`part` of `parts`) of a list that the modality or archive made: once
    all of it is here the study is whole. A procedure step has its `list_id` from its start on, when it lists nothing.
    """

    study_instance_uid: StudyInstanceUid
    kind: HintKind
    calling_ae_title: str
    association_id: UUID
    sop_instance_uids: tuple[SopInstanceUid, ...]
    is_orderly: bool
    list_id: UUID | None = None
    part: int = 1
    parts: int = 1


class IntakeRestarted(Body):
    """An intake came back after an unclean end: `archive` announces again what was stored since its checkpoint."""

    study_instance_uid: str
    intake: str
    restarted_at: AwareDatetime


class Announced(Body):
    """A data set without pixels that a peer announced, as it came: `data_set_base64`, or a stored object if it is large.

    `study_instance_uid` is "-": what is announced of several studies, or under another name, keeps its order that way.
    """

    study_instance_uid: str = "-"
    calling_ae_title: str
    association_id: UUID
    received_at: AwareDatetime
    transfer_syntax_uid: str
    data_set_base64: str | None = None
    object_key: str | None = None


class ProcedureStepReported(Announced):
    """A modality began, changed or ended a performed procedure step (MPPS; PS3.4, F.7).

    `is_new` tells an N-CREATE from an N-SET. `status` is (0040,0252), empty where the message leaves it as it is. The
    studies are those that its N-CREATE named.
    """

    procedure_step_uid: SopInstanceUid
    is_new: bool
    status: str
    study_instance_uids: tuple[StudyInstanceUid, ...] = ()
    accession_numbers: tuple[str, ...] = ()


class CommitmentRequested(Announced):
    """A peer asks that we vouch for instances (PS3.4, J.3.2); the data set lists them.

    `answer_here` says that the peer has no address of its own here: it waits for the answer on its association.
    """

    transaction_uid: SopInstanceUid
    answer_here: bool = False
