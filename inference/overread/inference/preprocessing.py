"""From the files of a series to a volume in Hounsfield units that a model can be shown.

Nothing of the header goes on but the spacing. Geometry is checked again here, on what was read, since a plan may be
older than the images. Pure: bytes in, values out.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

from overread.contracts.errors import Malformed
from overread.inference.applicability import DECODABLE_TRANSFER_SYNTAXES

Slice = NDArray[np.int16]

PADDING_HU = -2048
"""What stands where the scanner made no image; no model takes it for air."""

GAP_TOLERANCE_MM = 0.1
SHEAR_TOLERANCE_MM = 0.5

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
    """Hounsfield units, [slice, row, column], the first slice at the feet, and the voxel's sides in that order."""

    voxels: Slice
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class _Place:
    """Where one image lies (PS3.3, C.7.6.2)."""

    position: NDArray[np.float64]
    normal: NDArray[np.float64]
    spacing: tuple[float, float]
    shape: tuple[int, int]

    @property
    def height(self) -> float:
        return float(self.position @ self.normal)


def read_volume(files: Iterable[bytes]) -> Volume:
    """Stack the images of one series, or raise `UnreadableSeries` with what is wrong in plain words.

    One file at a time is decoded and let go, so that memory holds little more than the volume itself.
    """
    placed = [_read_slice(content) for content in files]
    if len(placed) < 2:
        raise UnreadableSeries("a volume needs two images or more")
    placed.sort(key=lambda pair: pair[0].height)
    places = [place for place, _ in placed]
    _check_alike(places)
    gap = _checked_gap(places)
    return Volume(np.stack([pixels for _, pixels in placed]), (gap, *places[0].spacing))


def _read_slice(content: bytes) -> tuple[_Place, Slice]:
    dataset = _parse(content)
    place = _place(dataset)
    return place, _hounsfield(dataset, place.shape)


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
        normal = np.cross(orientation[:3], orientation[3:])
        position = np.array([float(value) for value in dataset.ImagePositionPatient])
        rows, columns = (float(value) for value in dataset.PixelSpacing)
        place = _Place(position, normal, (rows, columns), (int(dataset.Rows), int(dataset.Columns)))
    except (AttributeError, TypeError, ValueError) as error:
        raise UnreadableSeries("an image does not say where it lies or how large its pixels are") from error
    if position.shape != (3,) or not math.isclose(float(np.linalg.norm(normal)), 1.0, abs_tol=1e-3):
        raise UnreadableSeries("an image's position or orientation is not a valid one")
    return place


def _check_alike(places: Sequence[_Place]) -> None:
    first = places[0]
    if any(place.shape != first.shape or place.spacing != first.spacing for place in places):
        raise UnreadableSeries("the images differ in size or pixel spacing")
    if any(not np.allclose(place.normal, first.normal, atol=1e-3) for place in places):
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


def _hounsfield(dataset: FileDataset, shape: tuple[int, int]) -> Slice:
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
