"""Raw values of header attributes to Python values, by value representation (PS3.5, 6.2)."""

import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final, Literal, TypeVar

from pydicom import charset

T = TypeVar("T")

_ESCAPE: Final = b"\x1b"
_DELIMITERS: Final = {ord("^"), ord("="), ord("\\")}
_REPLACEMENT_CHARACTER: Final = "\N{REPLACEMENT CHARACTER}"
_ASCII_BY_DECLARATION: Final = charset.python_encoding["ISO_IR 6"]
_LONGEST_VALUE: Final = 2_048  # a description of 64 characters is far below; an event must stay small
_DATE: Final = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")  # with dots: ACR-NEMA 2.0 (PS3.5, 6.2, note on DA)
_TIME: Final = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?")
_OFFSET: Final = re.compile(r"([+-]\d{2})(\d{2})")
_AGE: Final = re.compile(r"(\d{1,3})([DWMY])")
_UNITS_PER_YEAR: Final = {"D": 365, "W": 52, "M": 12, "Y": 1}


class HeaderValues:
    """The raw values of a header, read one by one; what can't be read is absent and named in `undecodable`."""

    def __init__(
        self,
        elements: Mapping[int, bytes],
        tags: Mapping[str, int],
        *,
        byte_order: Literal["little", "big"],
        fallback_charset: str,
    ) -> None:
        self.undecodable: list[str] = []
        self._byte_order = byte_order
        self._elements = elements
        self._tags = tags
        self._fallback = charset.python_encoding[fallback_charset]
        self._codecs = self._declared_codecs()

    def text(self, keyword: str) -> str | None:
        """Return a text in NFC without its padding; None when absent, empty or undecodable."""
        return self._converted(keyword, lambda raw: self._decoded(raw).strip(" \0") or None)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of a multi-valued text (PS3.5, 6.4)."""
        whole = self.text(keyword)
        return tuple(value.strip() for value in whole.split("\\")) if whole else ()

    def person_name(self, keyword: str) -> str | None:
        """Return a PN with its component groups, in NFC, without empty ends (PS3.5, 6.2.1)."""
        return self._converted(keyword, self._decoded_person_name)

    def date(self, keyword: str) -> date | None:
        """Return a DA."""
        return self._converted(keyword, _date)

    def integer(self, keyword: str) -> int | None:
        """Return the first value of an IS; some write it with a fraction of zero."""
        return self._converted(keyword, lambda raw: int(_finite(raw.split(b"\\")[0])))

    def unsigned(self, keyword: str) -> int | None:
        """Return the first value of a US."""
        raw = self._elements.get(self._tags[keyword], b"")
        return int.from_bytes(raw[:2], self._byte_order) if len(raw) >= 2 else None

    def decimal(self, keyword: str) -> float | None:
        """Return the first value of a DS."""
        return self._converted(keyword, lambda raw: _finite(raw.split(b"\\")[0]))

    def pair(self, keyword: str) -> tuple[float, float] | None:
        """Return a DS of two values."""
        values = self._decimals(keyword, 2)
        return (values[0], values[1]) if values else None

    def triple(self, keyword: str) -> tuple[float, float, float] | None:
        """Return a DS of three values."""
        values = self._decimals(keyword, 3)
        return (values[0], values[1], values[2]) if values else None

    def sextuple(self, keyword: str) -> tuple[float, float, float, float, float, float] | None:
        """Return a DS of six values."""
        values = self._decimals(keyword, 6)
        return (values[0], values[1], values[2], values[3], values[4], values[5]) if values else None

    def age_in_years(self) -> int | None:
        """Return the age in whole years: Patient's Age, else birth date to study date (PS3.3, C.7.2.2)."""
        stated = self._converted("PatientAge", _age)
        if stated is not None:
            return stated
        born, studied = self.date("PatientBirthDate"), self.date("StudyDate")
        if born is None or studied is None or studied < born:
            return None
        return studied.year - born.year - ((studied.month, studied.day) < (born.month, born.day))

    def study_date_time(self) -> str | None:
        """Return Study Date and Time in ISO 8601, local; with an offset only when the header has one."""
        day = self.date("StudyDate")
        if day is None:
            return None
        time = self._converted("StudyTime", _iso_time)
        if time is None:
            return day.isoformat()
        offset = self._converted("TimezoneOffsetFromUTC", _iso_offset)
        return f"{day.isoformat()}T{time}{offset or ''}"

    def _converted(self, keyword: str, convert: Callable[[bytes], T]) -> T | None:
        raw = self._elements.get(self._tags[keyword], b"").rstrip(b" \0")
        if not raw:
            return None
        try:
            if len(raw) <= _LONGEST_VALUE:
                return convert(raw)
        except (ValueError, LookupError):
            pass
        self._give_up(keyword)
        return None

    def _give_up(self, keyword: str) -> None:
        if keyword not in self.undecodable:
            self.undecodable.append(keyword)

    def _decimals(self, keyword: str, count: int) -> list[float] | None:
        def convert(raw: bytes) -> list[float]:
            values = [_finite(value) for value in raw.split(b"\\")]
            if len(values) != count:
                message = "another number of values than the attribute has"
                raise ValueError(message)
            return values

        return self._converted(keyword, convert)

    def _declared_codecs(self) -> list[str]:
        """Return the Python codecs of (0008,0005); an unknown term leaves only ASCII and the fallback."""
        declared = self._elements.get(self._tags["SpecificCharacterSet"], b"").strip(b" \0")
        terms = declared.decode("ascii", "replace").split("\\")
        codecs = [charset.python_encoding.get(term.strip()) for term in terms]
        known = [codec for codec in codecs if codec]
        return known if len(known) == len(codecs) else [_ASCII_BY_DECLARATION]

    def _decoded(self, raw: bytes) -> str:
        if _ESCAPE in raw:
            return _nfc(_decoded_with_escapes(raw, self._codecs))
        if raw.isascii():
            return raw.decode("ascii")
        # Beyond ASCII although only ASCII was declared: a habit of senders that write UTF-8 and do not say so.
        codec = self._fallback if self._codecs[0] == _ASCII_BY_DECLARATION else self._codecs[0]
        return _nfc(raw.decode(codec))

    def _decoded_person_name(self, raw: bytes) -> str | None:
        groups = self._decoded(raw).split("=")
        return "=".join(group.strip(" ").rstrip("^") for group in groups).rstrip("=") or None


