"""Reading ADT: who a message is about, which number ends in which, and what is refused at which place."""

import pytest

from overread.protocols.hl7.adt import PatientStatement, ended, pairs, read_patients
from overread.protocols.hl7.contents import TAKEN, check_content
from overread.protocols.hl7.data_types import PatientIdentifier
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import Acceptance, check_supported
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import HANOI
from tests.builders.patients import CITIZEN, INSURANCE, MR, OLD, a_merge, an_adt

ADMINISTRATION = ("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A13")


def _read(raw: bytes) -> tuple[PatientStatement, ...]:
    return read_patients(tokenise(raw), time_zone=HANOI)


def _error(raw: bytes) -> HL7Error:
    with pytest.raises(HL7Error) as caught:
        check_content(tokenise(raw), time_zone=HANOI)
    return caught.value


def _number(cx: PatientIdentifier) -> str:
    return f"{cx.id_number}^^^{cx.assigning_authority}^{cx.identifier_type_code}"


@pytest.mark.parametrize("event", ADMINISTRATION)
@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.5.1", "2.7", "2.8"])
def test_patient_is_read_out_of_every_event(event: str, version: str) -> None:
    """ADT_A01 and the structures like it hold one PID; all identifiers of the list are kept."""
    (said,) = _read(an_adt(event, patient_id=f"{MR}~{CITIZEN}~{INSURANCE}", version=version))

    assert [_number(one) for one in said.patient.identifiers] == [MR, CITIZEN, INSURANCE]
    assert [(name.family_name, name.given_name) for name in said.patient.names] == [("THỬ NGHIỆM", "NGUYỄN VĂN")]
    assert (said.patient.birth_date, said.patient.administrative_sex) == ("1970-01-01", "M")
    assert (said.trigger_event, said.is_merge) == (event, False)
    assert said.stated_at is not None
    assert said.stated_at.utc.isoformat() == "2026-11-22T02:00:00+00:00"


def test_what_is_deleted_is_not_what_is_not_said() -> None:
    """HL7 v2.5.1, 2.7.1: two double quotes delete, nothing says nothing."""
    (said,) = _read(an_adt(put={"PID-5": '""', "PID-7": "", "PID-8": '""'}))

    assert said.cleared == {"name", "sex"}
    assert (said.patient.names, said.patient.birth_date, said.patient.administrative_sex) == ((), None, None)


def test_time_is_the_events_where_the_message_has_none() -> None:
    """MSH-7, else EVN-2."""
    (said,) = _read(an_adt(second=7, without="MSH-7"))

    assert said.stated_at is not None
    assert said.stated_at.original == "20261122090007+0700"


def test_groups_of_a_merge_are_read_in_their_order() -> None:
    """HL7 v2.5.1, 3.3.40: PID and MRG may repeat."""
    first, second = _read(a_merge(0, (MR, OLD), ("TEST-0007^^^HIS^MR", MR)))

    assert [(_number(prior), _number(surviving)) for prior, surviving in pairs(first)] == [(OLD, MR)]
    assert [(_number(prior), _number(surviving)) for prior, surviving in pairs(second)] == [(MR, "TEST-0007^^^HIS^MR")]


def test_numbers_are_paired_by_authority_and_type_wherever_they_stand() -> None:
    """HL7 v2.5.1, 3.6.2.1.2: not by position; a number that both lists hold goes on."""
    (said,) = _read(a_merge(0, (f"{CITIZEN}~7^^^LAB^MR~{MR}", f"{OLD}~9^^^LAB^MR~{CITIZEN}")))

    assert [(_number(prior), _number(surviving)) for prior, surviving in pairs(said)] == [
        (OLD, MR),
        ("9^^^LAB^MR", "7^^^LAB^MR"),
    ]
    assert [_number(one) for one in ended(said)] == [OLD, "9^^^LAB^MR"]


def test_authority_and_type_may_be_named_on_one_side_only() -> None:
    """Some senders write MRG-1 as a bare number."""
    (said,) = _read(a_merge(0, (MR, "TEST-0009")))

    ((prior, surviving),) = pairs(said)
    assert (prior.id_number, _number(surviving)) == ("TEST-0009", MR)


@pytest.mark.parametrize(
    ("raw", "condition", "location"),
    [
        (an_adt(without="PID"), 100, "PID^1"),
        (an_adt() + b"PID|2||X^^^HIS^MR||Y\r", 100, "PID^2"),
        (an_adt(without="PID-3"), 101, "PID^1^3"),
        (an_adt(put={"PID-3": '""'}), 101, "PID^1^3"),
        (an_adt(put={"PID-7": "31121970"}), 102, "PID^1^7"),
        (an_adt(put={"MSH-7": "yesterday"}), 102, "MSH^1^7^1^1"),
        (an_adt(without="MSH-7", put={"EVN-2": "yesterday"}), 102, "EVN^1^2^1^1"),
        (an_adt("A40"), 100, "MRG^1"),
        (an_adt("A40", without="PID"), 100, "PID^1"),
        (an_adt("A40", without="PID") + b"MRG|X\r", 100, "MRG^1"),
        (a_merge() + b"PID|2||X^^^HIS^MR||Y\r", 100, "MRG^2"),
        (a_merge() + b"MRG|Z^^^HIS^MR\r", 100, "MRG^2"),
        (a_merge(put={"MRG-1": ""}), 101, "MRG^1^1"),
        (a_merge(0, (MR, MR)), 205, "MRG^1^1"),
        (a_merge(0, (MR, OLD), (f"{MR}~{CITIZEN}", f"{CITIZEN}~TEST-0001^^^HIS^MR")), 205, "MRG^2^1"),
        (a_merge(0, (MR, "TEST-0009^^^LAB^MR")), 204, "MRG^1^1"),
    ],
)
def test_what_can_not_be_taken_is_refused_at_its_place(raw: bytes, condition: int, location: str) -> None:
    """ERR-2 and ERR-3 name place and condition; the words hold nothing of the patient."""
    error = _error(raw)

    assert (error.condition.value, str(error.location)) == (condition, location)
    assert "TEST" not in error.sentence


def test_other_events_are_refused() -> None:
    """A link takes A01 to A08, A11, A13 and A40; any other event is 201."""
    header = tokenise(an_adt("A37")).header

    with pytest.raises(HL7Error) as caught:
        check_supported(header, Acceptance(messages=TAKEN))

    assert caught.value.condition.value == 201
    assert TAKEN["ADT"] == {*ADMINISTRATION, "A40"}
