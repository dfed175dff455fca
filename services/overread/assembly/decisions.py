"""What a person decided about an order and a study, and how matching obeys it for ever after. Pure.

A person's decision outlives messages (ADR 0020): what comes later never overturns it; where it speaks against it, the
desk says so, and a person decides again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from overread.assembly import matching
from overread.assembly.seen_patients import Persons

AGREES = "numbers and patient agree"
NO_NUMBER = "no number agrees"
ATTACHED_BUT = "a person attached this order to the study; since then: "
OTHERS_ATTACHED = "a person attached an order of another patient to this study"
OTHERS_LINKED = "an order of another patient belongs to this study"
TWO_PATIENTS = "orders of two patients name this study"
APART_BUT = "a person kept this order apart from the study; since then numbers and patient agree"


class DecisionKind(StrEnum):
    """What a person may decide."""

    ATTACH = "attach"
    KEEP_APART = "keep_apart"
    DETACH = "detach"
    DISMISS = "dismiss"
    UNDO = "undo"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision as it was kept; `number` grows with each."""

    decision_id: UUID
    number: int
    kind: DecisionKind
    case_id: UUID | None
    order_id: UUID | None
    entry_kind: str
    entry_subject: str
    entry_reason: str
    decided_by: str
    decided_at: datetime
    reason: str
    seen: dict[str, Any]
    undoes: UUID | None
    is_undone: bool

    @property
    def attaches(self) -> bool:
        """Say whether order and study belong together by it; else they never do."""
        return self.kind is DecisionKind.ATTACH

    @property
    def seen_verdict(self) -> str:
        """Return what matching said of the pair when the person decided."""
        return str(self.seen.get("verdict", ""))

    @property
    def seen_persons(self) -> dict[str, Any]:
        """Return whom the person saw, as digests; empty of decisions from before that was kept."""
        return dict(self.seen.get("persons") or {})


def verdict_of(matched: matching.Decision) -> str:
    """Return what matching says of a pair, in the words that are kept with a decision."""
    match matched:
        case matching.Link():
            return AGREES
        case matching.ToTheDesk(reason=reason):
            return reason
        case matching.NoMatch():
            return NO_NUMBER


def obeying(standing: Decision | None, matched: matching.Decision, persons: Persons | None = None) -> matching.Decision:
    """Return what is to be done about a pair: what a person decided, else what matching says.

    An order that is cancelled later stays attached, as one that linked itself does.
    """
    if standing is None:
        return matched
    if not standing.attaches:
        said = verdict_of(matched)
        doubt = APART_BUT if said == AGREES != standing.seen_verdict else ""
        return matching.NoMatch(matched.order_id, doubt)
    is_on_hold = isinstance(matched, matching.Link) and matched.is_on_hold
    doubt = _doubt_since(standing, verdict_of(matched), persons or Persons())
    return matching.Link(matched.order_id, is_on_hold, ATTACHED_BUT + doubt if doubt else "")


def _doubt_since(attached: Decision, said: str, persons: Persons) -> str:
    """Return what speaks against an attachment and was not seen: of the patients first, whatever the numbers say."""
    if doubt := persons.doubt_since(attached.seen_persons):
        return doubt
    seen = {attached.seen_verdict, attached.seen_persons.get("conflict")}
    return "" if said in {AGREES, matching.CANCELLED_BEFORE, *seen} else said
