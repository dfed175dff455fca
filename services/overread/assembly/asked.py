"""What a request may carry: text, moments and numbers that people can read and PostgreSQL can keep. Pure."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """Return `text`, or raise `ValueError` for a control character that is no tabulator and no end of a line."""
    if _CONTROL.search(text):
        raise ValueError("This holds a control character; take it out")
    return text


def in_utc(moment: datetime) -> datetime:
    """Return `moment` in UTC, or raise `ValueError` where its offset leads out of the years that there are."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("This is outside the years 1 to 9999 of UTC") from None


PLAIN = AfterValidator(without_controls)
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""A number that the database gives out."""
