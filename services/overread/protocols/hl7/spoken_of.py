"""The numbers by which people look for a message: of orders, of images, and of patients, wherever its segments have them."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
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


class _Fields(NamedTuple):
    """Which fields of a segment are looked into: places of accession numbers, order numbers, patients' lists."""

    accessions: tuple[tuple[int, int], ...]
    orders: tuple[int, ...]
    patients: tuple[int, ...]


def spoken_of(message: Message, accession_places: tuple[str, ...] = ()) -> SpokenOf:
    """Return the numbers in `message`; `accession_places` are where its link keeps the accession number."""
    accessions, orders, patients = list[str](), list[str](), list[str]()
    looked_into = _looked_into(accession_places)
    for segment in message:
        fields = looked_into.get(segment.name)
        if fields is not None:
            accessions += [segment.text(field, component) for field, component in fields.accessions]
            orders += [segment.text(field) for field in fields.orders]
            patients += [number for field in fields.patients for number in _listed(segment, field)]
    return SpokenOf(_once(accessions), _once(orders), _once(patients))


@lru_cache(maxsize=256)
def _looked_into(accession_places: tuple[str, ...]) -> Mapping[str, _Fields]:
    places = read_places((*accession_places, *_ACCESSIONS))
    names = {place.segment for place in places} | _ORDERS.keys() | _PATIENTS.keys()
    return {
        name: _Fields(
            tuple((place.field, place.component) for place in places if place.segment == name),
            _ORDERS.get(name, ()),
            _PATIENTS.get(name, ()),
        )
        for name in names
    }


def _listed(segment: Segment, field: int) -> list[str]:
    """Return the first component of each repetition."""
    value = segment.field(field)
    return [repetition.texts(1)[0] for repetition in value.repetitions] if value else []


def _once(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(number for number in numbers if number))
