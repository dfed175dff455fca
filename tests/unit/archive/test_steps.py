"""What a performed procedure step means for its studies (PS3.4, F.7; DESIGN, when a study is complete)."""

from overread.archive import steps, study_lists
from overread.contracts.events.intake import HintKind
from tests.builders.announced import a_step_report
from tests.builders.events import SITE, STUDY


def test_a_step_that_begins_is_told_to_each_of_its_studies() -> None:
    """The start names no image; start and end carry the same list."""
    told = steps.hints(SITE, a_step_report(), [STUDY, f"{STUDY}.2"], [])

    assert [hint.study_instance_uid for hint in told] == [STUDY, f"{STUDY}.2"]
    assert {hint.kind for hint in told} == {HintKind.PROCEDURE_STEP_STARTED}
    assert len({hint.list_id for hint in told}) == 1


def test_a_long_list_comes_in_parts_that_say_how_many_there_are() -> None:
    """No event exceeds 256 KiB; who hears one part knows that others follow."""
    listed = [f"{STUDY}.{number}" for number in range(study_lists.INSTANCES_PER_HINT + 1)]

    told = steps.hints(SITE, a_step_report(status="COMPLETED", is_new=False), [STUDY], listed)

    assert [(hint.part, hint.parts, len(hint.sop_instance_uids)) for hint in told] == [(1, 2, 2_000), (2, 2, 1)]
    assert [uid for hint in told for uid in hint.sop_instance_uids] == listed


def test_a_list_over_two_studies_says_nothing_of_either() -> None:
    """Which image is of which study stands nowhere in it: only the end is told."""
    told = steps.hints(SITE, a_step_report(status="COMPLETED", is_new=False), [STUDY, f"{STUDY}.2"], [f"{STUDY}.1"])

    assert [(hint.kind, hint.sop_instance_uids) for hint in told] == [(HintKind.PROCEDURE_STEP_ENDED, ())] * 2
