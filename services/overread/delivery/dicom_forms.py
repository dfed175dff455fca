"""Results as DICOM objects: segmentation and secondary capture where a model marked something, and the report itself.

A rejection note takes back what an archive was given.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from overread.contracts.events.inference import Artefact, Concept, Finding
from overread.contracts.events.reports import ReportDocument
from overread.contracts.identifiers import nfc
from overread.delivery import dicom_content, faithful
from overread.delivery.destinations import DicomDestination, DicomForm
from overread.delivery.dicom_content import KOS, SC, SEG, SR
from overread.delivery.imaging import Imaging, Segmentation, referenced
from overread.delivery.sequence import Status
from overread.delivery.telling import Telling, Written, source_of
from overread.protocols.dicom import (
    rejection_note,
    secondary_capture,
    segmentation,
    sr_content,
    sr_reading,
    structured_report,
)
from overread.protocols.dicom.composite import Code, PatientModule, person_name, source_series
from overread.protocols.dicom.key_image import key_image
from overread.protocols.dicom.rejection_note import RejectionContent, RejectionReason
from overread.protocols.dicom.secondary_capture import ScContent
from overread.protocols.dicom.segmentation import SegContent
from overread.protocols.dicom.sr_content import (
    Coded,
    DocumentStatus,
    Measured,
    ReferencedSegment,
    SrContent,
    SrFinding,
    SrReading,
)

Telling_ = Telling[DicomDestination]


class SegmentationForm:
    """What models marked, as SEG (PS3.3, A.51); one that the archive has already is not sent again."""

    def write(self, telling: Telling_) -> Iterator[Written[SegContent]]:
        """Yield an object for each segmentation that stands behind the report."""
        imaging = dicom_content.imaging_of(telling)
        known = {sent.sop_instance_uid for sent in dicom_content.sent_before(telling, SEG)}
        for marked in imaging.segmentations:
            content = _segmentation(telling, imaging, marked)
            if content.identity.sop_instance_uid not in known:
                yield _written(SEG, content, segmentation.render(content))

    def unlike(self, written: Written[SegContent], telling: Telling_) -> Iterator[str]:
        """Compare object, content and document; what is marked is compared segment by segment."""
        said = segmentation.read(written.message)
        if said != segmentation.said_by(written.meant):
            yield "segmentation"
        yield from _unlike_patient_and_study(said.patient, said.study_instance_uid, said.accession_number, telling)


def _segmentation(telling: Telling_, imaging: Imaging, marked: Segmentation) -> SegContent:
    return SegContent(
        identity=dicom_content.segmentation_identity(telling, marked),
        patient=dicom_content.patient_of(telling.document, imaging),
        study=dicom_content.study_of(telling, imaging),
        device=dicom_content.device_of(telling),
        algorithm=dicom_content.algorithm_of(marked.result.model),
        source=segmentation.source_volume(marked.header, marked.series, marked.sop_instance_uids),
        segments=marked.artefact.segments,
        labels=marked.labels,
    )


class SecondaryCaptureForm:
    """A picture of the key image with what was found, for viewers that show neither SR nor SEG."""

    def write(self, telling: Telling_) -> Iterator[Written[ScContent]]:
        """Yield a picture for each segmentation that stands behind the report."""
        imaging = dicom_content.imaging_of(telling)
        for marked in imaging.segmentations:
            content = capture_of(telling, imaging, marked)
            yield _written(SC, content, secondary_capture.render(content))

    def unlike(self, written: Written[ScContent], telling: Telling_) -> Iterator[str]:
        """Compare object, content and document: the caption says whether a clinician stands behind it."""
        said = secondary_capture.read(written.message)
        if said != secondary_capture.said_by(written.meant):
            yield "picture"
        if (said.status is DocumentStatus.VERIFIED) != telling.status.is_signed:
            yield "status"
        yield from _unlike_patient_and_study(said.patient, said.study_instance_uid, said.accession_number, telling)


def capture_of(telling: Telling[Any], imaging: Imaging, marked: Segmentation) -> ScContent:
    """Return the picture of what one model marked, as the report states it."""
    document = telling.document
    stated = (f for f in document.findings if f in marked.result.findings)
    return ScContent(
        identity=dicom_content.identity_of(telling, SC, marked.artefact.digest),
        patient=dicom_content.patient_of(document, imaging),
        study=dicom_content.study_of(telling, imaging),
        device=dicom_content.device_of(telling),
        image=key_image(marked.key_image),
        labels=marked.labels[marked.key_frame],
        language=telling.language,
        is_synthetic=document.is_synthetic,
        signature=dicom_content.signature_of(telling),
        is_correction=telling.status is Status.CORRECTED,
        lines=tuple(_line(finding, telling) for finding in stated),
    )


def _line(finding: Finding, telling: Telling_) -> str:
    value = finding.value if finding.value is not None else finding.coded_value_display or finding.coded_value
    return secondary_capture.finding_line(
        finding.display, value, finding.unit_display or finding.unit, telling.language
    )


class StructuredReportForm:
    """The report as SR, TID 1500 (PS3.16): a new object for each status, which names the one that it follows."""

    def write(self, telling: Telling_) -> Iterator[Written[SrContent]]:
        """Yield the document."""
        content = _report(telling, dicom_content.imaging_of(telling))
        yield _written(SR, content, structured_report.render(content))

    def unlike(self, written: Written[SrContent], telling: Telling_) -> Iterator[str]:
        """Compare object, content and document: status, patient, signer, conclusion and every finding."""
        said = sr_reading.read(written.message)
        if said != sr_content.said_by(written.meant):
            yield "structured report"
        yield from _unlike_patient_and_study(said.patient, said.study_instance_uid, said.accession_number, telling)
        yield from _unlike_report(said, telling)


def _report(telling: Telling_, imaging: Imaging) -> SrContent:
    document = telling.document
    about = tuple(finding.series_instance_uid for finding in document.findings)
    predecessors = dicom_content.sent_before(telling, SR)[-1:]
    return SrContent(
        identity=dicom_content.identity_of(telling, SR, *(before.sop_instance_uid for before in predecessors)),
        patient=dicom_content.patient_of(document, imaging),
        study=dicom_content.study_of(telling, imaging),
        requests=dicom_content.requests_of(telling),
        evidence=tuple(source_series(document.study_instance_uid, s) for s in referenced(imaging, about)),
        language=telling.language,
        is_synthetic=document.is_synthetic,
        device=dicom_content.device_of(telling),
        findings=tuple(_findings(telling, imaging)),
        conclusion=document.conclusion,
        signature=dicom_content.signature_of(telling),
        predecessors=predecessors,
    )


def _findings(telling: Telling_, imaging: Imaging) -> Iterator[SrFinding]:
    document = telling.document
    is_segmentation_sent = DicomForm.SEG in telling.destination.forms
    for finding, sub_id in telling.stated:
        source = source_of(finding, document.ai_results)
        marked = [m for m in imaging.segmentations if m.result is source and is_segmentation_sent]
        yield SrFinding(
            name=dicom_content.code(finding.code, finding.scheme, finding.display),
            sub_id=sub_id,
            value=_value(finding),
            probability=finding.probability or "",
            abnormal_flag=finding.abnormal_flag,
            finding_site=_code(finding.finding_site),
            measured_property=_code(faithful.property_of(finding)),
            algorithm=dicom_content.algorithm_of(source.model) if source else None,
            segment=next((_segment(telling, m) for m in marked if len(m.artefact.segments) == 1), None),
        )


def _code(concept: Concept | None) -> Code | None:
    return dicom_content.code(concept.code, concept.scheme, concept.display) if concept else None


def _segment(telling: Telling_, marked: Segmentation) -> ReferencedSegment:
    """Name the one segment that the model's findings are about."""
    identity, artefact = dicom_content.segmentation_identity(telling, marked), marked.artefact
    return ReferencedSegment(
        series_instance_uid=identity.series_instance_uid,
        sop_instance_uid=identity.sop_instance_uid,
        segment_number=_only_number(artefact),
        source_series_instance_uid=artefact.series_instance_uid,
    )


