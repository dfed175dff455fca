"""Reads a structured report of ours back, so that the gate compares what will be sent with what was signed."""

from collections.abc import Iterator
from datetime import datetime

from pydicom.dataset import Dataset

from overread.protocols.dicom import structured_report as written
from overread.protocols.dicom.composite import Algorithm, Code, Signature, read_evidence, read_patient
from overread.protocols.dicom.content_items import Node
from overread.protocols.dicom.data_elements import read_part10, reading, text
from overread.protocols.dicom.errors import Unfaithful
from overread.protocols.dicom.sr_content import (
    CERTAINTY,
    FINDING,
    FINDING_SITE,
    NORMALITY,
    Coded,
    DocumentStatus,
    ImagingRequest,
    Measured,
    ReferencedSegment,
    SrFinding,
    SrReading,
    probability_of,
)
from overread.protocols.hl7.oru_content import SYNTHETIC, UNCONFIRMED, Language

_OF_STATUS = {DocumentStatus.UNVERIFIED: "PRELIMINARY", DocumentStatus.VERIFIED: "FINAL"}


def read(raw: bytes) -> SrReading:
    """Read what a rendered report says; `Unfaithful` when header and content disagree on whether it is verified."""
    document = read_part10(raw, written.SOP_CLASS_UID)
    with reading():
        return _reading(document, Node(document))


def _reading(document: Dataset, tree: Node) -> SrReading:
    status, language = _status(document), Language(tree.needed(written.LANGUAGE).code.value)
    signature = read_signature(document, tree)
    if (signature is not None) != (status is DocumentStatus.VERIFIED):
        raise Unfaithful("The document is verified without a verifying observer, or the other way round.")
    sentences = tree.child(written.QUALITATIVE)
    comments = [comment.text for comment in sentences.children(written.COMMENT)] if sentences else []
    if (UNCONFIRMED[language] in comments) is (status is DocumentStatus.VERIFIED):
        raise Unfaithful("The document's words and its Verification Flag disagree.")
    conclusion = sentences.child(written.CONCLUSION) if sentences else None
    return SrReading(
        sop_instance_uid=text(document, "SOPInstanceUID"),
        patient=read_patient(document),
        study_instance_uid=text(document, "StudyInstanceUID"),
        accession_number=text(document, "AccessionNumber"),
        requests=tuple(_request(item) for item in document.get("ReferencedRequestSequence") or ()),
        language=language,
        is_synthetic=SYNTHETIC[language] in comments,
        status=status,
        signature=signature,
        findings=tuple(_findings(document, tree)),
        conclusion=conclusion.text if conclusion else "",
        predecessors=read_evidence(document.get("PredecessorDocumentsSequence") or ()),
    )


def _status(document: Dataset) -> DocumentStatus:
    status = DocumentStatus(text(document, "VerificationFlag"))
    flags = (text(document, "PreliminaryFlag"), text(document, "CompletionFlag"))
    if flags != (_OF_STATUS[status], "COMPLETE"):
        raise Unfaithful("The flags of the document contradict each other (PS3.3, C.17.2).")
    return status


def read_signature(document: Dataset, tree: Node) -> Signature | None:
    """Read who verified a document; the content tree must name the same person."""
    observers: list[Dataset] = list(document.get("VerifyingObserverSequence") or ())
    person = tree.child(written.PERSON_OBSERVER_NAME)
    if not observers and person is None:
        return None
    (observer,) = observers
    name = text(observer, "VerifyingObserverName")
    if person is None or person.text != name:
        raise Unfaithful("The person who observed is another than the one who verified.")
    codes = observer.VerifyingObserverIdentificationCodeSequence
    family_name, _, given_name = name.partition("^")
    return Signature(
        family_name=family_name,
        given_name=given_name,
        identifier=Code.read(codes[0]).value if codes else "",
        organisation=text(observer, "VerifyingOrganization"),
        signed_at=datetime.strptime(text(observer, "VerificationDateTime"), "%Y%m%d%H%M%S.%f%z"),
    )


