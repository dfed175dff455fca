from overread.assembly.observation_codes import concepts
from overread.assembly.observations import MOST_CHARACTERS
from overread.assembly.readiness import MOST_SERIES
from overread.contracts import codec
from overread.contracts.envelope import MAX_EVENT_BYTES
from overread.contracts.events.cases import SeriesSummary
from overread.contracts.events.orders import CodedElement
from overread.dicom_intake.storage_scp import INSTANCES_PER_HINT
from tests.builders.events import a_creatinine, a_study, a_study_hint, a_study_ready, an_event

LONGEST_UID = "1." + "2" * 57


def test_hint_of_as_many_of_the_longest_uids_as_it_may_name_is_an_event() -> None:
    """Ten thousand instances are five hints: no event exceeds 256 KiB."""
    uids = tuple(f"{LONGEST_UID}.{number:04d}" for number in range(INSTANCES_PER_HINT))
    hint = a_study_hint().model_copy(update={"sop_instance_uids": uids})

    assert {len(uid) for uid in uids} == {64}
    assert len(codec.encode(an_event(hint))) < MAX_EVENT_BYTES


def test_ready_event_has_room_for_as_many_series_as_it_lists() -> None:
    """Each with the longest UID that DICOM has (PS3.5, 9): a quarter of what an event may be, at most."""
    uids = (f"{LONGEST_UID}.{number:04d}" for number in range(MOST_SERIES))
    series = tuple(SeriesSummary(series_instance_uid=uid, modality="CT", instance_count=99_999) for uid in uids)

    ready = a_study_ready(study=a_study(series=series))

    assert len(codec.encode(an_event(ready))) < MAX_EVENT_BYTES // 4


def test_ready_event_does_not_grow_with_the_study() -> None:
    """A study's manifest is a stored object; the event names it."""
    small, large = (a_study_ready(study=a_study(instance_count=count)) for count in (1, 99_999))

    assert len(codec.encode(an_event(large))) - len(codec.encode(an_event(small))) < 16


def test_event_has_room_for_every_value_that_may_stand_beside_a_study() -> None:
    """One of each concept, each text as long as is kept and of letters that take three bytes: less than half of an event."""
    long = "ệ" * MOST_CHARACTERS
    code = CodedElement(identifier=long, text=long, coding_system=long)
    texts = {"value": long, "unit": long, "reference_range": long, "abnormal_flag": long}
    values = tuple(a_creatinine(concept=name, code=code, **texts) for name in concepts())

    ready = a_study_ready(laboratory=values)

    assert len(codec.encode(an_event(ready))) < MAX_EVENT_BYTES // 2
