"""Numbers that so many patients are listed with that they name none: dummies as `0000000000`. Pure.

Statements that such a number ties together are about nobody in common; followed for ever, each would be folded with all.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from overread.assembly.patient_numbers import is_record_number, key_of, record_keys
from overread.assembly.patient_records import Statement

MOST_BESIDE = 40
"""With more other record numbers than this no patient was ever listed: their own number changes a few times in a life."""

SHARED = "ADT lists one number with many patients: it names none of them any more, and what is said under it alone is of nobody"


def shared_among(statements: Iterable[Statement]) -> frozenset[str]:
    """Return the keys that are listed with too many other record numbers, or are by themselves those of too many persons.

    A merge ties numbers by the hospital's word.
    """
    beside: defaultdict[str, set[str]] = defaultdict(set)
    for statement in statements:
        keys = record_keys(statement.identifiers) if not statement.prior else ()
        person = f"person {statement.family_name}^{statement.given_name}^{statement.birth_date}"
        for key in keys:
            beside[key].update(keys if len(keys) > 1 else (key, person))
    return frozenset(key for key, others in beside.items() if len(others) - 1 > MOST_BESIDE)


def without(statements: Iterable[Statement], shared: frozenset[str]) -> Sequence[Statement]:
    """Return what is said of patients who have another number than the shared ones, and by that."""
    if not shared:
        return list(statements)
    own = (
        replace(one, identifiers=tuple(said for said in one.identifiers if key_of(said) not in shared))
        for one in statements
    )
    return [one for one in own if one.prior or any(map(is_record_number, one.identifiers))]
