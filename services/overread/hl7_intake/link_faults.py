"""What is wrong with a file of links, in a sentence for whoever wrote it: line, link, setting, fault, what to write."""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any

from pydantic import ValidationError

from overread.hl7_intake.settings import NUMBERS, Link
from overread.protocols.hl7.charsets import nearest_name

_SAID: Mapping[str, str] = {
    "string_type": "it must be text, in quotes",
    "path_type": "it must be the path of a file, in quotes",
    "tuple_type": "it must be a list, in square brackets",
    "frozen_set_type": "it must be a list, in square brackets",
    "int_type": "it must be a whole number, without quotes",
    "int_parsing": "it must be a whole number, without quotes",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number, without quotes",
    "float_parsing": "it must be a number, without quotes",
    "finite_number": "it must be a number that ends",
    "bool_type": "it must be true or false, without quotes",
    "bool_parsing": "it must be true or false, without quotes",
    "literal_error": "it must be {expected}",
    "greater_than": "it must be more than {gt:g}",
    "greater_than_equal": "it must be {ge:g} or more",
    "less_than_equal": "it must be {le:g} or less",
    "string_pattern_mismatch": "it must be of small letters, digits and hyphens, 32 at most, and begin with no hyphen",
    "ip_any_network": "it must be a network or an address",
}
"""By pydantic's type of a fault; what is not here is raised by us, in words for people."""

_HEADER = re.compile(r"\s*\[\[\s*link\s*\]\]")
_ASSIGNED = re.compile(r"""\s*["']?([A-Za-z0-9_.-]+)["']?\s*=\s*(.*?)\s*(?:#.*)?$""")
_BARE = re.compile(r"[^\"'\[\]{}=,#]+")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")


def line_of(text: str, number: int | None, field: str = "") -> int | None:
    """Return the line on which link `number` has a setting, or begins; None where the text does not show it."""
    found, seen = None, -1
    for line_number, line in enumerate(text.splitlines(), 1):
        if _HEADER.match(line):
            seen += 1
            found = line_number if seen == number else found
        elif seen == number and (assigned := _ASSIGNED.match(line)) and assigned[1] == field:
            return line_number
    return found


def placed(line: int | None, sentence: str) -> str:
    """Put the line before a sentence, where it is known."""
    return f"line {line}, {sentence}" if line else sentence


def of_toml(text: str, message: str) -> str:
    """Say why a text is no TOML; `message` is what the parser of Python's library says."""
    at = _AT_LINE.search(message)
    lines = text.splitlines()
    number = int(at[1]) if at and at[1] else len(lines)
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    return placed(number, _of_line(line, message[: at.start()] if at else message))


def _of_line(line: str, message: str) -> str:
    assigned = _ASSIGNED.match(line)
    if "overwrite" not in message and _is_right_alone(line):
        return "it is right by itself; a list [ or quotes before it are not closed: close them"
    if any(sign in line for sign in "“”‘’„"):
        return 'the quotes are those of a word processor; write straight ones: "…"'
    if assigned:
        return f"{assigned[1]}: {_of_value(assigned[1], assigned[2], message)}"
    if line.lstrip()[:1] in {'"', "'"}:
        return "in the list above it a comma is missing; write one behind each value"
    if line.lstrip().startswith("["):
        return "it is no heading of a link; write [[link]] with two brackets on each side"
    return 'it is no setting; write a name, the sign = and a value, as in link_id = "his"'


def _is_right_alone(line: str) -> bool:
    try:
        return bool(tomllib.loads(line))
    except tomllib.TOMLDecodeError:
        return False


