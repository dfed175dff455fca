"""Numbers of patients: per authority, and of kinds. Pure."""

from collections.abc import Iterable

from overread.contracts.events.orders import PatientIdentifier

_RECORD_TYPES = frozenset({"", "MR", "PI", "PT", "MRT"})
"""Types that number a patient's record with an authority; a citizen or insurance number (NI, HC) numbers a person."""


def key_of(identifier: PatientIdentifier) -> str:
    """Return what tells a number from every other: authority, kind and number, as a CX has them.

    Senders call the same record number MR, PI or nothing: of one authority they are one number.
    """
    kind = "" if is_record_number(identifier) else identifier.identifier_type_code
    return f"{identifier.assigning_authority}^{kind}^{identifier.id_number}"


def is_record_number(identifier: PatientIdentifier) -> bool:
    """Say whether the number is that of a patient's record."""
    return identifier.identifier_type_code in _RECORD_TYPES


def record_numbers(identifiers: Iterable[PatientIdentifier]) -> tuple[PatientIdentifier, ...]:
    """Return the numbers by which a record is known; without any, the first number of whatever kind is it."""
    known = tuple(identifiers)
    return tuple(one for one in known if is_record_number(one)) or known[:1]


def record_keys(identifiers: Iterable[PatientIdentifier]) -> tuple[str, ...]:
    """Return the keys of the numbers by which a record is known."""
    return tuple(key_of(one) for one in record_numbers(identifiers))


def id_numbers(identifiers: Iterable[PatientIdentifier]) -> frozenset[str]:
    """Return the bare numbers, by which tables are searched before authorities are compared."""
    return frozenset(one.id_number for one in identifiers)


def may_be_same(one: PatientIdentifier, other: PatientIdentifier) -> bool:
    """Say whether both can be one number: the authority may be left out on one side, as image headers do."""
    authorities = (one.assigning_authority, other.assigning_authority)
    return one.id_number == other.id_number and (authorities[0] == authorities[1] or not all(authorities))


def numbered_otherwise(stated: Iterable[PatientIdentifier], known: Iterable[PatientIdentifier]) -> bool:
    """Say whether an authority that numbered the known record has numbered the stated patient's otherwise."""
    keys = {key_of(one): one.assigning_authority for one in known if is_record_number(one)}
    authorities = set(keys.values()) - {""}
    numbered = [one for one in stated if is_record_number(one) and one.assigning_authority in authorities]
    return bool(numbered) and all(key_of(one) not in keys for one in numbered)
