"""From ADT statements to patients: snapshots, corrections, merges, and what a person should look at."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from overread.assembly.known_patients import KnownPatients
from overread.assembly.patient_numbers import key_of
from overread.assembly.patient_records import OLD_NUMBER, TAKEN_OUT, TWO_RECORDS, Folded, Record, fold, said_in
from overread.contracts.events.orders import Patient
from tests.builders.events import NOON, SITE, a_patient
from tests.builders.patients import CITIZEN, INSURANCE, MR, OLD, a_merge, an_adt, an_identifier, statements

THIRD = "TEST-0005^^^HIS^MR"
CORRECTED = "THỬ NGHIỆM^TRẦN THỊ"


def _folded(*raw: bytes) -> Folded:
    return fold(statements(*raw), SITE)


def _record(*raw: bytes) -> Record:
    (record,) = _folded(*raw).records
    return record


def _numbers(record: Record) -> list[str]:
    return [f"{one.id_number}^^^{one.assigning_authority}^{one.identifier_type_code}" for one in record.identifiers]


def _owner(second: int) -> bytes:
    """Return a message about another person, under a number that stood in the first one's list."""
    return an_adt("A08", second, patient_id=OLD, name="KHÁC^NGƯỜI", birth_date="19500101")


def test_identifier_list_of_an_update_is_a_snapshot() -> None:
    """HL7 v2.5.1, 2.10.5: what the list no longer holds was the patient's once, and is kept as that."""
    record = _record(
        an_adt("A01", 0, patient_id=f"{MR}~{CITIZEN}~{INSURANCE}"), an_adt("A08", 1, patient_id=f"{MR}~{CITIZEN}")
    )

    assert _numbers(record) == [MR, CITIZEN]
    assert record.former == (an_identifier(INSURANCE),)


def test_update_changes_what_it_says_and_deletes_what_it_quotes() -> None:
    """A08 with a new name, no birth date and a deleted sex."""
    record = _record(an_adt("A01", 0), an_adt("A08", 1, name=CORRECTED, put={"PID-7": "", "PID-8": '""'}))

    assert (record.given_name, record.birth_date, record.sex) == ("TRẦN THỊ", "1970-01-01", "")
    assert record.over(a_patient(given_name="X", sex="M")).sex == ""


def test_update_that_comes_late_changes_nothing_that_is_newer() -> None:
    """Statements fold in their sender's order, whatever came when."""
    raw = (an_adt("A01", 0), an_adt("A08", 1, name="THỬ NGHIỆM^CŨ"), an_adt("A08", 2, name=CORRECTED))

    assert _record(raw[0], raw[2], raw[1]) == _record(*raw)


def test_messages_of_one_second_count_as_they_came() -> None:
    """MSH-7 often knows seconds only: within one, a link's order is its sender's."""
    record = _record(an_adt("A01"), an_adt("A08", name="THỬ NGHIỆM^CŨ"), an_adt("A08", name=CORRECTED))

    assert record.given_name == "TRẦN THỊ"


def test_numbers_are_of_their_authority() -> None:
    """The same number of another hospital is another patient."""
    assert len(_folded(an_adt("A01"), an_adt("A01", patient_id="TEST-0001^^^BVY^MR")).records) == 2


@pytest.mark.parametrize("cx", ["TEST-0001^^^HIS", "TEST-0001^^^HIS^PI"])
def test_record_number_is_the_same_under_any_of_its_types(cx: str) -> None:
    """MR, PI or no type: a record number of one authority is one number."""
    assert _record(an_adt("A01"), an_adt("A08", 1, patient_id=cx, name=CORRECTED)).given_name == "TRẦN THỊ"


def test_merge_makes_the_old_number_an_alias_of_the_survivor() -> None:
    """HL7 v2.5.1, 3.3.40: the survivor is as before, the old numbers are marked and not lost."""
    record = _record(
        an_adt("A01", 0, patient_id=f"{OLD}~{INSURANCE}", name="THỬ NGHIỆM^CŨ"), an_adt("A01", 1), a_merge(2)
    )

    assert (_numbers(record), record.given_name) == ([MR], "NGUYỄN VĂN")
    assert set(record.former) == {an_identifier(OLD), an_identifier(INSURANCE)}
    assert record.names_merged(Patient(identifiers=(an_identifier(OLD),)))
    assert not record.names_merged(Patient(identifiers=(an_identifier(MR),)))


def test_merge_of_a_number_that_nobody_knew_is_an_alias_too() -> None:
    """Orders and images under it may be there, or come."""
    record = _record(an_adt("A01"), a_merge(1))

    assert record.former == (an_identifier(OLD),)


def test_citizen_number_of_both_lives_on() -> None:
    """One person had two records: what both lists hold is not ended."""
    both = (f"{MR}~{CITIZEN}", f"{OLD}~{CITIZEN}")

    record = _record(an_adt("A01", 0, patient_id=both[0]), an_adt("A01", 1, patient_id=both[1]), a_merge(2, both))

    assert (_numbers(record), record.former) == ([MR, CITIZEN], (an_identifier(OLD),))


