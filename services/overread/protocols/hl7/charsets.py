"""From MSH-18 to text: table HL70211, and the habits that hospitals add to it."""

import codecs
import re
from collections.abc import Mapping
from functools import lru_cache

from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition

MSH_18 = ErrorLocation("MSH", 1, 18)

CHARSETS: Mapping[str, str] = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    # Not in the table, but sent: the meaning is not in doubt.
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO-8859-1": "iso8859-1",
    "ISO8859-1": "iso8859-1",
    "WINDOWS-1252": "cp1252",
    "CP1252": "cp1252",
    "WINDOWS-1258": "cp1258",
    "CP1258": "cp1258",
}

# In these a byte below 0x80 is always that ASCII character, so segments and fields may be cut before decoding.
_DELIMITER_SAFE = frozenset(
    {"ascii", "utf-8", "cp1252", "cp1258", "euc_kr", *(c for c in CHARSETS.values() if c.startswith("iso8859"))}
)
_SINGLE_BYTE = _DELIMITER_SAFE - {"utf-8", "ascii", "euc_kr"}
_C1_CONTROLS = re.compile("[\x80-\x9f]")


def codec_named(charset: str) -> str:
    """Find the codec for a name of table HL70211 or of Python's own list; LookupError when there is none."""
    known = CHARSETS.get(charset.strip().upper())
    return known or codecs.lookup(charset.strip()).name


@lru_cache(maxsize=256)
def codec_for(declared: str, fallback: str | None) -> str:
    """Find the codec of a message whose MSH-18 says `declared`; empty means 7-bit ASCII (MSH-18 text).

    `fallback` is what the link's owner declared for senders whose MSH-18 is empty or is no charset at all.
    """
    name = declared.strip().upper()
    codec = CHARSETS.get(name) if name else "ascii"
    if codec is None and not fallback:
        sentence = "MSH-18 names a character set that is not taken; send UNICODE UTF-8, or declare one for the link."
        raise HL7Error(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, MSH_18, sentence)
    if codec in (None, "ascii") and fallback:
        return codec_named(fallback)
    return codec or "ascii"


def is_delimiter_safe(codec: str) -> bool:
    """Return true when delimiters can be found in the bytes without decoding them."""
    return codec in _DELIMITER_SAFE


def undecodable_at(content: bytes, codec: str) -> int | None:
    """Where `content` stops being text in `codec`, or None when all of it is.

    A single-byte codec reads anything, so UTF-8 sent under its name would turn into other letters without a word: bytes
    that are valid UTF-8, or that decode to control characters, count as not being in it.
    """
    if b"\x00" in content:
        return content.index(b"\x00")
    if codec in _DELIMITER_SAFE and content.isascii():
        return None
    failed_at, text = _decode(content, codec)
    if failed_at is not None or codec not in _SINGLE_BYTE:
        return failed_at
    if _C1_CONTROLS.search(text) or _decode(content, "utf-8")[0] is None:
        return next(index for index, byte in enumerate(content) if byte > 0x7F)
    return None


def _decode(content: bytes, codec: str) -> tuple[int | None, str]:
    try:
        return None, content.decode(codec)
    except UnicodeDecodeError as error:
        return error.start, ""
