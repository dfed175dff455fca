"""Takes back objects that were sent: a Key Object Selection whose title says why (PS3.16, TID 2010; IHE IOCM)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset

from overread.protocols.dicom.composite import (
    Code,
    Device,
    Identity,
    PatientModule,
    Signature,
    SopInstanceReference,
    StudyModule,
    evidence_items,
    evidence_said,
    new_object,
    patient_said,
    person_name,
    read_evidence,
    read_patient,
)
from overread.protocols.dicom.content_items import (
    CONTAINS,
    HAS_CONCEPT_MOD,
    Node,
    coded,
    composed,
    dcm,
    depicted,
    root,
    worded,
    words,
)
from overread.protocols.dicom.data_elements import Elements, elements, exact, part10, read_part10, reading, text
from overread.protocols.dicom.errors import NotRenderable
from overread.protocols.dicom.structured_report import LANGUAGE, PERSON_OBSERVER_NAME, language_item, observers
from overread.protocols.hl7.oru import LANGUAGE_NAMES
from overread.protocols.hl7.oru_content import Language

SOP_CLASS_UID: Final = "1.2.840.10008.5.1.4.1.1.88.59"

_DESCRIPTION = dcm("113012", "Key Object Description")
_MODIFIER = dcm("113011", "Document Title Modifier")
_OTHER_FAILURE = dcm("111220", "Other failure")
_STRUCTURED_REPORTS = "1.2.840.10008.5.1.4.1.1.88."


class RejectionReason(StrEnum):
    """The titles that reject (context group 7010)."""

    QUALITY = "113001"
    PATIENT_SAFETY = "113037"
    INCORRECT_WORKLIST_ENTRY = "113038"

    @property
    def code(self) -> Code:
        """The reason as a document title."""
        return dcm(self.value, _MEANINGS[self])


_MEANINGS: Final = {
    RejectionReason.QUALITY: "Rejected for Quality Reasons",
    RejectionReason.PATIENT_SAFETY: "Rejected for Patient Safety Reasons",
    RejectionReason.INCORRECT_WORKLIST_ENTRY: "Incorrect Modality Worklist Entry",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionContent:
    """One rejection note: what is taken back, why, and who signed that, where a signature was needed."""

    identity: Identity
    patient: PatientModule
    study: StudyModule
    device: Device
    reason: RejectionReason
    description: str
    language: Language
    rejected: tuple[SopInstanceReference, ...]
    signature: Signature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionReading:
    """What a rejection note says to whoever reads it; of the signature only the name is in a key object."""

    sop_instance_uid: str
    patient: PatientModule
    study_instance_uid: str
    accession_number: str
    reason: RejectionReason
    description: str
    language: Language
    signer_name: str
    rejected: tuple[SopInstanceReference, ...]


def render(content: RejectionContent) -> bytes:
    """Write the note as a file; `NotRenderable` when it rejects nothing."""
    if not content.rejected:
        raise NotRenderable("A rejection note names what it rejects.")
    made = new_object(
        sop_class_uid=SOP_CLASS_UID,
        modality="KO",
        series_description="Rejection note",
        identity=content.identity,
        patient=content.patient,
        study=content.study,
        device=content.device,
    )
    made.update(_document(content))
    made.update(root(content.reason.code, "2010", [*_content(content)]))
    return part10(made, sop_class_uid=SOP_CLASS_UID, sop_instance_uid=content.identity.sop_instance_uid)


def _document(content: RejectionContent) -> Elements:
    """Return the Key Object Document modules (PS3.3, C.17.6)."""
    return elements(
        ReferencedPerformedProcedureStepSequence=[],
        CurrentRequestedProcedureEvidenceSequence=evidence_items(content.rejected),
    )


def _content(content: RejectionContent) -> Iterator[Elements]:
    if content.reason is RejectionReason.QUALITY:
        yield coded(HAS_CONCEPT_MOD, _MODIFIER, _OTHER_FAILURE)
    yield language_item(content.language.value, LANGUAGE_NAMES[content.language])
    yield from observers(content.device, content.signature)
    if words(content.description):
        yield worded(CONTAINS, _DESCRIPTION, content.description)
    for reference in content.rejected:
        is_document = reference.sop_class_uid.startswith(_STRUCTURED_REPORTS)
        yield composed(reference.sop) if is_document else depicted(None, reference.sop)


def read(raw: bytes) -> RejectionReading:
    """Read what a rendered note says, or raise `Unfaithful`."""
    found = read_part10(raw, SOP_CLASS_UID)
    with reading():
        return _reading(found, Node(found))


def _reading(found: Dataset, tree: Node) -> RejectionReading:
    description, person = tree.child(_DESCRIPTION), tree.child(PERSON_OBSERVER_NAME)
    named_in_tree = {item.reference for item in tree.children() if item.value_type in {"IMAGE", "COMPOSITE"}}
    evidence = read_evidence(found.CurrentRequestedProcedureEvidenceSequence)
    return RejectionReading(
        sop_instance_uid=text(found, "SOPInstanceUID"),
        patient=read_patient(found),
        study_instance_uid=text(found, "StudyInstanceUID"),
        accession_number=text(found, "AccessionNumber"),
        reason=RejectionReason(tree.name.value),
        description=description.text if description else "",
        language=Language(tree.needed(LANGUAGE).code.value),
        signer_name=person.text if person else "",
        rejected=tuple(reference for reference in evidence if reference.sop in named_in_tree),
    )


def said_by(content: RejectionContent) -> RejectionReading:
    """Return what a faithful rendering of `content` reads as."""
    signature = content.signature
    return RejectionReading(
        sop_instance_uid=content.identity.sop_instance_uid,
        patient=patient_said(content.patient),
        study_instance_uid=content.study.study_instance_uid,
        accession_number=exact(content.study.accession_number),
        reason=content.reason,
        description=words(content.description),
        language=content.language,
        signer_name=person_name(signature.family_name, signature.given_name) if signature else "",
        rejected=evidence_said(content.rejected),
    )
