"""The template's own maps against a mask that came back, plane by plane."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from overread.cli.demo_mask import MaskOnTemplate, compare
from overread.embedded import t1_template
from tests.builders.t1 import a_t1_study

Planes = NDArray[np.bool_]


def a_segmentation(planes: Planes) -> Dataset:
    """Return what an archive has of a mask: the planes that are not empty, each with its place."""
    numbers = np.flatnonzero(planes.any(axis=(1, 2)))
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.NumberOfFrames, made.Rows, made.Columns = len(numbers), planes.shape[1], planes.shape[2]
    made.BitsAllocated = made.BitsStored = made.SamplesPerPixel = 1
    made.HighBit = made.PixelRepresentation = 0
    made.PhotometricInterpretation = "MONOCHROME2"
    bits = np.packbits(planes[numbers].ravel(), bitorder="little").tobytes()
    made.PixelData = bits + b"\0" * (len(bits) % 2)
    made.PerFrameFunctionalGroupsSequence = [_group(float(number - 72)) for number in numbers]
    return made


def _group(height_mm: float) -> Dataset:
    position, group = Dataset(), Dataset()
    position.ImagePositionPatient = [-98.0, -98.0, height_mm]
    group.PlanePositionSequence = [position]
    return group


def tissue() -> Planes:
    """Return the template's grey and white matter, or skip with a word."""
    a_t1_study()
    return t1_template.tissue_planes()


def compared(planes: Planes) -> MaskOnTemplate:
    return compare(a_segmentation(planes), a_t1_study().truth)


def test_tissue_itself_is_wholly_inside() -> None:
    """And its volume is what both maps add up to."""
    truth = a_t1_study().truth

    said = compared(tissue())

    assert said.inside_mask_percent == 100
    assert said.grey_and_white_matter_ml == pytest.approx(truth.grey_matter_ml + truth.white_matter_ml, abs=0.1)
    assert said.grey_and_white_matter_ml < truth.intracranial_ml


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mask_in_the_wrong_place_is_seen(axis: int) -> None:
    """A shift of five millimetres along any axis leaves tissue outside."""
    said = compared(np.roll(tissue(), 5, axis=axis))

    assert said.inside_mask_percent < 97


def test_one_voxel_outside_is_not_rounded_away() -> None:
    """100.00 is said of nothing less."""
    planes = tissue().copy()
    planes[tuple(np.argwhere(planes)[0])] = False

    assert compared(planes).inside_mask_percent == 99.99
