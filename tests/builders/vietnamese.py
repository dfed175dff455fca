"""The letters of Vietnamese, made from what they are: a vowel, its shape, its tone."""

import unicodedata

_VOWELS = "aăâeêioôơuưy"
_TONES = ("", "\u0301", "\u0300", "\u0309", "\u0303", "\u0323")

_SMALL = [unicodedata.normalize("NFC", vowel + tone) for vowel in _VOWELS for tone in _TONES]

LETTERS = tuple(cased for letter in [*_SMALL, "đ"] if not letter.isascii() for cased in (letter, letter.upper()))
"""All 134 that ASCII lacks."""


def in_cp1258(text: str) -> bytes:
    """Write CP1258 as Windows does: a letter with its shape, then the tone; Python's codec wants them apart."""
    encoded = b""
    for letter in text:
        decomposed = unicodedata.normalize("NFD", letter)
        base, marks = decomposed[0], decomposed[1:]
        shape = "".join(mark for mark in marks if mark in "\u0302\u0306\u031b")
        tone = "".join(mark for mark in marks if mark not in "\u0302\u0306\u031b")
        encoded += (unicodedata.normalize("NFC", base + shape) + tone).encode("cp1258")
    return encoded
