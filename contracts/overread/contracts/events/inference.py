"""What the models are asked and what they say."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body, Value
from overread.contracts.identifiers import DecimalString, Sha256, StudyInstanceUid


class ModelReference(Value):
    """A model version by name, and by the digest of the files that ran."""

    name: str
    version: str
    title: str = ""
    digest: Sha256 | None = None


class Decision(StrEnum):
    """What routing decided for one model."""

    JOB = "job"
    NOT_APPLICABLE = "not_applicable"
    WITHHELD = "withheld"


class PlannedModel(Value):
    """One model's place in the plan; `reasons` say why it does not run, in plain English."""

    model: ModelReference
    decision: Decision
    reasons: tuple[str, ...] = ()
    series_instance_uid: str | None = None
    job_id: UUID | None = None


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


class Finding(Value):
    """One thing a model says: a code with a number and its unit, a coded value, or a text."""

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


class Outcome(StrEnum):
    """How a job ended."""

    COMPLETED = "completed"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"


class InferenceDone(Body):
    """A job ended: with findings (none is a finding too), or with the reason why not."""

    case_id: UUID
    job_id: UUID
    study_instance_uid: StudyInstanceUid
    study_revision: int
    model: ModelReference
    outcome: Outcome
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    artefact_keys: tuple[str, ...]
    started_at: AwareDatetime
    ended_at: AwareDatetime
