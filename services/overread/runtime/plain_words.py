"""What is wrong with a value that was sent, in words for the person who wrote the sender; never the value itself. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_TOLD = 5
MOST_OF_A_NAME = 64

MOMENT = "This is no date and time with an offset from UTC, as 2026-11-26T09:30:00+07:00."
_DATE = "This is no date, as 1970-01-31."
_NUMBER = "This must be a whole number."
_OBJECT = "This must be an object."
_LIST = "This must be a list."
_SENTENCES: Mapping[str, str] = {
    "missing": "This is missing.",
    "extra_forbidden": "There is no field of this name here.",
    "json_invalid": "This is no JSON.",
    "datetime_parsing": MOMENT,
    "datetime_from_date_parsing": MOMENT,
    "datetime_type": MOMENT,
    "timezone_aware": MOMENT,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_type": _DATE,
    "int_parsing": _NUMBER,
    "int_parsing_size": _NUMBER,
    "int_type": _NUMBER,
    "int_from_float": _NUMBER,
    "uuid_parsing": "This is no UUID.",
    "uuid_type": "This is no UUID.",
    "string_type": "This must be a text, in quotes.",
    "string_unicode": "This is no text: it holds half of a character (a surrogate).",
    "string_pattern_mismatch": "This is not written as it must be.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "tuple_type": _LIST,
    "list_type": _LIST,
}
_WITH_A_BOUND: Mapping[str, tuple[str, str]] = {
    "enum": ("expected", "This is none of {}."),
    "literal_error": ("expected", "This is none of {}."),
    "string_too_long": ("max_length", "This is longer than {} characters."),
    "string_too_short": ("min_length", "This is shorter than {} characters."),
    "too_long": ("max_length", "These are more than {}."),
    "too_short": ("min_length", "These are fewer than {}."),
    "less_than": ("lt", "This must be less than {}."),
    "less_than_equal": ("le", "This must be at most {}."),
    "greater_than": ("gt", "This must be more than {}."),
    "greater_than_equal": ("ge", "This must be at least {}."),
}


def sentence(kind: str, said: str, context: Mapping[str, Any]) -> str:
    """Return what a fault of pydantic's `kind` means; `said` counts where the words are our own already."""
    if kind == "value_error":
        return f"{said.removeprefix('Value error, ')}."
    if kind == "string_too_short" and context.get("min_length") == 1:
        return "This is empty."
    bound, words = _WITH_A_BOUND.get(kind, ("", ""))
    if bound in context:
        return words.format(context[bound])
    return _SENTENCES.get(kind, "This is not what it must be.")


def said_of(faults: Sequence[Any]) -> str:
    """Return the first faults of a request, each with its place: the name of a parameter, or the way to a field."""
    return " ".join(
        f"{_place(fault['loc'])}: {sentence(fault['type'], fault['msg'], fault.get('ctx') or {})}"
        for fault in faults[:MOST_TOLD]
    )


def _place(loc: Sequence[str | int]) -> str:
    """Return the place below query, path or body; where the whole body is wrong, that."""
    return ".".join(str(part)[:MOST_OF_A_NAME] for part in loc[1:]) or str(loc[0])
