"""An instance's header in the DICOM JSON model (PS3.18, annex F), and what a search answers of it."""

import warnings
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement
from pydicom.errors import InvalidDicomError

from overread.contracts.codec import json_bytes
from overread.contracts.errors import Malformed

_HEADER_BYTES = 1 << 20
"""A value that is deferred beyond this, as a large overlay, is left out."""

_LONGEST_BINARY = 1024
_BINARY = frozenset({"OB", "OW", "OD", "OF", "OL", "OV", "UN"})

STUDY_KEYWORDS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "StudyDescription",
)
SERIES_KEYWORDS = ("Modality", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "BodyPartExamined")
INSTANCE_KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
)


def read_header(file: BinaryIO) -> Dataset:
    """Return the data set without its pixels, or raise `Malformed`."""
    try:
        return dcmread(file, stop_before_pixels=True, defer_size=_HEADER_BYTES)
    except (InvalidDicomError, ValueError, AttributeError, EOFError, TypeError, KeyError) as error:
        raise Malformed("the stored instance can't be read") from error


def json_of(header: Dataset, transfer_syntax_uid: str) -> bytes:
    """Return the whole header as JSON; long binary values are left out, and the stored transfer syntax is added."""
    shown = Dataset()
    for element in _elements(header):
        if element is not None and not _is_long_binary(element):
            shown.add(element)
    shown.AvailableTransferSyntaxUID = transfer_syntax_uid
    return json_bytes(_as_json(shown))


def selected(header: Dataset, keywords: tuple[str, ...]) -> dict[str, Any]:
    """Return some attributes of the header as JSON: those of a search answer (PS3.18, 10.6.3.3)."""
    shown = Dataset()
    for keyword in keywords:
        if keyword in header:
            shown.add(header[keyword])
    return _as_json(shown)


def _elements(header: Dataset) -> "list[DataElement | None]":
    return [_element(header, tag) for tag in header.keys()]  # noqa: SIM118 - a data set's own iteration reads each value


def _element(header: Dataset, tag: Any) -> DataElement | None:
    """Return one element, None where its value can't be read: the others are still worth showing."""
    try:
        found: DataElement = header[tag]
    except (ValueError, TypeError, KeyError, NotImplementedError, OSError, AttributeError):
        return None
    return found


def _is_long_binary(element: DataElement) -> bool:
    return element.VR in _BINARY and len(element.value or b"") > _LONGEST_BINARY


def _as_json(shown: Dataset) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(shown.to_json_dict(suppress_invalid_tags=True))
