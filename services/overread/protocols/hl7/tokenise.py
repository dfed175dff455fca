"""A byte tokenizer for HL7 v2: cuts only what is asked for, decodes only what is read (HL7 v2.5.1, 2.5 to 2.7)."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from overread.protocols.hl7 import charsets
from overread.protocols.hl7.delimiters import NULL, Delimiters, part_of, unescape
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.header import UTF_16, Header, read_header, strict_header
from overread.protocols.hl7.switching import PREFIX

__all__ = ["Header", "Leniency", "Message", "Segment", "Value", "read_header", "tokenise", "tokenise_as"]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
PART = "The message is one part of a longer one (MSH-14, DSC, ADD); send the whole message in one block."
BATCH = "The frame holds a batch (FHS, BHS, BTS, FTS); send its messages one by one."

_LINE_END = re.compile(rb"\r\n?|\n+(?=[A-Za-z][A-Za-z0-9]{2}[^A-Za-z0-9\s]|\Z)")
_SEGMENT_ID = re.compile(rb"[A-Za-z][A-Za-z0-9]{2}")
_BATCH_SEGMENTS = (b"FHS", b"BHS", b"BTS", b"FTS")
_CONTINUED = (b"DSC", b"ADD")
_PART_SEGMENTS = (*_CONTINUED, b"BTS", b"FTS")
_PART = re.compile(b"\r(?:" + b"|".join(_PART_SEGMENTS) + b")")
_PART_AFTER_LINE_FEED = re.compile(b"\n(?:" + b"|".join(_PART_SEGMENTS) + b")")
_LINE_FEED = 0x0A  # as a number, which is looked for six times as fast


class Leniency(StrEnum):
    """What was let pass although the standard does not allow it; worth a log line for the sender's owner."""

    BYTE_ORDER_MARK = "byte order mark before MSH"
    BLANK_BEFORE_MSH = "white space before MSH"
    LINE_FEED = "line feed as segment end"
    CHARACTER_SET = "character set taken from the link's setting"


class Coding(NamedTuple):
    """How the bytes of one message become text: `codec` for its fields, `charset` for its hexadecimal escapes."""

    delimiters: Delimiters
    codec: str
    charset: str
    repetition: bytes
    component: bytes
    subcomponent: bytes


@lru_cache(maxsize=64)
def _coding(delimiters: Delimiters, codec: str, charset: str) -> Coding:
    marks = (delimiters.repetition, delimiters.component, delimiters.subcomponent)
    return Coding(delimiters, codec, charset, *(mark.encode() for mark in marks))


class Value:
    """A field, repetition, component or subcomponent: its bytes, cut and decoded when asked.

    Absent (`not value`) and to be deleted (`is_null`, two double quotes) are different things (2.5.3).
    """

    __slots__ = ("_coding", "raw")

    def __init__(self, raw: bytes, coding: Coding) -> None:
        self.raw = raw
        self._coding = coding

    def __bool__(self) -> bool:
        return bool(self.raw)

    def __repr__(self) -> str:
        return f"<Value of {len(self.raw)} bytes>"

    @property
    def is_null(self) -> bool:
        """True for two double quotes: the sender asks to delete what is stored (2.5.3)."""
        return self.raw == NULL

    @property
    def repetitions(self) -> tuple["Value", ...]:
        """Each repetition in order; none for an absent field."""
        separator = self._coding.repetition
        if not self.raw:
            return ()
        if not separator or separator not in self.raw:
            return (self,)
        return tuple(Value(part, self._coding) for part in self.raw.split(separator))

    def component(self, number: int) -> "Value":
        """Component `number`, from 1; of the first repetition, when asked of a field."""
        if not self.raw:
            return self
        return Value(part_of(self._first_repetition(), self._coding.component, number), self._coding)

    def texts(self, count: int) -> list[str]:
        """Read the first `count` components without the blanks around them; empty where there is none."""
        return (
            _texts(self._first_repetition(), self._coding.component, count, self._coding) if self.raw else [""] * count
        )

    def subcomponent(self, number: int) -> "Value":
        """Subcomponent `number`, from 1; of the first component, when asked of a field."""
        first = self.component(1).raw
        return Value(part_of(first, self._coding.subcomponent, number), self._coding)

    def subtexts(self, component: int, count: int) -> list[str]:
        """Read the first `count` subcomponents of a component without the blanks around them."""
        raw = part_of(self._first_repetition(), self._coding.component, component)
        return _texts(raw, self._coding.subcomponent, count, self._coding) if raw else [""] * count

    @property
    def text(self) -> str:
        """The whole value as NFC text, escapes replaced, any delimiters inside it kept; empty when null."""
        return self._decoded(self.raw) if self.raw else ""

    def _first_repetition(self) -> bytes:
        separator = self._coding.repetition
        return self.raw.partition(separator)[0] if separator and separator in self.raw else self.raw

    def _decoded(self, raw: bytes) -> str:
        return _decoded(raw, self._coding)


