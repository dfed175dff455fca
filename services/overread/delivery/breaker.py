"""When a destination that fails again and again is left alone: opened by failures in a row, closed by one success."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class BreakerState(StrEnum):
    """`closed`: messages leave. `open`: nothing is tried until the next probe. `half_open`: the probe is under way."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Happening(StrEnum):
    """What the sender of a destination tells its breaker."""

    ANSWERED = "answered"
    FAILED = "failed"
    FAILED_TOO_OFTEN = "failed_too_often"
    PROBE_IS_DUE = "probe_is_due"


TRANSITIONS: dict[tuple[BreakerState, Happening], BreakerState] = {
    (BreakerState.CLOSED, Happening.ANSWERED): BreakerState.CLOSED,
    (BreakerState.CLOSED, Happening.FAILED): BreakerState.CLOSED,
    (BreakerState.CLOSED, Happening.FAILED_TOO_OFTEN): BreakerState.OPEN,
    (BreakerState.CLOSED, Happening.PROBE_IS_DUE): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, Happening.ANSWERED): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, Happening.FAILED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, Happening.FAILED_TOO_OFTEN): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, Happening.PROBE_IS_DUE): BreakerState.HALF_OPEN,
    (BreakerState.OPEN, Happening.ANSWERED): BreakerState.CLOSED,
    (BreakerState.OPEN, Happening.FAILED): BreakerState.OPEN,
    (BreakerState.OPEN, Happening.FAILED_TOO_OFTEN): BreakerState.OPEN,
    (BreakerState.OPEN, Happening.PROBE_IS_DUE): BreakerState.HALF_OPEN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """The state of one destination's way: how many failures in a row, since when, and the last reason."""

    failures_to_open: int = 8
    probe_seconds: float = 30.0
    state: BreakerState = BreakerState.CLOSED
    failures: int = 0
    since: datetime | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Say whether the destination is left alone until the next probe."""
        return self.state is BreakerState.OPEN

    def failed(self, reason: str, now: datetime) -> "Breaker":
        """Return it after a failure: no connection, or no answer. A refusal is an answer."""
        failures = self.failures + 1
        happening = Happening.FAILED_TOO_OFTEN if failures >= self.failures_to_open else Happening.FAILED
        return replace(self._after(happening, now), failures=failures, reason=reason)

    def answered(self, now: datetime) -> "Breaker":
        """Return it after an answer, of whatever kind."""
        return replace(self._after(Happening.ANSWERED, now), failures=0, reason="")

    def probing(self, now: datetime) -> "Breaker":
        """Return it when the pause is over and the next try begins."""
        return self._after(Happening.PROBE_IS_DUE, now)

    def _after(self, happening: Happening, now: datetime) -> "Breaker":
        state = TRANSITIONS[self.state, happening]
        return self if state is self.state else replace(self, state=state, since=now)
