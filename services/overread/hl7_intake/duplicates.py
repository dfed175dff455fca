"""Repeats on a link: the same control ID with the same body gets its first answer again, with another body a 205.

Bounded by age and number. Only MSH-13 sequence numbers prevent duplicates by the standard (HL7 v2.5.1, 2.10.1), so the
key (MSH-3, MSH-4, MSH-10) and the digest of the body are our own contract; assembly's unique keys bind.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

Key = tuple[str, ...]
"""MSH-3.1, MSH-4.1, MSH-10, and MSH-7 where the link says so."""


class Taken(NamedTuple):
    """A message that was taken: its digest, the code of its answer, and when it came.

    The answer itself is made of these and the message, so it is the same to the byte whenever it is given.
    """

    digest: str
    acknowledgment_code: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same message came before, and was taken as `first` says."""

    first: Taken


@dataclass(frozen=True, slots=True)
class ReusedControlId:
    """The control ID came before with another body."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Nothing is known of the message."""


Judgement = Fresh | Repeat | ReusedControlId


class DuplicateGuard:
    """What one link has taken within its window."""

    def __init__(self, window: timedelta, most_entries: int) -> None:
        self._window = window
        self._most_entries = most_entries
        self._taken: OrderedDict[Key, Taken] = OrderedDict()

    def __len__(self) -> int:
        return len(self._taken)

    def resize(self, window: timedelta, most_entries: int) -> None:
        """Remember from now on for so long and so many; the oldest give way."""
        self._window, self._most_entries = window, most_entries
        while len(self._taken) > most_entries:
            self._taken.popitem(last=False)

    def judge(self, key: Key, digest: str, now: datetime) -> Judgement:
        """Say whether the message is fresh, a repeat, or another message under a used control ID."""
        first = self._taken.get(key)
        if first is None or first.received_at < now - self._window:
            return Fresh()
        return Repeat(first) if first.digest == digest else ReusedControlId()

    def remember(self, key: Key, taken: Taken) -> None:
        """Keep what was just taken; the oldest gives way."""
        self._taken[key] = taken
        self._taken.move_to_end(key)
        if len(self._taken) > self._most_entries:
            self._taken.popitem(last=False)

    def recall(self, key: Key, taken: Taken) -> None:
        """Keep what was taken before all that is known; without room it is let go."""
        if key not in self._taken and len(self._taken) < self._most_entries:
            self._taken[key] = taken
            self._taken.move_to_end(key, last=False)
