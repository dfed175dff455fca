"""Soft checks of the citizen identifier: what looks wrong is said, nothing is refused."""

import pytest

from overread.assembly.citizen_number import doubts
from overread.contracts.events.orders import PatientIdentifier


def _doubts(number: str, *, sex: str = "M", birth_year: int | None = 1970, type_code: str = "NI") -> list[str]:
    identifier = PatientIdentifier(id_number=number, assigning_authority="VNBCA", identifier_type_code=type_code)
    return list(doubts(identifier, sex=sex, birth_year=birth_year))


@pytest.mark.parametrize(
    ("number", "sex", "birth_year"),
    [
        ("001070012345", "M", 1970),
        ("096170012345", "F", 1970),
        ("079205012345", "M", 2005),
        ("079305012345", "F", 2005),
        ("101070012345", "M", 1970),
        ("001070012345", "", None),
        ("001070012345", "O", 1970),
    ],
)
def test_number_that_fits_its_person_raises_no_doubt(number: str, sex: str, birth_year: int | None) -> None:
    """Century and sex in the fourth digit, birth year in the next two; what is not known can't differ."""
    assert _doubts(number, sex=sex, birth_year=birth_year) == []


@pytest.mark.parametrize(
    ("number", "sex", "birth_year", "doubt"),
    [
        ("123456789", "M", 1970, "12 digits"),
        ("00107001234X", "M", 1970, "12 digits"),
        ("003070012345", "M", 1970, "no province"),
        ("000070012345", "M", 1970, "no province"),
        ("001070012345", "F", 1970, "another sex"),
        ("001070012345", "M", 1971, "another birth year"),
        ("001270012345", "M", 1970, "another birth year"),
    ],
)
def test_each_doubt_is_named_without_the_number(number: str, sex: str, birth_year: int, doubt: str) -> None:
    """Form, province, PID-8 and PID-7; the words hold nothing of the patient."""
    (said,) = _doubts(number, sex=sex, birth_year=birth_year)

    assert doubt in said
    assert number not in said


def test_all_that_differs_is_said() -> None:
    """A number of another person differs in more than one way."""
    assert len(_doubts("007285012345", sex="F", birth_year=1970)) == 3


def test_other_numbers_are_left_alone() -> None:
    """An insurance or record number has another form."""
    assert _doubts("1", type_code="HC") == []
