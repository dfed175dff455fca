from datetime import datetime, timedelta
from typing import Any

from overread.assembly.completeness import Arrivals, Due, QuietTimes, judge
from overread.contracts.events.cases import CompletenessBasis
from tests.builders.events import NOON

TIMES = QuietTimes(quiet=timedelta(seconds=60), after_association=timedelta(seconds=4), hold_cap=timedelta(seconds=600))


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def some_arrivals(**changed: Any) -> Arrivals:
    """Return images that came within ten seconds, without any association."""
    known: dict[str, Any] = {"first_unread_at": NOON, "last_signal_at": at(10)}
    return Arrivals(**{**known, "open_associations": 0, "closed_associations": 0, **changed})


def test_without_a_signal_the_quiet_time_decides() -> None:
    """A store without associations says nothing of its end."""
    due = judge(some_arrivals(), TIMES)

    assert due == Due(at(70), CompletenessBasis.QUIET)


def test_end_of_every_association_shortens_the_wait_and_never_ends_it() -> None:
    """Some scanners open one association per series."""
    due = judge(some_arrivals(closed_associations=2), TIMES)

    assert due == Due(at(14), CompletenessBasis.QUIET_AFTER_ASSOCIATION)


def test_open_association_holds_the_study_up_to_the_cap() -> None:
    """An instance still arriving holds it, and nothing holds it for ever."""
    due = judge(some_arrivals(open_associations=1, closed_associations=3), TIMES)

    assert due == Due(at(600), CompletenessBasis.HOLD_CAP)


def test_cap_counts_from_the_first_unread_image() -> None:
    """Images that never stop don't put the reading off."""
    arrivals = some_arrivals(last_signal_at=at(599), closed_associations=1)

    due = judge(arrivals, TIMES)

    assert due == Due(at(600), CompletenessBasis.HOLD_CAP)


def test_quiet_time_that_ends_with_the_cap_is_quiet() -> None:
    """The cap speaks only when it decides."""
    due = judge(some_arrivals(last_signal_at=at(540)), TIMES)

    assert due == Due(at(600), CompletenessBasis.QUIET)


def test_a_list_all_of_which_is_here_ends_the_wait_soon() -> None:
    """A signal with a list completes when what it lists is a part of what we hold; an idle association holds nothing."""
    due = judge(some_arrivals(is_listed=True, is_final_list=True, open_associations=1), TIMES)

    assert due == Due(at(12), CompletenessBasis.LISTED)


def test_a_list_that_misses_an_image_holds_the_study_up_to_the_cap() -> None:
    """The modality knows of more than has come."""
    due = judge(some_arrivals(is_listed=True, missing=1, closed_associations=1), TIMES)

    assert due == Due(at(600), CompletenessBasis.HOLD_CAP)


def test_a_step_that_goes_on_takes_no_end_of_an_association_for_the_last() -> None:
    """A second procedure step of the study has not listed yet; quiet alone still ends the wait, since many never end."""
    due = judge(some_arrivals(is_listed=True, open_steps=1, closed_associations=1), TIMES)

    assert due == Due(at(70), CompletenessBasis.QUIET)


def test_a_request_for_commitment_is_no_last_word_while_images_may_come() -> None:
    """Some modalities ask for what they sent so far, on the association on which they go on."""
    going_on = judge(some_arrivals(is_listed=True, open_associations=1), TIMES)
    ended = judge(some_arrivals(is_listed=True, closed_associations=1), TIMES)

    assert going_on == Due(at(600), CompletenessBasis.HOLD_CAP)
    assert ended == Due(at(12), CompletenessBasis.LISTED)
