"""Which word about a result holds: by status and time, whatever comes first (tables HL70085 and HL70123). Pure."""

from datetime import datetime

TAKEN_BACK = frozenset({"D", "W", "X"})
"""Deleted, posted on the wrong patient, not obtainable: nothing of the result holds any more."""

FINAL = frozenset({"F", "C"})
"""A person or laboratory stands behind it; C is F corrected."""

UNCHANGED = "U"
"""The status became final, and the values are not sent again."""

_DECIDED = TAKEN_BACK | FINAL | {UNCHANGED}
_IN_ONE_MOMENT = {"U": 1, "F": 1, "C": 2, "D": 3, "W": 3, "X": 3}

Said = tuple[bool, datetime, int]


def place(status: str, said_at: datetime) -> Said:
    """Return the place of a word among those about one result; the highest holds.

    What was decided never gives way to an early result that comes or is said later: after F the standard knows C, D and
    W alone. Within one moment a correction comes after what it corrects.
    """
    return status in _DECIDED, said_at, _IN_ONE_MOMENT.get(status, 0)
