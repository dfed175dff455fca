"""A report as a Comprehensive 3D SR after TID 1500: equal contents give equal bytes (PS3.16, TID 1500)."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from overread.protocols.dicom.composite import (
    Algorithm,
    Code,
    Device,
    Signature,
    SopInstanceReference,
    SopReference,
    SourceSeries,
    derived_uid,
    evidence_items,
    new_object,
    person_name,
)
from overread.protocols.dicom.content_items import (
    CONTAINS,
    HAS_ACQ_CONTEXT,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    coded,
    container,
    dcm,
    depicted,
    identified,
    measured,
    named,
    root,
    worded,
    words,
)
from overread.protocols.dicom.data_elements import Elements, elements, exact, line_of, part10
from overread.protocols.dicom.sr_content import (
    ABNORMAL_FLAGS,
    CERTAINTY,
    FINDING,
    FINDING_SITE,
    NORMALITY,
    Coded,
    ImagingRequest,
    Measured,
    ReferencedSegment,
    SrContent,
    SrFinding,
    check,
    percent_of,
)
from overread.protocols.hl7.oru import LANGUAGE_NAMES
from overread.protocols.hl7.oru_content import SYNTHETIC, UNCONFIRMED

SOP_CLASS_UID: Final = "1.2.840.10008.5.1.4.1.1.88.34"
SEGMENTATION_SOP_CLASS_UID: Final = "1.2.840.10008.5.1.4.1.1.66.4"

LANGUAGE: Final = dcm("121049", "Language of Content Item and Descendants")
OBSERVER_TYPE: Final = dcm("121005", "Observer Type")
PERSON: Final = dcm("121006", "Person")
DEVICE: Final = dcm("121007", "Device")
PERSON_OBSERVER_NAME: Final = dcm("121008", "Person Observer Name")
IMAGE_LIBRARY: Final = dcm("111028", "Image Library")
MEASUREMENTS: Final = dcm("126010", "Imaging Measurements")
QUALITATIVE: Final = Code(value="C0034375", scheme="UMLS", meaning="Qualitative Evaluations")
MEASUREMENT_GROUP: Final = dcm("125007", "Measurement Group")
TRACKING_IDENTIFIER: Final = dcm("112039", "Tracking Identifier")
TRACKING_UID: Final = dcm("112040", "Tracking Unique Identifier")
ALGORITHM_NAME: Final = dcm("111001", "Algorithm Name")
ALGORITHM_PARAMETERS: Final = dcm("111002", "Algorithm Parameters")
ALGORITHM_VERSION: Final = dcm("111003", "Algorithm Version")
REFERENCED_SEGMENT: Final = dcm("121191", "Referenced Segment")
SOURCE_SERIES: Final = dcm("121232", "Source series for segmentation")
CONCLUSION: Final = dcm("121077", "Conclusion")
COMMENT: Final = dcm("121106", "Comment")
PERCENT: Final = Code(value="%", scheme="UCUM", meaning="Percent")
NO_UNITS: Final = Code(value="1", scheme="UCUM", meaning="no units")

_TITLE = dcm("126000", "Imaging Measurement Report")
_PROCEDURE_REPORTED = dcm("121058", "Procedure reported")
_USERS = "99OVERREAD-USER"

_IMAGING_PROCEDURE = Code(value="363679005", scheme="SCT", meaning="Imaging procedure")
_PROCEDURES: Mapping[str, Code] = {
    "CT": Code(value="25045-6", scheme="LN", meaning="CT unspecified body region"),
    "MR": Code(value="25056-3", scheme="LN", meaning="MRI unspecified body region"),
    "NM": Code(value="49118-3", scheme="LN", meaning="NM unspecified body region"),
    "PT": Code(value="44136-0", scheme="LN", meaning="PET unspecified body region"),
}
_MODALITIES: Mapping[str, str] = {
    "CT": "Computed Tomography",
    "MR": "Magnetic Resonance",
    "CR": "Computed Radiography",
    "DX": "Digital Radiography",
    "MG": "Mammography",
    "NM": "Nuclear Medicine",
    "PT": "Positron emission tomography",
    "US": "Ultrasound",
}


def render(content: SrContent) -> bytes:
    """Write the report as a file; `NotRenderable` when a rule of DICOM forbids it.

    What nobody verified is UNVERIFIED and PRELIMINARY and says so in words; a verifying observer makes it VERIFIED
    and FINAL (PS3.3, C.17.2).
    """
    check(content)
    document = new_object(
        sop_class_uid=SOP_CLASS_UID,
        modality="SR",
        series_description="Report" if content.signature else "AI results, not verified",
        identity=content.identity,
        patient=content.patient,
        study=content.study,
        device=content.device,
    )
    document.update(_document(content))
    document.update(root(_TITLE, "1500", list(_content(content))))
    return part10(document, sop_class_uid=SOP_CLASS_UID, sop_instance_uid=content.identity.sop_instance_uid)


def _document(content: SrContent) -> Elements:
    """Return the SR Document General module (PS3.3, C.17.2)."""
    requests = [_request(content.study.study_instance_uid, request) for request in content.requests]
    return elements(
        PreliminaryFlag="FINAL" if content.signature else "PRELIMINARY",
        CompletionFlag="COMPLETE",
        VerificationFlag=content.status.value,
        VerifyingObserverSequence=[verifying_observer(content.signature)] if content.signature else None,
        AuthorObserverSequence=[_author(content.device)],
        PredecessorDocumentsSequence=evidence_items(content.predecessors) or None,
        ReferencedRequestSequence=requests or None,
        PerformedProcedureCodeSequence=[],
        ReferencedPerformedProcedureStepSequence=[],
        CurrentRequestedProcedureEvidenceSequence=evidence_items([*_evidence(content)]),
    )


def verifying_observer(signature: Signature) -> Elements:
    """Return who verified the document and when (PS3.3, C.17.2)."""
    identifier = exact(signature.identifier)
    code = Code(value=identifier, scheme=_USERS, meaning="User").item() if identifier else None
    return elements(
        VerifyingObserverName=person_name(signature.family_name, signature.given_name),
        VerifyingOrganization=line_of(signature.organisation),
        VerificationDateTime=date_time(signature.signed_at),
        VerifyingObserverIdentificationCodeSequence=[code] if code else [],
    )


def date_time(moment: datetime) -> str:
    """Return a DT with its offset from UTC (PS3.5, 6.2)."""
    return moment.strftime("%Y%m%d%H%M%S.%f%z")


def _author(device: Device) -> Elements:
    """Return the device as the author of the document; a person verifies it (PS3.3, C.17.2.5)."""
    return elements(
        ObserverType="DEV",
        Manufacturer=line_of(device.manufacturer),
        ManufacturerModelName=line_of(device.manufacturer_model_name),
        DeviceUID=device.device_uid,
        StationName="",
        InstitutionName=line_of(device.institution_name),
        InstitutionCodeSequence=[],
    )


def _request(study_instance_uid: str, request: ImagingRequest) -> Elements:
    return elements(
        StudyInstanceUID=study_instance_uid,
        ReferencedStudySequence=[],
        AccessionNumber=exact(request.accession_number),
        PlacerOrderNumberImagingServiceRequest=exact(request.placer_order_number),
        FillerOrderNumberImagingServiceRequest=exact(request.filler_order_number),
        RequestedProcedureID="",
        RequestedProcedureDescription=line_of(request.procedure.meaning) if request.procedure else "",
        RequestedProcedureCodeSequence=[request.procedure.item()] if request.procedure else [],
    )


def _evidence(content: SrContent) -> Iterator[SopInstanceReference]:
    for series in content.evidence:
        yield from (_in_series(series, instance) for instance in series.instances)
    segments = (finding.segment for finding in content.findings)
    yield from (_segmentation(content, segment) for segment in segments if segment)


def _in_series(series: SourceSeries, instance: SopReference) -> SopInstanceReference:
    return SopInstanceReference(
        study_instance_uid=series.study_instance_uid,
        series_instance_uid=series.series_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
    )


def _segmentation(content: SrContent, segment: ReferencedSegment) -> SopInstanceReference:
    return SopInstanceReference(
        study_instance_uid=content.study.study_instance_uid,
        series_instance_uid=segment.series_instance_uid,
        sop_class_uid=SEGMENTATION_SOP_CLASS_UID,
        sop_instance_uid=segment.sop_instance_uid,
    )


def _content(content: SrContent) -> Iterator[Elements]:
    """Yield the tree below the root in the order that TID 1500 gives."""
    yield language_item(content.language.value, LANGUAGE_NAMES[content.language])
    yield from observers(content.device, content.signature)
    yield coded(HAS_CONCEPT_MOD, _PROCEDURE_REPORTED, _procedure_reported(content))
    yield container(IMAGE_LIBRARY, [_library_group(series) for series in content.evidence], template="1600")
    groups = [_group(content, finding) for finding in content.findings]
    if groups:
        yield container(MEASUREMENTS, groups)
    sentences = [*_sentences(content)]
    if sentences:
        yield container(QUALITATIVE, sentences)


def _procedure_reported(content: SrContent) -> Code:
    """Return the procedure as context group 100 knows it; the ordered one is in Referenced Request Sequence."""
    modality = next((series.modality for series in content.evidence if series.modality), "")
    return _PROCEDURES.get(modality, _IMAGING_PROCEDURE)


def language_item(language: str, meaning: str) -> Elements:
    """Return the language of what follows (TID 1204)."""
    return coded(HAS_CONCEPT_MOD, LANGUAGE, Code(value=language, scheme="RFC5646", meaning=meaning))


def observers(device: Device, signature: Signature | None) -> Iterator[Elements]:
    """Yield the device that observed, and the person who answers for it once they signed (TID 1002, 1004, 1003)."""
    yield coded(HAS_OBS_CONTEXT, OBSERVER_TYPE, DEVICE)
    yield identified(HAS_OBS_CONTEXT, dcm("121012", "Device Observer UID"), device.device_uid)
    words_of_device = (
        (dcm("121013", "Device Observer Name"), device.name),
        (dcm("121014", "Device Observer Manufacturer"), device.manufacturer),
        (dcm("121015", "Device Observer Model Name"), device.manufacturer_model_name),
        (dcm("121016", "Device Observer Serial Number"), device.serial_number),
    )
    yield from (worded(HAS_OBS_CONTEXT, name, value) for name, value in words_of_device)
    if signature:
        yield coded(HAS_OBS_CONTEXT, OBSERVER_TYPE, PERSON)
        yield named(HAS_OBS_CONTEXT, PERSON_OBSERVER_NAME, person_name(signature.family_name, signature.given_name))


def _library_group(series: SourceSeries) -> Elements:
    modality = Code(value=series.modality, scheme="DCM", meaning=_MODALITIES.get(series.modality, series.modality))
    described = [coded(HAS_ACQ_CONTEXT, dcm("121139", "Modality"), modality)] if series.modality else []
    images = [depicted(None, instance) for instance in series.instances]
    return container(dcm("126200", "Image Library Group"), [*described, *images])


def _group(content: SrContent, finding: SrFinding) -> Elements:
    """Return one finding as a measurement group: of a segment (TID 1411), or of the images as a whole (TID 1501).

    Finding (121071) names it whatever its value is; a number stands under what it measures, where receivers look.
    """
    name = finding.name
    tracking_uid = derived_uid("finding", content.study.study_instance_uid, name.scheme, name.value, finding.sub_id)
    items = [
        worded(HAS_OBS_CONTEXT, TRACKING_IDENTIFIER, f"{name.value}#{finding.sub_id}"),
        identified(HAS_OBS_CONTEXT, TRACKING_UID, tracking_uid),
        coded(CONTAINS, FINDING, name),
        *_algorithm(finding.algorithm),
        *([coded(HAS_CONCEPT_MOD, FINDING_SITE, finding.finding_site)] if finding.finding_site else ()),
        *_segment(finding.segment),
        *_said(finding),
    ]
    return container(MEASUREMENT_GROUP, items, template="1411" if finding.segment else "1501")


def _algorithm(algorithm: Algorithm | None) -> Iterator[Elements]:
    if algorithm is None:
        return
    yield worded(HAS_CONCEPT_MOD, ALGORITHM_NAME, algorithm.name)
    yield worded(HAS_CONCEPT_MOD, ALGORITHM_VERSION, algorithm.version)
    if algorithm.parameters:
        yield worded(HAS_CONCEPT_MOD, ALGORITHM_PARAMETERS, algorithm.parameters)


def _segment(segment: ReferencedSegment | None) -> Iterator[Elements]:
    if segment is None:
        return
    reference = SopReference(sop_class_uid=SEGMENTATION_SOP_CLASS_UID, sop_instance_uid=segment.sop_instance_uid)
    yield depicted(REFERENCED_SEGMENT, reference, segment_number=segment.segment_number)
    yield identified(CONTAINS, SOURCE_SERIES, segment.source_series_instance_uid)


def _said(finding: SrFinding) -> Iterator[Elements]:
    match finding.value:
        case Measured(value=value, unit=unit):
            name = finding.measured_property or finding.name
            yield measured(name, value, unit if unit and unit.value else NO_UNITS)
        case Coded(value=value):
            yield coded(CONTAINS, finding.name, value)
        case None:
            pass
    if finding.abnormal_flag:
        yield coded(CONTAINS, NORMALITY, Code(value=finding.abnormal_flag, scheme=ABNORMAL_FLAGS))
    if finding.probability:
        yield measured(CERTAINTY, percent_of(finding.probability), PERCENT)


def _sentences(content: SrContent) -> Iterator[Elements]:
    if not content.signature:
        yield worded(CONTAINS, COMMENT, UNCONFIRMED[content.language])
    if content.is_synthetic:
        yield worded(CONTAINS, COMMENT, SYNTHETIC[content.language])
    if words(content.conclusion):
        yield worded(CONTAINS, CONCLUSION, content.conclusion)
