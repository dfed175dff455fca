"""When a study is taken for whole. Pure: times are arguments, and they are the broker's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from overread.contracts.events.cases import CompletenessBasis


@dataclass(frozen=True, kw_only=True)
class QuietTimes:
    """How long nothing must have come: without a signal, after every association ended, and at most."""

    quiet: timedelta
    after_association: timedelta
    hold_cap: timedelta


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What a study's images and associations have shown so far.

    `last_signal_at` is the later of the last image and the last association end; `first_unread_at` is when the first
    image came that no complete revision holds yet.
    """

    first_unread_at: datetime
    last_signal_at: datetime
    open_associations: int
    closed_associations: int


@dataclass(frozen=True)
class Due:
    """From when on the study is whole if nothing more comes, and by what sign."""

    at: datetime
    basis: CompletenessBasis


def judge(arrivals: Arrivals, times: QuietTimes) -> Due:
    """Return when the study may be read.

    The end of every association that brought images shortens the wait; it never ends it at once, since some scanners
    open one association per series. An association still open holds the study up to the cap.
    """
    cap = Due(arrivals.first_unread_at + times.hold_cap, CompletenessBasis.HOLD_CAP)
    if arrivals.open_associations:
        return cap
    if arrivals.closed_associations:
        due = Due(arrivals.last_signal_at + times.after_association, CompletenessBasis.QUIET_AFTER_ASSOCIATION)
    else:
        due = Due(arrivals.last_signal_at + times.quiet, CompletenessBasis.QUIET)
    return due if due.at <= cap.at else cap
