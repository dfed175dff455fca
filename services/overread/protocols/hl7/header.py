"""MSH as bytes: cut before anything else is known, because it says how the rest is written (HL7 v2.5.1, 2.15.9)."""

from functools import lru_cache
from typing import NamedTuple

from overread.protocols.hl7 import charsets
from overread.protocols.hl7.delimiters import STANDARD, Delimiters, part_of, read_delimiters
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition

_USUAL_FIELD_BYTES = 64  # what is kept of headers that repeat stays small
UTF_16 = {b"\xff\xfe": "utf-16-le", b"M\x00": "utf-16-le", b"\xfe\xff": "utf-16-be", b"\x00M": "utf-16-be"}
_MOST_UTF_16_BYTES = 2048  # enough for MSH, which is all that an answer needs


class Header(NamedTuple):
    """MSH as far as it could be read; `fields[0]` is the segment ID."""

    delimiters: Delimiters
    fields: tuple[bytes, ...]

    def field(self, number: int) -> bytes:
        """MSH-`number` as it was sent, from MSH-2 on; empty when absent."""
        return self.fields[number - 1] if 2 <= number <= len(self.fields) else b""

    def component(self, number: int, component: int) -> str:
        """Read a component of the first repetition of MSH-`number`, bytes outside ASCII as escapes."""
        field = self.field(number)
        read = _ascii_component if len(field) < _USUAL_FIELD_BYTES else _ascii_component.__wrapped__
        return read(field, self.delimiters, component)

    @property
    def character_sets(self) -> tuple[str, ...]:
        """The repetitions of MSH-18: the set of the message, and those it may switch to; one at least."""
        field = self.field(18)
        read = _ascii_repetitions if len(field) < _USUAL_FIELD_BYTES else _ascii_repetitions.__wrapped__
        return read(field, self.delimiters)

    @property
    def message_control_id(self) -> str:
        """MSH-10, which the answer echoes in MSA-2."""
        return self.field(10).decode("ascii", "backslashreplace")

    @property
    def message_code(self) -> str:
        """MSH-9.1, as in ``ORM``."""
        return self.component(9, 1)

    @property
    def trigger_event(self) -> str:
        """MSH-9.2, as in ``O01``."""
        return self.component(9, 2)

    @property
    def processing_id(self) -> str:
        """MSH-11.1: production, training or debugging."""
        return self.component(11, 1)

    @property
    def version_id(self) -> str:
        """MSH-12.1, as in ``2.5.1``."""
        return self.component(12, 1)


def read_header(raw: bytes) -> Header:
    """Read as much of MSH as there is, and never fail: an answer is owed to a broken message too (2.8.2)."""
    codec = UTF_16.get(raw[:2])
    if codec:
        raw = raw[:_MOST_UTF_16_BYTES].decode(codec, "ignore").encode("ascii", "backslashreplace")
    start = raw.find(b"MSH", 0, 256)
    if start < 0:
        return Header(STANDARD, (b"MSH",))
    line = _first_line(raw[start:])
    separator = line[3:4] or b"|"
    fields = _cut(line, separator)
    delimiters = read_delimiters(separator, fields[1] if len(fields) > 1 else b"")
    return Header(delimiters or STANDARD, fields)


def strict_header(body: bytes) -> Header:
    """Read MSH, with which `body` begins; HL7Error when it has no usable delimiters."""
    line = _first_line(body)
    fields = _cut(line, line[3:4]) if len(line) > 3 else (line,)
    delimiters = read_delimiters(line[3:4], fields[1]) if len(fields) > 1 else None
    if delimiters is None:
        sentence = "MSH-1 and MSH-2 do not hold usable delimiters."
        raise HL7Error(MessageErrorCondition.REQUIRED_FIELD_MISSING, ErrorLocation("MSH", 1, 2), sentence)
    return Header(delimiters, fields)


def check_sequence_number(header: Header) -> None:
    """Raise the error for a message that begins, goes on with, or asks to resynchronise a sequence (2.10.1).

    A valued MSH-13 "implies that the sequence number protocol is in use", and then the answer owes MSA-4, the number that
    is expected next. Nobody counts here: to answer without it would leave the sender believing that nothing can be lost.
    So 0 (start), -1 (resynchronise) and every number are refused alike; only an empty field is taken.
    """
    if header.field(13).strip():
        sentence = "MSH-13 announces sequence numbers, which are not kept here; leave MSH-13 empty."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, ErrorLocation("MSH", 1, 13), sentence)


def check_sender(header: Header, application: str, facility: str) -> None:
    """Raise the error for a mended message that names another sender: what it says is mended, not who said it."""
    if (header.component(3, 1), header.component(4, 1)) != (application, facility):
        sentence = "A mended message names its sender (MSH-3, MSH-4) as the message that it stands for."
        raise HL7Error(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, ErrorLocation("MSH", 1, 3), sentence)


def _cut(line: bytes, separator: bytes) -> tuple[bytes, ...]:
    """Cut MSH into fields; in a set whose letters may hold a separator's byte, as text, as MSH-18 says.

    A cut too many only moves MSH-18 further back, so it is found before the set is known.
    """
    fields = line.split(separator)
    if not line.isascii():
        named = (charsets.WIDE.get(field.partition(b"~")[0].strip().upper()) for field in fields[17:])
        codec = next(filter(None, named), None)
        if codec and charsets.undecodable_at(line, codec) is None:
            texts = line.decode(codec).split(separator.decode(codec))
            return tuple(text.encode(codec) for text in texts)
    return tuple(fields)


def _first_line(body: bytes) -> bytes:
    end = body.find(b"\r")
    line = body if end < 0 else body[:end]
    return line.partition(b"\n")[0] if 0x0A in line else line


@lru_cache(maxsize=256)
def _ascii_repetitions(field: bytes, delimiters: Delimiters) -> tuple[str, ...]:
    separator = delimiters.repetition.encode()
    parts = field.split(separator) if separator else [field]
    return tuple(_ascii_component.__wrapped__(part, delimiters, 1) for part in parts)


@lru_cache(maxsize=4096)
def _ascii_component(field: bytes, delimiters: Delimiters, number: int) -> str:
    first = part_of(field, delimiters.repetition.encode(), 1)
    return part_of(first, delimiters.component.encode(), number).decode("ascii", "backslashreplace").strip()