def _only_number(artefact: Artefact) -> int:
    (segment,) = artefact.segments
    return segment.number


def _value(finding: Finding) -> Measured | Coded | None:
    if finding.value is not None:
        unit = Code(value=finding.unit, scheme="UCUM", meaning=finding.unit_display or finding.unit)
        return Measured(value=finding.value, unit=unit if finding.unit else None)
    if finding.coded_value:
        scheme, display = finding.coded_value_scheme, finding.coded_value_display
        return Coded(value=dicom_content.code(finding.coded_value, scheme, display))
    return None


def _unlike_report(said: SrReading, telling: Telling_) -> Iterator[str]:
    document = telling.document
    if (said.status is DocumentStatus.VERIFIED) != telling.status.is_signed:
        yield "status"
    if said.is_synthetic != document.is_synthetic:
        yield "synthetic"
    if _said_signer(said) != _signer_of(telling):
        yield "signer"
    if faithful.lines(said.conclusion) != faithful.lines(document.conclusion):
        yield "conclusion"
    if tuple(_said_finding(finding) for finding in said.findings) != _findings_of(telling):
        yield "findings"


def _said_signer(said: SrReading) -> tuple[str, ...]:
    return (said.signature.identifier, said.signature.family_name, said.signature.given_name) if said.signature else ()


def _signer_of(telling: Telling_) -> tuple[str, ...]:
    signer = telling.document.signed_by if telling.status.is_signed else None
    return (
        tuple(nfc(part).strip() for part in (signer.subject, signer.family_name, signer.given_name)) if signer else ()
    )


def _said_finding(said: SrFinding) -> tuple[str, ...]:
    match said.value:
        case Measured(value=value, unit=unit):
            stated = (value, unit.value if unit else "", "", "")
        case Coded(value=value):
            stated = ("", "", value.scheme, value.value)
        case None:
            stated = ("", "", "", "")
    concepts = ((code.scheme, code.value) if code else ("", "") for code in (said.finding_site, said.measured_property))
    (site_scheme, site), (broad_scheme, broad) = concepts
    name = (said.name.scheme, said.name.value, said.sub_id)
    return (*name, *stated, _plain(said.probability), said.abnormal_flag, site_scheme, site, broad_scheme, broad)


