"""Nothing is final unsigned, on any way through the table (promise 3, first guard)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from overread.contracts.report_life import (
    NEEDS_SIGNATURE,
    OPENING_STATE,
    TABLE,
    ReportAction,
    ReportState,
    TransitionRefused,
    allowed_pairs,
    next_state,
)

S, A = ReportState, ReportAction
actions = st.lists(st.sampled_from(ReportAction), max_size=40)
after_signing = {S.SIGNED, S.HELD, S.FINAL, S.REPLACED}
"""States that only a signed revision can be in (`withdrawn` can be both)."""


def walked(path: list[ReportAction]) -> list[tuple[ReportAction, ReportState, ReportState]]:
    """Return each step that changed the state, walking `path` from the opening state."""
    state, steps = OPENING_STATE, []
    for action in path:
        try:
            following = next_state(state, action)
        except TransitionRefused:
            continue
        if following is not None:
            steps.append((action, state, following))
            state = following
    return steps


@given(path=actions)
def test_no_way_leads_to_a_signed_state_without_signing(path: list[ReportAction]) -> None:
    """REQ-REV-01: the state table itself lets nobody past the clinician."""
    signed = False

    for action, _, state in walked(path):
        signed = (signed or action is A.SIGN) and state is not S.IN_REVIEW

        assert signed or state not in after_signing


@given(path=actions)
def test_a_re_opened_report_needs_a_new_signature(path: list[ReportAction]) -> None:
    """Held and confirmed again means reviewed again: the old signature does not carry over."""
    steps = walked(path)

    for earlier, later in pairwise(steps):
        if earlier[0] is A.CONFIRM_AGAIN:
            assert later[2] is not S.FINAL


@given(path=actions)
def test_what_has_ended_stays_ended(path: list[ReportAction]) -> None:
    """Nothing re-opens a replaced, superseded or withdrawn revision."""
    ended = [state for _, _, state in walked(path) if state in {S.REPLACED, S.SUPERSEDED, S.WITHDRAWN}]

    assert len(set(ended)) <= 1


@given(path=actions)
def test_a_final_leaves_only_by_a_signature(path: list[ReportAction]) -> None:
    """A final is replaced when the next revision is signed, withdrawn by a signed withdrawal, and by nothing else."""
    for action, state, following in walked(path):
        if state is S.FINAL:
            assert (action, following) in {
                (A.NEXT_REVISION_SIGNED, S.REPLACED),
                (A.SIGN_WITHDRAWAL, S.WITHDRAWN),
            }


@given(path=actions)
def test_every_step_is_a_pair_that_the_database_trigger_allows(path: list[ReportAction]) -> None:
    """Code and database read the same table."""
    assert {(state, following) for _, state, following in walked(path)} <= set(allowed_pairs())


def test_exhaustively_every_reachable_signed_state_has_sign_before_it() -> None:
    """Not by chance only: all states reachable while the SIGN action is taken out of the table."""
    reachable, waiting = {OPENING_STATE}, [OPENING_STATE]
    while waiting:
        row = TABLE[waiting.pop()]
        found = {cell for action, cell in row.items() if action is not A.SIGN and isinstance(cell, ReportState)}
        waiting += found - reachable
        reachable |= found

    assert reachable.isdisjoint(after_signing)
    assert reachable.isdisjoint(NEEDS_SIGNATURE)
    assert reachable == {S.DRAFTED, S.IN_REVIEW, S.REJECTED, S.SUPERSEDED, S.WITHDRAWN}
