"""Which charset bytes seem to be in, where nobody declared it: a guess for people, by which nothing is ever read."""

import unicodedata

from overread.protocols.hl7 import charsets

UNKNOWN = "unknown"

_OLD_VIETNAMESE = ("cp1258", "vni", "tcvn3")  # the one in which nearly any byte is a letter comes last
_LEAST_SHARE = 0.9
_TONES = ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
_VOWELS = "aăâeêioôơuưy"
LETTERS = frozenset(
    unicodedata.normalize("NFC", vowel + tone) for vowel in _VOWELS + _VOWELS.upper() for tone in _TONES
) | frozenset("đĐ")
"""Every letter of Vietnamese that may bear a mark."""


def charset_seen(raw: bytes) -> str:
    """Name the codec: ASCII, UTF-8, else the old Vietnamese one in which nearly every marked letter is Vietnamese."""
    if raw.isascii():
        return "ascii"
    if charsets.undecodable_at(raw, "utf-8") is None:
        return "utf-8"
    shares = {codec: _vietnamese_share(raw, codec) for codec in _OLD_VIETNAMESE}
    best = max(shares, key=lambda codec: shares[codec])  # of equals the first
    return best if shares[best] >= _LEAST_SHARE else UNKNOWN


def _vietnamese_share(raw: bytes, codec: str) -> float:
    if charsets.undecodable_at(raw, codec) is not None:
        return 0.0
    text = unicodedata.normalize("NFC", raw.decode(codec))
    marked = [sign for sign in text if not sign.isascii()]
    return sum(sign in LETTERS for sign in marked) / len(marked) if marked else 0.0
