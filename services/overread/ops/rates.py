"""How fast a topic grows, out of what it had at two moments."""

from collections import deque
from datetime import datetime, timedelta

from overread.runtime.flow import Flow

SHORTEST = timedelta(seconds=1)
LONGEST = timedelta(seconds=30)


class Rates:
    """Remembers the last looks; a rate is that between now and the oldest look of the last half minute."""

    def __init__(self) -> None:
        self._looks: deque[tuple[datetime, dict[str, int]]] = deque()

    def after(self, flow: Flow) -> dict[str, float] | None:
        """Return records a second of each topic up to `flow`; None while there is no earlier look to compare with."""
        written = {one.topic.name: one.written for one in flow.topics}
        while self._looks and flow.at - self._looks[0][0] > LONGEST:
            self._looks.popleft()
        earlier = next((look for look in self._looks if flow.at - look[0] >= SHORTEST), None)
        self._looks.append((flow.at, written))
        if earlier is None:
            return None
        seconds = (flow.at - earlier[0]).total_seconds()
        return {name: round((count - earlier[1].get(name, count)) / seconds, 2) for name, count in written.items()}
