"""What one link has taken, answered and refused, as an operator is shown it: counts, codes, places, never a value. Pure."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from overread.protocols.hl7.errors import HL7Error

MINUTES = 60
"""How far back rates are known."""


@dataclass(frozen=True, slots=True)
class LastError:
    """The latest refusal: the code of its answer, condition (HL70357), place as `PID-3`, and the sentence that was told."""

    at: datetime
    code: str
    condition: int
    place: str
    sentence: str


class Tally:
    """Counts one link since the service started; it stays when the link's settings change."""

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0
        self.duplicates = 0
        self.answers: Counter[str] = Counter()
        self.refused = 0
        self.last_message_at: datetime | None = None
        self.last_error: LastError | None = None
        self._minute = 0
        self._counts = [0] * MINUTES

    def came(self, size: int, now: datetime) -> None:
        """Count a message of `size` bytes that came `now`, whatever becomes of it."""
        self.bytes += size
        self.messages += 1
        self.last_message_at = now
        self._turn_to(int(now.timestamp()) // 60)
        self._counts[self._minute % MINUTES] += 1

    def answered(self, code: str) -> None:
        """Count an answer by its code (HL70008)."""
        self.answers[code] += 1

    def refuse(self, error: HL7Error, code: str, now: datetime) -> None:
        """Note why a message was not taken."""
        self.refused += 1
        place = error.location.spoken if error.location else ""
        self.last_error = LastError(now, code, int(error.condition), place, error.sentence)

    def within(self, minutes: int, now: datetime) -> int:
        """Return how many messages came in the last `minutes`, the one that runs among them."""
        self._turn_to(int(now.timestamp()) // 60)
        return sum(self._counts[(self._minute - back) % MINUTES] for back in range(min(minutes, MINUTES)))

    def _turn_to(self, minute: int) -> None:
        """Begin minutes that nobody counted in yet; a clock that was set back goes on in the newest."""
        if minute <= self._minute:
            return
        for passed in range(max(self._minute + 1, minute - MINUTES + 1), minute + 1):
            self._counts[passed % MINUTES] = 0
        self._minute = minute
