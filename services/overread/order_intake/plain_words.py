"""What is wrong with a value, in words that a person who wrote the sender understands; never the value itself. Pure."""

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from overread.order_intake.checks import Fault

MOMENT = "This is no date and time with an offset from UTC, as 2026-11-26T09:30:00+07:00."
_SENTENCES: Mapping[str, str] = {
    "missing": "This is missing.",
    "datetime_parsing": MOMENT,
    "datetime_from_date_parsing": MOMENT,
    "datetime_type": MOMENT,
    "timezone_aware": MOMENT,
    "date_parsing": "This is no date, as 1970-01-31.",
    "date_from_datetime_parsing": "This is no date, as 1970-01-31.",
    "date_type": "This is no date, as 1970-01-31.",
    "string_type": "This must be a text, in quotes.",
    "string_too_short": "This is empty.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "model_type": "This must be an object.",
    "model_attributes_type": "This must be an object.",
    "tuple_type": "This must be a list.",
}


def faults_in(error: ValidationError, at: str = "") -> tuple[Fault, ...]:
    """Return every fault that pydantic found, each with its place as a JSON pointer below `at` (RFC 6901)."""
    return tuple(
        Fault(at + pointer(fault["loc"]), _sentence(fault["type"], fault["msg"], fault.get("ctx", {})))
        for fault in error.errors(include_input=False, include_url=False)
    )


def pointer(place: Sequence[str | int]) -> str:
    """Return `place` as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


def _sentence(kind: str, said: str, context: Mapping[str, Any]) -> str:
    if kind == "enum":
        return f"This is none of {context.get('expected', 'the words that are taken')}."
    if kind == "string_too_long":
        return f"This is longer than {context.get('max_length')} characters."
    if kind == "value_error":
        return f"{said.removeprefix('Value error, ')}."
    return _SENTENCES.get(kind, f"{said}.")


def unknown_fields(model: type[BaseModel], value: object, at: str = "") -> Iterator[Fault]:
    """Yield each field of `value` that `model` does not have: one that is misspelt must not be passed over in silence."""
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        if name not in model.model_fields:
            known = ", ".join(model.model_fields)
            yield Fault(
                at + pointer([name]),
                f"There is no field of this name here; there are {known}.",
                is_of_an_unknown_field=True,
            )
            continue
        for inner in _models_in(model.model_fields[name].annotation):
            parts = enumerate(part) if isinstance(part, list) else [(None, part)]
            for index, one in parts:
                yield from unknown_fields(inner, one, at + pointer([name] if index is None else [name, index]))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's value may be, or be a list of."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
