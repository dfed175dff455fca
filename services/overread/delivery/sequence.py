"""Which message may follow which at one destination: a lower (revision, status) never follows a higher."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What a message says of its revision: each form has its own words for it.

    The letters are those of HL7 v2 (table HL70123; W is of table HL70085). `W` takes back what was final, by a
    clinician's signature; `X` takes back what nobody had signed.
    """

    UNVERIFIED = "R"
    PRELIMINARY = "P"
    FINAL = "F"
    CORRECTED = "C"
    CANCELLED = "X"
    WITHDRAWN = "W"

    @property
    def is_signed(self) -> bool:
        """True where a named clinician stands behind what is said."""
        return self in (Status.FINAL, Status.CORRECTED, Status.WITHDRAWN)

    @property
    def is_unconfirmed(self) -> bool:
        """True where the message must say that no clinician has confirmed it."""
        return self in (Status.UNVERIFIED, Status.PRELIMINARY)

    @property
    def takes_back(self) -> bool:
        """True where the message says that an earlier one does not hold."""
        return self in (Status.CANCELLED, Status.WITHDRAWN)


RANK: dict[Status, int] = {
    Status.UNVERIFIED: 0,
    Status.PRELIMINARY: 1,
    Status.FINAL: 2,
    Status.CORRECTED: 3,
    Status.CANCELLED: 4,
    Status.WITHDRAWN: 5,
}
"""The order in which one revision may move on; X closes a revision that was never final, W one that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A message that a destination got or is about to get; `was_refused` when it would not take it."""

    report_revision: int
    status: Status
    was_refused: bool = False
    form: str = ""
    message_control_id: str = ""

    @property
    def rank(self) -> tuple[int, int]:
        """Return what is compared: the revision, then how far its status is."""
        return self.report_revision, RANK[self.status]


def may_follow(earlier: Iterable[Position], following: Position) -> bool:
    """Say whether `following` may go to a destination that has the messages `earlier` of the same report.

    An unread result never follows a verified one, of whatever revision; X only takes back what was never final
    (HL7 v2.5.1, OBX-11: after a final only C or W); nothing follows X or W in its own revision.
    """
    return all(_may_follow(before, following) for before in earlier)


def _may_follow(before: Position, following: Position) -> bool:
    if before.status.is_signed and not following.status.is_signed:
        return False
    return before.rank < following.rank


def verified_status(earlier: Iterable[Position]) -> Status:
    """Return C when the destination has taken an earlier final, or may still take it; otherwise F."""
    return Status.CORRECTED if shows_final(earlier) else Status.FINAL


def shows_final(earlier: Iterable[Position]) -> bool:
    """Say whether the destination has taken a signed result, or may still take it."""
    return any(before.status.is_signed and not before.was_refused for before in earlier)


def must_take_back(earlier: Iterable[Position], withdrawn_revision: int) -> bool:
    """Say whether the destination shows an unread result that a withdrawal must take back."""
    every = tuple(earlier)
    shown = [before for before in every if not before.was_refused]
    taking_back = Position(report_revision=withdrawn_revision, status=Status.CANCELLED)
    return bool(shown) and _newest(shown).status.is_unconfirmed and may_follow(every, taking_back)


def _newest(positions: list[Position]) -> Position:
    return max(positions, key=lambda position: position.rank)
