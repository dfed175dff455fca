"""What the models are asked and what they say."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body, Value
from overread.contracts.identifiers import DecimalString, Sha256, StudyInstanceUid


class ModelReference(Value):
    """A model version by name, and by the digest of the files that ran; `manufacturer` is empty where it is not known."""

    name: str
    version: str
    title: str = ""
    digest: Sha256 | None = None
    manufacturer: str = ""


class Decision(StrEnum):
    """What routing decided for one model."""

    JOB = "job"
    NOT_APPLICABLE = "not_applicable"
    WITHHELD = "withheld"


class PlannedModel(Value):
    """One model's place in the plan; `reasons` say why it does not run, in plain English.

    `offered_by` says why the study went there at all: the rule that named the model, or the mapped code that does; empty
    where nothing did, and in plans from before that was noted.
    """

    model: ModelReference
    decision: Decision
    reasons: tuple[str, ...] = ()
    series_instance_uid: str | None = None
    job_id: UUID | None = None
    offered_by: str = ""


class InferencePlanned(Body):
    """For this study revision, every model: a job, or why not. The first plan of a revision wins."""

    case_id: UUID
    study_instance_uid: StudyInstanceUid
    study_revision: int
    rules_digest: Sha256
    planned: tuple[PlannedModel, ...]
    deadline: AwareDatetime


class Lane(StrEnum):
    """How urgent a job is."""

    STAT = "stat"
    ROUTINE = "routine"


class InferenceRequested(Body):
    """One job: a study revision for a model version. `job_id` is ours and never reaches the model."""

    case_id: UUID
    job_id: UUID
    study_instance_uid: StudyInstanceUid
    study_revision: int
    manifest_key: str
    series_instance_uid: str
    model: ModelReference
    lane: Lane
    deadline: AwareDatetime


class Concept(Value):
    """A concept in a coding scheme (DICOM PS3.3, 8.8)."""

    code: str
    scheme: str
    display: str


class Finding(Value):
    """One thing a model says: a code with a number and its unit, a coded value, or a text.

    `finding_site` is where in the body it is; absent where no one part is meant, and in what was made before sites were
    kept. `property` is what the number measures, in a code that more receivers know than `code`; absent where there is
    none.
    """

    code: str
    scheme: str
    display: str
    value: DecimalString | None = None
    unit: str = ""
    unit_display: str = ""
    coded_value: str = ""
    coded_value_scheme: str = ""
    coded_value_display: str = ""
    abnormal_flag: str = ""
    probability: DecimalString | None = None
    observation_sub_id: str = ""
    series_instance_uid: str = ""
    finding_site: Concept | None = None
    property: Concept | None = None


class Outcome(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ArtefactKind(StrEnum):
    """What a stored object of a model is."""

    SEGMENTATION = "segmentation"


class Segment(Value):
    """One label of a segmentation, with the codes that DICOM SEG asks for (PS3.3 C.8.20.4)."""

    number: int
    label: str
    category_code: str
    category_scheme: str
    category_display: str
    type_code: str
    type_scheme: str
    type_display: str


class Artefact(Value):
    """A stored object that a model made of a series.

    A segmentation is a NumPy `.npz` without pickles: `labels`, uint8 of shape (frames, rows, columns) in the pixel
    grid of the series' images, 0 where nothing is; and `sop_instance_uids`, the image of each frame.
    """

    kind: ArtefactKind
    key: str
    digest: Sha256
    series_instance_uid: str
    segments: tuple[Segment, ...] = ()


class InferenceDone(Body):
    """A job ended: with findings (none is a finding too), or with the reason why not.

    `artefacts` describes what lies under `artefact_keys`; absent where a model made none.
    """

    case_id: UUID
    job_id: UUID
    study_instance_uid: StudyInstanceUid
    study_revision: int
    model: ModelReference
    outcome: Outcome
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    artefact_keys: tuple[str, ...]
    artefacts: tuple[Artefact, ...] = ()
    started_at: AwareDatetime
    ended_at: AwareDatetime
