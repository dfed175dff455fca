"""How well an order fits a study, and why."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.assembly.candidates import HIGHEST, OrderSide, StudySide, score
from overread.contracts.events.orders import CodedElement, Patient, PatientIdentifier
from tests.builders.events import STUDY, a_service_request

BORN = date(1970, 5, 3)


def a_patient(number: str = "TEST-0001", **changed: Any) -> Patient:
    """Return the patient of the order and the images."""
    known: dict[str, Any] = {"family_name": "NGUYỄN", "given_name": "THỊ MẪU", "birth_date": BORN, "sex": "F"}
    identifier = PatientIdentifier(id_number=number, assigning_authority="HIS")
    return Patient(identifiers=(identifier,), **(known | changed))


def an_order_side(patient: Patient | None = None, known: Patient | None = None, **changed: Any) -> OrderSide:
    """Return an order for a CT of the chest at nine."""
    said: dict[str, Any] = {
        "accession_number": "ACC12345",
        "study_instance_uid": None,
        "modality": "CT",
        "service": CodedElement(identifier="CT1", text="CT ngực không cản quang"),
        "scheduled_at": datetime(2026, 11, 22, 2, 0, tzinfo=UTC),
    }
    stated = patient or a_patient()
    return OrderSide(order=a_service_request(**(said | changed)), patient=stated, known=known or stated)


def a_study_side(patient: Patient | None = None, **changed: Any) -> StudySide:
    """Return what the images of that order say."""
    stated = patient or a_patient()
    study = StudySide(
        study_instance_uid=STUDY,
        accession_numbers=frozenset({"ACC12345"}),
        patient=stated,
        known=stated,
        modalities=("CT",),
        body_part_examined="CHEST",
        study_description="CT CHEST",
        study_date_time="2026-11-22T02:30:00+00:00",
    )
    return replace(study, **changed)


def codes(order: OrderSide, study: StudySide) -> set[str]:
    """Return the reasons by code."""
    return {reason.code for reason in score(order, study, UTC).reasons}


def test_order_of_the_study_has_the_highest_score() -> None:
    """REQ-DSK-01: everything that both say agrees."""
    assert score(an_order_side(), a_study_side(), UTC).points == HIGHEST
    assert codes(an_order_side(), a_study_side()) == {
        "accession_same",
        "identifier_same",
        "name_same",
        "birth_date_same",
        "sex_same",
        "modality_same",
        "procedure_alike",
        "time_near",
    }


@pytest.mark.parametrize(
    ("order", "study", "code"),
    [
        ({"study_instance_uid": STUDY}, {}, "study_uid_same"),
        ({"study_instance_uid": "1.2.3"}, {}, "study_uid_differs"),
        ({}, {"accession_numbers": frozenset({"ACC12354"})}, "accession_near"),
        ({}, {"accession_numbers": frozenset({"ZZZ"})}, "accession_differs"),
        ({"patient": a_patient("TEST-2")}, {}, "identifiers_differ"),
        ({"patient": a_patient("TEST-2"), "known": a_patient()}, {}, "identifier_alias"),
        ({"patient": a_patient(given_name="THỊ")}, {}, "name_part"),
        ({"patient": a_patient(given_name="VĂN KHÁC")}, {}, "names_differ"),
        ({"patient": a_patient(birth_date=date(1970, 3, 5))}, {}, "birth_date_swapped"),
        ({"patient": a_patient(birth_date=date(1970, 1, 1))}, {}, "birth_year_same"),
        ({"patient": a_patient(birth_date=date(1971, 5, 3))}, {}, "birth_dates_differ"),
        ({"patient": a_patient(sex="M")}, {}, "sexes_differ"),
        ({"modality": "MR"}, {}, "modality_differs"),
        ({"modality": "CR"}, {"modalities": ("DX",)}, "modality_same"),
        ({}, {"study_date_time": "2026-11-22T20:00:00"}, "time_same_day"),
        ({}, {"study_date_time": "2026-12-22T20:00:00"}, "time_far"),
    ],
)
def test_each_thing_that_fits_or_not_is_said(order: dict[str, Any], study: dict[str, Any], code: str) -> None:
    """REQ-DSK-01: a person sees why, not a number alone."""
    assert code in codes(an_order_side(**order), a_study_side(**study))


@pytest.mark.parametrize(
    ("ordered", "imaged"),
    [("ĐẶNG THỊ HƯỜNG", "DANG THI HUONG"), ("Nguyễn Văn Ướt", "UOT NGUYEN VAN"), ("TRẦN ÁI", "Ai^Tran")],
)
def test_vietnamese_name_is_itself_without_marks_and_in_another_order(ordered: str, imaged: str) -> None:
    """REQ-DSK-01: scanners hold names without diacritics, and put the given name first."""
    order = an_order_side(a_patient(family_name=ordered, given_name=""))
    study = a_study_side(a_patient(family_name=imaged, given_name=""))

    assert "name_same" in codes(order, study)


def test_what_nobody_said_counts_nothing() -> None:
    """REQ-DSK-01: an empty field is no reason, for or against."""
    nobody = Patient(identifiers=())
    order = an_order_side(nobody, accession_number=None, modality="", service=None, scheduled_at=None)
    bare = a_study_side(
        nobody,
        accession_numbers=frozenset(),
        modalities=(),
        body_part_examined="",
        study_description="",
        study_date_time="",
    )

    assert score(order, bare, UTC).reasons == ()


PATIENTS = st.builds(
    a_patient,
    st.sampled_from(["TEST-0001", "TEST-2"]),
    given_name=st.sampled_from(["THỊ MẪU", "THI MAU", "VĂN KHÁC", ""]),
    birth_date=st.sampled_from([BORN, date(1970, 3, 5), date(1980, 1, 1), None]),
    sex=st.sampled_from(["F", "M", ""]),
)
NUMBERS = st.sampled_from(["ACC12345", "ACC12354", "ZZZ99", None])


@given(PATIENTS, PATIENTS, NUMBERS, NUMBERS)
def test_score_stays_in_its_range_and_agreement_never_lowers_it(
    ordered: Patient, imaged: Patient, wanted: str | None, carried: str | None
) -> None:
    """REQ-DSK-01: from 0 to 100; with the study's own patient and number an order never fits worse."""
    study = a_study_side(imaged, accession_numbers=frozenset({carried} - {None}))
    found = score(an_order_side(ordered, accession_number=wanted), study, UTC).points
    best = score(an_order_side(imaged, accession_number=carried), study, UTC).points

    assert 0 <= found <= best <= HIGHEST
