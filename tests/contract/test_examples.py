"""Every event version has one synthetic example that still decodes (STYLE: grow by adding)."""

import json
from typing import Any

import jsonschema
import pytest

from overread.contracts import codec, publish
from overread.contracts.envelope import Body
from overread.contracts.topics import TOPICS

EXAMPLES = publish.CONTRACTS / "examples"

each_event = pytest.mark.parametrize("body", publish.event_bodies(), ids=lambda body: body.event_type())
each_document = pytest.mark.parametrize("body", publish.DOCUMENTS, ids=lambda body: body.event_type())


def raw_example(name: str) -> bytes:
    """Return the committed example."""
    return (EXAMPLES / f"{name}.json").read_bytes()


def test_every_version_and_nothing_else_has_an_example() -> None:
    """A new version comes with an example; one that disappears would take its decoder's test with it."""
    assert {path.stem for path in EXAMPLES.glob("*.json")} == set(publish.schemas())


@each_event
def test_example_decodes_and_round_trips(body: type[Body]) -> None:
    """Bytes to event and back lose nothing."""
    topic = next(topic for topic in TOPICS if body in topic.bodies)

    event = codec.decode(raw_example(body.event_type()), topic.bodies)

    assert isinstance(event.data, body)
    assert json.loads(codec.encode(event)) == json.loads(raw_example(body.event_type()))


@each_event
def test_example_keeps_its_schema(body: type[Body]) -> None:
    """What we publish as a schema is what goes over the wire."""
    _validate(publish.schemas()[body.event_type()], json.loads(raw_example(body.event_type())))


@each_document
def test_document_example_keeps_its_schema_and_bytes(body: type[Body]) -> None:
    """The signed document has one byte form."""
    wire = json.loads(raw_example(body.event_type()))

    document = body.model_validate(wire)

    _validate(publish.schemas()[body.event_type()], wire)
    assert json.loads(codec.document_bytes(document)) == wire


@pytest.mark.parametrize("body", publish.offered_bodies(), ids=lambda body: body.event_type())
def test_example_of_what_others_write_keeps_its_schema_and_is_understood(body: type[Body]) -> None:
    """What is absent is not said, so the example leaves it out, and nothing of it is lost in reading."""
    wire = json.loads(raw_example(body.event_type()))

    offered = body.model_validate(wire)

    _validate(publish.schemas()[body.event_type()], wire)
    assert offered.model_dump(mode="json", exclude_unset=True) == wire


def test_examples_look_synthetic() -> None:
    """No identity in the repository may be taken for a real person's."""
    for path in EXAMPLES.glob("*.json"):
        patient = _patients(json.loads(path.read_text(encoding="utf-8")))

        assert all("THỬ" in name for name in patient), path.name


def _patients(value: Any) -> list[str]:
    match value:
        case {"family_name": str(name), "birth_date": _}:
            return [name]
        case {"patient_name": str(name)}:
            return [name]
        case dict():
            return [name for part in value.values() for name in _patients(part)]
        case list():
            return [name for part in value for name in _patients(part)]
        case _:
            return []


def _validate(schema: dict[str, Any], wire: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(wire)