def _request(item: Dataset) -> ImagingRequest:
    procedures = item.RequestedProcedureCodeSequence
    return ImagingRequest(
        accession_number=text(item, "AccessionNumber"),
        placer_order_number=text(item, "PlacerOrderNumberImagingServiceRequest"),
        filler_order_number=text(item, "FillerOrderNumberImagingServiceRequest"),
        procedure=Code.read(procedures[0]) if procedures else None,
    )


def _findings(document: Dataset, tree: Node) -> Iterator[SrFinding]:
    measurements = tree.child(written.MEASUREMENTS)
    for group in measurements.children() if measurements else ():
        if not group.is_named(written.MEASUREMENT_GROUP):
            raise Unfaithful("The measurements hold something else than measurement groups.")
        yield _finding(group, document)


def _finding(group: Node, document: Dataset) -> SrFinding:
    name = group.needed(FINDING).code
    value, measured = _value(group, name)
    tracked, _, sub_id = group.needed(written.TRACKING_IDENTIFIER).text.rpartition("#")
    if tracked != name.value:
        raise Unfaithful("A finding is tracked under another name than its own.")
    site, certainty, normality = (group.child(code) for code in (FINDING_SITE, CERTAINTY, NORMALITY))
    return SrFinding(
        name=name,
        sub_id=sub_id,
        value=value,
        probability=probability_of(certainty.number[0]) if certainty else "",
        abnormal_flag=normality.code.value if normality else "",
        finding_site=site.code if site else None,
        measured_property=measured,
        algorithm=_algorithm(group),
        segment=_segment(group, document),
    )


def _value(group: Node, name: Code) -> tuple[Measured | Coded | None, Code | None]:
    """Return value and what it measures: of the one NUM or CODE item that is not the template's own, if there is one."""
    own = (FINDING, FINDING_SITE, CERTAINTY, NORMALITY)
    said = [
        item for item in group.children() if item.value_type in {"NUM", "CODE"} and not any(map(item.is_named, own))
    ]
    if not said:
        return None, None
    (item,) = said
    if item.value_type == "CODE":
        if not item.is_named(name):
            raise Unfaithful("A finding has the value of another.")
        return Coded(value=item.code), None
    value, unit = item.number
    number = Measured(value=value, unit=None if unit.value == written.NO_UNITS.value else unit)
    return number, None if item.is_named(name) else item.name


def _algorithm(group: Node) -> Algorithm | None:
    name = group.child(written.ALGORITHM_NAME)
    if name is None:
        return None
    parameters = group.child(written.ALGORITHM_PARAMETERS)
    digest = parameters.text.removeprefix("sha256=") if parameters else ""
    return Algorithm(name=name.text, version=group.needed(written.ALGORITHM_VERSION).text, digest=digest)


def _segment(group: Node, document: Dataset) -> ReferencedSegment | None:
    item = group.child(written.REFERENCED_SEGMENT)
    if item is None:
        return None
    segmentation = item.reference.sop_instance_uid
    return ReferencedSegment(
        series_instance_uid=_series_of(segmentation, document),
        sop_instance_uid=segmentation,
        segment_number=item.segment_number,
        source_series_instance_uid=group.needed(written.SOURCE_SERIES).text,
    )


def _series_of(sop_instance_uid: str, document: Dataset) -> str:
    """Return the series of an object among the evidence; what we made stands last there, behind all the images."""
    for study in document.CurrentRequestedProcedureEvidenceSequence:
        for series in reversed(study.ReferencedSeriesSequence):
            if any(found.ReferencedSOPInstanceUID == sop_instance_uid for found in series.ReferencedSOPSequence):
                return text(series, "SeriesInstanceUID")
    raise Unfaithful("The segmentation of a finding is not among the evidence.")
