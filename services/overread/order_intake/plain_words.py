"""What is wrong with a value, in words that a person who wrote the sender understands; never the value itself. Pure."""

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError

from overread.order_intake.checks import Fault
from overread.runtime.plain_words import sentence

MOST_FAULTS = 50
"""So many are told of one order: who mends them sees the rest the next time, and an answer never outgrows its question."""

MOST_ENTRIES = 100
"""Of a list in one order: a patient has a few numbers."""


def faults_in(error: ValidationError, at: str = "") -> tuple[Fault, ...]:
    """Return the faults that pydantic found, each with its place as a JSON pointer below `at` (RFC 6901)."""
    return tuple(
        Fault(at + pointer(fault["loc"]), sentence(fault["type"], fault["msg"], fault.get("ctx", {})))
        for fault in error.errors(include_input=False, include_url=False)[:MOST_FAULTS]
    )


def pointer(place: Sequence[str | int]) -> str:
    """Return `place` as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


def unknown_fields(model: type[BaseModel], value: object, at: str = "") -> tuple[Fault, ...]:
    """Return the fields of `value` that `model` does not have: one that is misspelt must not be passed over in silence.

    After `MOST_FAULTS` nothing is looked for, and which fields a model has is said once.
    """
    return tuple(islice(_unknown(model, value, at, set()), MOST_FAULTS))


def _unknown(model: type[BaseModel], value: object, at: str, told: set[type[BaseModel]]) -> Iterator[Fault]:
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        if name not in model.model_fields:
            yield Fault(at + pointer([name]), _no_such_field(model, told), is_of_an_unknown_field=True)
            continue
        for inner in _models_in(model.model_fields[name].annotation):
            parts = enumerate(part) if isinstance(part, list) else [(None, part)]
            for index, one in parts:
                yield from _unknown(inner, one, at + pointer([name] if index is None else [name, index]), told)


def _no_such_field(model: type[BaseModel], told: set[type[BaseModel]]) -> str:
    known = (
        "" if model in told else f"; there are {', '.join(name for name in model.model_fields if name != 'cleared')}"
    )
    told.add(model)
    return f"There is no field of this name here{known}."


def long_lists(model: type[BaseModel], value: Mapping[str, object], at: str = "") -> Iterator[Fault]:
    """Yield each list below `value` that is longer than any order needs: each entry could have faults of its own."""
    for name, field in model.model_fields.items():
        part = value.get(name)
        if isinstance(part, list) and len(part) > MOST_ENTRIES:
            yield Fault(at + pointer([name]), f"This list has more than {MOST_ENTRIES} entries.")
        elif isinstance(part, dict):
            for inner in _models_in(field.annotation):
                yield from long_lists(inner, part, at + pointer([name]))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a field's value may be, or be a list of."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        if issubclass(annotation, BaseModel):
            yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
