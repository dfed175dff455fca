"""From the files of a series to a volume that a model can be shown, and back from the volume's grid to the images.

Nothing of the header goes on but the spacing. Geometry is checked again here, on what was read, since a plan may be
older than the images. Pure: bytes in, values out.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise, permutations
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

from overread.contracts.errors import Malformed
from overread.inference.applicability import DECODABLE_TRANSFER_SYNTAXES
from overread.inference.catalog import Axes, VolumeInput, Voxels

Pixels = NDArray[Any]
"""Hounsfield units as int16, or intensities as float32."""

PADDING_HU = -2048
"""What stands where the scanner made no image; no model takes it for air."""

GAP_TOLERANCE_MM = 0.1
SHEAR_TOLERANCE_MM = 0.5

_RIGHT_FRONT_HEAD = np.array([-1.0, -1.0, 1.0])  # DICOM's own axes go left, to the back, to the head (C.7.6.2.1.1)
_LITTLE_ENDIAN = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"})
_RLE_LOSSLESS = "1.2.840.10008.1.2.5"
_DECODERS: dict[str, Callable[[bytes], NDArray[np.generic]]] = {
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.201": imagecodecs.htj2k_decode,
    "1.2.840.10008.1.2.4.202": imagecodecs.htj2k_decode,
}
_CODEC_ERRORS = (ValueError, RuntimeError, KeyError, AttributeError, NotImplementedError)


class UnreadableSeries(Malformed):
    """The images of the series can't be made into a volume."""


