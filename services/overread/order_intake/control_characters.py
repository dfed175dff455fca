"""Texts that no system after us could store, show or pass on: control characters other than those that lay text out. Pure."""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from overread.contracts.events.order_statements import OrderStatement
from overread.order_intake.checks import Fault, NotAnOrder

SENTENCE = "This holds a control character other than tab, line end and form feed."
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
"""Category Cc of Unicode but TAB, LF, FF and CR, which DICOM allows too (PS3.5, 6.1.3). PostgreSQL stores no NUL."""


def must_be_text(statement: OrderStatement, message_id: str) -> None:
    """Raise `NotAnOrder` where one of them holds one: it would be answered as kept, and then fit into no table."""
    if faults := (*control_faults(statement), *control_faults(message_id, "/message_id")):
        raise NotAnOrder(faults)


def control_faults(value: object, at: str = "") -> Iterator[Fault]:
    """Yield each text of `value` that holds one, by its place below `at` (JSON pointer, RFC 6901)."""
    match value:
        case str() if _CONTROL.search(value):
            yield Fault(at, SENTENCE)
        case BaseModel():
            for name in type(value).model_fields:
                yield from control_faults(getattr(value, name), f"{at}/{name}")
        case tuple():
            for index, one in enumerate(value):
                yield from control_faults(one, f"{at}/{index}")
