"""One frame out of a stored file, in each kind of encoding."""

import io

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    generate_uid,
)

from overread.contracts.errors import Malformed
from overread.dicomweb.frames import NoPixels, NoSuchFrame, read_frames

PIXELS = np.arange(3 * 4 * 5, dtype="<u2").reshape(3, 4, 5)


def a_file(syntax: str, *, pixels: bytes | None = None, **changed: object) -> io.BytesIO:
    """Return a multi-frame instance in that transfer syntax."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7.3", generate_uid()
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 4, 5, 3
    dataset.BitsAllocated, dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 16, 1, "MONOCHROME2"
    if pixels is not None:
        dataset.PixelData = pixels
        dataset["PixelData"].VR = "OB" if syntax == JPEGLSLossless else "OW"
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return buffer


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_frame_is_its_own_bytes(syntax: str) -> None:
    """Frames are served as explicit little endian, whatever the header's encoding."""
    read = read_frames(a_file(syntax, pixels=PIXELS.tobytes()), [3, 1])

    assert read.contents == [PIXELS[2].tobytes(), PIXELS[0].tobytes()]
    assert read.transfer_syntax_uid == ExplicitVRLittleEndian


def test_big_endian_frame_is_turned() -> None:
    """A viewer that is told little endian gets little endian."""
    read = read_frames(a_file(ExplicitVRBigEndian, pixels=PIXELS.astype(">u2").tobytes()), [2])

    assert read.contents == [PIXELS[1].tobytes()]


def test_encapsulated_frame_is_one_fragment_stream() -> None:
    """A compressed frame comes as it is stored (PS3.5, A.4)."""
    stored = encapsulate([b"first frame!", b"second frame", b"third frame!"])

    read = read_frames(a_file(JPEGLSLossless, pixels=stored), [2])

    assert (read.contents, read.transfer_syntax_uid) == ([b"second frame"], JPEGLSLossless)


@pytest.mark.parametrize("number", [0, 4])
def test_frame_that_is_not_there_is_said_so(number: int) -> None:
    """Frames count from 1 (PS3.18, 10.4.1.1.3)."""
    with pytest.raises(NoSuchFrame):
        read_frames(a_file(ExplicitVRLittleEndian, pixels=PIXELS.tobytes()), [number])


def test_instance_without_pixels_has_no_frames() -> None:
    """A structured report is no image."""
    with pytest.raises(NoPixels):
        read_frames(a_file(ExplicitVRLittleEndian, ConceptNameCodeSequence=[], ContentDate="20261122"), [1])


@pytest.mark.parametrize("content", [b"", b"not DICOM" * 40])
def test_what_is_no_file_is_malformed(content: bytes) -> None:
    """Never a traceback."""
    with pytest.raises(Malformed):
        read_frames(io.BytesIO(content), [1])


def test_file_that_ends_too_early_is_malformed() -> None:
    """Half a frame is no frame."""
    with pytest.raises(Malformed):
        read_frames(a_file(ExplicitVRLittleEndian, pixels=PIXELS[:2].tobytes()), [3])
