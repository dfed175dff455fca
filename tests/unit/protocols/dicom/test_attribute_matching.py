"""Which items fit the keys of a C-FIND, and what is answered (PS3.4, C.2.2.2)."""

import pytest
from pydicom.dataset import Dataset

from overread.contracts.errors import Malformed
from overread.protocols.dicom.attribute_matching import LONGEST_KEY, checked, has_unknown_keys, matches, selected
from tests.builders.announced import an_item


def a_worklist_item() -> Dataset:
    """Return an item with one scheduled step."""
    step = an_item(Modality="CT", ScheduledProcedureStepStartDate="20261122", ScheduledProcedureStepStartTime="093000")
    return an_item(
        PatientName="NGUYỄN^VĂN ĐỨC",
        PatientID="BN-1",
        StudyInstanceUID="1.2.3",
        AccessionNumber="ACC*1",
        ScheduledProcedureStepSequence=[step],
    )


@pytest.mark.parametrize(
    ("keys", "fits"),
    [
        ({}, True),
        ({"PatientID": ""}, True),
        ({"PatientID": "*"}, True),
        ({"PatientID": "BN-1"}, True),
        ({"PatientID": "BN-2"}, False),
        ({"PatientID": "BN-?"}, True),
        ({"PatientID": "bn-1"}, False),
        ({"PatientName": "nguyen*"}, True),
        ({"PatientName": "NGUYỄN^VĂN ĐỨC"}, True),
        ({"PatientName": "*DUC"}, True),
        ({"PatientName": "TRẦN*"}, False),
        ({"AccessionNumber": "ACC*1"}, True),
        ({"StudyInstanceUID": ["1.2.9", "1.2.3"]}, True),
        ({"StudyInstanceUID": "1.2"}, False),
        ({"PatientWeight": "70"}, True),  # nothing that is kept: it restricts nothing
    ],
)
def test_a_key_fits_by_its_kind(keys: dict[str, object], fits: bool) -> None:  # noqa: FBT001 - a table's column
    """Empty fits all; wildcards, lists of UIDs; a name without regard to case and diacritics."""
    assert matches(an_item(**keys), a_worklist_item()) is fits


@pytest.mark.parametrize(
    ("step", "fits"),
    [
        ({}, True),
        ({"Modality": "CT"}, True),
        ({"Modality": "MR"}, False),
        ({"ScheduledProcedureStepStartDate": "20261122"}, True),
        ({"ScheduledProcedureStepStartDate": "20261121-20261123"}, True),
        ({"ScheduledProcedureStepStartDate": "20261123-"}, False),
        ({"ScheduledProcedureStepStartDate": "-20261122"}, True),
        ({"ScheduledProcedureStepStartTime": "0900-1000"}, True),
        ({"ScheduledProcedureStepStartTime": "1000-"}, False),
        ({"Modality": "CT", "ScheduledProcedureStepStartDate": "20261123"}, False),
    ],
)
def test_a_sequence_fits_when_one_of_its_items_does(step: dict[str, object], fits: bool) -> None:  # noqa: FBT001
    """Ranges of dates and times, either end open (C.2.2.2.5, C.2.2.2.6)."""
    assert matches(an_item(ScheduledProcedureStepSequence=[an_item(**step)]), a_worklist_item()) is fits


def test_what_is_asked_is_answered_and_nothing_else() -> None:
    """A key without a value comes back empty; an empty sequence asks for all of it."""
    keys = an_item(PatientID="", PatientWeight=None, ScheduledProcedureStepSequence=[an_item(Modality="")])
    item = a_worklist_item()

    answer = selected(keys, item)
    whole = selected(an_item(ScheduledProcedureStepSequence=[]), item)

    assert [element.keyword for element in answer] == ["PatientID", "PatientWeight", "ScheduledProcedureStepSequence"]
    assert (answer.PatientID, answer.PatientWeight) == ("BN-1", None)
    assert [element.keyword for element in answer.ScheduledProcedureStepSequence[0]] == ["Modality"]
    assert whole.ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartTime == "093000"


def test_a_hostile_pattern_does_not_run_away() -> None:
    """Many stars are as quick as one."""
    item = an_item(PatientID="a" * 64)

    assert not matches(an_item(PatientID="*" * 30 + "b"), item)
    assert not matches(an_item(PatientID="a*" * 12 + "b"), an_item(PatientID="a" * 40))


def test_a_key_longer_than_any_value_is_refused() -> None:
    """A megabyte of wildcards is no question, at whatever depth it stands."""
    long = an_item(ScheduledProcedureStepSequence=[an_item(ScheduledStationName="*?" * LONGEST_KEY)])

    with pytest.raises(Malformed, match="longer than any value"):
        checked(long)


def test_a_key_of_another_kind_than_the_value_fits_nothing_and_breaks_nothing() -> None:
    """A text where a sequence is kept, or the reverse."""
    as_text, as_sequence = Dataset(), Dataset()
    as_text.add_new("ScheduledProcedureStepSequence", "LO", "CT")
    as_sequence.add_new("PatientName", "SQ", [an_item(Modality="CT")])

    assert [matches(keys, a_worklist_item()) for keys in (as_text, as_sequence)] == [False, False]
    assert "PatientName" in selected(as_sequence, a_worklist_item())


def test_a_key_that_would_match_and_is_not_kept_is_known() -> None:
    """Then the answer says that it was not matched (status 0xFF01)."""
    assert has_unknown_keys(an_item(PatientWeight="70"), a_worklist_item())
    assert not has_unknown_keys(an_item(PatientWeight=None), a_worklist_item())
