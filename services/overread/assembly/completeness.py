"""When a study is taken for whole. Pure: times are arguments, and they are the broker's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from overread.contracts.events.cases import CompletenessBasis


@dataclass(frozen=True, kw_only=True)
class QuietTimes:
    """How long nothing must have come: without a signal, after every association ended, with a list, and at most."""

    quiet: timedelta
    after_association: timedelta
    hold_cap: timedelta
    after_list: timedelta = timedelta(seconds=2)


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
    is_listed: bool = False
    is_final_list: bool = False
    missing: int = 0
    open_steps: int = 0


@dataclass(frozen=True)
class Due:
    """From when on the study is whole if nothing more comes, and by what sign."""

    at: datetime
    basis: CompletenessBasis


def judge(arrivals: Arrivals, times: QuietTimes) -> Due:
    """Return when the study may be read.

    A list made by the modality or the archive decides: the study is whole soon after all that it names is here, and
    waits for the rest up to the cap. Without one, the end of every association that brought images shortens the wait;
    it never ends it at once, since some scanners open one association per series. An association still open holds the
    study up to the cap. A procedure step that goes on takes no list and no association's end for the last.
    """
    cap = Due(arrivals.first_unread_at + times.hold_cap, CompletenessBasis.HOLD_CAP)
    due = _due(arrivals, times) or cap
    return due if due.at <= cap.at else cap


def _due(arrivals: Arrivals, times: QuietTimes) -> Due | None:
    """Return when the wait is over, None when only the cap ends it."""
    if arrivals.is_listed and arrivals.missing:
        return None
    is_last_word = arrivals.is_final_list or not arrivals.open_associations
    if arrivals.is_listed and is_last_word and not arrivals.open_steps:
        return Due(arrivals.last_signal_at + times.after_list, CompletenessBasis.LISTED)
    if arrivals.open_associations:
        return None
    if arrivals.closed_associations and not arrivals.open_steps:
        return Due(arrivals.last_signal_at + times.after_association, CompletenessBasis.QUIET_AFTER_ASSOCIATION)
    return Due(arrivals.last_signal_at + times.quiet, CompletenessBasis.QUIET)
