"""Message ids that were taken: the same id with the same bytes is a repeat, with other bytes a mistake. Pure."""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import NamedTuple

Key = tuple[str, str]
"""Link and message id."""


class Taken(NamedTuple):
    """What was taken under a message id: the digest of its bytes, and when."""

    digest: str
    received_at: datetime


class Repeats:
    """What was taken within the window; the oldest give way."""

    def __init__(self, window: timedelta, most_entries: int) -> None:
        self._window = window
        self._most_entries = most_entries
        self._taken: OrderedDict[Key, Taken] = OrderedDict()

    def __len__(self) -> int:
        return len(self._taken)

    def taken_as(self, key: Key, now: datetime) -> Taken | None:
        """Return what was taken under `key` within the window."""
        taken = self._taken.get(key)
        return taken if taken and taken.received_at >= now - self._window else None

    def remember(self, key: Key, taken: Taken) -> None:
        """Keep what was just taken."""
        self._taken[key] = taken
        self._taken.move_to_end(key)
        if len(self._taken) > self._most_entries:
            self._taken.popitem(last=False)

    def recall(self, key: Key, taken: Taken) -> None:
        """Keep what was taken before all that is known; without room it is let go."""
        if key not in self._taken and len(self._taken) < self._most_entries:
            self._taken[key] = taken
            self._taken.move_to_end(key, last=False)
