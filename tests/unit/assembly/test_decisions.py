"""What a person decided, and what matching says later."""

from typing import Any
from uuid import uuid4

import pytest

from overread.assembly import matching
from overread.assembly.decisions import AGREES, APART_BUT, ATTACHED_BUT, NO_NUMBER, Decision, DecisionKind, obeying
from tests.builders.events import CASE_ID, NOON, ORDER_ID

LINK, NO_MATCH = matching.Link(ORDER_ID), matching.NoMatch(ORDER_ID)
CONFLICT = matching.ToTheDesk(ORDER_ID, "names differ")


def a_decision(kind: DecisionKind, seen: str) -> Decision:
    """Return what a person decided when matching said `seen`."""
    known: dict[str, Any] = {"entry_kind": "", "entry_subject": "", "entry_reason": "", "undoes": None}
    return Decision(
        decision_id=uuid4(),
        number=1,
        kind=kind,
        case_id=CASE_ID,
        order_id=ORDER_ID,
        decided_by="desk.test",
        decided_at=NOON,
        reason="why",
        seen={"verdict": seen},
        is_undone=False,
        **known,
    )


@pytest.mark.parametrize("matched", [LINK, NO_MATCH, CONFLICT])
def test_without_a_decision_matching_has_its_way(matched: matching.Decision) -> None:
    """REQ-DSK-04."""
    assert obeying(None, matched) is matched


@pytest.mark.parametrize("kind", [DecisionKind.KEEP_APART, DecisionKind.DETACH])
@pytest.mark.parametrize("matched", [LINK, NO_MATCH, CONFLICT])
def test_order_kept_apart_never_links(kind: DecisionKind, matched: matching.Decision) -> None:
    """REQ-DSK-04: whatever comes."""
    assert isinstance(obeying(a_decision(kind, "names differ"), matched), matching.NoMatch)


@pytest.mark.parametrize("matched", [LINK, NO_MATCH, CONFLICT])
def test_attached_order_stays_linked(matched: matching.Decision) -> None:
    """REQ-DSK-04: whatever comes."""
    assert isinstance(obeying(a_decision(DecisionKind.ATTACH, NO_NUMBER), matched), matching.Link)


@pytest.mark.parametrize(
    ("kind", "seen", "matched", "doubt"),
    [
        (DecisionKind.ATTACH, "names differ", CONFLICT, ""),
        (DecisionKind.ATTACH, NO_NUMBER, CONFLICT, f"{ATTACHED_BUT}names differ"),
        (DecisionKind.ATTACH, AGREES, NO_MATCH, ATTACHED_BUT + NO_NUMBER),
        (DecisionKind.ATTACH, NO_NUMBER, LINK, ""),
        (DecisionKind.ATTACH, AGREES, matching.ToTheDesk(ORDER_ID, matching.CANCELLED_BEFORE), ""),
        (DecisionKind.DETACH, AGREES, LINK, ""),
        (DecisionKind.KEEP_APART, "names differ", LINK, APART_BUT),
        (DecisionKind.KEEP_APART, NO_NUMBER, CONFLICT, ""),
    ],
)
def test_desk_hears_what_speaks_against_a_decision_and_was_not_seen(
    kind: DecisionKind, seen: str, matched: matching.Decision, doubt: str
) -> None:
    """REQ-DSK-04: what the person saw when they decided is no news."""
    done = obeying(a_decision(kind, seen), matched)

    assert isinstance(done, matching.Link | matching.NoMatch)
    assert done.doubt == doubt


def test_attached_order_on_hold_is_shown_as_on_hold() -> None:
    """A person's decision takes nothing from what the order's sender says of it."""
    done = obeying(a_decision(DecisionKind.ATTACH, AGREES), matching.Link(ORDER_ID, is_on_hold=True))

    assert isinstance(done, matching.Link)
    assert done.for_the_desk == matching.ON_HOLD
