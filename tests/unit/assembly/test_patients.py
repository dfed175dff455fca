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


def one_of_a_family(record: str = "", *cards: str, **changed: Any) -> Patient:
    """Return a patient with a record number of the hospital and cards (`HC` of the insurance, `NI` the citizen's)."""
    numbers = (
        [PatientIdentifier(id_number=record, assigning_authority="BVX", identifier_type_code="MR")] if record else []
    )
    for card in cards:
        number, kind = card.split("^")
        authority = {"HC": "BHXH", "NI": "VNBCA"}[kind]
        numbers.append(PatientIdentifier(id_number=number, assigning_authority=authority, identifier_type_code=kind))
    return Patient(identifiers=tuple(numbers), **changed)


CARD = "GD4790000000001^HC"
CITIZEN = "079070000001^NI"
MOTHER: dict[str, Any] = {"family_name": "THỬ", "given_name": "NGHIỆM LAN", "birth_date": date(1992, 5, 4)}
CHILD: dict[str, Any] = {"family_name": "THỬ", "given_name": "NGHIỆM BÉ", "birth_date": date(2026, 11, 1)}

CARDS: list[tuple[str, Patient, Patient, str | None]] = [
    (
        "a newborn comes under the mother's insurance card",
        one_of_a_family("1", CARD, **MOTHER),
        one_of_a_family("2", CARD, **CHILD),
        "patient identifiers differ",
    ),
    (
        "the same, and the laboratory knows no record number",
        one_of_a_family("1", CARD, **MOTHER),
        one_of_a_family("", CARD, **CHILD),
        "birth dates differ",
    ),
    (
        "twins under one card: the birth date is the same",
        one_of_a_family("", CARD, **CHILD),
        one_of_a_family("", CARD, **(CHILD | {"given_name": "NGHIỆM EM"})),
        "names differ",
    ),
    (
        "a child is called as the grandfather, and has his card",
        one_of_a_family("1", CARD, **CHILD),
        one_of_a_family("2", CARD, **(CHILD | {"birth_date": date(1950, 1, 1)})),
        "patient identifiers differ",
    ),
    (
        "registered twice: two record numbers, one card, one name without marks, one birth date",
        one_of_a_family("1", CARD, **MOTHER),
        one_of_a_family("2", CARD, **(MOTHER | {"family_name": "THU", "given_name": "NGHIEM LAN"})),
        None,
    ),
    (
        "registered twice, and one system keeps no birth date",
        one_of_a_family("1", CITIZEN, **MOTHER),
        one_of_a_family("2", CITIZEN, family_name="THỬ", given_name="NGHIỆM LAN"),
        None,
    ),
    (
        "two record numbers, one card, and nothing that says who it is",
        one_of_a_family("1", CARD, **MOTHER),
        one_of_a_family("2", CARD),
        "patient identifiers differ",
    ),
    (
        "a citizen number was typed for a relative",
        one_of_a_family("1", CITIZEN, **MOTHER),
        one_of_a_family("2", CITIZEN, **CHILD),
        "patient identifiers differ",
    ),
    (
        "one record number, and the card of somebody else beside it",
        one_of_a_family("1", CARD, **MOTHER),
        one_of_a_family("1", "GD4790000000002^HC", **MOTHER),
        None,
    ),
    (
        "one record number outweighs a new name",
        one_of_a_family("1", CARD, **MOTHER),
        one_of_a_family("1", CARD, **(MOTHER | {"given_name": "NGHIỆM LÁNG"})),
        None,
    ),
    (
        "an image header holds the citizen number, and names no kind",
        one_of_a_family("1", CITIZEN, **MOTHER),
        a_patient("079070000001"),
        None,
    ),
    (
        "an image header holds the citizen number of a relative",
        one_of_a_family("1", CITIZEN, **MOTHER),
        a_patient("079070000001", **CHILD),
        "birth dates differ",
    ),
    (
        "other cards, nothing else",
        one_of_a_family("", CARD),
        one_of_a_family("", "GD4790000000002^HC"),
        "patient identifiers differ",
    ),
]


@pytest.mark.parametrize(("ordered", "imaged", "reason"), [c[1:] for c in CARDS], ids=[c[0] for c in CARDS])
def test_card_that_a_family_shares_makes_nobody_another(ordered: Patient, imaged: Patient, reason: str | None) -> None:
    """An insurance or citizen number is shared by mistake: what the identities say decides."""
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
