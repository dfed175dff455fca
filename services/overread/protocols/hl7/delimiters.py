"""Delimiters of a message and the escape sequences that protect them (HL7 v2.5.1, 2.5.4 and 2.7)."""

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple

NULL = b'""'


class Delimiters(NamedTuple):
    """The characters of MSH-1 and MSH-2; one that a message does not declare is empty."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as this message writes it."""
        return self.component + self.repetition + self.escape + self.subcomponent + self.truncation


STANDARD = Delimiters()


@lru_cache(maxsize=64)
def read_delimiters(field_separator: bytes, encoding_characters: bytes) -> Delimiters | None:
    """Take the delimiters from MSH-1 and MSH-2, or None where they can't be used.

    Later ones may be left out when a message does not need them; the fifth is the truncation character of v2.7.
    """
    declared = field_separator + encoding_characters
    usable = 2 <= len(declared) <= 6 and len(set(declared)) == len(declared)
    if not usable or any(not 0x20 < byte < 0x7F or chr(byte).isalnum() for byte in declared):
        return None
    padded = [*declared.decode("ascii"), "", "", "", ""]
    return Delimiters(*padded[:6])


def escape(text: str, delimiters: Delimiters = STANDARD) -> str:
    """Write `text` so that it reads back as itself: NFC, delimiters escaped, line ends as ``.br`` (2.7).

    Control characters become hexadecimal escapes, so that no content can break a segment or an MLLP block.
    """
    plain = unicodedata.normalize("NFC", text)
    if not delimiters.escape:
        return _special(delimiters).sub(" ", plain)
    if plain.encode("utf-8") == NULL:
        return f"{delimiters.escape}X2222{delimiters.escape}"  # or it would read as "delete this value"
    return _special(delimiters).sub(lambda match: _escaped(match[0], delimiters), plain)


@cache
def _special(delimiters: Delimiters) -> re.Pattern[str]:
    declared = re.escape(delimiters.field + delimiters.encoding_characters)
    return re.compile(rf"\r\n|[{declared}\x00-\x1f\x7f]")


def _escaped(special: str, delimiters: Delimiters) -> str:
    codes = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        delimiters.escape: "E",
        delimiters.truncation: "P",
    }
    code = ".br" if special in ("\r\n", "\n", "\r") else codes.get(special) or f"X{ord(special):02X}"
    return f"{delimiters.escape}{code}{delimiters.escape}"


def unescape(text: str, delimiters: Delimiters, charset: str) -> str:
    """Replace the escape sequences of 2.7 by what they stand for; unknown ones stay as they were sent.

    Of the formatting commands (2.7.6) lines and blanks stay; indents, wrapping and highlighting are for a printer.
    Hexadecimal data is read in `charset`; where it is no text in it, it stays too.
    """
    if not delimiters.escape or delimiters.escape not in text:
        return text
    plain = _sequences(delimiters.escape).sub(lambda match: _meaning(match[0], delimiters, charset), text)
    return plain.replace("\r\n", "\n").replace("\r", "\n")


@cache
def _sequences(escape_character: str) -> re.Pattern[str]:
    mark = re.escape(escape_character)
    hexadecimal = rf"(?:{mark}X(?:[0-9A-Fa-f]{{2}})+{mark})+"
    formatting = r"\.(?:br|ce|fi|nf|sp\+?\d{0,2}|sk\+?\d{1,2}|in[+-]?\d{1,2}|ti[+-]?\d{1,2})"
    return re.compile(rf"{hexadecimal}|{mark}(?:[FSTREPHN]|(?i:{formatting})){mark}")


def _meaning(sequence: str, delimiters: Delimiters, charset: str) -> str:
    code = sequence.strip(delimiters.escape)
    if code.startswith("X"):
        return _hexadecimal(sequence, delimiters.escape, charset)
    if code.startswith("."):
        return _layout(code[1:3].lower(), int(code[3:] or 1))
    meanings = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": delimiters.truncation or "#",
        "H": "",  # highlighting on and off: shown text stays, the marks go
        "N": "",
    }
    return meanings[code]


def _layout(command: str, number: int) -> str:
    """Return the white space that a formatting command leaves: ``.sp3`` skips three lines, ``.sk3`` three blanks."""
    return {"br": "\n", "ce": "\n", "sp": "\n" * max(1, number), "sk": " " * number}.get(command, "")


def _hexadecimal(sequence: str, escape_character: str, charset: str) -> str:
    data = bytes.fromhex(sequence.replace(escape_character, "").replace("X", ""))
    try:
        text = data.decode(charset)
    except UnicodeDecodeError:
        return sequence
    return sequence if "\x00" in text else text


def part_of(raw: bytes, separator: bytes, number: int) -> bytes:
    """Return part `number` of `raw`, from 1; empty when there are fewer."""
    if not separator or separator not in raw:
        return raw if number == 1 else b""
    parts = raw.split(separator, number)
    return parts[number - 1] if number <= len(parts) else b""
