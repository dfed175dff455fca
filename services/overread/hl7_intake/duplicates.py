"""Repeats on a link: the same control ID with the same body gets its first answer again, with another body a 205.

Bounded by age and number. Only MSH-13 sequence numbers prevent duplicates by the standard (HL7 v2.5.1, 2.10.1), so the
key (MSH-3, MSH-4, MSH-10) and the digest of the body are our own contract; assembly's unique keys bind.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a message was answered with, and when; `answer` is None when only the digest is known."""

    digest: str
    answer: bytes | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Repeat:
    """The same message came before: its first answer, None when that must be written anew."""

    answer: bytes | None


@dataclass(frozen=True, slots=True)
class ReusedControlId:
    """The control ID came before with another body."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """Nothing is known of the message."""


Judgement = Fresh | Repeat | ReusedControlId


class DuplicateGuard:
    """What one link has been answered within its window."""

    def __init__(self, window: timedelta, most_entries: int) -> None:
        self._window = window
        self._most_entries = most_entries
        self._answered: OrderedDict[Key, Answered] = OrderedDict()

    def judge(self, key: Key, digest: str, now: datetime) -> Judgement:
        """Say whether the message is fresh, a repeat, or another message under a used control ID."""
        known = self._answered.get(key)
        if known is None or known.at < now - self._window:
            return Fresh()
        return Repeat(known.answer) if known.digest == digest else ReusedControlId()

    def remember(self, key: Key, digest: str, answer: bytes | None, now: datetime) -> None:
        """Keep the answer for repeats; the oldest gives way."""
        self._answered[key] = Answered(digest, answer, now)
        self._answered.move_to_end(key)
        while len(self._answered) > self._most_entries:
            self._answered.popitem(last=False)
