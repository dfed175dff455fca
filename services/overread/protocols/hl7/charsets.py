"""From MSH-18 to text: table HL70211, and the habits that hospitals add to it."""

import codecs
import difflib
import re
from collections.abc import Mapping
from functools import lru_cache

from overread.protocols.hl7 import switching, vietnamese
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition

MSH_18 = ErrorLocation("MSH", 1, 18)

_SWITCHED_ASCII = switching.PREFIX + "ascii"

CHARSETS: Mapping[str, str] = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    **{f"8859/{part}": f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))},
    "ISO IR6": "ascii",
    # Japan's sets are switched to by escape sequences; what stands before the first of them is ASCII.
    "ISO IR14": _SWITCHED_ASCII,
    "ISO IR87": _SWITCHED_ASCII,
    "ISO IR159": _SWITCHED_ASCII,
    "JAS2020": _SWITCHED_ASCII,
    "JIS X 0202": _SWITCHED_ASCII,
    "GB 18030-2000": "gb18030",
    "BIG-5": "big5",
    "KS X 1001": "euc_kr",
    # Not in the table, but sent: the meaning is not in doubt.
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE UTF8": "utf-8",
    "ISO_IR 192": "utf-8",
    "ISO IR 6": "ascii",
    "US-ASCII": "ascii",
    "ISO_IR 100": "iso8859-1",
    "ISO-8859-1": "iso8859-1",
    "ISO8859-1": "iso8859-1",
    "8859-1": "iso8859-1",
    "GB18030": "gb18030",
    "BIG5": "big5",
    "WINDOWS-1252": "cp1252",
    "CP1252": "cp1252",
    "WINDOWS-1258": "cp1258",
    "CP1258": "cp1258",
    **{name.upper(): codec for name, codec in vietnamese.NAMES.items()},
}

WIDE: Mapping[bytes, str] = {
    name.encode("ascii"): codec for name, codec in CHARSETS.items() if codec in ("big5", "gb18030")
}
"""Sets whose letters may hold a byte that looks like a delimiter, by their names in MSH-18."""

_NOT_ON_A_LINE = frozenset({"UNICODE UTF-16", "UNICODE UTF-32", "UTF-16", "UTF-32"})
"""Their letters may hold the bytes that begin and end an MLLP block."""

# In these a byte below 0x80 is always that ASCII character, so segments and fields may be cut before decoding.
_DELIMITER_SAFE = frozenset(
    {
        "ascii",
        "utf-8",
        "cp1252",
        "cp1258",
        "euc_kr",
        "tcvn3",
        "vni",
        *(codec for codec in CHARSETS.values() if codec.startswith("iso8859")),
    }
)
_WITH_LETTERS_AS_CONTROLS = frozenset({"tcvn5712", "viscii"})
_SINGLE_BYTE = (_DELIMITER_SAFE | _WITH_LETTERS_AS_CONTROLS) - {"utf-8", "ascii", "euc_kr"}
_NUL, _ESC = 0, 0x1B  # as numbers, which are looked for six times as fast as bytes of length one
_NO_SIGN = re.compile("[^A-Z0-9]")
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_LATIN = re.compile("[\x00-\u024f\u0300-\u036f\u1e00-\u1eff\u2000-\u206f]*")
_LETTER_OF_UTF_8 = re.compile(b"[\xc3-\xc6][\x80-\xbf]|\xe1[\xba\xbb][\x80-\xbf]")
_SWITCHED = re.compile(rb"\x1b[\x20-\x2f]")


def codec_named(charset: str) -> str:
    """Find the codec for a name of table HL70211 or of Python's own list; LookupError when there is none."""
    known = CHARSETS.get(charset.strip().upper())
    return known or codecs.lookup(charset.strip()).name


def nearest_name(charset: str) -> str | None:
    """Return the name of a known set that is most like one that is not, None when none is: TCVN-3 is TCVN3."""
    plain = {_NO_SIGN.sub("", name): name for name in reversed([*CHARSETS])}
    near = difflib.get_close_matches(_NO_SIGN.sub("", charset.upper()), list(plain), 1)
    return plain[near[0]] if near else None


