"""What was published stays true: contracts grow by adding (ADR 0008)."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from overread.contracts import publish
from overread.contracts.compatibility import breaking_changes

Json = dict[str, Any]


def test_generated_files_are_what_the_code_says() -> None:
    """A change of a contract is seen in review: its schema, AsyncAPI and message flow are committed with it."""
    assert [str(path) for path in publish.out_of_date()] == []


def test_every_published_schema_is_still_kept() -> None:
    """No committed version lost a field, gained a required one, or takes less than it did."""
    assert publish.broken_promises() == ()


def a_published_schema() -> Json:
    """Return a schema with what real ones have: references, alternatives, enumerations, bounds, places."""
    return {
        "type": "object",
        "required": ["case_id", "state"],
        "properties": {
            "case_id": {"type": "string", "format": "uuid"},
            "state": {"$ref": "#/$defs/State"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "spacing": {
                "anyOf": [
                    {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "minItems": 2},
                    {"type": "null"},
                ]
            },
            "number": {"type": "string", "maxLength": 64},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        },
        "$defs": {
            "State": {"type": "string", "enum": ["drafted", "signed"]},
            "Part": {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
        },
    }


def edited(edit: Callable[[Json], Any]) -> Json:
    """Return the published schema after `edit`."""
    schema = copy.deepcopy(a_published_schema())
    edit(schema)
    return schema


BREAKING: dict[str, Callable[[Json], Any]] = {
    "a field is removed": lambda s: s["properties"].pop("note"),
    "a new field is required": lambda s: s["required"].append("number"),
    "a field has another type": lambda s: s["properties"]["case_id"].update(type="integer"),
    "a field has another format": lambda s: s["properties"]["case_id"].update(format="date"),
    "an enumeration loses a word": lambda s: s["$defs"]["State"].update(enum=["drafted"]),
    "a field becomes an enumeration": lambda s: s["properties"]["number"].update(enum=["1"]),
    "null is no longer taken": lambda s: s["properties"]["note"].update(anyOf=[{"type": "string"}]),
    "a text must be shorter": lambda s: s["properties"]["number"].update(maxLength=16),
    "a text gets a pattern": lambda s: s["properties"]["number"].update(pattern="^[0-9]+$"),
    "a list must be longer": lambda s: s["properties"]["parts"].update(minItems=1),
    "a part of a list loses a field": lambda s: s["$defs"]["Part"]["properties"].pop("code"),
    "a place of a tuple has another type": lambda s: s["properties"]["spacing"]["anyOf"][0].update(
        prefixItems=[{"type": "number"}, {"type": "string"}]
    ),
    "unknown fields are refused": lambda s: s.update(additionalProperties=False),
}

HARMLESS: dict[str, Callable[[Json], Any]] = {
    "nothing": lambda _: None,
    "a new optional field": lambda s: s["properties"].update(more={"type": "string", "default": ""}),
    "a new word in an enumeration": lambda s: s["$defs"]["State"]["enum"].append("held"),
    "a longer text": lambda s: s["properties"]["number"].update(maxLength=128),
    "another description": lambda s: s.update(description="says it better"),
    "null is taken too": lambda s: s["properties"].update(
        number={"anyOf": [{"type": "string", "maxLength": 64}, {"type": "null"}]}
    ),
}


@pytest.mark.parametrize("edit", BREAKING.values(), ids=BREAKING)
def test_checker_refuses_a_breaking_change(edit: Callable[[Json], Any]) -> None:
    """An old event must still be taken, and no field of it lost."""
    assert breaking_changes(a_published_schema(), edited(edit))


@pytest.mark.parametrize("edit", HARMLESS.values(), ids=HARMLESS)
def test_checker_lets_contracts_grow(edit: Callable[[Json], Any]) -> None:
    """Additive evolution is free."""
    assert breaking_changes(a_published_schema(), edited(edit)) == ()


def test_publisher_refuses_to_overwrite_a_promise(tmp_path: Path) -> None:
    """The committed folder is the published state: a schema whose field is gone from the code is a fault."""
    name, schema = next(iter(publish.schemas().items()))
    promised = {**schema, "properties": {**schema["properties"], "promised": {"type": "string"}}}
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / f"{name}.json").write_text(json.dumps(promised))

    faults = publish.broken_promises(tmp_path)

    assert faults == (f"{name}: event.promised: the field was removed",)


def test_publisher_says_when_a_version_disappeared(tmp_path: Path) -> None:
    """Every published version must still decode."""
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "Gone.v1.json").write_text("{}")

    assert publish.broken_promises(tmp_path) == ("Gone.v1: the published version is gone; it must still decode",)


def test_asyncapi_resolves_every_reference() -> None:
    """The document is whole: each channel's messages and each operation's channel are in it, each schema is a file."""
    document = publish.asyncapi()

    messages = {f"#/components/messages/{name}" for name in document["components"]["messages"]}
    channels = {f"#/channels/{name}" for name in document["channels"]}
    assert {m["$ref"] for c in document["channels"].values() for m in c["messages"].values()} == messages
    assert {operation["channel"]["$ref"] for operation in document["operations"].values()} == channels
    for message in document["components"]["messages"].values():
        assert (publish.CONTRACTS / message["payload"]["schema"]["$ref"]).is_file()
