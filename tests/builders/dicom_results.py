"""A valid result in DICOM in one line, a fault by keyword. Every identity is synthetic."""

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from overread.contracts.events.inference import Segment
from overread.protocols.dicom.attributes import part10_header
from overread.protocols.dicom.composite import (
    Algorithm,
    Code,
    Device,
    Identity,
    PatientId,
    PatientModule,
    Signature,
    SopInstanceReference,
    SopReference,
    SourceSeries,
    StudyModule,
    derived_uid,
    person_name,
)
from overread.protocols.dicom.key_image import key_image
from overread.protocols.dicom.rejection_note import RejectionContent, RejectionReason
from overread.protocols.dicom.secondary_capture import ScContent
from overread.protocols.dicom.segmentation import SegContent, SourceFrame, SourceVolume
from overread.protocols.dicom.sr_content import (
    Coded,
    ImagingRequest,
    Measured,
    ReferencedSegment,
    SrContent,
    SrFinding,
)
from overread.protocols.hl7.oru_content import Language
from tests.builders.dicom import a_ct_slice, a_uid, encoded

HANOI = timezone(timedelta(hours=7))
MORNING = datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=HANOI)
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
NODULE = Code(value="427359005", scheme="SCT", meaning="Solitary nodule of lung")
LUNG = Code(value="39607008", scheme="SCT", meaning="Lung")
MILLILITRE = Code(value="ml", scheme="UCUM", meaning="milliliter")
SERIES = a_uid("study/series1")

A_PATIENT = PatientModule(
    patient_id="TEST-0001",
    issuer_of_patient_id="TESTHOSPITAL",
    patient_name=person_name("THỬ NGHIỆM", "NGUYỄN VĂN"),
    patient_birth_date=date(1960, 3, 4),
    patient_sex="F",
    other_patient_ids=(PatientId(patient_id="000000000001", issuer_of_patient_id="TESTREGISTRY"),),
)
A_STUDY = StudyModule(
    study_instance_uid=a_uid("study"),
    study_date="20261122",
    study_time="095800",
    accession_number="ACC-1",
    study_id="1",
    referring_physician_name="TEST^PHYSICIAN",
    study_description="CT ngực",
)
A_DEVICE = Device(
    device_uid=derived_uid("device", "test"), serial_number="test", software_version="0.1.0", institution_name="TEST"
)
AN_ALGORITHM = Algorithm(name="ct-lung-density", version="1.0.0", digest="ab" * 32)
A_SIGNATURE = Signature(
    family_name="TRẦN",
    given_name="THỊ THỬ",
    identifier="00000000-0000-4000-8000-000000000001",
    organisation="TEST",
    signed_at=datetime(2026, 11, 22, 10, 5, tzinfo=HANOI),
)
A_LUNG_SEGMENT = Segment(
    number=1,
    label="Lung",
    category_code="123037004",
    category_scheme="SCT",
    category_display="Anatomical Structure",
    type_code="39607008",
    type_scheme="SCT",
    type_display="Lung",
)


def an_identity(name: str, **changes: Any) -> Identity:
    """Which object: the same name gives the same one."""
    facts: dict[str, Any] = {
        "sop_instance_uid": derived_uid(name),
        "series_instance_uid": derived_uid(name, "series"),
        "series_number": 9001,
        "made_at": MORNING,
    }
    return Identity(**(facts | changes))


def a_source_series(*, modality: str = "CT", images: int = 3) -> SourceSeries:
    """The series of `a_ct_slice`, as a source."""
    sop_class = MR if modality == "MR" else CT
    return SourceSeries(
        study_instance_uid=a_uid("study"),
        series_instance_uid=SERIES,
        modality=modality,
        instances=tuple(
            SopReference(sop_class_uid=sop_class, sop_instance_uid=a_uid(f"study/series1/{number}"))
            for number in range(1, images + 1)
        ),
    )


def a_finding(**changes: Any) -> SrFinding:
    """A measurement that a model made."""
    facts: dict[str, Any] = {
        "name": Code(value="lung-volume-ct", scheme="99OVERREAD", meaning="Lung volume by CT"),
        "sub_id": "1",
        "value": Measured(value="4210.0", unit=MILLILITRE),
        "algorithm": AN_ALGORITHM,
        "finding_site": LUNG,
    }
    return SrFinding(**(facts | changes))


def some_findings(*, has_segment: bool = False) -> tuple[SrFinding, ...]:
    """A measurement, one with a code beyond 16 characters, one that is there, and one that a clinician coded."""
    attenuation = Code(value="lung-mean-attenuation", scheme="99OVERREAD", meaning="Lung mean attenuation")
    return (
        a_finding(segment=a_referenced_segment() if has_segment else None),
        a_finding(name=attenuation, value=Measured(value="-850", unit=None)),
        a_finding(name=NODULE, value=None, probability="0.934", abnormal_flag="A"),
        a_finding(
            name=Code(value="18782-3", scheme="LN", meaning="Radiology Study observation"),
            sub_id="1.1",
            value=Coded(value=NODULE),
            algorithm=None,
            finding_site=None,
        ),
    )


def a_referenced_segment() -> ReferencedSegment:
    """The one segment of `a_seg_content`."""
    identity = an_identity("seg")
    return ReferencedSegment(
        series_instance_uid=identity.series_instance_uid,
        sop_instance_uid=identity.sop_instance_uid,
        segment_number=1,
        source_series_instance_uid=SERIES,
    )


