from typing import Any

from overread.assembly.readiness import MOST_SERIES, make_manifest, ready_key, summaries
from overread.assembly.settings import AssemblySettings
from overread.assembly.store import CaseRow
from tests.builders.events import CASE_ID, SITE, STUDY, a_patient, a_study, an_instance_stored, some_attributes


def a_case_row(**changed: Any) -> CaseRow:
    """Return the row of a case that has no complete study yet."""
    known: dict[str, Any] = {
        "case_id": CASE_ID,
        "study_instance_uid": STUDY,
        "revision": 1,
        "identity_version": 1,
        "imaged_patient": a_patient(),
        "is_synthetic": False,
        "modalities": ("CT",),
        "study": None,
        "is_superseded": False,
    }
    return CaseRow(**(known | changed))


def test_manifest_names_every_image_once_under_its_series() -> None:
    """Series by UID, instances by SOPInstanceUID, whatever the order of arrival."""
    images = [
        an_instance_stored(number, attributes=some_attributes(number, series_instance_uid=f"{STUDY}.{series}"))
        for number, series in ((1, 2), (2, 1), (3, 2))
    ]

    manifest = make_manifest(a_case_row(), images)

    assert [series.series_instance_uid for series in manifest.series] == [f"{STUDY}.1", f"{STUDY}.2"]
    assert [len(series.instances) for series in manifest.series] == [1, 2]
    assert manifest.series[0].instances[0].object_key == images[1].object_key


def test_study_says_of_each_series_what_it_is_and_how_many_images_it_has() -> None:
    """Who renders a result can't read the manifest; a series whose images do not say their modality has none."""
    images = [
        an_instance_stored(1, attributes=some_attributes(1)),
        an_instance_stored(2, attributes=some_attributes(2)),
        an_instance_stored(3, attributes=some_attributes(3, series_instance_uid=f"{STUDY}.2", modality="")),
    ]

    series = summaries(make_manifest(a_case_row(), images))

    assert [(s.series_instance_uid, s.modality, s.instance_count) for s in series] == [
        (f"{STUDY}.1", "CT", 2),
        (f"{STUDY}.2", "", 1),
    ]


def test_more_series_than_an_event_has_room_for_are_not_listed() -> None:
    """No event exceeds 256 KiB; that they are not listed says nothing of how many there are."""
    images = [
        an_instance_stored(n, attributes=some_attributes(n, series_instance_uid=f"{STUDY}.{n}"))
        for n in range(1, MOST_SERIES + 2)
    ]

    assert summaries(make_manifest(a_case_row(), images)) == ()


def test_first_revision_is_one_and_each_later_one_follows() -> None:
    """A consumer drops what is not newer."""
    first = make_manifest(a_case_row(), [an_instance_stored()])
    third = make_manifest(a_case_row(study=a_study(study_revision=2)), [an_instance_stored()])

    assert (first.study_revision, third.study_revision) == (1, 3)


def test_same_images_make_the_same_bytes() -> None:
    """The digest in the case is that of the images, not of the moment."""
    images = [an_instance_stored(number) for number in (1, 2)]

    assert make_manifest(a_case_row(), images).to_bytes() == make_manifest(a_case_row(), images).to_bytes()


def test_study_ready_is_told_once_a_study_revision() -> None:
    """Its own key holds nothing that a repeat could change."""
    assert ready_key(SITE, CASE_ID, 1) != ready_key(SITE, CASE_ID, 2)


def test_longest_quiet_time_of_the_modalities_counts() -> None:
    """A PET-CT is not complete because its CT is; the order of arrival decides nothing."""
    settings = AssemblySettings(quiet_seconds=60, quiet_seconds_by_modality={"CT": 30, "PT": 120})

    seconds = [settings.quiet_times(m).quiet.total_seconds() for m in ((), ("CT",), ("CT", "PT"), ("CR", "CT"))]

    assert seconds == [60, 30, 120, 60]


def test_association_end_never_lengthens_the_quiet_time() -> None:
    """It only shortens it."""
    times = AssemblySettings(quiet_seconds=2, quiet_after_association_seconds=4).quiet_times(("CT",))

    assert times.after_association == times.quiet
