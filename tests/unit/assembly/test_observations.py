"""Which word about an observation holds, and what stands beside a study."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from overread.assembly import observation_codes, observations
from overread.assembly.observations import KeptObservation
from overread.contracts.events.cases import ContextObservation
from overread.protocols.hl7.observation_report import read_observation_reports
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.events import NOON, a_patient, an_hl7_received
from tests.builders.orders import HANOI
from tests.builders.patients import INSURANCE, MR, OLD, an_identifier
from tests.builders.results import a_monitor_reading, a_result, an_obx


def kept(*messages: bytes, local: dict[str, str] | None = None) -> list[KeptObservation]:
    """Return what stays of `messages`, which come in this order."""
    known: dict[observations.Key, KeptObservation] = {}
    for raw in messages:
        for report in read_observation_reports(tokenise(raw), time_zone=HANOI):
            for one in observations.kept(report, an_hl7_received(raw), local or {}):
                known[one.key] = one.after(known.get(one.key))
    return list(known.values())


def shown(*messages: bytes, local: dict[str, str] | None = None) -> tuple[ContextObservation, ...]:
    """Return what stands beside a study of the patient at noon."""
    laboratory, bedside = observations.shown(kept(*messages, local=local), a_patient(), is_synthetic=False, now=NOON)
    return (*laboratory, *bedside)


FIRST = a_result(an_obx(value="126", status="P"), minute=0, status="P")
FINAL = a_result(an_obx(value="131"), minute=10)
CORRECTED = a_result(an_obx(value="113", status="C"), minute=20, status="C")
DELETED = a_result(an_obx(value="", status="D"), minute=20, status="C")
LATE_EARLY_RESULT = a_result(an_obx(value="99", status="P"), minute=30, status="P")


@pytest.mark.parametrize(
    ("messages", "value"),
    [
        ((FIRST, FINAL), ["131"]),
        ((FIRST, FINAL, CORRECTED), ["113"]),
        ((FINAL, LATE_EARLY_RESULT), ["131"]),
        ((FINAL, DELETED), []),
        ((FINAL, a_result(an_obx(value="", status="W"), minute=20)), []),
        ((FINAL, a_result(an_obx(value="", status="X"), minute=20)), []),
    ],
)
def test_later_word_holds_whatever_comes_first(messages: tuple[bytes, ...], value: list[str]) -> None:
    """REQ-LAB-02: by OBR-3, OBX-3 and OBX-4; the decided before the early, then by time (OBX-11 text)."""
    for order in permutations(messages):
        assert [one.value for one in shown(*order)] == value


def test_unchanged_value_becomes_final_without_being_sent_again() -> None:
    """OBX-11 `U`."""
    (one,) = shown(FIRST, a_result(an_obx(value="", status="U"), minute=10))

    assert (one.value, one.status) == ("126", "F")


def test_unchanged_about_another_patient_makes_nothing_final() -> None:
    """Two laboratories that number alike: OBR-3 is the same, the patient is not."""
    other = {"patient_id": OLD, "name": "KHÁC^NGƯỜI", "birth_date": "19500101"}

    (one,) = shown(FIRST, a_result(an_obx(value="", status="U"), minute=10, **other))

    assert (one.value, one.status) == ("126", "P")


@pytest.mark.parametrize(("name", "values"), [("KHÁC^NGƯỜI", []), ("THỬ NGHIỆM^NGUYỄN VĂN", ["126"])])
def test_insurance_number_alone_makes_no_value_anothers(name: str, values: list[str]) -> None:
    """The same authority numbered both records: under one insurance number it is a relative, unless the name is the same."""
    observed = a_result(patient_id=f"{OLD}~{INSURANCE}", name=name, birth_date="")
    patient = a_patient(identifiers=(an_identifier(MR), an_identifier(INSURANCE)))

    laboratory, _ = observations.shown(kept(observed), patient, is_synthetic=False, now=NOON)

    assert [one.value for one in laboratory] == values


def test_no_text_of_a_value_grows_without_bound() -> None:
    """Each event of each case of the patient holds it: OBX-5 to OBX-8, and OBX-11 too, whatever a sender writes there."""
    long = "Z" * 1000
    (one,) = shown(a_result(an_obx(value=long, status=long)))

    assert {len(one.value), len(one.status)} == {observations.MOST_CHARACTERS}


def test_value_that_is_deleted_to_be_said_anew_is_the_new_one() -> None:
    """Within a message D and a value may stand under one name."""
    again = a_result(an_obx(value="", status="D"), an_obx(value="120", status="C"), minute=20, status="C")

    assert [one.value for one in shown(FINAL, again)] == ["120"]


def test_other_report_and_other_sub_id_are_other_observations() -> None:
    """Of several values of one thing the newest is shown."""
    yesterday = a_result(an_obx(value="80", at="202611211000"), filler="LAB-0^LIS", minute=30)

    assert len(kept(FINAL, yesterday, a_result(an_obx(value="5", sub_id="2")))) == 3
    assert [one.value for one in shown(FINAL, yesterday)] == ["131"]


def test_code_on_no_list_is_kept_and_not_shown() -> None:
    """REQ-LAB-03: nothing that a laboratory says is thrown away, and nothing unasked for stands beside a study."""
    sodium = a_result(an_obx("2951-2^Sodium^LN", "140"))

    assert [one.concept for one in kept(sodium)] == [""]
    assert shown(sodium) == ()


@pytest.mark.parametrize("code", ["CREA^Creatinin^99LIS", "X^Creatinin^99LIS^2160-0^Creatinine^LN"])
def test_code_of_the_site_and_second_code_count(code: str) -> None:
    """A site maps its own codes by setting; either code of OBX-3 will do."""
    (one,) = shown(a_result(an_obx(code)), local={"CREA^99LIS": "creatinine"})

    assert one.concept == "creatinine"


def test_urea_nitrogen_is_shown_under_its_own_name() -> None:
    """By mass urea is 2.14 times as much: 20 mg/dL of nitrogen under the name of urea would be another patient's kidney."""
    both = shown(a_result(an_obx("3094-0^BUN^LN", "20"), an_obx("22664-7^Urea^LN", "7.1", sub_id="2")))

    assert {one.concept: one.value for one in both} == {"urea_nitrogen": "20", "urea": "7.1"}


