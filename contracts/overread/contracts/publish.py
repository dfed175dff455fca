"""What is generated from the contracts and committed: JSON Schemas, AsyncAPI 3.0, docs/message-flow.md, diagrams.

`python -m overread.contracts.publish` writes them and refuses a breaking change of a published version;
`--check` compares and writes nothing.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from overread.contracts.codec import SPECVERSION
from overread.contracts.compatibility import breaking_changes
from overread.contracts.diagrams import redrawn
from overread.contracts.envelope import Body, Event
from overread.contracts.events.reports import ReportDocument
from overread.contracts.flow import message_flow
from overread.contracts.topics import SERVICES, TOPICS, Topic, read_by, tail_read_by, written_by

CONTRACTS = Path(__file__).parents[2]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS: tuple[type[Body], ...] = (ReportDocument,)
"""Bodies that travel inside events as bytes: no topic carries them, but their form is promised too."""

Json = dict[str, Any]


def event_bodies() -> tuple[type[Body], ...]:
    """Return every event version that a topic carries, in pipeline order."""
    return tuple(body for topic in TOPICS if not topic.from_outside for body in topic.bodies)


def offered_bodies() -> tuple[type[Body], ...]:
    """Return what systems of others write: the whole value of a record, without our envelope."""
    return tuple(body for topic in TOPICS if topic.from_outside for body in topic.bodies)


@cache
def schemas() -> Mapping[str, Json]:
    """Return the JSON Schema of every event version as it is on the wire, and of what has no envelope, by name."""
    events = {body.event_type(): _event_schema(body) for body in event_bodies()}
    return events | {body.event_type(): _document_schema(body) for body in (*offered_bodies(), *DOCUMENTS)}


def _event_schema(body: type[Body]) -> Json:
    schema = Event[body].model_json_schema()  # type: ignore[valid-type]
    described = {
        **schema,
        "title": body.event_type(),
        "description": (body.__doc__ or "").strip(),
        "properties": {
            "specversion": {"const": SPECVERSION, "type": "string", "title": "Specversion"},
            **schema["properties"],
            "type": {"const": body.event_type(), "type": "string", "title": "Type"},
        },
        "required": ["specversion", *schema["required"]],
    }
    return {"$schema": DIALECT, **described}


def _document_schema(body: type[Body]) -> Json:
    return {"$schema": DIALECT, **body.model_json_schema(), "title": body.event_type()}


def asyncapi() -> Json:
    """Return all topics, their messages, and which service sends or receives them (AsyncAPI 3.0.0)."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Overread events",
            "version": "1",
            "description": "Generated from overread.contracts.topics. The record key decides what keeps its order.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {body.event_type(): _message(topic, body) for topic in TOPICS for body in topic.bodies}
        },
    }


def _channel(topic: Topic) -> Json:
    return {
        "address": topic.name,
        "description": topic.says,
        "messages": {
            body.event_type(): {"$ref": f"#/components/messages/{body.event_type()}"} for body in topic.bodies
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "retention.ms": int(topic.retention.total_seconds() * 1000),
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _message(topic: Topic, body: type[Body]) -> Json:
    return {
        "name": body.event_type(),
        "title": body.event_type(),
        "summary": (body.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": {"$ref": f"./schemas/{body.event_type()}.json"},
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"{' / '.join(topic.key)}"},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operations() -> Iterator[tuple[str, Json]]:
    for service in SERVICES:
        for topic in written_by(service):
            yield f"{service}.sends.{topic.name}", _operation("send", service, topic)
        for topic in read_by(service):
            yield (
                f"{service}.receives.{topic.name}",
                {**_operation("receive", service, topic), **_group(service, topic)},
            )
        for topic in tail_read_by(service):
            yield f"{service}.recalls.{topic.name}", _operation("receive", service, topic)


def _operation(action: str, service: str, topic: Topic) -> Json:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic.name}"}, "tags": [{"name": service}]}


def _group(service: str, topic: Topic) -> Json:
    group = {"type": "string", "enum": [f"{service}.{topic.name}"]}
    return {"bindings": {"kafka": {"groupId": group, "bindingVersion": "0.5.0"}}}


def artefacts(root: Path = CONTRACTS) -> Mapping[Path, str]:
    """Return every generated file with its content."""
    files = {root / "schemas" / f"{name}.json": _pretty(schema) for name, schema in schemas().items()}
    files[root / "asyncapi.json"] = _pretty(asyncapi())
    files[root.parent / "docs" / "message-flow.md"] = message_flow()
    page = root.parent / "docs" / "how-it-works.md"
    if page.is_file():
        files[page] = redrawn(page.read_text(encoding="utf-8"))
    return files


def _pretty(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def broken_promises(root: Path = CONTRACTS) -> tuple[str, ...]:
    """Return each way in which the code no longer keeps a schema that is published under `root`."""
    now = schemas()
    return tuple(fault for path in sorted((root / "schemas").glob("*.json")) for fault in _broken(path, now))


def _broken(path: Path, now: Mapping[str, Json]) -> Iterator[str]:
    name = path.name.removesuffix(".json")
    if name not in now:
        yield f"{name}: the published version is gone; it must still decode"
        return
    for change in breaking_changes(json.loads(path.read_text(encoding="utf-8")), now[name]):
        yield f"{name}: {change}"


def out_of_date(root: Path = CONTRACTS) -> tuple[Path, ...]:
    """Return the generated files that are not what the code says."""
    return tuple(
        path
        for path, content in artefacts(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != content
    )


def write(root: Path = CONTRACTS) -> None:
    """Write every generated file."""
    for path, content in artefacts(root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Write or compare; return 1 when a promise is broken or a file is out of date."""
    faults = [f"{fault} (give it a new version)" for fault in broken_promises()]
    if "--check" in arguments:
        faults += [f"{path} is out of date: run python -m overread.contracts.publish" for path in out_of_date()]
    elif not faults:
        write()
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
