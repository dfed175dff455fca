"""What becomes of a message that its receiver refused: a table of a destination, with a default for what it leaves out."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator

from overread.protocols.hl7.acknowledgement import AcknowledgmentCode
from overread.protocols.hl7.errors import MessageErrorCondition


class Treatment(StrEnum):
    """What to do after a refusal.

    `retry`: the same bytes again by itself, ever more seldom. `hold`: it waits, and what is behind it in its case, until
    an operator says go or give up. `give_up`: it has ended, visibly, and what is behind it goes on.
    """

    RETRY = "retry"
    HOLD = "hold"
    GIVE_UP = "give_up"


_PASSING = (MessageErrorCondition.APPLICATION_RECORD_LOCKED, MessageErrorCondition.APPLICATION_INTERNAL_ERROR)
CONTENT_ERRORS = frozenset(
    {str(condition.value) for condition in MessageErrorCondition if condition not in _PASSING} | {"104", "105"}
)
"""Conditions of table HL70357 that the same bytes meet again; 104 and 105 came after v2.5.1. 206 and 207 pass."""

CONDITIONS = CONTENT_ERRORS | {str(condition.value) for condition in _PASSING}
REFUSING = frozenset(code.value for code in AcknowledgmentCode if not code.is_positive)


def _names_refusals(table: Mapping[str, Treatment]) -> Mapping[str, Treatment]:
    for key in table:
        code, _, condition = key.partition(" ")
        if key not in CONDITIONS and code not in REFUSING:
            raise ValueError(
                f"{key!r} is no refusal: a code (AE), a condition of table HL70357 (204), or both (AE 204)"
            )
        if condition != condition.strip() or (" " in key and not condition):
            raise ValueError(f"{key!r} must read CODE CONDITION with one blank between")
    return table


RefusalTable = Annotated[Mapping[str, Treatment], AfterValidator(_names_refusals)]
"""By `AE 204`, `204` or `AE` (MSA-1 and ERR-3); the first of these that a table has is the one that holds."""


def treatment_by(table: Mapping[str, Treatment], code: str, condition: str) -> Treatment | None:
    """Return what the table says of a refusal, the most exact entry first; None when it says nothing."""
    for key in (f"{code} {condition}", condition, code):
        if key in table:
            return table[key]
    return None
