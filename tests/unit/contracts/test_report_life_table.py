"""The table of a report's life is full, and says what DESIGN says."""

import pytest

from overread.contracts.report_life import (
    IGNORED,
    REFUSED,
    TABLE,
    ReportAction,
    ReportState,
    TransitionRefused,
    allowed_pairs,
    next_state,
)

S, A = ReportState, ReportAction


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("action", A)
def test_table_answers_every_state_and_action(state: ReportState, action: ReportAction) -> None:
    """A missing cell is an error, never a silent pass."""
    cell = TABLE[state][action]

    assert isinstance(cell, ReportState) or cell in {REFUSED, IGNORED}


MAIN_WAYS = [
    (S.DRAFTED, A.CLAIM, S.IN_REVIEW),
    (S.IN_REVIEW, A.SIGN, S.SIGNED),
    (S.SIGNED, A.GATE_RELEASED, S.FINAL),
    (S.IN_REVIEW, A.RELEASE, S.DRAFTED),
    (S.IN_REVIEW, A.CLAIM_EXPIRED, S.DRAFTED),
    (S.IN_REVIEW, A.REJECT, S.REJECTED),
    (S.REJECTED, A.CLAIM, S.IN_REVIEW),
    *[(state, A.SUPERSEDE, S.SUPERSEDED) for state in (S.DRAFTED, S.IN_REVIEW, S.REJECTED)],
    *[(state, A.WITHDRAW, S.WITHDRAWN) for state in (S.DRAFTED, S.IN_REVIEW, S.REJECTED, S.HELD)],
    (S.SIGNED, A.HOLD, S.HELD),
    (S.SIGNED, A.GATE_HELD, S.HELD),
    (S.HELD, A.CONFIRM_AGAIN, S.IN_REVIEW),
    (S.HELD, A.RELEASE_HELD, S.SIGNED),
    (S.SIGNED, A.RESUBMIT, S.SIGNED),
    (S.HELD, A.RESUBMIT, S.HELD),
    (S.FINAL, A.NEXT_REVISION_SIGNED, S.REPLACED),
    (S.FINAL, A.SIGN_WITHDRAWAL, S.WITHDRAWN),
    *[(state, A.READ_ELSEWHERE, S.SUPERSEDED) for state in (S.DRAFTED, S.IN_REVIEW, S.REJECTED)],
    *[(state, A.READ_ELSEWHERE, None) for state in (S.SIGNED, S.HELD, S.FINAL)],
]


@pytest.mark.parametrize(("state", "action", "following"), MAIN_WAYS)
def test_table_goes_the_ways_of_the_design(
    state: ReportState, action: ReportAction, following: ReportState | None
) -> None:
    """DESIGN, Life of a report."""
    assert next_state(state, action) is following


def test_only_the_gate_makes_a_report_final() -> None:
    """A person may ask the gate again; no person's word is a release (promise 3)."""
    ways = {action for row in TABLE.values() for action, cell in row.items() if cell is S.FINAL}

    assert ways == {A.GATE_RELEASED}


def test_signing_is_possible_only_in_review() -> None:
    """A report is signed by who has claimed it and sees it."""
    assert [state for state in S if TABLE[state][A.SIGN] is not REFUSED] == [S.IN_REVIEW]


def test_a_final_report_can_be_withdrawn_only_by_signature() -> None:
    """Withdrawing a final needs a signature too (promise 3)."""
    with pytest.raises(TransitionRefused, match="final does not take withdraw"):
        next_state(S.FINAL, A.WITHDRAW)


def test_a_late_image_never_undoes_a_signed_report() -> None:
    """It raises a task that a clinician answers."""
    assert next_state(S.SIGNED, A.SUPERSEDE) is None
    assert next_state(S.FINAL, A.SUPERSEDE) is None


def test_a_refusal_says_state_and_action_and_no_more() -> None:
    """Errors explain themselves, and hold no patient data."""
    with pytest.raises(TransitionRefused) as refused:
        next_state(S.DRAFTED, A.SIGN)

    assert str(refused.value) == "a report that is drafted does not take sign"
    assert (refused.value.state, refused.value.action) == (S.DRAFTED, A.SIGN)


def test_pairs_for_the_database_are_those_of_the_table() -> None:
    """The trigger is made from the table, so they can't disagree."""
    pairs = allowed_pairs()

    assert (S.IN_REVIEW, S.SIGNED) in pairs
    assert (S.DRAFTED, S.FINAL) not in pairs
    assert (S.IN_REVIEW, S.FINAL) not in pairs
    assert len(pairs) == len(set(pairs))