@lru_cache(maxsize=256)
def codec_for(declared: str, fallback: str | None, alternates: tuple[str, ...] = ()) -> str:
    """Find the codec of a message whose MSH-18 says `declared`; empty means 7-bit ASCII (MSH-18 text).

    `alternates` are the further repetitions: sets that the message may switch to. `fallback` is what the link's owner
    declared for senders whose MSH-18 is empty or is no charset at all.
    """
    first = _first_codec(declared.strip().upper(), fallback)
    return switching.PREFIX + first if any(alternates) and first in _DELIMITER_SAFE else first


def _first_codec(name: str, fallback: str | None) -> str:
    codec = CHARSETS.get(name) if name else "ascii"
    if codec in (None, "ascii") and fallback:
        return codec_named(fallback)
    if name in _NOT_ON_A_LINE:
        raise utf_16()
    if codec is None:
        sentence = "MSH-18 names a character set that is not taken; send UNICODE UTF-8, or declare one for the link."
        raise HL7Error(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, MSH_18, sentence)
    return codec


def codec_in_use(content: bytes, declared: str, fallback: str) -> str:
    """Find the codec of bytes whose sender names one (`declared`) and, as the link's owner says, may write `fallback`.

    What is in the declared one is read in it. What is not is read in the fallback only if it is wholly in that and holds
    no letter of UTF-8: else one damaged letter would turn all the others of a message into other letters.
    """
    if undecodable_at(content, declared) is None:
        return declared
    other = codec_named(fallback)
    is_other = not _LETTER_OF_UTF_8.search(content) and undecodable_at(content, other) is None
    return other if is_other else declared


def utf_16() -> HL7Error:
    """Return the error for a message in UTF-16 or UTF-32 (MLLP release 2: no byte of a letter may end a block)."""
    sentence = "UTF-16 and UTF-32 hold bytes that end an MLLP block and are not taken; send UNICODE UTF-8."
    return HL7Error(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, MSH_18, sentence)


def is_echoed(declared: str) -> bool:
    """Whether an answer, whose own letters are ASCII at least, may repeat this MSH-18."""
    return declared.strip().upper() not in _NOT_ON_A_LINE


def is_declared(codec: str, declared: str) -> bool:
    """Whether `codec` is what MSH-18 says, switched or not."""
    said = CHARSETS.get(declared) or CHARSETS.get(declared.upper(), "ascii")
    return said == codec or said.removeprefix(switching.PREFIX) == codec.removeprefix(switching.PREFIX)


def is_delimiter_safe(codec: str) -> bool:
    """Return true when delimiters can be found in the bytes without decoding them."""
    return codec in _DELIMITER_SAFE


def undecodable_at(content: bytes, codec: str) -> int | None:
    """Where `content` stops being text in `codec`, or None when all of it is.

    A single-byte codec reads anything, so UTF-8 sent under its name would turn into other letters without a word: bytes
    that are valid UTF-8, or that decode to control characters, count as not being in it. So do the escape sequences of
    ISO 2022 in a message that did not announce them.
    """
    if _NUL in content:
        return content.index(_NUL)
    if codec in _DELIMITER_SAFE:
        if _ESC in content and (switched := _SWITCHED.search(content)):
            return switched.start()
        if content.isascii():
            return None
    failed_at, text = _decode(content, codec)
    if failed_at is not None or codec not in _SINGLE_BYTE:
        return failed_at
    if _C1_CONTROLS.search(text) or _is_utf_8(content, codec):
        return next(index for index, byte in enumerate(content) if byte > 0x7F)
    return None


def text_at_the_beginning(content: bytes, codec: str) -> str:
    """Read `content` up to where it stops being text in `codec`."""
    failed_at, text = _decode(content, codec)
    return text if failed_at is None else _decode(content[:failed_at], codec)[1]


def _is_utf_8(content: bytes, codec: str) -> bool:
    """Whether it was sent as UTF-8; where a set has letters for all bytes, only if the letters are Latin too.

    In VISCII `Đặ` is valid UTF-8, of a Cyrillic letter that no Vietnamese message holds.
    """
    failed_at, text = _decode(content, "utf-8")
    if failed_at is not None:
        return False
    return codec not in _WITH_LETTERS_AS_CONTROLS or (_LATIN.fullmatch(text) is not None and not text.isascii())


def _decode(content: bytes, codec: str) -> tuple[int | None, str]:
    try:
        return None, content.decode(codec)
    except UnicodeDecodeError as error:
        return error.start, ""
