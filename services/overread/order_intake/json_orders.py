"""Orders as plain JSON: one object is one statement in the words of the contract; null asks to delete. Pure."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from overread.contracts import codec
from overread.contracts.events.order_statements import Clearable, MessageId, OrderStatement
from overread.order_intake.checks import Fault, NotAnOrder, faults_of, uncoded
from overread.order_intake.control_characters import control_faults
from overread.order_intake.plain_words import MOST_FAULTS, faults_in, long_lists, unknown_fields

MOST_ITEMS = 500
MOST_DEPTH = 20


class JsonOrder(OrderStatement):
    """A statement with the sender's own id for it."""

    message_id: MessageId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOrder:
    """A statement as it was read, the sender's id for it, and the bytes that say it, written one way."""

    statement: OrderStatement
    message_id: str | None
    said: bytes


def parse(body: bytes) -> Any:
    """Return the JSON value in `body`, or raise `NotAnOrder` with the place where it is none."""
    try:
        return _value(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _not_json(f"The body is not UTF-8: byte {error.start} is none of its text.") from None
    except json.JSONDecodeError as error:
        raise _not_json(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except UnicodeEncodeError:
        raise _not_json("The body holds half of a surrogate pair, which is no text.") from None
    except ValueError:
        raise _not_json(f"The body holds a number of more than {sys.get_int_max_str_digits()} digits.") from None
    except RecursionError:
        raise _not_json("The body is nested too deep.") from None


def _value(text: str) -> Any:
    """Return the value in `text`; what can't be written again, a lone surrogate, can't be kept or answered either."""
    value = json.loads(text, object_pairs_hook=object_of, parse_constant=_no_number)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def read(item: Any, at: str = "") -> ReadOrder:
    """Return the statement that `item`, found at `at`, makes, or raise `NotAnOrder` with its faults and their places."""
    if not isinstance(item, dict):
        raise NotAnOrder((Fault(at, "An order is a JSON object."),))
    cleared = [name.value for name in Clearable if name.value in item and item[name.value] is None]
    if long := tuple(long_lists(JsonOrder, item, at)):
        raise NotAnOrder(long)
    faults = [*unknown_fields(JsonOrder, item, at)]
    if "cleared" in item:
        faults.append(Fault(f"{at}/cleared", "To delete a value, send the value itself as null."))
    try:
        order = JsonOrder.model_validate({**item, "cleared": cleared})
    except ValidationError as error:
        raise NotAnOrder((*faults, *faults_in(error, at))[:MOST_FAULTS]) from None
    statement = OrderStatement.model_validate(order.model_dump(exclude={"message_id"}))
    found = (*faults_of(statement), *uncoded(statement), *control_faults(order))
    faults += [replace(fault, pointer=f"{at}{fault.pointer}") for fault in found]
    if faults:
        raise NotAnOrder(tuple(faults[:MOST_FAULTS]))
    return ReadOrder(statement=statement, message_id=order.message_id, said=codec.json_bytes(item))


def _not_json(sentence: str) -> NotAnOrder:
    return NotAnOrder((Fault("", sentence),))


def object_of(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; a name that stands there twice would be read in two ways (RFC 8259, 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotAnOrder((Fault("", f"The name {_repeated(pairs)!r} stands twice in one object."),))
    return found


def _repeated(pairs: Sequence[tuple[str, Any]]) -> str:
    """Return the first name that was there before, if it is one of ours; looked for in one pass, however many there are."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name if name in JsonOrder.model_fields else "of a field"
        seen.add(name)
    return "of a field"


def _no_number(_: str) -> Any:
    raise _not_json("NaN and Infinity are no numbers of JSON.")
