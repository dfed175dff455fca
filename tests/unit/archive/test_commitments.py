"""For which instances we vouch (PS3.4, J.3.3; PS3.3, C.14.1.1)."""

from datetime import timedelta

from overread.archive.commitments import GRACE, Failed, FailureReason, is_settled, judge, next_try
from overread.protocols.dicom.announced import ReferencedSop
from tests.builders.events import NOON

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
FIRST, SECOND = ReferencedSop(CT, "1.2.1"), ReferencedSop(CT, "1.2.2")


def test_what_is_kept_under_the_class_that_was_named_is_vouched_for() -> None:
    """An instance that we don't hold, or hold as another class, is named with its reason."""
    failed = judge([FIRST, SECOND], {"1.2.1": CT})
    other_class = judge([FIRST], {"1.2.1": MR})

    assert failed == [Failed(SECOND, FailureReason.NO_SUCH_OBJECT_INSTANCE)]
    assert other_class == [Failed(FIRST, FailureReason.CLASS_INSTANCE_CONFLICT)]


def test_what_is_missing_has_a_while_to_come() -> None:
    """Its images may still be on their way when a modality asks; what conflicts won't get better."""
    missing, conflicting = judge([FIRST], {}), judge([FIRST], {"1.2.1": MR})

    assert not is_settled(missing, NOON, NOON + GRACE - timedelta(seconds=1))
    assert is_settled(missing, NOON, NOON + GRACE)
    assert is_settled(conflicting, NOON, NOON)
    assert is_settled([], NOON, NOON)


def test_a_peer_that_does_not_answer_is_told_again_ever_later() -> None:
    """Seconds at first, an hour at most."""
    waits = [next_try(attempts) for attempts in (0, 1, 5, 30)]

    assert waits == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=32), timedelta(hours=1)]
