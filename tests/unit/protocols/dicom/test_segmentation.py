"""A model's mask as DICOM SEG: written from labels, and read back with its voxels counted."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from overread.contracts.errors import Malformed
from overread.contracts.manifest import ManifestSeries
from overread.protocols.dicom.errors import NotRenderable, Unfaithful
from overread.protocols.dicom.segmentation import (
    SegContent,
    read,
    read_labels,
    render,
    said_by,
    source_volume,
)
from tests.builders.dicom_results import (
    A_LUNG_SEGMENT,
    a_seg_content,
    a_source_volume,
    a_stored_image,
    npz,
    some_labels,
)
from tests.builders.manifests import a_manifest


def two_segments() -> SegContent:
    """The second segment is nowhere."""
    other = A_LUNG_SEGMENT.model_copy(update={"number": 2, "label": "Trachea"})
    return a_seg_content(segments=(A_LUNG_SEGMENT, other))


def a_series(**header: object) -> ManifestSeries:
    return a_manifest(**header).series[0]


def a_header(**values: object) -> Dataset:
    header = Dataset()
    header.FrameOfReferenceUID = "2.25.5"
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


@pytest.mark.parametrize("content", [a_seg_content(), a_seg_content(modality="MR"), two_segments()])
def test_segmentation_reads_back_with_every_voxel(content: SegContent) -> None:
    """The gate counts what was drawn and compares it with the model's labels."""
    reading = read(render(content))

    assert reading == said_by(content)
    assert reading.segments[0].voxels == int(np.count_nonzero(content.labels == 1))


def test_equal_labels_give_equal_bytes() -> None:
    """No clock, no random UID."""
    content = a_seg_content()

    assert render(content) == render(replace(content, labels=content.labels.copy()))


def test_frames_without_the_segment_are_left_out() -> None:
    """The first of three slices has nothing; each frame names the image that it was drawn on."""
    content = a_seg_content()

    written = dcmread(BytesIO(render(content)))

    sources = [
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for group in written.PerFrameFunctionalGroupsSequence
    ]
    assert written.NumberOfFrames == 2
    assert sources == [frame.sop.sop_instance_uid for frame in content.source.frames[1:]]


def test_places_count_along_the_normal_of_the_slices() -> None:
    """Slices that run from the head down count from the feet up (PS3.3, C.7.6.17)."""
    written = dcmread(BytesIO(render(a_seg_content())))

    indices = [
        list(group.FrameContentSequence[0].DimensionIndexValues) for group in written.PerFrameFunctionalGroupsSequence
    ]

    assert indices == [[1, 2], [1, 1]]


def test_bits_follow_each_other_across_frames() -> None:
    """PS3.5, 8.1.1: frames of 72 bits don't begin at a byte of their own word; pydicom unpacks what we packed."""
    content = a_seg_content(labels=some_labels(rows=5, columns=7))

    written = dcmread(BytesIO(render(content)))

    assert np.array_equal(written.pixel_array, content.labels[1:])
    assert len(written.PixelData) % 2 == 0


def test_changed_pixel_is_seen() -> None:
    """A mask that is not the model's does not leave."""
    content = a_seg_content()
    written = dcmread(BytesIO(render(content)))
    written.PixelData = bytes([written.PixelData[0] ^ 1]) + written.PixelData[1:]
    buffer = BytesIO()
    written.save_as(buffer, enforce_file_format=True)

    assert read(buffer.getvalue()) != said_by(content)


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (a_seg_content(labels=some_labels(frames=2)), "one frame"),
        (a_seg_content(labels=some_labels().astype(np.uint16)), "one frame"),
        (a_seg_content(labels=some_labels() * 3), "no segment"),
        (a_seg_content(segments=()), "count from 1"),
        (a_seg_content(segments=(A_LUNG_SEGMENT.model_copy(update={"number": 2}),)), "count from 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(content: SegContent, rule: str) -> None:
    """A mask on the wrong image would be worse than none."""
    with pytest.raises(NotRenderable, match=rule):
        render(content)


def test_image_is_no_segmentation() -> None:
    """The gate reads what it meant to write."""
    with pytest.raises(Unfaithful, match="class"):
        read(a_stored_image())


def test_stored_artefact_gives_labels_and_their_images() -> None:
    """The form that the contract describes."""
    labels = some_labels()

    read_back, names = read_labels(npz(labels=labels, sop_instance_uids=np.array(["2.25.1", "2.25.2", "2.25.3"])))

    assert np.array_equal(read_back, labels)
    assert names == ("2.25.1", "2.25.2", "2.25.3")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"PK\x05\x06",
        npz(labels=some_labels()),
        npz(labels=some_labels(), sop_instance_uids=np.array(["2.25.1"])),
        npz(labels=some_labels().astype(np.int64), sop_instance_uids=np.array(["2.25.1"] * 3)),
        npz(labels=some_labels(), sop_instance_uids=np.array([{}] * 3, dtype=object)),
    ],
)
def test_what_is_no_artefact_is_refused(raw: bytes) -> None:
    """Pickles too: they would run code."""
    with pytest.raises(Malformed):
        read_labels(raw)


def test_geometry_comes_from_the_manifest_in_the_order_of_the_labels() -> None:
    """The header of one image gives the frame of reference, the manifest the rest."""
    series = a_series()
    names = [instance.sop_instance_uid for instance in series.instances][:3][::-1]

    volume = source_volume(a_header(), series, names)

    assert [frame.sop.sop_instance_uid for frame in volume.frames] == names
    assert volume.frame_of_reference_uid == "2.25.5"
    assert volume.frames[0].image_position == series.instances[2].attributes.image_position_patient
    assert volume.image_orientation == (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_images_that_do_not_say_where_they_lie_get_no_segmentation() -> None:
    """An X-ray has no frame of reference; nor may labels name images of another series."""
    series = a_series()
    names = [instance.sop_instance_uid for instance in series.instances]

    for header, chosen, asked in (
        (Dataset(), series, names),
        (a_header(), a_series(image_position_patient=None), names),
        (a_header(), a_series(pixel_spacing=None), names),
        (a_header(), a_series(number_of_frames=2), names),
        (a_header(), series, ["2.25.9"]),
        (a_header(), series, []),
    ):
        with pytest.raises(NotRenderable):
            source_volume(header, chosen, asked)


def test_single_slice_has_a_thickness() -> None:
    """Pixel Measures need one even where there is no neighbour."""
    volume = replace(a_source_volume(frames=1), slice_thickness=None)

    written = dcmread(BytesIO(render(a_seg_content(source=volume, labels=np.ones((1, 8, 9), np.uint8)))))

    assert written.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness == 1
