"""Whom a person saw when they attached an order, and who it names later."""

from typing import Any

import pytest

from overread.assembly.seen_patients import ANOTHER_PATIENT, Person, Persons
from overread.contracts.events.orders import Patient, PatientIdentifier
from tests.builders.events import a_patient


def numbered(*numbers: str, **changed: Any) -> Patient:
    """Return a patient with these numbers of one hospital."""
    identifiers = tuple(PatientIdentifier(id_number=number, assigning_authority="HIS") for number in numbers)
    return a_patient(identifiers=identifiers, **changed)


def seen(patient: Patient, conflict: str = "", *, share_a_number: bool = False) -> Persons:
    """Return what stands between an order of `patient` and the study."""
    return Persons(conflict=conflict, share_a_number=share_a_number, ordered=Person.of(patient))


DIFFER = "patient identifiers differ"


@pytest.mark.parametrize(
    ("before", "now", "doubt"),
    [
        (seen(numbered("1")), seen(numbered("1")), ""),
        (seen(numbered("1")), seen(numbered("1", "2")), ""),
        (seen(numbered("1")), seen(numbered("1", family_name="KHÁC")), ""),
        (seen(numbered("1")), seen(numbered("2")), ANOTHER_PATIENT),
        (seen(numbered()), seen(numbered(family_name="KHÁC")), ANOTHER_PATIENT),
        (seen(numbered("1"), DIFFER), seen(numbered("1"), DIFFER), ""),
        (seen(numbered("1"), DIFFER), seen(numbered("2"), DIFFER), ANOTHER_PATIENT),
        (seen(numbered("1"), DIFFER), seen(numbered("2"), share_a_number=True), ""),
        (seen(numbered("1")), seen(numbered("1"), "names differ"), "names differ"),
    ],
)
def test_patient_who_was_not_seen_is_a_doubt(before: Persons, now: Persons, doubt: str) -> None:
    """REQ-DSK-13: unless the order has become the study's own patient's."""
    assert now.doubt_since(before.to_keep()) == doubt


def test_decision_from_before_patients_were_kept_has_no_doubt_by_them() -> None:
    """Nothing is known of whom the person saw."""
    assert seen(numbered("1"), DIFFER).doubt_since({}) == ""


def test_what_is_kept_of_a_patient_names_nobody() -> None:
    """REQ-DSK-08."""
    kept = str(seen(numbered("TEST-0001", family_name="NGUYỄN")).to_keep())

    assert "TEST-0001" not in kept
    assert "NGUY" not in kept