def _texts(raw: bytes, separator: bytes, count: int, coding: Coding) -> list[str]:
    parts = raw.split(separator, count)[:count] if separator else [raw]
    return [_decoded(part, coding).strip() if part else "" for part in parts] + [""] * (count - len(parts))


def _decoded(raw: bytes, coding: Coding) -> str:
    if raw == NULL:
        return ""
    plain = raw.decode(coding.codec)
    escape = coding.delimiters.escape
    if escape and escape in plain:
        plain = unescape(plain, coding.delimiters, coding.charset)
    return plain if plain.isascii() else unicodedata.normalize("NFC", plain)


class Segment:
    """One segment; `sequence` counts the segments of its name in the message, from 1."""

    __slots__ = ("_coding", "_fields", "name", "sequence")

    def __init__(self, name: str, sequence: int, fields: list[bytes], coding: Coding) -> None:
        self.name = name
        self.sequence = sequence
        self._fields = fields
        self._coding = coding

    def __repr__(self) -> str:
        return f"<Segment {self.name} {self.sequence}>"

    def field(self, number: int) -> Value:
        """Field `number` as the standard counts; an absent one is an empty value."""
        index = number - 1 if self.name == "MSH" else number
        present = 0 < index < len(self._fields)
        return Value(self._fields[index] if present else b"", self._coding)

    def text(self, number: int, component: int = 1) -> str:
        """Read a component of the first repetition of field `number`, without the blanks around it."""
        index = number - 1 if self.name == "MSH" else number
        raw = self._fields[index] if 0 < index < len(self._fields) else b""
        if raw:
            raw = part_of(part_of(raw, self._coding.repetition, 1), self._coding.component, component)
        return _decoded(raw, self._coding).strip() if raw else ""

    @property
    def last_field(self) -> int:
        """Number of the last field that was sent; those after it are absent."""
        return len(self._fields) - (self.name != "MSH")

    def location(self, field: int | None = None, component: int | None = None) -> ErrorLocation:
        """Where a field of this segment stands, for ERR-2."""
        return ErrorLocation(self.name, self.sequence, field, None if component is None else 1, component)


class Message:
    """One tokenised message: `header` is cut, the other segments are cut when asked for."""

    __slots__ = ("_body", "_segments", "coding", "header", "leniencies")

    def __init__(self, body: bytes, header: Header, coding: Coding, leniencies: tuple[Leniency, ...]) -> None:
        self._body = body
        self.header = header
        self.coding = coding
        self.leniencies = leniencies
        self._segments: tuple[Segment, ...] | None = None

    def __repr__(self) -> str:
        return f"<Message of {len(self._body)} bytes>"

    def __iter__(self) -> Iterator[Segment]:
        if self._segments is None:
            self._segments = tuple(_segments(self._body, self.coding))
        return iter(self._segments)

    @property
    def body(self) -> bytes:
        """The message from MSH on, in the bytes that it is cut from."""
        return self._body

    @property
    def stray_lines(self) -> int:
        """How many lines are no segment and are passed over, as after a carriage return inside a text (2.5.2)."""
        return sum(1 for line in _lines(self._body) if line.strip()) - sum(1 for _ in self)

    def segments(self, name: str) -> tuple[Segment, ...]:
        """All segments called `name`, in order."""
        return tuple(segment for segment in self if segment.name == name)

    def segment(self, name: str) -> Segment | None:
        """Find the first segment called `name`, or None."""
        return next((segment for segment in self if segment.name == name), None)


def tokenise(raw: bytes, fallback_charset: str | None = None) -> Message:
    """Cut one message: its header now, the rest when asked; every byte of it is known to be text afterwards.

    Segment ends may be CR or, leniently, LF and CRLF; one byte order mark is stripped. `fallback_charset` is for links
    whose sender leaves MSH-18 empty or wrong: it is used when MSH-18 says nothing, or what the bytes are not. Raises HL7Error when there is no usable MSH, when the frame holds more
    than one message, or a part of one or of a batch, or when the bytes are not text in the message's character set.
    """
    body = _from_header(raw)
    header = strict_header(body)
    declared, *alternates = header.character_sets
    codec = charsets.codec_for(declared, fallback_charset, tuple(alternates))
    if fallback_charset:
        codec = charsets.codec_in_use(body, codec, fallback_charset)
    _require_one_message(body, header.delimiters)
    _require_whole_message(body, header)
    _require_text(body, header.delimiters, codec)
    return _message(body, header, codec, tuple(_leniencies(raw, body, codec, declared)))


def tokenise_as(raw: bytes, codec: str) -> Message:
    """Cut one message whose bytes are in `codec`, whatever its MSH-18 says: for answers, where code and number count."""
    body = _from_header(raw)
    header = strict_header(body)
    _require_one_message(body, header.delimiters)
    _require_text(body, header.delimiters, codec)
    return _message(body, header, codec, ())


