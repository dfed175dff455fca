"""Whether an order and a study can be of the same person. Pure; used for matching only, never to change a name."""

import unicodedata
from collections.abc import Iterator
from itertools import product

from overread.assembly.patient_numbers import is_record_number, may_be_same
from overread.contracts.events.orders import Patient, PatientIdentifier


def fold(name: str) -> str:
    """Return `name` for comparison only: no diacritics, upper case, words in order of the alphabet.

    Scanners often hold Vietnamese names without diacritics, and put family and given name in another order.
    """
    plain = name.replace("đ", "d").replace("Đ", "D")
    letters = unicodedata.normalize("NFD", plain)
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    words = "".join(letter if letter.isalnum() else " " for letter in bare.upper()).split()
    return " ".join(sorted(words))


def folded_name(patient: Patient) -> str:
    """Return the whole name as it is compared and looked for."""
    return fold(f"{patient.family_name} {patient.given_name}")


def conflict(ordered: Patient, imaged: Patient) -> str | None:
    """Return why the order's patient can't be the study's, None when nothing speaks against it.

    Missing data is no conflict. The reason names the field, never the value. A shared record number outweighs a name or a
    birth date that changed. A shared insurance or citizen number outweighs neither, nor other record numbers: families and
    newborns come under one card.
    """
    if _share_a_record(ordered, imaged):
        return "name and birth date differ" if are_two_persons(ordered, imaged) else None
    is_one_card = share_an_identifier(ordered, imaged)
    if _are_numbered_otherwise(ordered, imaged) and not (is_one_card and _are_alike(ordered, imaged)):
        return "patient identifiers differ"
    if have_comparable_identifiers(ordered, imaged) and not is_one_card:
        return "patient identifiers differ"
    if _born_otherwise(ordered, imaged):
        return "birth dates differ"
    if _name_differs(ordered, imaged):
        return "names differ"
    return None


def are_two_persons(one: Patient, other: Patient) -> bool:
    """Say whether name and birth date both differ, whatever the identifiers are."""
    return _name_differs(one, other) and _born_otherwise(one, other)


def may_be_one_person(one: Patient, other: Patient) -> bool:
    """Say whether neither name nor birth date speaks against it, whatever the identifiers are."""
    return not (_name_differs(one, other) or _born_otherwise(one, other))


def share_an_identifier(one: Patient, other: Patient) -> bool:
    """Say whether both have the same number of the same authority, or of one that isn't named."""
    return any(a.id_number == b.id_number for a, b in _comparable(one, other))


def _share_a_record(one: Patient, other: Patient) -> bool:
    return any(a.id_number == b.id_number for a, b in _comparable_records(one, other))


def _are_numbered_otherwise(one: Patient, other: Patient) -> bool:
    """Say whether one authority numbered the records of both, and no number is shared."""
    return not _share_a_record(one, other) and any(True for _ in _comparable_records(one, other))


def _are_alike(one: Patient, other: Patient) -> bool:
    """Say whether name or birth date is the same, and neither differs: who says nothing is not alike."""
    names = [fold(f"{patient.family_name} {patient.given_name}") for patient in (one, other)]
    is_said_of_both = all(names) or bool(one.birth_date and other.birth_date)
    return is_said_of_both and may_be_one_person(one, other)


def _comparable_records(one: Patient, other: Patient) -> Iterator[tuple[PatientIdentifier, PatientIdentifier]]:
    mine, theirs = _record_numbers(one, beside=other), _record_numbers(other, beside=one)
    return ((a, b) for a, b in _comparable(one, other) if a in mine and b in theirs)


def _record_numbers(patient: Patient, *, beside: Patient) -> list[PatientIdentifier]:
    """Return the numbers of records: an image header names no kind, and may hold what the order calls a citizen's."""
    cards = [one for one in beside.identifiers if not is_record_number(one)]
    return [
        one
        for one in patient.identifiers
        if is_record_number(one) and not any(may_be_same(one, card) for card in cards)
    ]


def have_comparable_identifiers(ordered: Patient, imaged: Patient) -> bool:
    """Say whether both have a number of one authority, the same or not."""
    return any(True for _ in _comparable(ordered, imaged))


def _comparable(one: Patient, other: Patient) -> Iterator[tuple[PatientIdentifier, PatientIdentifier]]:
    """Yield the pairs that say something about each other: the same number of another authority says nothing."""
    for a, b in product(one.identifiers, other.identifiers):
        if a.assigning_authority == b.assigning_authority or not (a.assigning_authority and b.assigning_authority):
            yield a, b


def _born_otherwise(one: Patient, other: Patient) -> bool:
    return bool(one.birth_date and other.birth_date and one.birth_date != other.birth_date)


def _name_differs(one: Patient, other: Patient) -> bool:
    names = [fold(f"{patient.family_name} {patient.given_name}") for patient in (one, other)]
    return all(names) and names[0] != names[1]
