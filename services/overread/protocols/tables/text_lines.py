"""The lines of a file in the character set that its sender writes, however old; one bad line spoils no other."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from overread.protocols.hl7.charsets import codec_named, undecodable_at
from overread.protocols.tables.rows import FileRefused

WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""What spreadsheets call "Unicode text": it says so in its first two bytes."""

_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffd]")


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line with its end; `is_text` is false for one that is not in the character set: its letters are not to be used."""

    raw: bytes
    text: str
    is_text: bool = True


def checked_charset(name: str) -> str:
    """Return the name of a character set that lines can be in, or raise ValueError with what to write."""
    try:
        codec = codec_named(name)
    except LookupError:
        raise ValueError(
            "there is no character set of this name in table HL70211, in old Viet Nam or in Python"
        ) from None
    if codec.startswith(("utf-16", "utf_16", "utf-32", "utf_32")):
        raise ValueError("a file in UTF-16 says so in its first bytes: leave UTF-8 here")
    return name


def text_lines(lines: Iterable[bytes], charset: str) -> Iterator[TextLine]:
    """Yield each line of `lines`, as a binary file gives them, in NFC.

    A file that begins with a byte order mark is in UTF-8 or UTF-16, whatever the link says: editors and spreadsheets
    write the mark, and nothing else begins so.
    """
    codec, found = codec_named(charset), iter(lines)
    first = next(found, b"")
    wide = WIDE.get(first[:2])
    if wide:
        yield from _wide_lines(chain((first[2:],), found), wide)
        return
    if first.startswith(codecs.BOM_UTF8):
        first, codec = first.removeprefix(codecs.BOM_UTF8), "utf-8"
    for raw in chain((first,) if first else (), found):  # no `yield from`, which would close the file with us
        yield _line(raw, codec)


def _line(raw: bytes, codec: str) -> TextLine:
    if undecodable_at(raw, codec) is not None:
        return TextLine(raw, raw.decode("ascii", "replace"), is_text=False)
    text = unicodedata.normalize("NFC", raw.decode(codec))
    return TextLine(raw, text, is_text=_CONTROLS.search(text) is None)


def _wide_lines(blocks: Iterable[bytes], codec: str) -> Iterator[TextLine]:
    """Cut the lines after decoding: in UTF-16 a line feed has two bytes."""
    decoder, rest = codecs.getincrementaldecoder(codec)(), ""
    try:
        for block in chain(blocks, (None,)):
            rest += decoder.decode(block or b"", final=block is None)
            *whole, rest = rest.split("\n")
            yield from (_wide_line(f"{line}\n") for line in whole)
    except UnicodeDecodeError:
        raise FileRefused("not_in_charset", charset="UTF-16") from None
    if rest:
        yield _wide_line(rest)


def _wide_line(text: str) -> TextLine:
    text = unicodedata.normalize("NFC", text)
    return TextLine(text.encode(), text, is_text=_CONTROLS.search(text) is None)
