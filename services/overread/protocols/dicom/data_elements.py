"""Data elements of the objects that we make: encoded once as they are set; pydicom, which did not write them, reads them."""

import struct
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from typing import Any, Final

from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from overread.contracts.identifiers import nfc
from overread.protocols.dicom.attributes import part10_header
from overread.protocols.dicom.errors import NotRenderable, Unfaithful
from overread.protocols.dicom.sop_classes import EXPLICIT_VR_LITTLE_ENDIAN

LONGEST_LO: Final = 64
OWN_SCHEMES: Final = {
    "99OVERREAD": ("Overread codes", ""),
    "99OVERREAD-USER": ("Users of Overread", ""),
    "99HL70078": ("HL7 Table 0078, Interpretation Codes", "2.16.840.1.113883.12.78"),
}
_ITEM: Final = b"\xfe\xff\x00\xe0"
_LONGEST_SHORT: Final = 0xFFFE
_WITH_32_BIT_LENGTH: Final = frozenset({"OB", "SQ", "UC", "UT"})


class Elements:
    """The elements of one data set or sequence item, each in Explicit VR Little Endian (PS3.5, 7.1.2)."""

    __slots__ = ("by_tag", "schemes")

    def __init__(self) -> None:
        self.by_tag: dict[int, bytes] = {}
        self.schemes: set[str] = set()

    def put(self, keyword: str, value: Any) -> None:
        """Set one element by its keyword; a list has several values, or the items of a sequence."""
        tag, vr = _known(keyword)
        values = value if isinstance(value, list | tuple) else [value]
        raw = _ENCODERS.get(vr, _text)(values)
        self.by_tag[tag] = _element(tag, vr, raw + _padding(vr) * (len(raw) % 2))
        if keyword == "CodingSchemeDesignator":
            self.schemes.add(value)
        elif vr == "SQ":
            self.schemes.update(*(item.schemes for item in values))

    def update(self, other: "Elements") -> None:
        """Take over every element of another."""
        self.by_tag |= other.by_tag
        self.schemes |= other.schemes

    def encoded(self) -> bytes:
        """Return the elements in order of their tags."""
        return b"".join(self.by_tag[tag] for tag in sorted(self.by_tag))


@cache
def _known(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise NotRenderable(f"{keyword} is no DICOM keyword.")
    vr = dictionary_VR(tag)
    return tag, "OB" if vr == "OB or OW" else vr


def _text(values: Sequence[str]) -> bytes:
    return "\\".join(values).encode("utf-8")


def _items(values: Sequence[Elements]) -> bytes:
    encoded = (value.encoded() for value in values)
    return b"".join(_ITEM + struct.pack("<I", len(item)) + item for item in encoded)


def _numbers(code: str) -> Callable[[Sequence[int]], bytes]:
    return lambda values: struct.pack(f"<{len(values)}{code}", *values)


def _tags(values: Sequence[int]) -> bytes:
    return b"".join(struct.pack("<HH", value >> 16, value & 0xFFFF) for value in values)


_ENCODERS: Final[Mapping[str, Callable[[Sequence[Any]], bytes]]] = {
    "SQ": _items,
    "US": _numbers("H"),
    "UL": _numbers("I"),
    "AT": _tags,
    "OB": b"".join,
}


def _padding(vr: str) -> bytes:
    return b"\0" if vr in {"UI", "OB"} else b" "


def _element(tag: int, vr: str, raw: bytes) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("ascii")
    if vr in _WITH_32_BIT_LENGTH:
        return head + struct.pack("<HI", 0, len(raw)) + raw
    if len(raw) > _LONGEST_SHORT:
        raise NotRenderable("A value is longer than its element can hold (PS3.5, 7.1.2).")
    return head + struct.pack("<H", len(raw)) + raw


def elements(**values: Any) -> Elements:
    """Return these elements, None left out."""
    made = Elements()
    for keyword, value in values.items():
        if value is not None:
            made.put(keyword, value)
    return made


def exact(value: str) -> str:
    """Return a value that has to survive as it is, in NFC and without blanks around it (PS3.5, 6.1 and 6.2)."""
    kept = nfc(value).strip()
    if "\\" in kept or any(map(is_control, kept)):
        raise NotRenderable(
            "A value holds a backslash or a control character, which DICOM keeps for itself (PS3.5, 6.1.3)."
        )
    return kept


def is_control(character: str) -> bool:
    """Tell whether a character is a control character (C0, DEL, C1)."""
    return character < " " or "\x7f" <= character <= "\x9f"


def line_of(value: str, longest: int = LONGEST_LO) -> str:
    """Return words for people as one line that fits an LO."""
    printable = "".join(" " if is_control(character) else character for character in nfc(value).replace("\\", "/"))
    return " ".join(printable.split())[:longest].rstrip()


def text(source: Dataset, keyword: str) -> str:
    """Return an element as text, in NFC and without blanks around it; empty when it is absent."""
    return nfc(str(source.get(keyword) or "")).strip()


def part10(content: Elements, *, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Return the object as a file, own codes explained (PS3.10, 7; PS3.3, C.12.1)."""
    schemes = sorted(scheme for scheme in content.schemes if scheme.startswith("99"))
    if schemes:
        content.put("CodingSchemeIdentificationSequence", [_scheme_item(scheme) for scheme in schemes])
    return part10_header(sop_class_uid, sop_instance_uid, EXPLICIT_VR_LITTLE_ENDIAN) + content.encoded()


def _scheme_item(scheme: str) -> Elements:
    name, uid = OWN_SCHEMES.get(scheme, (scheme, ""))
    return elements(CodingSchemeDesignator=scheme, CodingSchemeUID=uid or None, CodingSchemeName=name)


def read_part10(raw: bytes, *sop_class_uids: str) -> Dataset:
    """Read a file of one of these classes whole, or raise `Unfaithful`."""
    with reading():
        found = dcmread(BytesIO(raw))
        if str(found.SOPClassUID) not in sop_class_uids:
            raise Unfaithful("The object is of another SOP class.")
        return found


@contextmanager
def reading() -> Iterator[None]:
    """Turn whatever a wrong object makes fail into `Unfaithful`, and keep warnings quiet: they could quote a value."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InvalidDicomError as error:
        raise Unfaithful("The object is not a DICOM Part 10 file.") from error
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, EOFError, OSError) as error:
        raise Unfaithful(f"The object does not hold what ours do ({type(error).__name__}).") from error