def test_groups_of_a_merge_apply_in_their_order() -> None:
    """Two old numbers end in one patient, one after the other."""
    record = _record(an_adt("A01"), a_merge(1, (OLD, THIRD), (MR, OLD)), an_adt("A01", 0, patient_id=OLD))

    assert (_numbers(record), set(record.former)) == ([MR], {an_identifier(OLD), an_identifier(THIRD)})


def test_update_by_the_old_number_applies_to_the_survivor_with_a_word() -> None:
    """A08 after A40 with the old identifier: the survivor's own number stays."""
    record = _record(an_adt("A01"), a_merge(1), an_adt("A08", 2, patient_id=f"{OLD}~{INSURANCE}", name=CORRECTED))

    assert (_numbers(record), record.given_name) == ([MR, INSURANCE], "TRẦN THỊ")
    assert record.doubts == (said_in(OLD_NUMBER, "ADTA0802"),)


def test_doubt_is_gone_when_the_sender_uses_the_right_number() -> None:
    """The desk holds what is still open."""
    record = _record(an_adt("A01"), a_merge(1), an_adt("A08", 2, patient_id=OLD), an_adt("A08", 3))

    assert record.doubts == ()


def test_update_of_the_old_record_before_the_merge_does_not_touch_the_survivor() -> None:
    """It comes late, and was sent before the two were one."""
    early = an_adt("A08", 1, patient_id=OLD, name="THỬ NGHIỆM^CŨ")

    record = _record(an_adt("A01", 0), a_merge(2), early)

    assert (record.given_name, record.doubts) == ("NGUYỄN VĂN", ())


def test_merge_into_an_unknown_patient_waits_for_them() -> None:
    """Nothing is lost: what makes the survivor known, even an older message, applies it."""
    waits = _folded(an_adt("A01", 0, patient_id=OLD), a_merge(2))

    applied = _folded(an_adt("A01", 0, patient_id=OLD), a_merge(2), an_adt("A01", 1))

    assert ([_numbers(record) for record in waits.records], len(waits.waiting)) == ([[OLD]], 1)
    assert ([_numbers(record) for record in applied.records], applied.waiting) == ([[MR]], ())


def test_merge_that_closes_a_circle_is_refused_and_changes_nothing() -> None:
    """The number that would survive ended before in the one that would end."""
    before = (an_adt("A01"), an_adt("A01", patient_id=OLD), a_merge(1))

    folded = _folded(*before, a_merge(2, (OLD, MR)))

    assert folded.records == _folded(*before).records
    assert len(folded.refused) == 1


def test_merge_twice_has_one_effect() -> None:
    """The same A40 under another control ID is no circle."""
    once = _folded(an_adt("A01"), a_merge(1))

    assert _folded(an_adt("A01"), a_merge(1), a_merge(2)) == once


def test_chain_of_merges_ends_at_the_last_survivor() -> None:
    """Third into old, old into the patient; then fourth into old, which is the patient by now."""
    fourth = "TEST-0004^^^HIS^MR"
    known = [an_adt("A01", patient_id=cx) for cx in (MR, OLD, THIRD, fourth)]

    record = _record(*known, a_merge(1, (OLD, THIRD)), a_merge(2), a_merge(3, (OLD, fourth)))

    assert _numbers(record) == [MR]
    assert set(record.former) == {an_identifier(cx) for cx in (OLD, THIRD, fourth)}


def test_list_with_numbers_of_two_patients_is_the_firsts_and_a_person_looks() -> None:
    """No merge is guessed."""
    folded = _folded(an_adt("A01"), an_adt("A01", patient_id=OLD), an_adt("A08", 1, patient_id=f"{MR}~{OLD}"))

    assert sorted(_numbers(record) for record in folded.records) == [[MR], [OLD]]
    assert [record.doubts for record in folded.records if record.doubts] == [(said_in(TWO_RECORDS, "ADTA0801"),)]


@pytest.mark.parametrize("listed", [f"{MR}~{OLD}", f"{OLD}~{MR}"])
def test_number_that_was_taken_out_is_its_owners(listed: str) -> None:
    """A number stood in a list by mistake and was taken out: what its owner says then never becomes the first one's."""
    folded = _folded(an_adt("A08", 0, patient_id=listed), an_adt("A08", 1), _owner(2))
    known = KnownPatients(folded.records)

    names = {tuple(_numbers(one)): (one.family_name, one.former) for one in folded.records}
    assert names == {(MR,): ("THỬ NGHIỆM", ()), (OLD,): ("KHÁC", ())}
    assert len({one.record_id for one in folded.records}) == 2
    assert known.shown(a_patient(identifiers=(an_identifier(MR),))).family_name == "THỬ NGHIỆM"
    assert known.shown(Patient(identifiers=(an_identifier(OLD),))).family_name == "KHÁC"


TWO_IN_A_LIST = [an_adt("A08", 0, patient_id=f"{MR}~{OLD}"), an_adt("A08", 0, patient_id=f"{OLD}~{MR}")]


