"""Reading a Part 10 file's own header, so that its data set can be had bit for bit (PS3.10, 7.1)."""

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from overread.contracts.errors import Malformed

_PREAMBLE_BYTES = 132
_GROUP_LENGTH_ELEMENT_BYTES = 12


@dataclass(frozen=True, slots=True)
class Part10File:
    """A file cut in two: what its header says, and the data set as it was received."""

    transfer_syntax_uid: str
    source_application_entity_title: str
    data_set: bytes


def split(content: bytes) -> Part10File:
    """Return header and data set of a Part 10 file with a group length (0002,0000), or raise `Malformed`."""
    begin = _PREAMBLE_BYTES + _GROUP_LENGTH_ELEMENT_BYTES
    end = begin + int.from_bytes(content[begin - 4 : begin], "little")
    try:
        meta = dcmread(BytesIO(content[:end])).file_meta
        return Part10File(
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
            source_application_entity_title=str(meta.get("SourceApplicationEntityTitle", "")).strip(),
            data_set=content[end:],
        )
    except (InvalidDicomError, AttributeError, ValueError, EOFError) as error:
        raise Malformed("the object is not a DICOM Part 10 file") from error
