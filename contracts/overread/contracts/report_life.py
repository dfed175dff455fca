"""THE TABLE of a report's life: every state times every action. Code, database trigger and tests read it from here.

A cell is the next state (the same one: allowed, recorded, and the state stays), `REFUSED` (the actor is told why) or
`IGNORED` (recorded, nothing changes).
"""

from collections.abc import Mapping
from enum import StrEnum

from overread.contracts.errors import OverreadError


class ReportState(StrEnum):
    """Where one revision of a report is."""

    DRAFTED = "drafted"
    IN_REVIEW = "in_review"
    REJECTED = "rejected"
    SIGNED = "signed"
    HELD = "held"
    FINAL = "final"
    REPLACED = "replaced"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class ReportAction(StrEnum):
    """What can happen to it."""

    CLAIM = "claim"
    RELEASE = "release"
    CLAIM_EXPIRED = "claim_expired"
    REJECT = "reject"
    SIGN = "sign"
    RESUBMIT = "resubmit"
    GATE_RELEASED = "gate_released"
    GATE_HELD = "gate_held"
    HOLD = "hold"
    CONFIRM_AGAIN = "confirm_again"
    RELEASE_HELD = "release_held"
    SUPERSEDE = "supersede"
    WITHDRAW = "withdraw"
    SIGN_WITHDRAWAL = "sign_withdrawal"
    NEXT_REVISION_SIGNED = "next_revision_signed"
    READ_ELSEWHERE = "read_elsewhere"


class Answer(StrEnum):
    """What a cell says when it names no state."""

    REFUSED = "refused"
    IGNORED = "ignored"


REFUSED, IGNORED = Answer.REFUSED, Answer.IGNORED
_S, _A = ReportState, ReportAction

Cell = ReportState | Answer

_CLOSED: Mapping[ReportAction, Cell] = {
    _A.CLAIM: REFUSED,
    _A.RELEASE: REFUSED,
    _A.CLAIM_EXPIRED: IGNORED,
    _A.REJECT: REFUSED,
    _A.SIGN: REFUSED,
    _A.RESUBMIT: REFUSED,
    _A.GATE_RELEASED: IGNORED,
    _A.GATE_HELD: IGNORED,
    _A.HOLD: IGNORED,
    _A.CONFIRM_AGAIN: REFUSED,
    _A.RELEASE_HELD: REFUSED,
    _A.SUPERSEDE: IGNORED,
    _A.WITHDRAW: IGNORED,
    _A.SIGN_WITHDRAWAL: REFUSED,
    _A.NEXT_REVISION_SIGNED: IGNORED,
    _A.READ_ELSEWHERE: IGNORED,
}
"""A revision that has ended: nothing opens it again."""