@pytest.mark.parametrize("listed", TWO_IN_A_LIST, ids=["first", "second"])
@pytest.mark.parametrize("second", [1, -1], ids=["after", "before"])
def test_number_that_stands_in_anothers_list_is_its_owners_at_once(listed: bytes, second: int) -> None:
    """Whoever of both speaks first, neither reads as the other, nor shares a number; the desk says so till it is mended."""
    wrong = replace(statements(listed)[0], stated_at=NOON)
    owner = replace(statements(_owner(0))[0], stated_at=NOON + timedelta(seconds=second))
    mended = replace(statements(an_adt("A08", 2))[0], stated_at=NOON + timedelta(seconds=9))

    folded, later = fold([wrong, owner], SITE), fold([wrong, owner, mended], SITE)

    for one in (folded, later):
        names = {tuple(_numbers(record)): (record.family_name, record.former) for record in one.records}
        assert names == {(MR,): ("THỬ NGHIỆM", ()), (OLD,): ("KHÁC", ())}
        assert len({record.record_id for record in one.records}) == 2
        known = KnownPatients(one.records)
        assert known.shown(a_patient(identifiers=(an_identifier(MR),))).family_name == "THỬ NGHIỆM"
        assert known.shown(Patient(identifiers=(an_identifier(OLD),))).family_name == "KHÁC"
    assert [one.doubts for one in folded.records if one.doubts] == [(said_in(TAKEN_OUT, "ADTA0800"),)]
    assert [one.doubts for one in later.records if one.doubts] == []


@pytest.mark.parametrize("change", [{"name": "KHÁC^NGƯỜI"}, {"birth_date": "19500101"}, {"name": "", "birth_date": ""}])
def test_correction_under_one_of_several_numbers_splits_nobody(change: dict[str, Any]) -> None:
    """A name or a birth date is corrected; only both together are somebody else."""
    record = _record(an_adt("A08", 0, patient_id=f"{MR}~{OLD}"), an_adt("A08", 1, patient_id=OLD, **change))

    assert (_numbers(record), record.former, record.doubts) == ([OLD], (an_identifier(MR),), ())


def test_number_that_a_merge_ended_stays_the_survivors_whatever_is_said_under_it() -> None:
    """A merge is the hospital's word: a person looks."""
    record = _record(an_adt("A01"), a_merge(1), _owner(2))

    assert key_of(an_identifier(OLD)) in record.merged
    assert record.doubts == (said_in(OLD_NUMBER, "ADTA0802"),)


def test_number_that_was_taken_out_and_comes_back_with_the_same_person_is_theirs() -> None:
    """Senders that list now these numbers, now those, split nobody."""
    record = _record(an_adt("A08", 0, patient_id=f"{MR}~{OLD}"), an_adt("A08", 1), an_adt("A08", 2, patient_id=OLD))

    assert (_numbers(record), record.former) == ([OLD], (an_identifier(MR),))


def test_survivor_is_who_any_number_of_their_list_names() -> None:
    """PID-3 lists a known number beside the one in which the old one ends, that only an order named: one patient."""
    other, prior = "77^^^RIS^MR", "78^^^RIS^MR"
    merge = a_merge(1, (f"{MR}~{other}", prior))

    (record,) = fold(
        statements(an_adt("A01"), merge), SITE, known_elsewhere=frozenset({key_of(an_identifier(other))})
    ).records

    assert (_numbers(record), record.former) == ([MR, other], (an_identifier(prior),))


def test_citizen_number_that_does_not_fit_is_a_doubt_until_it_is_corrected() -> None:
    """Soft checks: warn, never reject."""
    wrong = an_adt("A01", patient_id=f"{MR}~001170012345^^^VNBCA^NI")

    assert len(_record(wrong).doubts) == 1
    assert _record(wrong, an_adt("A08", 1, patient_id=f"{MR}~{CITIZEN}")).doubts == ()


def test_record_says_what_it_knows_and_leaves_the_rest_as_stated() -> None:
    """Numbers of other systems stay beside the record's; a bare number of an image is the same one."""
    record = _record(an_adt("A01", put={"PID-7": "1970", "PID-8": ""}))
    stated = a_patient(identifiers=(an_identifier("TEST-0001^^^^"), an_identifier("77^^^RIS^PI")), given_name="X")

    shown = record.over(stated)

    assert shown.identifiers == (an_identifier(MR), an_identifier("77^^^RIS^PI"))
    assert (shown.given_name, shown.birth_date, shown.sex) == ("NGUYỄN VĂN", date(1970, 1, 1), stated.sex)


def test_patient_agrees_as_they_were_known_before() -> None:
    """An unknown man got his name: images under the first name are his, those of a third person are not."""
    record = _record(an_adt("A01", 0, name="UNKNOWN^MALE", birth_date="19000101"), an_adt("A08", 1))

    assert record.agrees(a_patient(family_name="UNKNOWN", given_name="MALE", birth_date=date(1900, 1, 1)))
    assert record.agrees(a_patient())
    assert not record.agrees(a_patient(family_name="KHÁC", given_name="NGƯỜI", birth_date=date(1950, 1, 1)))
