import unicodedata
from datetime import date
from typing import Any

import pytest

from overread.assembly import patients
from overread.assembly.collecting import imaged_patient
from overread.contracts.events.orders import Patient, PatientIdentifier
from tests.builders.events import some_attributes


def a_patient(number: str = "", authority: str = "", **changed: Any) -> Patient:
    """Return a patient known by nothing but what is given."""
    identifiers = (PatientIdentifier(id_number=number, assigning_authority=authority),) if number else ()
    return Patient(**({"identifiers": identifiers} | changed))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("THỬ NGHIỆM NGUYỄN VĂN", "THU NGHIEM NGUYEN VAN"),
        ("ĐẶNG ĐỨC ĐỘ", "dang duc do"),
        ("Nguyễn Thị Ánh", "ANH NGUYEN THI"),
        ("LÊ-THỊ  HOA", "LE THI HOA"),
        ("Trần Văn Ước", unicodedata.normalize("NFD", "TRẦN VĂN ƯỚC")),
    ],
)
def test_vietnamese_name_is_the_same_without_diacritics_and_in_any_order(one: str, other: str) -> None:
    """Scanners often hold names without diacritics, and put family and given name in another order."""
    assert patients.fold(one) == patients.fold(other)


@pytest.mark.parametrize(("one", "other"), [("NGUYỄN VĂN AN", "NGUYỄN VĂN ANH"), ("ĐỖ", "ĐÕ VĂN")])
def test_other_name_stays_another_name(one: str, other: str) -> None:
    """Folding takes marks away, never letters."""
    assert patients.fold(one) != patients.fold(other)


def test_header_name_matches_the_order_name_whatever_its_components() -> None:
    """PN has family^given^middle and other writings behind '='; XPN has its own places."""
    header = some_attributes(patient_id=None, patient_name="NGUYEN^AN^VAN=阮^安")
    ordered = a_patient(family_name="NGUYỄN", given_name="VĂN AN", birth_date=date(1970, 1, 1))

    assert patients.conflict(ordered, imaged_patient(header)) is None


BORN, BORN_OTHERWISE = date(1970, 1, 1), date(1971, 1, 1)

CONFLICTS: list[tuple[str, Patient, Patient, str | None]] = [
    ("nothing known speaks against nothing", a_patient(), a_patient(), None),
    ("the same number", a_patient("1", "HIS"), a_patient("1", "HIS", family_name="B"), None),
    (
        "the same number, another name: a name changes",
        a_patient("1", "HIS", family_name="A", birth_date=BORN),
        a_patient("1", "", family_name="B", birth_date=BORN),
        None,
    ),
    (
        "the same number, another name and birth date: a number was typed wrong",
        a_patient("1", "HIS", family_name="A", birth_date=BORN),
        a_patient("1", "HIS", family_name="B", birth_date=BORN_OTHERWISE),
        "name and birth date differ",
    ),
    (
        "another number of the same authority",
        a_patient("1", "HIS", family_name="A"),
        a_patient("2", "HIS", family_name="A"),
        "patient identifiers differ",
    ),
    ("another number, no authority said", a_patient("1", "HIS"), a_patient("2"), "patient identifiers differ"),
    ("another number, no authority ordered", a_patient("1"), a_patient("2", "HIS"), "patient identifiers differ"),
    (
        "the same number of two authorities says nothing; the birth date does",
        a_patient("1", "HIS", birth_date=BORN),
        a_patient("1", "OTHER", birth_date=BORN_OTHERWISE),
        "birth dates differ",
    ),
    ("two authorities, nothing else", a_patient("1", "HIS"), a_patient("2", "OTHER"), None),
    ("birth dates", a_patient(birth_date=BORN), a_patient(birth_date=BORN_OTHERWISE), "birth dates differ"),
    ("names", a_patient(family_name="A"), a_patient(family_name="B"), "names differ"),
    ("a name on one side only", a_patient(family_name="A"), a_patient("1", "HIS"), None),
]


@pytest.mark.parametrize(("ordered", "imaged", "reason"), [c[1:] for c in CONFLICTS], ids=[c[0] for c in CONFLICTS])
def test_conflict_names_the_field_that_speaks_against(ordered: Patient, imaged: Patient, reason: str | None) -> None:
    """An order links itself only if the patient does not conflict; missing data is no conflict."""
    assert patients.conflict(ordered, imaged) == reason
    assert patients.conflict(imaged, ordered) == reason


def test_one_number_of_several_is_enough() -> None:
    """PID-3 repeats: a hospital number and a citizen identifier."""
    ordered = Patient(
        identifiers=(
            PatientIdentifier(id_number="BN1", assigning_authority="BVX"),
            PatientIdentifier(id_number="001099012345", assigning_authority="VNBCA"),
        )
    )

    assert patients.conflict(ordered, a_patient("001099012345")) is None
