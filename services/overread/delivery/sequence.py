"""Which message may follow which at one destination: a lower (revision, status) never follows a higher."""

from collections.abc import Iterable
from dataclasses import dataclass

from overread.protocols.hl7.oru_content import ResultStatus

RANK: dict[ResultStatus, int] = {
    ResultStatus.STORED_NOT_VERIFIED: 0,
    ResultStatus.PRELIMINARY: 1,
    ResultStatus.FINAL: 2,
    ResultStatus.CORRECTED: 3,
    ResultStatus.CANCELLED: 4,
}
"""The order in which one revision may move on; X closes a revision that was never final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A message that a destination got or is about to get; `was_refused` when it would not take it."""

    report_revision: int
    status: ResultStatus
    was_refused: bool = False

    @property
    def rank(self) -> tuple[int, int]:
        """Return what is compared: the revision, then how far its status is."""
        return self.report_revision, RANK[self.status]


def may_follow(earlier: Iterable[Position], following: Position) -> bool:
    """Say whether `following` may go to a destination that has the messages `earlier` of the same report.

    An unread result never follows a verified one, of whatever revision; X only takes back what was never final
    (HL7 v2.5.1, OBX-11: after a final only C or W); nothing follows X in its own revision.
    """
    return all(_may_follow(before, following) for before in earlier)


def _may_follow(before: Position, following: Position) -> bool:
    if before.status.is_signed and not following.status.is_signed:
        return False
    return before.rank < following.rank


def verified_status(earlier: Iterable[Position]) -> ResultStatus:
    """Return C when the destination has taken an earlier final, or may still take it; otherwise F."""
    has_final = any(before.status.is_signed and not before.was_refused for before in earlier)
    return ResultStatus.CORRECTED if has_final else ResultStatus.FINAL


def must_take_back(earlier: Iterable[Position], withdrawn_revision: int) -> bool:
    """Say whether the destination shows an unread result that a withdrawal must take back."""
    every = tuple(earlier)
    shown = [before for before in every if not before.was_refused]
    taking_back = Position(report_revision=withdrawn_revision, status=ResultStatus.CANCELLED)
    return bool(shown) and _newest(shown).status.is_unconfirmed and may_follow(every, taking_back)


def _newest(positions: list[Position]) -> Position:
    return max(positions, key=lambda position: position.rank)
