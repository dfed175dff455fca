"""One slice as a grey picture for people: decoded, windowed, its pixels made square (PS3.3, C.11)."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue

from overread.protocols.dicom.composite import SopInstanceReference
from overread.protocols.dicom.data_elements import text
from overread.protocols.dicom.errors import NotRenderable

Grey = NDArray[np.uint8]
Window = tuple[float, float]

_SOFT_TISSUE: Final[Window] = (40.0, 400.0)
_RLE_LOSSLESS: Final = "1.2.840.10008.1.2.5"
_DECODERS: Final[Mapping[str, Callable[[bytes], object]]] = {
    "1.2.840.10008.1.2.4.50": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.51": imagecodecs.jpeg8_decode,
    "1.2.840.10008.1.2.4.57": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_decode,
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.81": imagecodecs.jpegls_decode,
    "1.2.840.10008.1.2.4.90": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.91": imagecodecs.jpeg2k_decode,
    "1.2.840.10008.1.2.4.201": imagecodecs.htj2k_decode,
    "1.2.840.10008.1.2.4.202": imagecodecs.htj2k_decode,
    "1.2.840.10008.1.2.4.203": imagecodecs.htj2k_decode,
}
_FAILURES: Final = (
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    IndexError,
    OSError,
    EOFError,
    RuntimeError,
    struct.error,
    InvalidDicomError,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeyImage:
    """The picture of a slice, which image it is of, and how tall a pixel is beside its width."""

    reference: SopInstanceReference
    grey: Grey
    aspect: float = 1.0


def key_frame(labels: NDArray[np.uint8]) -> int:
    """Return the frame on which most is marked; the middle one where nothing is."""
    marked = np.count_nonzero(labels, axis=(1, 2))
    return int(np.argmax(marked)) if marked.any() else len(labels) // 2


def key_image(part10: bytes, *, window: Window | None = None) -> KeyImage:
    """Decode a stored image and put it through `window` (centre, width), else the header's, else the modality's.

    `NotRenderable` where it is no greyscale image of one frame, or its pixels can't be decoded.
    """
    try:
        image = dcmread(BytesIO(part10))
        values = _values(image)
        centre, width = window or _own_window(image) or _usual_window(image, values)
    except _FAILURES as error:
        raise NotRenderable(f"The key image can't be decoded ({type(error).__name__}).") from error
    grey = _through(values, centre, width)
    is_inverse = text(image, "PhotometricInterpretation") == "MONOCHROME1"
    return KeyImage(reference=_reference(image), grey=255 - grey if is_inverse else grey, aspect=_aspect(image))


def _values(image: FileDataset) -> NDArray[np.float64]:
    if text(image, "PhotometricInterpretation") not in {"MONOCHROME1", "MONOCHROME2"}:
        raise NotRenderable("The key image is not greyscale.")
    if int(image.get("NumberOfFrames") or 1) > 1:
        raise NotRenderable("The key image has several frames.")
    stored = _stored(image).astype(np.int64)
    if stored.shape != (int(image.Rows), int(image.Columns)):
        raise NotRenderable("The key image's pixels don't fit its header.")
    slope, intercept = float(image.get("RescaleSlope", 1)), float(image.get("RescaleIntercept", 0))
    return (_signed(stored, image) * slope + intercept).astype(np.float64)


def _stored(image: FileDataset) -> NDArray[np.generic]:
    syntax = image.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated and syntax != _RLE_LOSSLESS:
        return np.asarray(_DECODERS[syntax](get_frame(image.PixelData, 0, number_of_frames=1)))
    return np.asarray(image.pixel_array)


def _signed(stored: NDArray[np.int64], image: FileDataset) -> NDArray[np.int64]:
    """Read the stored bits as two's complement where the header says so; codecs return them unsigned."""
    if int(image.PixelRepresentation) == 0:
        return stored
    half = 1 << (int(image.BitsStored) - 1)
    return ((stored + half) & (2 * half - 1)) - half


def _own_window(image: Dataset) -> Window | None:
    """Return the first window of the header; not of 16-bit screen captures and the like without one."""
    centre, width = (_first(image.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    return (centre, width) if centre is not None and width is not None and width >= 1 else None


def _first(value: object) -> float | None:
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value in {None, ""} else float(str(value))


def _usual_window(image: Dataset, values: NDArray[np.float64]) -> Window:
    if text(image, "Modality") == "CT":
        return _SOFT_TISSUE
    low, high = (float(value) for value in np.percentile(values, (1, 99.5)))
    return (low + high) / 2, max(high - low, 1.0)


def _through(values: NDArray[np.float64], centre: float, width: float) -> Grey:
    """Apply a linear window (PS3.3, C.11.2.1.2.1)."""
    scaled = ((values - (centre - 0.5)) / max(width - 1, 1) + 0.5) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _reference(image: Dataset) -> SopInstanceReference:
    return SopInstanceReference(
        study_instance_uid=text(image, "StudyInstanceUID"),
        series_instance_uid=text(image, "SeriesInstanceUID"),
        sop_class_uid=text(image, "SOPClassUID"),
        sop_instance_uid=text(image, "SOPInstanceUID"),
    )


def _aspect(image: Dataset) -> float:
    spacing = image.get("PixelSpacing") or image.get("ImagerPixelSpacing")
    if not isinstance(spacing, MultiValue) or len(spacing) != 2:
        return 1.0
    rows, columns = float(spacing[0]), float(spacing[1])
    return rows / columns if rows > 0 and columns > 0 else 1.0