@dataclass(frozen=True)
class Volume:
    """Voxels in the axes that the model's contract names, and the voxel's sides in that order."""

    voxels: Pixels
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Grid:
    """How a volume lies in the images that it was made of; it never reaches a model.

    Axis k of the volume is axis `order[k]` of the images (image, row, column), reversed where `is_reversed` says so.
    """

    sop_instance_uids: tuple[str, ...]
    rows: int
    columns: int
    order: tuple[int, int, int] = (0, 1, 2)
    is_reversed: tuple[bool, bool, bool] = (False, False, False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the size of the volume, by its axes."""
        sides = (len(self.sop_instance_uids), self.rows, self.columns)
        return sides[self.order[0]], sides[self.order[1]], sides[self.order[2]]

    def lay_out(self, images: Pixels) -> Pixels:
        """Turn what lies as [image, row, column] into the volume's axes."""
        return np.transpose(np.flip(images, self._reversed_axes), self.order)

    def lay_back(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn what lies in the volume's axes into [image, row, column]."""
        return np.flip(np.transpose(labels, np.argsort(self.order)), self._reversed_axes)

    @property
    def _reversed_axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, is_reversed in enumerate(self.is_reversed) if is_reversed)


@dataclass(frozen=True)
class Series:
    """What was read of a series: the volume for the model, and the way back."""

    volume: Volume
    grid: Grid


@dataclass(frozen=True)
class _Place:
    """Which image it is, and where it lies (PS3.3, C.7.6.2)."""

    sop_instance_uid: str
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    normal: NDArray[np.float64]
    spacing: tuple[float, float]
    shape: tuple[int, int]

    @property
    def height(self) -> float:
        return float(self.position @ self.normal)


def read_series(files: Iterable[bytes], wanted: VolumeInput) -> Series:
    """Stack the images of one series, or raise `UnreadableSeries` with what is wrong in plain words.

    One file at a time is decoded and let go, so that memory holds little more than the volume itself.
    """
    placed = [_read_slice(content, wanted.voxels) for content in files]
    if len(placed) < 2:
        raise UnreadableSeries("a volume needs two images or more")
    placed.sort(key=lambda pair: pair[0].height)
    places = [place for place, _ in placed]
    _check_alike(places)
    sides = (_checked_gap(places), *places[0].spacing)
    grid = _grid(places, wanted.axes)
    volume = Volume(
        grid.lay_out(np.stack([pixels for _, pixels in placed])),
        (sides[grid.order[0]], sides[grid.order[1]], sides[grid.order[2]]),
    )
    return Series(volume, grid)


def _grid(places: Sequence[_Place], axes: Axes) -> Grid:
    """Choose the order and directions in which the images' axes come closest to those that are wanted."""
    first, uids = places[0], tuple(place.sop_instance_uid for place in places)
    if axes is Axes.SERIES:
        return Grid(uids, *first.shape)
    directions = np.stack([first.normal, first.orientation[3:], first.orientation[:3]]) * _RIGHT_FRONT_HEAD
    order = max(permutations(range(3)), key=lambda order: sum(abs(directions[order[k], k]) for k in range(3)))
    is_reversed = [False, False, False]
    for k, axis in enumerate(order):
        is_reversed[axis] = bool(directions[axis, k] < 0)
    return Grid(uids, *first.shape, (order[0], order[1], order[2]), (is_reversed[0], is_reversed[1], is_reversed[2]))


def _read_slice(content: bytes, voxels: Voxels) -> tuple[_Place, Pixels]:
    dataset = _parse(content)
    place = _place(dataset)
    values = _hounsfield if voxels is Voxels.HOUNSFIELD else _intensity
    return place, values(dataset, place.shape)


def _parse(content: bytes) -> FileDataset:
    try:
        dataset = dcmread(BytesIO(content))
    except (InvalidDicomError, EOFError, ValueError, KeyError) as error:
        raise UnreadableSeries("an image is not a readable DICOM file") from error
    if dataset.file_meta.get("TransferSyntaxUID") not in DECODABLE_TRANSFER_SYNTAXES:
        raise UnreadableSeries("an image is compressed in a way that is lossy or not read")
    if int(dataset.get("NumberOfFrames") or 1) != 1 or int(dataset.get("SamplesPerPixel") or 1) != 1:
        raise UnreadableSeries("an image has several frames or colours")
    return dataset


def _place(dataset: FileDataset) -> _Place:
    try:
        orientation = np.array([float(value) for value in dataset.ImageOrientationPatient])
        position = np.array([float(value) for value in dataset.ImagePositionPatient])
        rows, columns = (float(value) for value in dataset.PixelSpacing)
        normal = np.cross(orientation[:3], orientation[3:])
        shape = (int(dataset.Rows), int(dataset.Columns))
        place = _Place(str(dataset.SOPInstanceUID), position, orientation, normal, (rows, columns), shape)
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableSeries("an image does not say where it lies or how large its pixels are") from error
    if position.shape != (3,) or orientation.shape != (6,) or not _is_unit(normal):
        raise UnreadableSeries("an image's position or orientation is not a valid one")
    return place


def _is_unit(normal: NDArray[np.float64]) -> bool:
    return math.isclose(float(np.linalg.norm(normal)), 1.0, abs_tol=1e-3)


def _check_alike(places: Sequence[_Place]) -> None:
    first = places[0]
    if any(place.shape != first.shape or place.spacing != first.spacing for place in places):
        raise UnreadableSeries("the images differ in size or pixel spacing")
    if any(not np.allclose(place.orientation, first.orientation, atol=1e-3) for place in places):
        raise UnreadableSeries("the images don't lie parallel")


def _checked_gap(places: Sequence[_Place]) -> float:
    """Return the common distance between slices; a volume with any other has no meaning."""
    gaps = [above.height - below.height for below, above in pairwise(places)]
    if min(gaps) < GAP_TOLERANCE_MM:
        raise UnreadableSeries("two images lie at the same place")
    if max(gaps) - min(gaps) > GAP_TOLERANCE_MM:
        raise UnreadableSeries(f"the gaps between slices are uneven, {min(gaps):.2f} to {max(gaps):.2f} mm")
    way = places[-1].position - places[0].position
    if float(np.linalg.norm(way - (way @ places[0].normal) * places[0].normal)) > SHEAR_TOLERANCE_MM:
        raise UnreadableSeries("the stack of slices is slanted, as with a tilted gantry")
    return sum(gaps) / len(gaps)


def _intensity(dataset: FileDataset, shape: tuple[int, int]) -> Pixels:
    """Rescale stored values where the maker scales each image by itself (PS3.3, C.11.1)."""
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return (_stored_values(dataset, shape) * slope + intercept).astype(np.float32)


def _hounsfield(dataset: FileDataset, shape: tuple[int, int]) -> Pixels:
    """Rescale stored values (PS3.3, C.11.1) and mark padding (PS3.3, C.7.5.1.1.2)."""
    stored = _stored_values(dataset, shape)
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    rescaled = stored if slope == 1.0 else np.rint(stored * slope)
    values = rescaled + int(intercept)
    # A padding value that reads as air (some makers use 0 at intercept -1024) is air, or clipped lung would be lost.
    is_padding = (values <= -2000) | (_is_padded(dataset, stored) & (values <= -1200))
    values[is_padding] = PADDING_HU
    return np.clip(values, PADDING_HU, 32767).astype(np.int16)


def _is_padded(dataset: FileDataset, stored: NDArray[np.int32]) -> NDArray[np.bool_]:
    if dataset.get("PixelPaddingValue") is None:
        return np.zeros(stored.shape, dtype=bool)
    limits = (int(dataset.PixelPaddingValue), int(dataset.get("PixelPaddingRangeLimit", dataset.PixelPaddingValue)))
    return np.asarray((stored >= min(limits)) & (stored <= max(limits)))


def _stored_values(dataset: FileDataset, shape: tuple[int, int]) -> NDArray[np.int32]:
    try:
        raw = _decoded(dataset)
    except _CODEC_ERRORS as error:
        raise UnreadableSeries("an image's pixels can't be decoded") from error
    if raw.shape != shape or raw.dtype.kind not in "iu":
        raise UnreadableSeries("an image's pixels don't fit its header")
    return _signed(raw.astype(np.int32), dataset)


def _decoded(dataset: FileDataset) -> NDArray[np.generic]:
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _LITTLE_ENDIAN and int(dataset.BitsAllocated) == 16:
        stored = np.frombuffer(dataset.PixelData, dtype="<u2", count=int(dataset.Rows) * int(dataset.Columns))
        return stored.reshape(int(dataset.Rows), int(dataset.Columns))
    if not syntax.is_compressed or syntax == _RLE_LOSSLESS or syntax.is_deflated:
        return np.asarray(dataset.pixel_array)
    frame = b"".join(generate_frames(dataset.PixelData, number_of_frames=1))
    return np.asarray(_DECODERS[syntax](frame))


def _signed(values: NDArray[np.int32], dataset: FileDataset) -> NDArray[np.int32]:
    """Read the stored bits as two's complement where the header says so; codecs return them unsigned."""
    if int(dataset.PixelRepresentation) == 0:
        return values
    half = 1 << (int(dataset.BitsStored) - 1)
    return ((values + half) & (2 * half - 1)) - half