def an_sr_content(*, is_signed: bool = False, modality: str = "CT", **changes: Any) -> SrContent:
    """A report that answers one order, unverified unless signed."""
    procedure = Code(value="36643-5", scheme="LN", meaning="XR Chest 2 Views")
    facts: dict[str, Any] = {
        "identity": an_identity("sr signed" if is_signed else "sr"),
        "patient": A_PATIENT,
        "study": A_STUDY,
        "requests": (
            ImagingRequest(
                accession_number="ACC-1", placer_order_number="ORD-1", filler_order_number="FIL-1", procedure=procedure
            ),
        ),
        "evidence": (a_source_series(modality=modality),),
        "language": Language.VIETNAMESE,
        "is_synthetic": True,
        "device": A_DEVICE,
        "findings": some_findings(),
        "conclusion": "Khí phế thũng nhẹ.\nKhông thấy u." if is_signed else "",
        "signature": A_SIGNATURE if is_signed else None,
    }
    return SrContent(**(facts | changes))


def an_sr_reference(name: str) -> SopInstanceReference:
    """The structured report that `an_identity(name)` makes."""
    identity = an_identity(name)
    return SopInstanceReference(
        study_instance_uid=a_uid("study"),
        series_instance_uid=identity.series_instance_uid,
        sop_class_uid=SR,
        sop_instance_uid=identity.sop_instance_uid,
    )


def some_labels(*, frames: int = 3, rows: int = 8, columns: int = 9) -> NDArray[np.uint8]:
    """A box that grows from frame to frame, on the first of them nothing."""
    labels = np.zeros((frames, rows, columns), np.uint8)
    for number in range(1, frames):
        labels[number, 2 : 3 + number, 1:5] = 1
    return labels


def a_source_volume(*, frames: int = 3, modality: str = "CT") -> SourceVolume:
    """Axial slices 2.5 mm apart, from the head down."""
    series = a_source_series(modality=modality, images=frames)
    return SourceVolume(
        series_instance_uid=SERIES,
        frame_of_reference_uid=a_uid("frame of reference"),
        position_reference_indicator="",
        image_orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        pixel_spacing=(0.7, 0.7),
        slice_thickness=2.5,
        frames=tuple(
            SourceFrame(sop=sop, image_position=(-100.0, -100.0, -2.5 * number))
            for number, sop in enumerate(series.instances)
        ),
    )


def a_seg_content(*, modality: str = "CT", **changes: Any) -> SegContent:
    """The lungs on three slices."""
    facts: dict[str, Any] = {
        "identity": an_identity("seg", series_number=9002),
        "patient": A_PATIENT,
        "study": A_STUDY,
        "device": A_DEVICE,
        "algorithm": AN_ALGORITHM,
        "source": a_source_volume(modality=modality),
        "segments": (A_LUNG_SEGMENT,),
        "labels": some_labels(),
    }
    return SegContent(**(facts | changes))


def npz(**arrays: Any) -> bytes:
    """A stored artefact."""
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def a_stored_image(dataset: Dataset | None = None, transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """A slice as a Part 10 file."""
    found = dataset or a_ct_slice(series="series1", number=2, rows=64)
    header = part10_header(str(found.SOPClassUID), str(found.SOPInstanceUID), transfer_syntax)
    return header + encoded(found, transfer_syntax)


def an_sc_content(*, is_signed: bool = False, **changes: Any) -> ScContent:
    """A picture of one slice, not verified unless signed."""
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 10:30] = 1
    facts: dict[str, Any] = {
        "identity": an_identity("sc signed" if is_signed else "sc", series_number=9003),
        "patient": A_PATIENT,
        "study": A_STUDY,
        "device": A_DEVICE,
        "image": key_image(a_stored_image()),
        "labels": labels,
        "language": Language.VIETNAMESE,
        "is_synthetic": True,
        "lines": ("Thể tích phổi (CT): 4210,0 ml", "Vùng giảm tỷ trọng dưới -950 HU: 8,1 %"),
        "signature": A_SIGNATURE if is_signed else None,
    }
    return ScContent(**(facts | changes))


def a_rejection_content(reason: RejectionReason = RejectionReason.QUALITY, **changes: Any) -> RejectionContent:
    """A note that takes back an SR and its SEG."""
    segment = a_referenced_segment()
    segmentation = SopInstanceReference(
        study_instance_uid=a_uid("study"),
        series_instance_uid=segment.series_instance_uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=segment.sop_instance_uid,
    )
    facts: dict[str, Any] = {
        "identity": an_identity(f"kos {reason}", series_number=9004),
        "patient": A_PATIENT,
        "study": A_STUDY,
        "device": A_DEVICE,
        "reason": reason,
        "description": "Chỉ định đã bị hủy.",
        "language": Language.VIETNAMESE,
        "rejected": (an_sr_reference("sr"), segmentation),
        "signature": None if reason is RejectionReason.QUALITY else A_SIGNATURE,
    }
    return RejectionContent(**(facts | changes))


def changed(raw: bytes, change: Callable[[Dataset], None]) -> bytes:
    """The file after somebody changed it."""
    document = dcmread(BytesIO(raw))
    change(document)
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def items(document: Dataset, meaning: str) -> list[Dataset]:
    """Every content item of that name, wherever it stands."""
    found = []
    for item in document.get("ContentSequence") or ():
        names = item.get("ConceptNameCodeSequence") or [Dataset()]
        found += [item] if names[0].get("CodeMeaning") == meaning else []
        found += items(item, meaning)
    return found
