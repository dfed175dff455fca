"""Where a sender keeps the accession number: fields of an order's own segments, or of a Z segment, in order of trust."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

USUAL = ("IPC-1", "OBR-18")
"""OMI by the book, and ORM as IHE uses it."""

_PLACE = re.compile(r"(IPC|OBR|ORC|Z[A-Z0-9]{2})-([1-9][0-9]?)(?:\.([1-9][0-9]?))?")


class Place(NamedTuple):
    """A component of a field; the first where the sender's documents name only the field."""

    segment: str
    field: int
    component: int


def read_place(text: str) -> Place:
    """Read ``OBR-18`` or ``ZPA-3.2``; ValueError when it names no field of an order."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError("a place is IPC, OBR, ORC or a Z segment, with field and component, as OBR-18 or ZPA-3.2")
    segment, field, component = match.groups()
    return Place(segment, int(field), int(component or 1))


@lru_cache(maxsize=256)
def read_places(texts: tuple[str, ...]) -> tuple[Place, ...]:
    """Read every place of a link's list; the usual ones when it names none."""
    return tuple(read_place(text) for text in texts or USUAL)


def checked_places(texts: Iterable[str]) -> tuple[str, ...]:
    """Return a link's list, or raise ValueError for the first that is no place."""
    kept = tuple(texts)
    read_places(kept)
    return kept
