"""One frame out of a stored file, as it is encoded there, without reading the others (PS3.5, 8.2 and A.4)."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from overread.contracts.errors import Malformed, OverreadError
from overread.dicomweb.media_types import EXPLICIT_VR_LITTLE_ENDIAN, IMAGE_TYPES, UNCOMPRESSED

_PIXEL_DATA = (0x7FE0, 0x0010)
_UNDEFINED = 0xFFFFFFFF
_LARGEST_FRAME = 512 * 1024 * 1024


class NoSuchFrame(OverreadError):
    """The instance has no frame of that number."""


class NoPixels(OverreadError):
    """The instance has no frames that can be served as they are stored."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of one instance, and the transfer syntax of their bytes."""

    transfer_syntax_uid: str
    contents: list[bytes]


def served_syntax(stored_transfer_syntax_uid: str) -> str:
    """Return the syntax in which frames stored like this are served: what is not compressed as explicit little endian."""
    if stored_transfer_syntax_uid in UNCOMPRESSED:
        return EXPLICIT_VR_LITTLE_ENDIAN
    if stored_transfer_syntax_uid in IMAGE_TYPES:
        return stored_transfer_syntax_uid
    raise NoPixels(f"frames of transfer syntax {stored_transfer_syntax_uid} are not served")


def read_frames(file: BinaryIO, numbers: list[int]) -> Frames:
    """Return the frames of those numbers, 1 being the first, or raise `NoSuchFrame`, `NoPixels` or `Malformed`."""
    try:
        header = dcmread(file, stop_before_pixels=True)
        syntax = str(header.file_meta.TransferSyntaxUID)
        count = int(header.get("NumberOfFrames") or 1)
        if not all(1 <= number <= count for number in numbers):
            raise NoSuchFrame
        served = served_syntax(syntax)
        if syntax == DeflatedExplicitVRLittleEndian:
            return Frames(served, _inflated(file, header, numbers))
        length = _enter_pixel_data(file, syntax)
        if syntax in UNCOMPRESSED:
            return Frames(served, [_native(file, header, syntax, length, number) for number in numbers])
        return Frames(served, _encapsulated(file, numbers, count))
    except (InvalidDicomError, struct.error, ValueError, AttributeError, EOFError, TypeError, KeyError) as error:
        raise Malformed("the stored instance can't be read") from error


def frame_bytes(header: Dataset) -> int:
    """Return how long one uncompressed frame is (PS3.5, 8.1.1)."""
    pixels = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1)
    bits = pixels * int(header.BitsAllocated)
    if header.get("PhotometricInterpretation") == "YBR_FULL_422":
        bits = bits * 2 // 3
    if bits % 8:
        raise NoPixels("frames that do not end with a byte are not served one by one")
    return min(bits // 8, _LARGEST_FRAME)


def _enter_pixel_data(file: BinaryIO, syntax: str) -> int:
    """Go to the first byte of Pixel Data's value and return its length."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    tag = file.read(4)
    if len(tag) < 4 or struct.unpack(f"{order}HH", tag) != _PIXEL_DATA:
        raise NoPixels("the instance has no pixel data")
    if syntax == ImplicitVRLittleEndian:
        return int(struct.unpack("<L", file.read(4))[0])
    file.read(4)  # the VR and two reserved bytes: OB or OW
    return int(struct.unpack(f"{order}L", file.read(4))[0])


def _native(file: BinaryIO, header: Dataset, syntax: str, length: int, number: int) -> bytes:
    size = frame_bytes(header)
    begin = (number - 1) * size
    if length != _UNDEFINED and begin + size > length:
        raise Malformed("the stored instance has fewer pixels than it says")
    here = file.tell()
    file.seek(begin, 1)
    content = file.read(size)
    file.seek(here)
    return _little_endian(content, header, syntax)


def _inflated(file: BinaryIO, header: Dataset, numbers: list[int]) -> list[bytes]:
    file.seek(0)
    pixels, size = dcmread(file).PixelData, frame_bytes(header)
    return [bytes(pixels[(number - 1) * size : number * size]) for number in numbers]


def _little_endian(content: bytes, header: Dataset, syntax: str) -> bytes:
    if syntax != ExplicitVRBigEndian or int(header.BitsAllocated) <= 8:
        return content
    swapped = bytearray(content)
    swapped[0::2], swapped[1::2] = content[1::2], content[0::2]
    return bytes(swapped)


def _encapsulated(file: BinaryIO, numbers: list[int], count: int) -> list[bytes]:
    here = file.tell()
    contents = []
    for number in numbers:
        file.seek(here)
        contents.append(get_frame(file, number - 1, number_of_frames=count))
    return contents