def _findings_of(telling: Telling_) -> tuple[tuple[str, ...], ...]:
    """Return the document's findings as an SR has them: schemes by their DICOM names, probabilities as numbers."""
    return tuple(_in_sr(finding) for finding in faithful.stated(telling.stated))


def _in_sr(finding: faithful.SaidFinding) -> tuple[str, ...]:
    scheme, code, sub_id, value, unit, coded_scheme, coded, p, flag, site_scheme, site, broad_scheme, broad = finding
    said = (value, "" if unit == "1" else unit, _scheme(coded_scheme), coded, _plain(p), flag)
    return (_scheme(scheme), code, sub_id, *said, _scheme(site_scheme), site, _scheme(broad_scheme), broad)


def _scheme(scheme: str) -> str:
    return dicom_content.code("-", scheme, "").scheme if scheme else ""


def _plain(probability: str) -> str:
    return f"{Decimal(probability).normalize():f}" if probability else ""


class RejectionNoteForm:
    """A Key Object Selection that rejects all that the archive was given of the report (IHE RAD TF-3, 4.66)."""

    def write(self, telling: Telling_) -> Iterator[Written[RejectionContent]]:
        """Yield the note; nothing where the archive was given nothing."""
        imaging, rejected = dicom_content.imaging_of(telling), dicom_content.sent_before(telling, SR, SEG, SC)
        if not rejected:
            return
        content = RejectionContent(
            identity=dicom_content.identity_of(telling, KOS),
            patient=dicom_content.patient_of(telling.document, imaging),
            study=dicom_content.study_of(telling, imaging),
            device=dicom_content.device_of(telling),
            reason=_rejection_reason(telling),
            description=telling.reason,
            language=telling.language,
            rejected=rejected,
            signature=dicom_content.signature_of(telling),
        )
        yield _written(KOS, content, rejection_note.render(content))

    def unlike(self, written: Written[RejectionContent], telling: Telling_) -> Iterator[str]:
        """Compare object, content and document: what is rejected, why, and by whom."""
        said = rejection_note.read(written.message)
        if said != rejection_note.said_by(written.meant):
            yield "rejection note"
        if said.reason is not _rejection_reason(telling):
            yield "reason"
        if said.signer_name != _signer_name(telling):
            yield "signer"
        yield from _unlike_patient_and_study(said.patient, said.study_instance_uid, said.accession_number, telling)


def _signer_name(telling: Telling_) -> str:
    signer = telling.document.signed_by if telling.status.is_signed else None
    return person_name(signer.family_name, signer.given_name) if signer else ""


def _rejection_reason(telling: Telling_) -> RejectionReason:
    """Return the title of the note (PS3.16, CID 7011): what was signed and is wrong must not be shown to anybody."""
    if telling.status is Status.CANCELLED:
        return RejectionReason.QUALITY
    withdrawal = telling.document.withdrawal
    is_wrong_patient = withdrawal is not None and withdrawal.is_wrong_patient
    return RejectionReason.INCORRECT_WORKLIST_ENTRY if is_wrong_patient else RejectionReason.PATIENT_SAFETY


def _written(form: str, content: SegContent | ScContent | SrContent | RejectionContent, message: bytes) -> Written:  # type: ignore[type-arg]
    return Written(form=form, message=message, message_control_id=content.identity.sop_instance_uid, meant=content)


def _unlike_patient_and_study(
    patient: PatientModule, study_instance_uid: str, accession_number: str, telling: Telling_
) -> Iterator[str]:
    """Name what an object says otherwise than the document of whom and which study it is about."""
    document = telling.document
    if _said_patient(patient) != _patient_of(document):
        yield "patient"
    if study_instance_uid != document.study_instance_uid:
        yield "study"
    expected = dicom_content.accession_number_of(telling)
    if expected is not None and nfc(accession_number) != nfc(expected):
        yield "accession number"


def _said_patient(patient: PatientModule) -> tuple[object, ...]:
    identifiers = {(patient.patient_id, patient.issuer_of_patient_id)}
    identifiers |= {(other.patient_id, other.issuer_of_patient_id) for other in patient.other_patient_ids}
    return frozenset(identifiers), patient.patient_name, patient.patient_birth_date, patient.patient_sex


def _patient_of(document: ReportDocument) -> tuple[object, ...]:
    patient, sex = document.patient, faithful.sex_of(document)
    identifiers = frozenset((number, issuer) for number, issuer, _ in faithful.identifiers_of(document))
    name = person_name(patient.family_name, patient.given_name)
    return identifiers, name, patient.birth_date, sex if sex in ("M", "F", "O") else ""


FORMS: Mapping[DicomForm, SegmentationForm | SecondaryCaptureForm | StructuredReportForm] = {
    DicomForm.SEG: SegmentationForm(),
    DicomForm.SC: SecondaryCaptureForm(),
    DicomForm.SR: StructuredReportForm(),
}
"""In the order of sending: what the report refers to comes before it."""
