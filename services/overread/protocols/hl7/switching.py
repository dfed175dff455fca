r"""Character sets switched inside a message: escape sequences of ISO 2022, and ``\Cxxyy\`` and ``\Mxxyyzz\`` (2.7.2).

A message whose MSH-18 repeats begins in its first set and may switch to the others. Both notations say the same, since
the hexadecimal digits of ``\C..\`` and ``\M..\`` are the bytes that follow ESC. What was switched ends with the segment.
Two-byte sets use bytes that look like delimiters, so such a message becomes text before anything is cut.

Codecs are known by name, as `switched_` and the first set: `switched_ascii`, `switched_iso8859-1`. They only read.
"""

import codecs
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PREFIX = "switched_"

_SWITCH = re.compile(rb"\x1b([\x20-\x2f]{1,3}[\x30-\x7e])|\\(?:C([0-9A-Fa-f]{4})|M([0-9A-Fa-f]{4}|[0-9A-Fa-f]{6}))\\")
_LINE_ENDS = b"\r\n"
_NOT_KATAKANA = re.compile(rb"[\x80-\xa0\xe0-\xff]")


class _Pairs(NamedTuple):
    """A set of two bytes in the place of ASCII (G0): how a pair is written in EUC-JP, which knows both sets."""

    lead: bytes

    def read(self, pair: bytes) -> str:
        """Return the character of a pair."""
        return (self.lead + bytes(byte | 0x80 for byte in pair)).decode("euc_jp")


_ASCII_AGAIN = frozenset({b"(B", b"(J"})
"""ISO-IR 6 and ISO-IR 14; the yen sign of the latter is the escape character here."""

_PAIRS: Mapping[bytes, _Pairs] = {
    b"$B": _Pairs(b""),  # ISO-IR 87: JIS X 0208
    b"$@": _Pairs(b""),  # its first edition
    b"$(D": _Pairs(b"\x8f"),  # ISO-IR 159: JIS X 0212
}
_UPPER_HALVES: Mapping[bytes, str] = {
    b"-A": "iso8859-1",
    b"-B": "iso8859-2",
    b"-C": "iso8859-3",
    b"-D": "iso8859-4",
    b"-L": "iso8859-5",
    b"-G": "iso8859-6",
    b"-F": "iso8859-7",
    b"-H": "iso8859-8",
    b"-M": "iso8859-9",
    b"-T": "iso8859-11",
    b"-b": "iso8859-15",
    b")I": "shift_jis",  # ISO-IR 13: its katakana are those of JIS X 0201
    b"$)C": "euc_kr",  # KS X 1001
    b"$)A": "gb2312",
}


class _Reader:
    """Reads one message from its beginning; each step returns what it read and where to go on."""

    def __init__(self, content: bytes, first: str) -> None:
        self._content = content
        self._first = first
        self._upper_half = first
        self._pairs: _Pairs | None = None

    def read(self) -> str:
        """Return the whole content as text; UnicodeDecodeError with the place of what is none."""
        position, texts = 0, []
        while position < len(self._content):
            step: Callable[[int], tuple[str, int]] = self._read_pair if self._pairs else self._read_run
            text, position = step(position)
            texts.append(text)
        return "".join(texts)

    def _read_run(self, position: int) -> tuple[str, int]:
        """Read up to the next switch or the end of the segment."""
        switch = _SWITCH.match(self._content, position)
        if switch:
            return self._switched(switch)
        found = _SWITCH.search(self._content, position + 1)
        limit = found.start() if found else len(self._content)
        end = self._line_end(position, limit)
        text = self._decoded(position, end)
        if end < limit or self._content[end - 1] in _LINE_ENDS:
            self._upper_half = self._first
        return text, end

    def _line_end(self, position: int, limit: int) -> int:
        if self._upper_half == self._first:
            return limit
        ends = [self._content.find(bytes([end]), position, limit) + 1 for end in _LINE_ENDS]
        return min((end for end in ends if end), default=limit)

    def _read_pair(self, position: int) -> tuple[str, int]:
        """Read one pair, a switch, or a blank or control character between pairs."""
        switch = _SWITCH.match(self._content, position)
        if switch:
            return self._switched(switch)
        byte = self._content[position]
        if byte <= 0x20:
            self._pairs = None if byte in _LINE_ENDS else self._pairs
            return chr(byte), position + 1
        return self._decoded(position, position + 2), position + 2

    def _switched(self, switch: "re.Match[bytes]") -> tuple[str, int]:
        designated = switch[1] or bytes.fromhex((switch[2] or switch[3]).decode("ascii"))
        if designated in _ASCII_AGAIN:
            self._pairs, self._upper_half = None, self._first
        elif designated in _PAIRS:
            self._pairs = _PAIRS[designated]
        elif designated in _UPPER_HALVES:
            self._upper_half = _UPPER_HALVES[designated]
        elif switch[1]:
            raise UnicodeDecodeError(PREFIX, self._content, switch.start(), switch.end(), "no set that is known")
        else:
            return switch[0].decode("ascii"), switch.end()  # an unknown escape sequence stays as it was sent
        return "", switch.end()

    def _decoded(self, start: int, end: int) -> str:
        part = self._content[start:end]
        try:
            if self._pairs:
                return self._pairs.read(part)
            _refuse_others(part, self._upper_half)
            return part.decode(self._upper_half)
        except UnicodeDecodeError as error:
            place = start if self._pairs else start + error.start
            raise UnicodeDecodeError(PREFIX, self._content, place, place + 1, error.reason) from None


def _refuse_others(part: bytes, codec: str) -> None:
    """Refuse what `shift_jis` would read besides the katakana of JIS X 0201."""
    stranger = _NOT_KATAKANA.search(part) if codec == "shift_jis" else None
    if stranger:
        raise UnicodeDecodeError(codec, part, stranger.start(), stranger.end(), "no katakana of JIS X 0201")


def _codec(first: str) -> codecs.CodecInfo:
    def decode(content: "ReadableBuffer", _errors: str = "strict") -> tuple[str, int]:
        plain = bytes(content)
        return _Reader(plain, first).read(), len(plain)

    def encode(text: str, _errors: str = "strict") -> tuple[bytes, int]:
        return text.encode(first), len(text)

    return codecs.CodecInfo(encode, decode, name=PREFIX + first)


def find_codec(name: str) -> codecs.CodecInfo | None:
    """Return the codec that begins in the set named after `PREFIX`; Python asks this for names it lacks."""
    if not name.startswith(PREFIX):
        return None
    return _codec(codecs.lookup(name.removeprefix(PREFIX)).name)


codecs.register(find_codec)
