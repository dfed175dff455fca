"""The numbers by which people look for a message: of orders, of images, and of patients, wherever its segments have them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from overread.protocols.hl7.accession_places import USUAL, read_places
from overread.protocols.hl7.tokenise import Message, Segment

_ORDERS: Mapping[str, tuple[int, ...]] = {"ORC": (2, 3, 4, 8), "OBR": (2, 3), "SCH": (26, 27), "TXA": (14, 15)}
"""Placer and filler numbers, of the order, its group and its parent; EI, whose first component is the number."""

_PATIENTS: Mapping[str, tuple[int, ...]] = {"PID": (2, 3, 4, 18, 19), "MRG": (1, 2, 3, 4), "IN1": (36,)}
"""Numbers of patients: CX lists, the account, the national and the insurance number; MRG-1 is the number that ends."""

_ACCESSIONS = (*USUAL, "ORC-3", "OBR-3")
"""A filler number is the accession number at many a site: who looks for one finds the other."""


class SpokenOf(NamedTuple):
    """What a message names, each number once and in the order of its segments."""

    accession_numbers: tuple[str, ...]
    order_numbers: tuple[str, ...]
    patient_numbers: tuple[str, ...]


def spoken_of(message: Message, accession_places: tuple[str, ...] = ()) -> SpokenOf:
    """Return the numbers in `message`; `accession_places` are where its link keeps the accession number."""
    segments = tuple(message)
    places: dict[str, list[tuple[int, int]]] = {}
    for place in read_places((*accession_places, *_ACCESSIONS)):
        places.setdefault(place.segment, []).append((place.field, place.component))
    accessions = (
        segment.field(field).component(component).text.strip()
        for segment in segments
        for field, component in places.get(segment.name, ())
    )
    return SpokenOf(_once(accessions), _once(_firsts(segments, _ORDERS)), _once(_firsts(segments, _PATIENTS)))


def _firsts(segments: Iterable[Segment], fields: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """Yield the first component of each repetition of the fields."""
    for segment in segments:
        for number in fields.get(segment.name, ()):
            for value in segment.field(number).repetitions:
                if not value.is_null:
                    yield value.component(1).text.strip()


def _once(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(number for number in numbers if number))
