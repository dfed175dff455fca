"""Vietnamese text as it was written before Unicode: codecs `tcvn3`, `tcvn5712`, `vni` and `viscii`, known by name.

The tables are those of TCVN 5712:1993 (Bộ mã chuẩn 8-bit kí tự Việt; its part VN3 is what the ABC fonts show), of RFC
1456 (VISCII 1.1) and of the VNI-Windows fonts of VNI Software. CP1258 is Python's own. None of them says by itself that
it is in use: the owner of a link declares it, or MSH-18 names it.

In ABC fonts a letter with a tone has one code for both cases, and a font of capitals shows it as a capital: in `NGUYÔN`
the bytes say ``ễ``, and what is read is ``NGUYễN``. The font's name is not in the message, so nobody can tell.
"""

import codecs
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ASCII = "".join(map(chr, range(0x80)))
_UNDEFINED = "\ufffe"  # what `codecs.charmap_decode` takes for "no character"
_COMBINING = "\u0300\u0309\u0303\u0301\u0323"  # grave, hook above, tilde, acute, dot below


def _signs(first: int, last: int) -> str:
    """Return the signs, not letters, that Windows fonts show between two codes: quotes, dashes, degrees."""
    shown = bytes(range(first, last + 1)).decode("cp1252", "replace")
    return "".join(_UNDEFINED if sign.isalpha() or sign in "\ufffdˆ˜" else sign for sign in shown)


# TCVN 5712:1993, right half: letters of part VN3, and the few capitals that part VN2 adds.
_TCVN_RIGHT = (
    "\xa0ĂÂÊÔƠƯĐăâêôơưđẰ"
    f"{_COMBINING}àảãáạẲằẳẵắẴ"
    "ẮẦẨẪẤỀặầẩẫấậèỂẻẽ"
    "éẹềểễếệìỉỄẾỒĩíịò"
    "Ổỏõóọồổỗốộờởỡớợù"
    "ỖủũúụừửữứựỳỷỹýỵỐ"
)  # fmt: skip
_TCVN_CAPITALS = "ÀẢÃÁẠẶẬÈẺẼÉẸỆÌỈĨÍỊÒỎÕÓỌỘỜỞỠỚỢÙỦŨ"
_TCVN_CONTROLS = {1: "Ú", 2: "Ụ", 4: "Ừ", 5: "Ử", 6: "Ữ", 17: "Ứ", 18: "Ự", 19: "Ỳ", 20: "Ỷ", 21: "Ỹ", 22: "Ý", 23: "Ỵ"}
_VISCII_CONTROLS = {2: "Ẳ", 5: "Ẵ", 6: "Ẫ", 20: "Ỷ", 25: "Ỹ", 30: "Ỵ"}
_VISCII_RIGHT = (
    "ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐ"
    "ỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲ"
    "Õắằặấầẩậẽẹếềểễệố"
    "ồổỗỠƠộờởịỰỨỪỬơớƯ"
    "ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳ"
    "ĐứÒÓÔạỷừửÙÚỹỵÝỡư"
    "àáâãảăữẫèéêẻìíĩỉ"
    "đựòóôõỏọụùúũủýợỮ"
)  # fmt: skip


def _left(letters: Mapping[int, str]) -> str:
    """Return ASCII with letters in the place of some control characters, none of which HL7 or MLLP uses."""
    return "".join(letters.get(code, character) for code, character in enumerate(_ASCII))


_TABLES: Mapping[str, str] = {
    "tcvn3": _ASCII + _signs(0x80, 0x9F) + _TCVN_RIGHT,
    "tcvn5712": _left(_TCVN_CONTROLS) + _TCVN_CAPITALS + _TCVN_RIGHT,
    "viscii": _left(_VISCII_CONTROLS) + _VISCII_RIGHT,
}
NAMES: Mapping[str, str] = {
    "tcvn3": "tcvn3",
    "abc": "tcvn3",
    "tcvn5712": "tcvn5712",
    "tcvn-5712": "tcvn5712",
    "tcvn": "tcvn5712",
    "vni": "vni",
    "vni-windows": "vni",
    "vni-win": "vni",
    "viscii": "viscii",
}
"""What the character sets are called, and their codecs."""

