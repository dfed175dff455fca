"""From images in any direction to the patient's axes, and a mask's way back onto the images."""

from copy import deepcopy

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from overread.inference.catalog import Axes, VolumeInput, Voxels
from overread.inference.preprocessing import Series, UnreadableSeries, read_series
from tests.builders.imaging import a_phantom, file_bytes

PATIENT = VolumeInput(voxels=Voxels.INTENSITY, axes=Axes.PATIENT)
AXIAL, AXIAL_FEET = (1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0)
SAGITTAL, CORONAL = (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1)
OBLIQUE = (0.9511, 0.3090, 0, -0.3090, 0.9511, 0)
ROWS, COLUMNS, IMAGES = 7, 6, 5
PLACES = {"right": (-40.0, 0.0, 0.0), "front": (0.0, -40.0, 0.0), "head": (0.0, 0.0, 40.0)}


def _series(orientation: tuple[float, ...], *, mark: str) -> list[FileDataset]:
    """Return images of 10 mm voxels round the origin, one voxel of which is bright: the one furthest to `mark`."""
    along_columns, along_rows = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(along_columns, along_rows)
    pixels = np.zeros((IMAGES, ROWS, COLUMNS))
    datasets = []
    for image in range(IMAGES):
        corner = 10.0 * ((image - 2) * normal - 3 * along_rows - 2.5 * along_columns)
        at = corner[:, None, None] + 10.0 * (
            along_rows[:, None, None] * np.arange(ROWS)[None, :, None]
            + along_columns[:, None, None] * np.arange(COLUMNS)[None, None, :]
        )
        pixels[image] = -np.linalg.norm(at - np.array(PLACES[mark])[:, None, None], axis=0)
        datasets.append(_image(orientation, corner))
    brightest = pixels == pixels.max()
    for dataset, plane in zip(datasets, brightest, strict=True):
        dataset.PixelData = (1000 * plane).astype("<u2").tobytes()
    return datasets


def _image(orientation: tuple[float, ...], corner: NDArray[np.float64]) -> FileDataset:
    dataset = deepcopy(a_phantom(slices=40, size=64).datasets[0])
    dataset.SOPInstanceUID = f"2.25.{abs(hash(tuple(corner.round(3)))) % 10**12}"
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = list(orientation), list(corner.round(4))
    dataset.PixelSpacing, dataset.Rows, dataset.Columns = [10, 10], ROWS, COLUMNS
    dataset.PixelRepresentation, dataset.RescaleIntercept, dataset.RescaleSlope = 0, 0, 1
    del dataset.PixelPaddingValue
    return dataset


def _read(datasets: list[FileDataset], wanted: VolumeInput = PATIENT) -> Series:
    return read_series((file_bytes(dataset) for dataset in datasets), wanted)


each_direction = pytest.mark.parametrize("orientation", [AXIAL, AXIAL_FEET, SAGITTAL, CORONAL, OBLIQUE])


@each_direction
@pytest.mark.parametrize(("mark", "axis"), [("right", 0), ("front", 1), ("head", 2)])
def test_axes_go_to_the_right_the_front_and_the_head_whatever_the_planes(
    orientation: tuple[float, ...], mark: str, axis: int
) -> None:
    """PS3.3, C.7.6.2.1.1: DICOM's own axes go left and to the back; the networks learned the others."""
    voxels = _read(_series(orientation, mark=mark)).volume.voxels

    brightest = np.unravel_index(int(voxels.argmax()), voxels.shape)

    assert brightest[axis] == voxels.shape[axis] - 1


@each_direction
def test_mask_lies_on_the_images_that_its_voxels_came_from(orientation: tuple[float, ...]) -> None:
    """Frame by frame, each with its image's own UID: what is bright in the image is marked in its frame."""
    datasets = _series(orientation, mark="front")
    series = _read(datasets[::-1])

    frames = series.grid.lay_back((series.volume.voxels > 500).astype(np.uint8))

    by_uid = {str(dataset.SOPInstanceUID): dataset for dataset in datasets}
    images = np.stack([by_uid[uid].pixel_array for uid in series.grid.sop_instance_uids])
    assert np.array_equal(frames, images > 500)
    assert series.grid.shape == series.volume.voxels.shape


def test_spacing_follows_its_axes() -> None:
    """A sagittal stack's gap is the step to the right."""
    datasets = _series(SAGITTAL, mark="head")
    for dataset in datasets:
        dataset.ImagePositionPatient = [float(dataset.ImagePositionPatient[0]) * 0.3, *dataset.ImagePositionPatient[1:]]

    assert _read(datasets).volume.spacing_mm == pytest.approx((3.0, 10.0, 10.0))


def test_intensities_are_rescaled_image_by_image() -> None:
    """Some makers scale each image by itself (PS3.3, C.11.1)."""
    datasets = _series(AXIAL, mark="head")
    datasets[-1].RescaleSlope = 2.5

    voxels = _read(datasets).volume.voxels

    assert voxels.dtype == np.float32
    assert float(voxels.max()) == 2500.0


def test_images_that_are_turned_against_each_other_are_no_volume() -> None:
    """The same normal is not enough: rows and columns must lie alike too."""
    datasets = _series(AXIAL, mark="head")
    datasets[2].ImageOrientationPatient = [0, 1, 0, -1, 0, 0]

    with pytest.raises(UnreadableSeries, match="parallel"):
        _read(datasets)
