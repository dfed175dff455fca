import pytest

from overread.contracts.report_life import ReportState
from overread.review.views import Act, allowed_actions
from tests.unit.review.test_sign_off import a_claimed_revision, a_reader


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ReportState.DRAFTED, [Act.CLAIM, Act.WITHDRAW]),
        (ReportState.IN_REVIEW, [Act.RELEASE, Act.REJECT, Act.SIGN, Act.WITHDRAW]),
        (ReportState.REJECTED, [Act.CLAIM, Act.WITHDRAW]),
        (ReportState.SIGNED, [Act.RESUBMIT]),
        (ReportState.HELD, [Act.RESUBMIT]),
        (ReportState.FINAL, [Act.WITHDRAW_FINAL]),
        (ReportState.WITHDRAWN, []),
    ],
)
def test_reader_is_offered_what_the_table_allows(state: ReportState, expected: list[Act]) -> None:
    """What is offered is what will be done."""
    assert allowed_actions(a_claimed_revision(state=state), a_reader()) == expected


def test_held_report_is_decided_once_the_gate_has_answered() -> None:
    """Before that it may be out already."""
    answered = a_claimed_revision(state=ReportState.HELD, gate_verdict="held")

    assert allowed_actions(answered, a_reader()) == [Act.CONFIRM_AGAIN, Act.RELEASE_HELD, Act.WITHDRAW]


def test_reader_is_not_offered_what_another_claimed() -> None:
    """Release, reject and sign are the claimant's."""
    assert allowed_actions(a_claimed_revision(claimed_by="dr.other"), a_reader()) == [Act.WITHDRAW]


def test_reader_without_entitlement_is_offered_no_signature() -> None:
    """Reading is not signing."""
    resident = a_reader(entitlements=frozenset())

    assert allowed_actions(a_claimed_revision(), resident) == [Act.RELEASE, Act.REJECT]
