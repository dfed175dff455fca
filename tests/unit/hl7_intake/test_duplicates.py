"""The duplicate guard alone: its window, its bound, and what it learns afterwards."""

from datetime import timedelta

from overread.hl7_intake.duplicates import DuplicateGuard, Fresh, Repeat, ReusedControlId, Taken
from tests.builders.events import NOON

KEY = ("HIS", "BVX", "M1")
WINDOW = timedelta(hours=1)
FIRST = Taken("digest-1", "AA", NOON)


def a_guard(most_entries: int = 3) -> DuplicateGuard:
    return DuplicateGuard(WINDOW, most_entries)


def another(number: int) -> tuple[str, str, str]:
    return ("HIS", "BVX", f"M{number}")


def test_an_unknown_message_is_fresh() -> None:
    """Nothing is a repeat of nothing."""
    guard = a_guard()

    assert guard.judge(KEY, "digest-1", NOON) == Fresh()


def test_the_same_body_under_the_same_id_is_a_repeat_of_the_first() -> None:
    """DESIGN, Acknowledgment: a repeat gets its first answer again."""
    guard = a_guard()
    guard.remember(KEY, FIRST)

    verdict = guard.judge(KEY, "digest-1", NOON + timedelta(minutes=59))

    assert verdict == Repeat(FIRST)


def test_another_body_under_a_used_id_is_told_apart() -> None:
    """DESIGN, Acknowledgment: a reused ID with another body is not taken for the first message."""
    guard = a_guard()
    guard.remember(KEY, FIRST)

    assert guard.judge(KEY, "digest-2", NOON) == ReusedControlId()
    assert guard.judge(("HIS", "ELSEWHERE", "M1"), "digest-2", NOON) == Fresh()


def test_an_id_is_free_again_after_the_window() -> None:
    """Some senders begin their control IDs anew each day."""
    guard = a_guard()
    guard.remember(KEY, FIRST)

    assert guard.judge(KEY, "digest-2", NOON + WINDOW + timedelta(seconds=1)) == Fresh()


def test_the_oldest_gives_way_when_the_guard_is_full() -> None:
    """The guard is bounded: it may forget, it may not grow."""
    guard = a_guard(most_entries=3)

    for number in range(5):
        guard.remember(another(number), FIRST)

    assert len(guard) == 3
    assert guard.judge(another(1), "digest-1", NOON) == Fresh()
    assert guard.judge(another(2), "digest-1", NOON) == Repeat(FIRST)


def test_what_is_recalled_never_replaces_what_is_known() -> None:
    """The tail of the topic is older than what came since the start."""
    guard = a_guard()
    guard.remember(KEY, FIRST)

    guard.recall(KEY, Taken("digest-0", "AA", NOON - timedelta(minutes=5)))

    assert guard.judge(KEY, "digest-1", NOON) == Repeat(FIRST)


def test_what_is_recalled_gives_way_before_what_came_since() -> None:
    """Recalled newest first, the guard fills up with the newest and forgets the oldest first."""
    guard = a_guard(most_entries=3)
    guard.remember(another(9), FIRST)

    for number in (3, 2, 1):
        guard.recall(another(number), FIRST)
    guard.remember(another(10), FIRST)

    known = [number for number in (1, 2, 3, 9, 10) if guard.judge(another(number), "digest-1", NOON) != Fresh()]
    assert known == [3, 9, 10]
