"""One line in the log for a burst of the same event: who floods a link must not fill the disk with lines."""

from overread.runtime.telemetry import log

QUIET_SECONDS = 10.0
MOST_EVENTS = 1024


class Bursts:
    """Says the first of each burst, and while it lasts how many there were, every few seconds."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}

    def warn(self, event: str, now: float, *, kind: tuple[str, ...], **said: object) -> None:
        """Log `event` with `said`, unless one of its `kind` was logged a moment ago: then it is counted."""
        said_at, unsaid = self._said.get(kind, (now - QUIET_SECONDS, 0))
        if now - said_at < QUIET_SECONDS:
            self._said[kind] = (said_at, unsaid + 1)
            return
        if len(self._said) >= MOST_EVENTS:
            self._said.clear()
        self._said[kind] = (now, 0)
        log.warning(event, **said, unsaid_before=unsaid)