def test_value_older_than_its_window_is_not_shown() -> None:
    """D-dimer is of use for a week, creatinine for three months."""
    said = (NOON - timedelta(days=8)).strftime("%Y%m%d%H%M%S+0000")
    both = a_result(an_obx("48065-7^D-dimer^LN", "900", at=said), an_obx(at=said, sub_id="2"))

    assert [one.concept for one in shown(both)] == ["creatinine"]


@pytest.mark.parametrize(
    "known",
    [
        {"patient_id": "TEST-0002^^^HIS^PI"},
        {"name": "THỬ NGHIỆM^NGƯỜI KHÁC", "birth_date": "19800101"},
        {"patient_id": "TEST-0001^^^OTHER^PI"},
        {"processing_id": "T"},
    ],
)
def test_value_of_somebody_else_is_never_shown(known: dict[str, Any]) -> None:
    """REQ-LAB-04: a number of the same authority must agree, and nothing may speak against it; nor is it a test."""
    assert shown(a_result(**known)) == ()


def test_bedside_keeps_the_newest_value_whatever_its_report() -> None:
    """A monitor numbers each minute anew."""
    readings = [a_monitor_reading("93", minute=5), a_monitor_reading("97", minute=1)]

    for order in permutations(readings):
        assert len(kept(*order)) == 1
        assert [(one.concept, one.value) for one in shown(*order)] == [("oxygen_saturation", "93")]


def test_no_code_means_two_things() -> None:
    """The list is data: a slip of it would show one value as another."""
    codes = [code for concept in observation_codes.concepts().values() for code in concept.codes]

    assert len(codes) == len(set(codes))
