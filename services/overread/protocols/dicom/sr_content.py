"""What one structured report says, as values; `structured_report` writes it and reads it back."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from overread.protocols.dicom.composite import (
    Algorithm,
    Code,
    Device,
    Identity,
    PatientModule,
    Signature,
    SopInstanceReference,
    SourceSeries,
    StudyModule,
    evidence_said,
    patient_said,
)
from overread.protocols.dicom.content_items import dcm, words
from overread.protocols.dicom.data_elements import exact, line_of
from overread.protocols.dicom.errors import NotRenderable
from overread.protocols.hl7.oru_content import Language

FINDING: Final = dcm("121071", "Finding")
FINDING_SITE: Final = Code(value="363698007", scheme="SCT", meaning="Finding Site")
NORMALITY: Final = dcm("121402", "Normality")
CERTAINTY: Final = dcm("111012", "Certainty of Finding")
ABNORMAL_FLAGS: Final = "99HL70078"

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_LONGEST_DS = 16
_OF_THE_TEMPLATE = frozenset((code.scheme, code.value) for code in (FINDING, FINDING_SITE, NORMALITY, CERTAINTY))


class DocumentStatus(StrEnum):
    """The Verification Flag (PS3.3, C.17.2): whether a named clinician stands behind the document."""

    UNVERIFIED = "UNVERIFIED"
    VERIFIED = "VERIFIED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingRequest:
    """An order that the report answers (PS3.3, C.17.2, Referenced Request Sequence)."""

    accession_number: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    procedure: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A number as the decimal string it has in the report, with its UCUM unit; None has no unit."""

    value: str
    unit: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A coded value."""

    value: Code


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencedSegment:
    """The segment that a finding is about: which one of which SEG, and the series it was drawn on."""

    series_instance_uid: str
    sop_instance_uid: str
    segment_number: int
    source_series_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SrFinding:
    """One finding. Name and sub-ID stay the same for every later document; `algorithm` is None where a clinician said it.

    `measured_property` is what its number measures, in a code that more receivers know than the name.
    """

    name: Code
    sub_id: str
    value: Measured | Coded | None
    probability: str = ""
    abnormal_flag: str = ""
    finding_site: Code | None = None
    measured_property: Code | None = None
    algorithm: Algorithm | None = None
    segment: ReferencedSegment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SrContent:
    """One report. Without a signature it is unverified; a correction names its predecessors."""

    identity: Identity
    patient: PatientModule
    study: StudyModule
    requests: tuple[ImagingRequest, ...]
    evidence: tuple[SourceSeries, ...]
    language: Language
    is_synthetic: bool
    device: Device
    findings: tuple[SrFinding, ...]
    conclusion: str
    signature: Signature | None
    predecessors: tuple[SopInstanceReference, ...] = ()

    @property
    def status(self) -> DocumentStatus:
        """Verified exactly when somebody signed."""
        return DocumentStatus.VERIFIED if self.signature else DocumentStatus.UNVERIFIED


@dataclass(frozen=True, slots=True, kw_only=True)
class SrReading:
    """What a document says to whoever reads it. Probabilities are without trailing zeros, texts in NFC."""

    sop_instance_uid: str
    patient: PatientModule
    study_instance_uid: str
    accession_number: str
    requests: tuple[ImagingRequest, ...]
    language: Language
    is_synthetic: bool
    status: DocumentStatus
    signature: Signature | None
    findings: tuple[SrFinding, ...]
    conclusion: str
    predecessors: tuple[SopInstanceReference, ...]


def check(content: SrContent) -> None:
    """Raise `NotRenderable` with the first rule that the content breaks; afterwards it can be said in DICOM."""
    sentence = next(_broken_rules(content), None)
    if sentence:
        raise NotRenderable(sentence)


def _broken_rules(content: SrContent) -> Iterator[str]:
    if content.signature and not (content.conclusion.strip() or content.findings):
        yield "A verified report has to say something."
    if content.signature and not content.signature.family_name.strip():
        yield "A verified report names who verified it (0040,A075)."
    if not any(series.instances for series in content.evidence):
        yield "A report names the images it is about (0040,A375)."
    for finding in content.findings:
        yield from _broken_finding_rules(finding)
    names = Counter((finding.name.scheme, finding.name.value, finding.sub_id) for finding in content.findings)
    if names and max(names.values()) > 1:
        yield "Two findings share name and sub-ID, so they would share their tracking UID."


def _broken_finding_rules(finding: SrFinding) -> Iterator[str]:
    if not finding.name.value or not finding.name.scheme or not finding.sub_id:
        yield "A finding needs a code, its scheme and a sub-ID."
    names = (code for code in (finding.name, finding.measured_property) if code)
    if any((code.scheme, code.value) in _OF_THE_TEMPLATE for code in names):
        yield "A finding may not use a code that the template uses itself."
    if isinstance(finding.value, Measured) and not _is_decimal_string(finding.value.value):
        yield "A number has decimal digits, at most 16 characters (DS; PS3.5, 6.2)."
    if finding.probability and not _is_probability(finding.probability):
        yield "A probability is a decimal number from 0 to 1."


def _is_decimal_string(value: str) -> bool:
    return bool(_DECIMAL.fullmatch(value)) and len(value) <= _LONGEST_DS


def _is_probability(value: str) -> bool:
    return bool(_DECIMAL.fullmatch(value)) and 0 <= Decimal(value) <= 1 and _is_decimal_string(percent_of(value))


def percent_of(probability: str) -> str:
    """Return a probability from 0 to 1 as a percentage, no digit lost."""
    return plain(Decimal(probability).scaleb(2))


def probability_of(percent: str) -> str:
    """Return a percentage as a probability from 0 to 1."""
    return plain(Decimal(percent).scaleb(-2))


def plain(number: Decimal) -> str:
    """Return a number without exponent and without trailing zeros."""
    return f"{number.normalize():f}"


def said_by(content: SrContent) -> SrReading:
    """Return what a faithful rendering of `content` reads as."""
    return SrReading(
        sop_instance_uid=content.identity.sop_instance_uid,
        patient=patient_said(content.patient),
        study_instance_uid=content.study.study_instance_uid,
        accession_number=exact(content.study.accession_number),
        requests=tuple(_request_said(request) for request in content.requests),
        language=content.language,
        is_synthetic=content.is_synthetic,
        status=content.status,
        signature=signature_said(content.signature) if content.signature else None,
        findings=tuple(_finding_said(finding) for finding in content.findings),
        conclusion=words(content.conclusion),
        predecessors=evidence_said(content.predecessors),
    )


def _request_said(request: ImagingRequest) -> ImagingRequest:
    return ImagingRequest(
        accession_number=exact(request.accession_number),
        placer_order_number=exact(request.placer_order_number),
        filler_order_number=exact(request.filler_order_number),
        procedure=request.procedure.said() if request.procedure else None,
    )


def signature_said(signature: Signature) -> Signature:
    """Return a signature as it reads after writing."""
    return replace(
        signature,
        family_name=exact(signature.family_name),
        given_name=exact(signature.given_name),
        identifier=exact(signature.identifier),
        organisation=line_of(signature.organisation),
    )


def _finding_said(finding: SrFinding) -> SrFinding:
    return replace(
        finding,
        name=finding.name.said(),
        value=_value_said(finding.value),
        probability=probability_of(percent_of(finding.probability)) if finding.probability else "",
        finding_site=finding.finding_site.said() if finding.finding_site else None,
        measured_property=_property_said(finding),
        algorithm=algorithm_said(finding.algorithm) if finding.algorithm else None,
    )


def _property_said(finding: SrFinding) -> Code | None:
    """Return what the number measures; nothing beside another kind of value, or where it is the name itself."""
    measured = finding.measured_property
    if measured is None or not isinstance(finding.value, Measured):
        return None
    said, name = measured.said(), finding.name.said()
    return None if (said.scheme, said.value) == (name.scheme, name.value) else said


def _value_said(value: Measured | Coded | None) -> Measured | Coded | None:
    match value:
        case Measured(value=number, unit=unit):
            has_unit = unit is not None and unit.value not in {"", "1"}
            return Measured(value=number, unit=unit.said() if unit and has_unit else None)
        case Coded(value=code):
            return Coded(value=code.said())
        case None:
            return None


def algorithm_said(algorithm: Algorithm) -> Algorithm:
    """Return an algorithm as it reads after writing."""
    return Algorithm(name=words(algorithm.name), version=words(algorithm.version), digest=algorithm.digest)