def _message(body: bytes, header: Header, codec: str, leniencies: tuple[Leniency, ...]) -> Message:
    if charsets.is_delimiter_safe(codec):
        return Message(body, header, _coding(header.delimiters, codec, codec), leniencies)
    return Message(body.decode(codec).encode(), header, _coding(header.delimiters, "utf-8", codec), leniencies)


def _from_header(raw: bytes) -> bytes:
    if raw[:2] in UTF_16:
        raise charsets.utf_16()
    body = raw.removeprefix(BYTE_ORDER_MARK)
    body = body if body.startswith(b"MSH") else body.lstrip(b"\r\n\t ").removeprefix(BYTE_ORDER_MARK)
    if body.startswith(_BATCH_SEGMENTS):
        place = ErrorLocation(body[:3].decode("ascii"))
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, place, BATCH)
    if not body.startswith(b"MSH"):
        raise _sequence_error("The message does not begin with an MSH segment.")
    return body


def _sequence_error(sentence: str, sequence: int = 1) -> HL7Error:
    return HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("MSH", sequence), sentence)


def _require_one_message(body: bytes, delimiters: Delimiters) -> None:
    if body.find(b"MSH", 3) < 0:
        return
    start = b"MSH" + delimiters.field.encode()
    if b"\r" + start in body or b"\n" + start in body:
        raise _sequence_error("The frame holds more than one message.", sequence=2)


def _require_whole_message(body: bytes, header: Header) -> None:
    """Raise the error for a part of a message, or of a batch, which read alone would say something else (2.10.2, 2.10.3)."""
    if header.field(14).strip():
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("MSH", 1, 14), PART)
    if not (_PART.search(body) or (_LINE_FEED in body and _PART_AFTER_LINE_FEED.search(body))):
        return
    for name in _PART_SEGMENTS:
        if _segment_called(name, body, header.delimiters):
            place = ErrorLocation(name.decode("ascii"))
            raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, place, PART if name in _CONTINUED else BATCH)


def _segment_called(name: bytes, body: bytes, delimiters: Delimiters) -> bool:
    """Whether there is such a segment; a DSC without a pointer continues nothing."""
    start = name + delimiters.field.encode()
    segments = [line for line in _lines(body) if line.startswith(start)]
    return any(line[4:].strip(delimiters.field.encode()) for line in segments) if name == b"DSC" else bool(segments)


def _require_text(body: bytes, delimiters: Delimiters, codec: str) -> None:
    offset = charsets.undecodable_at(body, codec)
    if offset is not None:
        before = body[:offset]
        if not charsets.is_delimiter_safe(codec):
            before = charsets.text_at_the_beginning(before, codec).encode()
        name = codec.removeprefix(PREFIX)
        sentence = f"Bytes that are no text in this message's character set ({name}); MSH-18 must name the one in use."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, _location_of(before, delimiters), sentence)


def _location_of(before: bytes, delimiters: Delimiters) -> ErrorLocation:
    """Name the segment and field that follow the bytes `before`."""
    lines = _lines(before)
    name = lines[-1][:3]
    if not _SEGMENT_ID.fullmatch(name):
        return ErrorLocation("MSH")
    sequence = sum(1 for line in lines if line[:3] == name)
    field = lines[-1].count(delimiters.field.encode()) + (name == b"MSH")
    return ErrorLocation(name.decode("ascii").upper(), sequence, field or None)


def _leniencies(raw: bytes, body: bytes, codec: str, declared: str) -> Iterator[Leniency]:
    if raw.startswith(BYTE_ORDER_MARK):
        yield Leniency.BYTE_ORDER_MARK
    elif raw[:1] != body[:1]:
        yield Leniency.BLANK_BEFORE_MSH
    if _LINE_FEED in body:
        yield Leniency.LINE_FEED
    if not (body.isascii() or charsets.is_declared(codec, declared)):
        yield Leniency.CHARACTER_SET


def _lines(body: bytes) -> list[bytes]:
    # A line feed inside a text field is content, unless what follows looks like a segment.
    return _LINE_END.split(body) if _LINE_FEED in body else body.split(b"\r")


def _segments(body: bytes, coding: Coding) -> Iterator[Segment]:
    separator = coding.delimiters.field.encode()
    counts: dict[str, int] = {}
    for line in _lines(body):
        fields = line.split(separator)
        name = _segment_name(fields[0][:4])
        if name is None:
            continue
        counts[name] = counts.get(name, 0) + 1
        yield Segment(name, counts[name], fields, coding)


@lru_cache(maxsize=1024)
def _segment_name(first_field: bytes) -> str | None:
    return first_field.decode("ascii").upper() if _SEGMENT_ID.fullmatch(first_field) else None
