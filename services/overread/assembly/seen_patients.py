"""Whom a person saw when they decided about an order and a study, and whether it is somebody else now. Pure.

Only digests are kept: they are compared with those of whoever is named later, and never shown. What the images say of
their patient stays as it was; an order may come to name another one.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from overread.assembly import patients
from overread.assembly.patient_numbers import key_of
from overread.contracts.events.orders import Patient, PatientIdentifier

ANOTHER_PATIENT = "the order names another patient"


@dataclass(frozen=True, kw_only=True)
class Person:
    """The order's patient as digests; empty where nothing is said."""

    numbers: frozenset[str] = frozenset()
    name: str = ""
    birth_date: str = ""

    @classmethod
    def of(cls, patient: Patient, further: Iterable[PatientIdentifier] = ()) -> "Person":
        """Return the patient under all numbers that they have, or had before a merge."""
        return cls(
            numbers=frozenset(_digest(key_of(one)) for one in (*patient.identifiers, *further)),
            name=_digest(patients.folded_name(patient)),
            birth_date=_digest(patient.birth_date.isoformat() if patient.birth_date else ""),
        )

    def is_another_than(self, other: "Person") -> bool:
        """Say whether both have numbers and share none, or without numbers differ in name or birth date."""
        if self.numbers and other.numbers:
            return not self.numbers & other.numbers
        return (self.name, self.birth_date) != (other.name, other.birth_date)


@dataclass(frozen=True, kw_only=True)
class Persons:
    """Whom order and study name: why they can't be one, whether both have a number in common, who the order's is."""

    conflict: str = ""
    share_a_number: bool = False
    ordered: Person = field(default_factory=Person)

    def to_keep(self) -> dict[str, object]:
        """Return what a decision keeps."""
        return {
            "conflict": self.conflict,
            "numbers": sorted(self.ordered.numbers),
            "name": self.ordered.name,
            "birth_date": self.ordered.birth_date,
        }

    def doubt_since(self, kept: Mapping[str, Any]) -> str:
        """Return what speaks against one who decided and did not see it; `kept` is empty of decisions from before."""
        if not kept:
            return ""
        if self.conflict and self.conflict != kept["conflict"]:
            return self.conflict
        seen = Person(numbers=frozenset(kept["numbers"]), name=kept["name"], birth_date=kept["birth_date"])
        is_the_studys = self.share_a_number and not self.conflict
        return ANOTHER_PATIENT if self.ordered.is_another_than(seen) and not is_the_studys else ""


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest() if said else ""