TABLE: Mapping[ReportState, Mapping[ReportAction, Cell]] = {
    _S.DRAFTED: {
        _A.CLAIM: _S.IN_REVIEW,
        _A.RELEASE: REFUSED,
        _A.CLAIM_EXPIRED: IGNORED,
        _A.REJECT: REFUSED,
        _A.SIGN: REFUSED,
        _A.RESUBMIT: REFUSED,
        _A.GATE_RELEASED: IGNORED,
        _A.GATE_HELD: IGNORED,
        _A.HOLD: IGNORED,
        _A.CONFIRM_AGAIN: REFUSED,
        _A.RELEASE_HELD: REFUSED,
        _A.SUPERSEDE: _S.SUPERSEDED,
        _A.WITHDRAW: _S.WITHDRAWN,
        _A.SIGN_WITHDRAWAL: REFUSED,
        _A.NEXT_REVISION_SIGNED: _S.SUPERSEDED,
        _A.READ_ELSEWHERE: _S.SUPERSEDED,
    },
    _S.IN_REVIEW: {
        _A.CLAIM: REFUSED,
        _A.RELEASE: _S.DRAFTED,
        _A.CLAIM_EXPIRED: _S.DRAFTED,
        _A.REJECT: _S.REJECTED,
        _A.SIGN: _S.SIGNED,
        _A.RESUBMIT: REFUSED,
        _A.GATE_RELEASED: IGNORED,
        _A.GATE_HELD: IGNORED,
        _A.HOLD: IGNORED,
        _A.CONFIRM_AGAIN: REFUSED,
        _A.RELEASE_HELD: REFUSED,
        _A.SUPERSEDE: _S.SUPERSEDED,
        _A.WITHDRAW: _S.WITHDRAWN,
        _A.SIGN_WITHDRAWAL: REFUSED,
        _A.NEXT_REVISION_SIGNED: _S.SUPERSEDED,
        _A.READ_ELSEWHERE: _S.SUPERSEDED,
    },
    _S.REJECTED: {
        _A.CLAIM: _S.IN_REVIEW,
        _A.RELEASE: REFUSED,
        _A.CLAIM_EXPIRED: IGNORED,
        _A.REJECT: REFUSED,
        _A.SIGN: REFUSED,
        _A.RESUBMIT: REFUSED,
        _A.GATE_RELEASED: IGNORED,
        _A.GATE_HELD: IGNORED,
        _A.HOLD: IGNORED,
        _A.CONFIRM_AGAIN: REFUSED,
        _A.RELEASE_HELD: REFUSED,
        _A.SUPERSEDE: _S.SUPERSEDED,
        _A.WITHDRAW: _S.WITHDRAWN,
        _A.SIGN_WITHDRAWAL: REFUSED,
        _A.NEXT_REVISION_SIGNED: _S.SUPERSEDED,
        _A.READ_ELSEWHERE: _S.SUPERSEDED,
    },
    _S.SIGNED: {
        _A.CLAIM: REFUSED,
        _A.RELEASE: REFUSED,
        _A.CLAIM_EXPIRED: IGNORED,
        _A.REJECT: REFUSED,
        _A.SIGN: REFUSED,
        _A.RESUBMIT: _S.SIGNED,
        _A.GATE_RELEASED: _S.FINAL,
        _A.GATE_HELD: _S.HELD,
        _A.HOLD: _S.HELD,
        _A.CONFIRM_AGAIN: REFUSED,
        _A.RELEASE_HELD: REFUSED,
        _A.SUPERSEDE: IGNORED,
        _A.WITHDRAW: REFUSED,
        _A.SIGN_WITHDRAWAL: REFUSED,
        _A.NEXT_REVISION_SIGNED: IGNORED,
        _A.READ_ELSEWHERE: IGNORED,  # what a clinician signed stays signed
    },
    _S.HELD: {
        _A.CLAIM: REFUSED,
        _A.RELEASE: REFUSED,
        _A.CLAIM_EXPIRED: IGNORED,
        _A.REJECT: REFUSED,
        _A.SIGN: REFUSED,
        _A.RESUBMIT: _S.HELD,
        _A.GATE_RELEASED: _S.FINAL,  # the gate had let it out before it heard of the hold
        _A.GATE_HELD: IGNORED,
        _A.HOLD: IGNORED,
        _A.CONFIRM_AGAIN: _S.IN_REVIEW,
        _A.RELEASE_HELD: _S.SIGNED,  # the gate judges it anew: a person lets nothing out alone
        _A.SUPERSEDE: IGNORED,
        _A.WITHDRAW: _S.WITHDRAWN,
        _A.SIGN_WITHDRAWAL: REFUSED,
        _A.NEXT_REVISION_SIGNED: _S.WITHDRAWN,
        _A.READ_ELSEWHERE: IGNORED,  # a person decides about a held report, whoever else has read
    },
    _S.FINAL: {
        _A.CLAIM: REFUSED,
        _A.RELEASE: REFUSED,
        _A.CLAIM_EXPIRED: IGNORED,
        _A.REJECT: REFUSED,
        _A.SIGN: REFUSED,
        _A.RESUBMIT: REFUSED,
        _A.GATE_RELEASED: IGNORED,
        _A.GATE_HELD: IGNORED,
        _A.HOLD: IGNORED,
        _A.CONFIRM_AGAIN: REFUSED,
        _A.RELEASE_HELD: REFUSED,
        _A.SUPERSEDE: IGNORED,  # a late image raises a task, it never undoes a final
        _A.WITHDRAW: REFUSED,
        _A.SIGN_WITHDRAWAL: _S.WITHDRAWN,
        _A.NEXT_REVISION_SIGNED: _S.REPLACED,
        _A.READ_ELSEWHERE: IGNORED,
    },
    _S.REPLACED: _CLOSED,
    _S.SUPERSEDED: _CLOSED,
    # A withdrawal is put before the gate like a report, and its event may be set aside on the way.
    _S.WITHDRAWN: {**_CLOSED, _A.RESUBMIT: _S.WITHDRAWN},
}

NEEDS_SIGNATURE: frozenset[ReportState] = frozenset({_S.SIGNED, _S.FINAL})
"""A row may enter these states only while its signature row exists (the database trigger demands it)."""

OPENING_STATE = ReportState.DRAFTED


class TransitionRefused(OverreadError):
    """The report's state does not allow this."""

    def __init__(self, state: ReportState, action: ReportAction) -> None:
        super().__init__(f"a report that is {state.value} does not take {action.value}")
        self.state = state
        self.action = action


def next_state(state: ReportState, action: ReportAction) -> ReportState | None:
    """Return the state after `action`, None when it is to be ignored and recorded; raise `TransitionRefused`."""
    match TABLE[state][action]:
        case ReportState() as following:
            return following
        case Answer.IGNORED:
            return None
        case Answer.REFUSED:
            raise TransitionRefused(state, action)


def allowed_pairs() -> tuple[tuple[ReportState, ReportState], ...]:
    """Return every (state, next state) that the table allows, for the database trigger."""
    pairs = {(state, cell) for state, row in TABLE.items() for cell in row.values() if isinstance(cell, ReportState)}
    return tuple(sorted(pairs))
