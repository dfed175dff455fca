"""A report's life, and the one document that is shown, signed, rendered and checked."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body, Value
from overread.contracts.events.cases import Case, SeriesSummary
from overread.contracts.events.inference import Artefact, Finding, ModelReference, Outcome
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.contracts.identifiers import Sha256, StudyInstanceUid
from overread.contracts.report_life import ReportState


class Verdict(StrEnum):
    """What the clinician made of a model's findings; the model's own stay beside it."""

    ACCEPTED = "accepted"
    CHANGED = "changed"
    REJECTED = "rejected"


class ModelResult(Value):
    """What one model contributed, or why it did not."""

    model: ModelReference
    outcome: Outcome | None
    reasons: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    decision: str
    ended_at: AwareDatetime | None = None
    artefacts: tuple[Artefact, ...] = ()


class Signer(Value):
    """The clinician who signs: the identity provider's subject, and the name that goes on the report."""

    subject: str
    family_name: str
    given_name: str = ""


class Withdrawal(Value):
    """Why a final report is taken back; `is_wrong_patient` when it was about somebody else."""

    reason: str
    is_wrong_patient: bool = False


class ReportDocument(Body):
    """The document: its bytes are made once (`codec.document_bytes`), digested, signed, and never re-serialised.

    `signed_by` and `signed_at` are absent in a draft. `ai_results` are the models' own words; `findings` are what
    the report states: in a draft the models' findings, in a signed report the clinician's. `manifest_key` names the
    stored list of the images; empty in documents made before it was kept here. `withdrawal` is present in the document
    that a clinician signs to take a final report back: what it then states is that nothing of it holds any more.
    `verdict_reasons` are the clinician's reasons for changing or rejecting, as words of a fixed list; empty where none
    was given. `series` are the study's; empty where they are not known.
    """

    report_id: UUID
    case_id: UUID
    site_id: str
    report_revision: int
    study_instance_uid: StudyInstanceUid
    study_revision: int
    manifest_digest: Sha256
    identity_version: int
    patient: Patient
    orders: tuple[ServiceRequest, ...]
    study_date_time: str
    modalities: tuple[str, ...]
    study_description: str
    findings: tuple[Finding, ...]
    ai_results: tuple[ModelResult, ...]
    verdict: Verdict | None
    conclusion: str
    language: str
    is_synthetic: bool
    drafted_at: AwareDatetime
    signed_by: Signer | None
    signed_at: AwareDatetime | None
    manifest_key: str = ""
    withdrawal: Withdrawal | None = None
    verdict_reasons: tuple[str, ...] = ()
    series: tuple[SeriesSummary, ...] = ()


class ReportChanged(Body):
    """A revision of a report entered a state. `document` is present when the state shows a new document."""

    case_id: UUID
    report_id: UUID
    report_revision: int
    revision: int
    state: ReportState
    reason: str
    digest: Sha256
    document_base64: str


class SeenCase(Value):
    """How far a case had moved when a clinician let a held report of it go: all of it that a report rests on.

    `study_revision` is 0 without a complete study; `superseded_revision` is the newest one that newer images put out of
    date. Results of others and progress of the order raise the case's revision, and none of this.
    """

    identity_version: int
    study_revision: int
    manifest_digest: str
    superseded_revision: int = 0

    @classmethod
    def of(cls, case: Case, superseded_revision: int) -> "SeenCase":
        """Return how far `case` has moved."""
        return cls(
            identity_version=case.identity_version,
            study_revision=case.study.study_revision if case.study else 0,
            manifest_digest=case.study.manifest_digest if case.study else "",
            superseded_revision=superseded_revision,
        )


class ReportSigned(Body):
    """A clinician signed exactly these bytes. Only `review` may write this (broker ACL).

    `submission` counts how often this revision was put before the gate: 1 by its signature, one more for each time that
    a clinician let it go although the gate had held it; `released_by` is then that clinician's subject, and
    `released_case_revision` the revision of the case that was on screen: the word answers for nothing that came after it,
    and for nothing at all where none is named. `released_case` is what was seen there; a word from before it was named
    answers for that revision alone. The same submission sent again is one request.
    """

    case_id: UUID
    report_id: UUID
    report_revision: int
    document_base64: str
    digest: Sha256
    signature_base64: str
    certificate_pem: str
    signed_at: AwareDatetime
    released_by: str = ""
    submission: int = 1
    released_case_revision: int | None = None
    released_case: SeenCase | None = None
