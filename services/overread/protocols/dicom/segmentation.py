"""A model's mask as a Segmentation object: equal contents give equal bytes (PS3.3, A.51 and C.8.20)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from typing import Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from overread.contracts.errors import Malformed
from overread.contracts.events.inference import Segment
from overread.contracts.manifest import ManifestInstance, ManifestSeries
from overread.protocols.dicom.composite import (
    Algorithm,
    Code,
    Device,
    Identity,
    PatientModule,
    SopReference,
    StudyModule,
    derived_uid,
    new_object,
    patient_said,
    read_patient,
)
from overread.protocols.dicom.content_items import dcm
from overread.protocols.dicom.data_elements import (
    Elements,
    elements,
    exact,
    line_of,
    part10,
    read_part10,
    reading,
    text,
)
from overread.protocols.dicom.errors import NotRenderable, Unfaithful

SOP_CLASS_UID: Final = "1.2.840.10008.5.1.4.1.1.66.4"

_ARTIFICIAL_INTELLIGENCE = dcm("123110", "Artificial Intelligence")
_SEGMENTATION = dcm("113076", "Segmentation")
_SOURCE_IMAGE = dcm("121322", "Source image for image processing operation")
_SEGMENT_IDENTIFICATION = 0x0062000A
_REFERENCED_SEGMENT_NUMBER = 0x0062000B
_PLANE_POSITION = 0x00209113
_IMAGE_POSITION = 0x00200032

Labels = NDArray[np.uint8]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFrame:
    """The image that a frame of labels was drawn on, and where it lies."""

    sop: SopReference
    image_position: Triple


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceVolume:
    """The series that the labels were drawn on: geometry, and its images in the order of the labels' frames."""

    series_instance_uid: str
    frame_of_reference_uid: str
    position_reference_indicator: str
    image_orientation: tuple[float, float, float, float, float, float]
    pixel_spacing: tuple[float, float]
    slice_thickness: float | None
    frames: tuple[SourceFrame, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegContent:
    """One segmentation: `labels` of shape (frames, rows, columns), 0 where nothing is."""

    identity: Identity
    patient: PatientModule
    study: StudyModule
    device: Device
    algorithm: Algorithm
    source: SourceVolume
    segments: tuple[Segment, ...]
    labels: Labels
    series_description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentReading:
    """One segment of a segmentation and how much of the volume it is."""

    number: int
    label: str
    type: Code
    voxels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegReading:
    """What a segmentation says to whoever reads it."""

    sop_instance_uid: str
    patient: PatientModule
    study_instance_uid: str
    accession_number: str
    series_instance_uid: str
    algorithm: Algorithm
    segments: tuple[SegmentReading, ...]


def read_labels(npz: bytes) -> tuple[Labels, tuple[str, ...]]:
    """Return labels and the image of each frame out of a stored artefact, or raise `Malformed`."""
    try:
        with np.load(BytesIO(npz), allow_pickle=False) as stored:
            labels, names = stored["labels"], stored["sop_instance_uids"]
    except (ValueError, KeyError, OSError, EOFError, BadZipFile) as error:
        raise Malformed("the artefact is no stored segmentation") from error
    if labels.dtype != np.uint8 or labels.ndim != 3 or names.shape != labels.shape[:1]:
        raise Malformed("the artefact's labels are not one frame of bytes for each image")
    return labels, tuple(str(name) for name in names)


def source_volume(header: Dataset, series: ManifestSeries, sop_instance_uids: Sequence[str]) -> SourceVolume:
    """Return the geometry of the images `sop_instance_uids` of a series; `header` is one of them (PS3.3, C.7.4.1)."""
    by_uid = {instance.sop_instance_uid: instance for instance in series.instances}
    missing = [name for name in sop_instance_uids if name not in by_uid]
    if missing or not sop_instance_uids:
        raise NotRenderable("The segmentation was drawn on images that its series does not have.")
    images = [by_uid[name] for name in sop_instance_uids]
    first = images[0].attributes
    frame_of_reference = text(header, "FrameOfReferenceUID")
    if not (frame_of_reference and first.image_orientation_patient and first.pixel_spacing):
        raise NotRenderable("The images do not say where they lie, so nothing drawn on them can (PS3.3, C.7.6.2).")
    return SourceVolume(
        series_instance_uid=series.series_instance_uid,
        frame_of_reference_uid=frame_of_reference,
        position_reference_indicator=text(header, "PositionReferenceIndicator"),
        image_orientation=first.image_orientation_patient,
        pixel_spacing=first.pixel_spacing,
        slice_thickness=first.slice_thickness,
        frames=tuple(_source_frame(image) for image in images),
    )


def _source_frame(image: ManifestInstance) -> SourceFrame:
    position = image.attributes.image_position_patient
    if position is None or (image.attributes.number_of_frames or 1) > 1:
        raise NotRenderable("An image does not say where it lies, or has several frames.")
    sop = SopReference(sop_class_uid=image.sop_class_uid, sop_instance_uid=image.sop_instance_uid)
    return SourceFrame(sop=sop, image_position=position)


def render(content: SegContent) -> bytes:
    """Write the segmentation as a file; `NotRenderable` when a rule of DICOM forbids it. Empty frames are left out."""
    _check(content)
    frames = [*_frames(content)]
    made = new_object(
        sop_class_uid=SOP_CLASS_UID,
        modality="SEG",
        series_description=content.series_description or f"{content.algorithm.name} segmentation, AI",
        identity=content.identity,
        patient=content.patient,
        study=content.study,
        device=content.device,
    )
    for module in (_frame_of_reference(content), _image(content, frames), _functional_groups(content, frames)):
        made.update(module)
    return part10(made, sop_class_uid=SOP_CLASS_UID, sop_instance_uid=content.identity.sop_instance_uid)


def _check(content: SegContent) -> None:
    labels, numbers = content.labels, [segment.number for segment in content.segments]
    if labels.ndim != 3 or labels.dtype != np.uint8 or len(labels) != len(content.source.frames):
        raise NotRenderable("The labels are not one frame of bytes for each image.")
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        raise NotRenderable("Segments count from 1 by one (PS3.3, C.8.20.2).")
    if int(labels.max(initial=0)) > len(numbers):
        raise NotRenderable("The labels hold a number that no segment has.")


@dataclass(frozen=True, slots=True)
class _Frame:
    segment_number: int
    source: SourceFrame
    place: int
    mask: NDArray[np.bool_]


def _frames(content: SegContent) -> Iterator[_Frame]:
    """Yield what is not empty; of a segment that is empty everywhere, its first frame."""
    places = _places(content.source)
    for segment in content.segments:
        masks = content.labels == segment.number
        filled = [int(number) for number in np.flatnonzero(masks.any(axis=(1, 2)))]
        for number in filled or [0]:
            yield _Frame(segment.number, content.source.frames[number], places[number], masks[number])


def _places(source: SourceVolume) -> dict[int, int]:
    """Return where each frame stands along the normal of the slices, from 1."""
    order = np.argsort(_heights(source), kind="stable")
    return {int(number): place for place, number in enumerate(order, 1)}


def _heights(source: SourceVolume) -> NDArray[np.float64]:
    orientation = np.array(source.image_orientation)
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(np.array([frame.image_position for frame in source.frames]) @ normal)


def _frame_of_reference(content: SegContent) -> Elements:
    return elements(
        FrameOfReferenceUID=content.source.frame_of_reference_uid,
        PositionReferenceIndicator=line_of(content.source.position_reference_indicator),
    )


def _image(content: SegContent, frames: Sequence[_Frame]) -> Elements:
    """Return Segmentation Image and Image Pixel modules; bits follow each other without a gap (PS3.5, 8.1.1)."""
    bits = np.packbits(np.stack([frame.mask for frame in frames]).ravel(), bitorder="little").tobytes()
    _, rows, columns = content.labels.shape
    return elements(
        ImageType=["DERIVED", "PRIMARY"],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        NumberOfFrames=str(len(frames)),
        Rows=rows,
        Columns=columns,
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
        LossyImageCompression="00",
        SegmentationType="BINARY",
        ContentLabel="SEGMENTATION",
        ContentDescription=line_of(content.series_description) or "Segmentation by an algorithm",
        ContentCreatorName="",
        SegmentSequence=[_segment(segment, content.algorithm) for segment in content.segments],
        ReferencedSeriesSequence=[_referenced_series(content.source)],
        PixelData=bits + b"\0" * (len(bits) % 2),
    )


def _segment(segment: Segment, algorithm: Algorithm) -> Elements:
    category = Code(value=segment.category_code, scheme=segment.category_scheme, meaning=segment.category_display)
    kind = Code(value=segment.type_code, scheme=segment.type_scheme, meaning=segment.type_display)
    return elements(
        SegmentNumber=segment.number,
        SegmentLabel=line_of(segment.label),
        SegmentAlgorithmType="AUTOMATIC",
        SegmentAlgorithmName=line_of(algorithm.name),
        SegmentationAlgorithmIdentificationSequence=[_algorithm(algorithm)],
        SegmentedPropertyCategoryCodeSequence=[category.item()],
        SegmentedPropertyTypeCodeSequence=[kind.item()],
    )


def _algorithm(algorithm: Algorithm) -> Elements:
    """Return the Algorithm Identification macro (PS3.3, 10.16)."""
    return elements(
        AlgorithmFamilyCodeSequence=[_ARTIFICIAL_INTELLIGENCE.item()],
        AlgorithmName=line_of(algorithm.name),
        AlgorithmVersion=line_of(algorithm.version),
        AlgorithmParameters=algorithm.parameters or None,
    )


def _referenced_series(source: SourceVolume) -> Elements:
    images = [frame.sop.item() for frame in source.frames]
    return elements(SeriesInstanceUID=source.series_instance_uid, ReferencedInstanceSequence=images)


def _functional_groups(content: SegContent, frames: Sequence[_Frame]) -> Elements:
    """Return the Multi-frame Functional Groups and Multi-frame Dimension modules (PS3.3, C.7.6.16 and C.7.6.17)."""
    organisation = derived_uid("dimensions", content.identity.sop_instance_uid)
    return elements(
        SharedFunctionalGroupsSequence=[_shared(content.source)],
        PerFrameFunctionalGroupsSequence=[_per_frame(frame) for frame in frames],
        DimensionOrganizationSequence=[elements(DimensionOrganizationUID=organisation)],
        DimensionIndexSequence=[
            _dimension(organisation, _REFERENCED_SEGMENT_NUMBER, _SEGMENT_IDENTIFICATION, "Segment"),
            _dimension(organisation, _IMAGE_POSITION, _PLANE_POSITION, "Position"),
        ],
    )


def _dimension(organisation: str, pointer: int, group: int, label: str) -> Elements:
    return elements(
        DimensionOrganizationUID=organisation,
        DimensionIndexPointer=pointer,
        FunctionalGroupPointer=group,
        DimensionDescriptionLabel=label,
    )


def _shared(source: SourceVolume) -> Elements:
    gap = _gap(source)
    measures = elements(
        SliceThickness=_ds(source.slice_thickness or gap or 1.0),
        SpacingBetweenSlices=_ds(gap) if gap else None,
        PixelSpacing=[_ds(length) for length in source.pixel_spacing],
    )
    orientation = elements(ImageOrientationPatient=[_ds(cosine) for cosine in source.image_orientation])
    return elements(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[orientation])


def _gap(source: SourceVolume) -> float:
    """Return the median distance between neighbouring slices, 0 where there is only one."""
    heights = np.sort(_heights(source))
    return float(np.median([above - below for below, above in pairwise(heights)])) if len(heights) > 1 else 0.0


def _ds(number: float) -> str:
    return format_number_as_ds(float(number))


def _per_frame(frame: _Frame) -> Elements:
    source = frame.source.sop.item()
    source.update(elements(PurposeOfReferenceCodeSequence=[_SOURCE_IMAGE.item()], SpatialLocationsPreserved="YES"))
    derivation = elements(DerivationCodeSequence=[_SEGMENTATION.item()], SourceImageSequence=[source])
    position = elements(ImagePositionPatient=[_ds(length) for length in frame.source.image_position])
    return elements(
        DerivationImageSequence=[derivation],
        FrameContentSequence=[elements(DimensionIndexValues=[frame.segment_number, frame.place])],
        PlanePositionSequence=[position],
        SegmentIdentificationSequence=[elements(ReferencedSegmentNumber=frame.segment_number)],
    )


def read(raw: bytes) -> SegReading:
    """Read what a rendered segmentation says, its voxels counted, or raise `Unfaithful`."""
    found = read_part10(raw, SOP_CLASS_UID)
    with reading():
        return _reading(found)


def _reading(found: Dataset) -> SegReading:
    voxels = _voxels(found)
    (source,) = found.ReferencedSeriesSequence
    algorithms = {_read_algorithm(item) for item in found.SegmentSequence}
    if len(algorithms) != 1:
        raise Unfaithful("The segments name several algorithms.")
    return SegReading(
        sop_instance_uid=text(found, "SOPInstanceUID"),
        patient=read_patient(found),
        study_instance_uid=text(found, "StudyInstanceUID"),
        accession_number=text(found, "AccessionNumber"),
        series_instance_uid=text(source, "SeriesInstanceUID"),
        algorithm=algorithms.pop(),
        segments=tuple(_read_segment(item, voxels) for item in found.SegmentSequence),
    )


def _voxels(found: Dataset) -> dict[int, int]:
    count, size = int(found.NumberOfFrames), int(found.Rows) * int(found.Columns)
    bits = np.unpackbits(np.frombuffer(found.PixelData, np.uint8), bitorder="little")[: count * size]
    counted: dict[int, int] = {}
    for group, total in zip(found.PerFrameFunctionalGroupsSequence, bits.reshape(count, size).sum(axis=1), strict=True):
        number = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        counted[number] = counted.get(number, 0) + int(total)
    return counted


def _read_segment(item: Dataset, voxels: dict[int, int]) -> SegmentReading:
    number = int(item.SegmentNumber)
    kind = Code.read(item.SegmentedPropertyTypeCodeSequence[0])
    return SegmentReading(number=number, label=text(item, "SegmentLabel"), type=kind, voxels=voxels.get(number, 0))


def _read_algorithm(item: Dataset) -> Algorithm:
    (named,) = item.SegmentationAlgorithmIdentificationSequence
    digest = text(named, "AlgorithmParameters").removeprefix("sha256=")
    return Algorithm(name=text(named, "AlgorithmName"), version=text(named, "AlgorithmVersion"), digest=digest)


def said_by(content: SegContent) -> SegReading:
    """Return what a faithful rendering of `content` reads as."""
    algorithm = content.algorithm
    return SegReading(
        sop_instance_uid=content.identity.sop_instance_uid,
        patient=patient_said(content.patient),
        study_instance_uid=content.study.study_instance_uid,
        accession_number=exact(content.study.accession_number),
        series_instance_uid=content.source.series_instance_uid,
        algorithm=Algorithm(name=line_of(algorithm.name), version=line_of(algorithm.version), digest=algorithm.digest),
        segments=tuple(_segment_said(segment, content.labels) for segment in content.segments),
    )


def _segment_said(segment: Segment, labels: Labels) -> SegmentReading:
    voxels = int(np.count_nonzero(labels == segment.number))
    kind = Code(value=segment.type_code, scheme=segment.type_scheme, meaning=segment.type_display)
    return SegmentReading(number=segment.number, label=line_of(segment.label), type=kind.said(), voxels=voxels)
