"""Which form of an answer a client takes: Accept headers, and the media types of transfer syntaxes (PS3.18, 8.7)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
OCTET_STREAM = "application/octet-stream"
DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
JSON = "application/json"

UNCOMPRESSED = frozenset(
    {
        "1.2.840.10008.1.2",
        EXPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
    }
)
IMAGE_TYPES: Mapping[str, str] = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
"""PS3.18, table 8.7.3-5: the media type of a frame in each compressed syntax that we serve."""

_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)')
_RANGE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


@dataclass(frozen=True, slots=True)
class Accepted:
    """One media range of an Accept header: its type, and for multipart the type of its parts."""

    media_type: str
    part_type: str
    transfer_syntax: str

    def takes_part(self, media_type: str) -> bool:
        """Say whether a multipart answer with parts of that type is taken; a quality of 0 was left out before."""
        if self.media_type == "*/*":
            return True
        is_multipart = self.media_type in {"multipart/related", "multipart/*"}
        return is_multipart and self.part_type in {"", "*/*", media_type}

    def takes_syntax(self, transfer_syntax_uid: str) -> bool:
        """Say whether that syntax is taken; one that names none takes what is not compressed (PS3.18, 8.7.3.5.2)."""
        if self.transfer_syntax:
            return self.transfer_syntax in {"*", transfer_syntax_uid}
        return transfer_syntax_uid in UNCOMPRESSED


def accepted(header: str) -> list[Accepted]:
    """Return the media ranges of an Accept header, in its order; none means all (RFC 9110, 12.5.1)."""
    return list(_ranges(header)) or [Accepted("*/*", "", "*")]


def _ranges(header: str) -> Iterator[Accepted]:
    for text in _RANGE.findall(header):
        media_type = text.partition(";")[0].strip().lower()
        parameters = {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(text)}
        if media_type and parameters.get("q", "1") not in {"0", "0.0", "0.00", "0.000"}:
            yield Accepted(media_type, parameters.get("type", "").lower(), parameters.get("transfer-syntax", ""))


def frame_type(header: str, transfer_syntax_uid: str) -> str | None:
    """Return the media type of a frame's part as the client takes it, None when it takes none that we have."""
    image_type = IMAGE_TYPES.get(transfer_syntax_uid)
    for one in accepted(header):
        if image_type and one.part_type == image_type and one.takes_part(image_type):
            return image_type
        if one.takes_part(OCTET_STREAM) and (one.media_type == "*/*" or one.takes_syntax(transfer_syntax_uid)):
            return OCTET_STREAM
    return None


def takes_instance(header: str, transfer_syntax_uid: str) -> bool:
    """Say whether the client takes a whole instance as it is stored."""
    return any(
        one.takes_part(DICOM) and (one.media_type == "*/*" or one.takes_syntax(transfer_syntax_uid))
        for one in accepted(header)
    )


def json_type(header: str) -> str | None:
    """Return the JSON type that the client takes, None when it takes neither."""
    for one in accepted(header):
        if one.media_type in {"*/*", "application/*", DICOM_JSON}:
            return DICOM_JSON
        if one.media_type == JSON:
            return JSON
    return None