def _decoded_with_escapes(raw: bytes, codecs: list[str]) -> str:
    """Decode text with code extensions (PS3.5, 6.1.2.5); pydicom marks what it could not decode."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = charset.decode_bytes(raw, codecs, _DELIMITERS)
    if _REPLACEMENT_CHARACTER in text:
        message = "the text is not in its declared character sets"
        raise ValueError(message)
    return text


def _nfc(value: str) -> str:
    return unicodedata.normalize("NFC", value)


def _finite(raw: bytes) -> float:
    value = float(raw.strip(b" \0"))
    if not math.isfinite(value):
        message = "a decimal string is a finite number"
        raise ValueError(message)
    return value


def _date(raw: bytes) -> date:
    match = _DATE.fullmatch(raw.decode("ascii"))
    if not match:
        message = "a date has eight digits"
        raise ValueError(message)
    return date(*(int(part) for part in match.groups()))


def _iso_time(raw: bytes) -> str:
    match = _TIME.fullmatch(raw.decode("ascii").strip())
    if not match:
        message = "a time has two, four or six digits and a fraction"
        raise ValueError(message)
    hour, minute, second, fraction = match.groups()
    return f"{hour}:{minute or '00'}:{second or '00'}{fraction or ''}"


def _iso_offset(raw: bytes) -> str:
    match = _OFFSET.fullmatch(raw.decode("ascii").strip())
    if not match:
        message = "an offset has a sign and four digits"
        raise ValueError(message)
    return f"{match[1]}:{match[2]}"


def _age(raw: bytes) -> int:
    match = _AGE.fullmatch(raw.decode("ascii").strip().upper())
    if not match:
        message = "an age has digits and one of D, W, M, Y"
        raise ValueError(message)
    return int(match[1]) // _UNITS_PER_YEAR[match[2]]