# VNI-Windows: a letter, then the sign over or under it; a few letters have a code of their own.
_VNI_MARKS: Mapping[str, str] = {
    **dict.fromkeys("aA", "ùøûõïâáàåãäêéèúüë"),
    **dict.fromkeys("eEoO", "ùøûõïâáàåãä"),
    **dict.fromkeys("uUôÔöÖ", "ùøûõï"),
    **dict.fromkeys("yY", "ùøûõ"),
}
_VNI_LETTERS: Mapping[str, str] = {
    "a": "áàảãạâấầẩẫậăắằẳẵặ",
    "e": "éèẻẽẹêếềểễệ",
    "o": "óòỏõọôốồổỗộ",
    "u": "úùủũụ",
    "y": "ýỳỷỹ",
    "ô": "ớờởỡợ",
    "ö": "ứừửữự",
}
_VNI_SINGLE: Mapping[str, str] = dict(zip("ôÔöÖíÍìÌæÆóÓòÒîÎñÑ", "ơƠưƯíÍìÌỉỈĩĨịỊỵỴđĐ", strict=True))


def _vni_units() -> dict[str, str]:
    """Return each sequence of VNI-Windows, its bytes as Latin-1, and its letter; the letter decides the case."""
    units = dict(_VNI_SINGLE)
    for base, marks in _VNI_MARKS.items():
        for mark, letter in zip(marks, _VNI_LETTERS[base.lower()], strict=True):
            cased = letter.upper() if base.isupper() else letter
            units[base + mark] = units[base + mark.upper()] = cased
    return units


_VNI_SIGNS: Mapping[str, str] = {
    chr(code): sign for code, sign in enumerate(_signs(0x80, 0xBF), start=0x80) if sign != _UNDEFINED
}
_VNI_UNITS: Mapping[str, str] = {**_vni_units(), **_VNI_SIGNS}
_VNI_RUN = re.compile("[\x80-\xff]+")
_USUAL_RUN = 16  # what is kept of runs that repeat stays small
_VNI_WRITTEN: Mapping[str, str] = {
    letter: unit for unit, letter in _VNI_UNITS.items() if unit in (unit.lower(), unit.upper())
}


def _vni_decode(content: "ReadableBuffer", _errors: str = "strict") -> tuple[str, int]:
    """Read VNI-Windows; what can't be it raises, whatever the caller wants: nothing is guessed.

    A run of high bytes belongs to the ASCII letter before it, if that is one that bears signs.
    """
    plain = bytes(content)
    text, done, read = plain.decode("latin-1"), 0, list[str]()
    for run in _VNI_RUN.finditer(text):
        start = run.start()
        begin = start - 1 if start and text[start - 1] in _VNI_MARKS else start
        is_usual = run.end() - begin < _USUAL_RUN
        letters, stray_at = (_vni_letters if is_usual else _vni_letters.__wrapped__)(text[begin : run.end()])
        if stray_at is not None:
            place = begin + stray_at
            raise UnicodeDecodeError("vni", plain, place, place + 1, "no letter of VNI-Windows")
        read += (text[done:begin], letters)
        done = run.end()
    return "".join((*read, text[done:])), len(plain)


@lru_cache(maxsize=4096)
def _vni_letters(run: str) -> tuple[str, int | None]:
    """Read a letter and the signs after it, and where what can't be read stands in it."""
    letters, position = list[str](), 0
    while position < len(run):
        pair, single = run[position : position + 2], run[position]
        size = 2 if len(pair) == 2 and pair in _VNI_UNITS else 1
        letter = _VNI_UNITS.get(pair if size == 2 else single, single if single < "\x80" else "")
        if not letter:
            return "", position
        letters.append(letter)
        position += size
    return "".join(letters), None


def _vni_encode(text: str, _errors: str = "strict") -> tuple[bytes, int]:
    """Write VNI-Windows; a character that it lacks raises, whatever the caller wants."""
    written = [character if character < "\x80" else _VNI_WRITTEN.get(character) for character in text]
    if None in written:
        place = written.index(None)
        raise UnicodeEncodeError("vni", text, place, place + 1, "no letter of VNI-Windows")
    return "".join(filter(None, written)).encode("latin-1"), len(text)


def _charmap(name: str, table: str) -> codecs.CodecInfo:
    encoding = codecs.charmap_build(table)

    def decode(content: "ReadableBuffer", errors: str = "strict") -> tuple[str, int]:
        return codecs.charmap_decode(content, errors, table)

    def encode(text: str, errors: str = "strict") -> tuple[bytes, int]:
        return codecs.charmap_encode(text, errors, encoding)

    return codecs.CodecInfo(encode, decode, name=name)


_CODECS: Mapping[str, codecs.CodecInfo] = {
    **{name: _charmap(name, table) for name, table in _TABLES.items()},
    "vni": codecs.CodecInfo(_vni_encode, _vni_decode, name="vni"),
}


def find_codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec of a Vietnamese character set, or None for other names; Python asks this for names it lacks."""
    codec = NAMES.get(name.replace("_", "-"))
    return _CODECS[codec] if codec else None


codecs.register(find_codec)
