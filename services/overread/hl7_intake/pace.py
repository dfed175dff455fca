"""How fast a link is read: so many messages a second, and a second's worth at once after a silence. Pure."""


class Pace:
    """A leaky bucket: what is too early waits with its sender, since nothing is read meanwhile; nothing is dropped."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second
        self._patience = max(1.0 - self._interval, 0.0)
        self._due = 0.0

    def wait_seconds(self, now: float) -> float:
        """Return how long the next message has to wait; 0 when it may be taken."""
        return max(self._due - now - self._patience, 0.0)

    def count(self, now: float) -> None:
        """Count a message that is taken now."""
        self._due = max(self._due, now) + self._interval