def _of_value(name: str, value: str, message: str) -> str:
    if "overwrite" in message:
        return "it stands twice in this link; leave one of the two out"
    if value.startswith('"') and "\\" in value:
        return f"a backslash in double quotes begins an escape; write single quotes: {name} = 'C:\\folder\\file'"
    if value[:1] in {'"', "'"} and value.count(value[0]) == 1:
        return f"its quotes are not closed; write {name} = {value}{value[0]}"
    if value.endswith(","):
        return f"its comma is too much; write {name} = {value[:-1].rstrip()}"
    if value.startswith("[") and "]" not in value:
        return f"its list is not closed; write {name} = {value}]"
    if _BARE.fullmatch(value):
        return _of_bare(name, value)
    return f"{'its value is none' if value else 'nothing stands behind the sign ='}{_example(name)}"


def _of_bare(name: str, value: str) -> str:
    if value.lower() in {"true", "false"}:
        return f"true and false are written small; write {name} = {value.lower()}"
    if name in NUMBERS:
        return f"{value} is no number{_example(name)}"
    return f"{value} stands there without quotes; write {name} = {as_toml(value)}"


def of_settings(error: ValidationError, written: Mapping[str, Any], text: str = "") -> str:
    """Say the first fault of the links in one sentence, and how many more there are."""
    faults = error.errors(include_url=False)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return _fault(faults[0], written, text) + more


def _fault(fault: Any, written: Mapping[str, Any], text: str) -> str:
    place = [str(part) for part in fault["loc"]]
    if place[0] in Link.model_fields:
        return f"{place[0]}: it stands in no link; write [[link]] in a line above it"
    if place[0] != "link":
        return f"{place[0]}: there is no such table; write [[link]]"
    if len(place) == 1:
        return "link: it is one table; write [[link]] with two brackets on each side"
    number, field = int(place[1]), place[2] if len(place) > 2 else "link"
    return placed(
        line_of(text, number, field), f"{_named(written['link'][number], number)}, {field}: {_said(fault, field)}"
    )


def of_setting(fault: Any, field: str) -> str:
    """Say what is wrong with one setting, and what to write; `fault` is one of pydantic's."""
    return _said(fault, field)


def _said(fault: Any, field: str) -> str:
    if fault["type"] == "extra_forbidden":
        return f"there is no such setting; {_nearest(field)}"
    known = _SAID.get(fault["type"])
    said = known.format(**fault.get("ctx", {})) if known else fault["msg"].removeprefix("Value error, ")
    return f"{said}{_remedy(fault, field)}"


def _remedy(fault: Any, field: str) -> str:
    """Say what to write: what was meant, where that can be told, else an example."""
    value = fault["input"]
    if fault["type"] == "ip_any_network" and (network := _without_host_bits(value)):
        return (
            f"; {value} is an address in it: write {network} for the network, or {value.partition('/')[0]} for itself"
        )
    if field == "fallback_charset" and isinstance(value, str) and (near := nearest_name(value)):
        return f"; write {field} = {as_toml(near)}"
    if fault["type"] in {"tuple_type", "frozen_set_type"} and isinstance(value, str):
        return f"; write {field} = {as_toml([value])}"
    if fault["type"] == "string_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return f"; write {as_toml(str(value))}"
    return _example(field)


def _without_host_bits(value: object) -> str:
    try:
        return str(ip_interface(str(value)).network)
    except ValueError:
        return ""


def _named(table: object, number: int) -> str:
    link_id = table.get("link_id") if isinstance(table, Mapping) else None
    return f"link {link_id}" if isinstance(link_id, str) else f"link number {number + 1}"


def _nearest(field: str) -> str:
    names = list(Link.model_fields)
    like = [name for name in names if name.startswith(field)] or [name for name in names if field in name]
    near = like or difflib.get_close_matches(field, names, 1)
    return f"write {near[0]}" if near else "leave it out (overread links --settings lists what there is)"


def _example(field: str) -> str:
    model = Link.model_fields.get(field)
    return f"; write for example {field} = {as_toml(model.examples[0])}" if model and model.examples else ""


def as_toml(value: object) -> str:
    """Write a setting's value as TOML has it: a text, a number, a boolean, or a list of these."""
    return json.dumps(sorted(value) if isinstance(value, frozenset) else value, ensure_ascii=False, default=str)
