"""Accession numbers that may be meant to be one: a slip of the finger between two systems. Pure."""

import re
from collections.abc import Iterator
from string import ascii_uppercase, digits

SHORTEST = 4
"""Of shorter numbers every other one is near."""

LONGEST = 16
"""(0008,0050) is an SH (PS3.5, 6.2)."""

_MOST_ZEROS = 4


def nearness(one: str, other: str) -> str:
    """Return by which slip `one` becomes `other`, empty where they are equal or further apart."""
    if one == other or min(len(one), len(other)) < SHORTEST:
        return ""
    a, b = _bare(one), _bare(other)
    if a == b:
        return "punctuation"
    if a.lstrip("0") == b.lstrip("0"):
        return "leading_zeros"
    if len(a) == len(b):
        return _same_length(a, b)
    longer, shorter = sorted((a, b), key=len, reverse=True)
    is_missing = len(longer) == len(shorter) + 1 and shorter in set(_shortened(longer))
    return "missing_character" if is_missing else ""


def near_forms(number: str) -> frozenset[str]:
    """Return what an index is asked for: every number that one slip makes of `number`, some hundreds."""
    if not SHORTEST <= len(number) <= LONGEST:
        return frozenset()
    forms = {*_swapped(number), *_replaced(number), *_shortened(number), *_lengthened(number), *_zeroed(number)}
    forms |= {number.upper(), _bare(number)}
    return frozenset(form for form in forms - {number} if SHORTEST <= len(form) <= LONGEST)


def _bare(number: str) -> str:
    return re.sub(r"[^0-9A-Z]", "", number.upper())


def _same_length(a: str, b: str) -> str:
    differ = [place for place, (x, y) in enumerate(zip(a, b, strict=True)) if x != y]
    if len(differ) == 1:
        return "one_character"
    is_swap = len(differ) == 2 and differ[1] == differ[0] + 1 and a[differ[0]] == b[differ[1]]
    return "transposed" if is_swap and a[differ[1]] == b[differ[0]] else ""


def _swapped(number: str) -> Iterator[str]:
    for place in range(len(number) - 1):
        yield number[:place] + number[place + 1] + number[place] + number[place + 2 :]


def _replaced(number: str) -> Iterator[str]:
    for place, was in enumerate(number):
        for now in digits if was.isdigit() else ascii_uppercase if was.isalpha() else "":
            yield number[:place] + now + number[place + 1 :]


def _shortened(number: str) -> Iterator[str]:
    for place in range(len(number)):
        yield number[:place] + number[place + 1 :]


def _lengthened(number: str) -> Iterator[str]:
    for place in range(len(number) + 1):
        for more in digits:
            yield number[:place] + more + number[place:]


def _zeroed(number: str) -> Iterator[str]:
    bare = number.lstrip("0")
    for count in range(_MOST_ZEROS + 1):
        yield "0" * count + bare
