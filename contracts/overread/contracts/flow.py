"""docs/message-flow.md, drawn from the map of topics."""

from collections.abc import Iterator

from overread.contracts.topics import AUDIT_RECORDED, SERVICES, TOPICS, Topic, read_by, written_by

_HEAD = """\
# Where does a message go?

Generated from `contracts/overread/contracts/topics.py` by `python -m overread.contracts.publish`: change it there.

To follow a message: find its topic below, then open the *writer's* and the *readers'* folder in `services/overread/`.
A reader's `handlers.py` has one function per topic; its `app.py` shows how it is wired. Services meet only in these
topics. Pixel data never goes through them: an event names the stored object.
"""

_TAIL = """\
## When a message can't be used

A record that can never work (`Malformed`), or that made a handler fail five times (`Defect`), goes to its topic's
dead-letter topic with its bytes unchanged; kind, reason, attempts and place are in the record's headers. An operator
lists and replays them with `./run overread dead list` and `./run overread dead replay`: the record comes back on the
topic itself, for the one reader that had set it aside, with the same id and `replay_attempt` raised by one. While a
dependency is away nothing is set aside: the reader waits.
"""


def message_flow() -> str:
    """Return the document: every topic in pipeline order, a diagram, each event, and each service's reads and writes."""
    return "\n".join((_HEAD, *_table(), "", *_diagram(), "", *_events(), *_services(), _TAIL))


def _table() -> Iterator[str]:
    yield "| topic | says | record key (keeps its order) | written by | read by |"
    yield "| --- | --- | --- | --- | --- |"
    for topic in TOPICS:
        yield f"| `{topic.name}` | {topic.says} | {_key(topic)} | {_producers(topic)} | {_readers(topic)} |"


def _key(topic: Topic) -> str:
    return " / ".join(f"`{field}`" for field in topic.key)


def _producers(topic: Topic) -> str:
    return "every service" if topic.producers == SERVICES else _names(topic.producers)


def _readers(topic: Topic) -> str:
    tails = (f"`{reader}` (its tail, at start)" for reader in topic.tail_readers)
    return ", ".join((_names(topic.consumers), *tails))


def _names(services: tuple[str, ...]) -> str:
    return ", ".join(f"`{service}`" for service in services)


def _diagram() -> Iterator[str]:
    """Draw services as boxes and topics as rounded boxes; `audit.recorded`, which all write, is left out."""
    yield "```mermaid"
    yield "flowchart LR"
    for topic in TOPICS:
        if topic is not AUDIT_RECORDED:
            yield from _drawn(topic)
    yield "```"


def _drawn(topic: Topic) -> Iterator[str]:
    node = topic.name.replace(".", "_")
    yield f'    {node}(["{topic.name}"])'
    yield from (f"    {producer} --> {node}" for producer in topic.producers)
    yield from (f"    {node} --> {consumer}" for consumer in topic.consumers)


def _events() -> Iterator[str]:
    yield "## What each topic carries"
    yield ""
    for topic in TOPICS:
        yield f"**`{topic.name}`** ({topic.partitions} partitions, kept {topic.retention.days} days; dead letters: `{topic.dead_name}`)"
        yield ""
        yield from (_event(body.event_type(), body.__doc__ or "") for body in topic.bodies)
        yield ""


def _event(name: str, doc: str) -> str:
    says = " ".join(doc.split("\n\n", maxsplit=1)[0].split())
    schema = f"[schema](../contracts/schemas/{name}.json)"
    example = f"[example](../contracts/examples/{name}.json)"
    return f"- `{name}`: {says} {schema}, {example}"


def _services() -> Iterator[str]:
    yield "## What each service reads and writes"
    yield ""
    yield "| service | reads | writes (besides `audit.recorded`) |"
    yield "| --- | --- | --- |"
    for service in SERVICES:
        writes = (topic for topic in written_by(service) if topic is not AUDIT_RECORDED)
        yield f"| `{service}` | {_topics(read_by(service))} | {_topics(writes)} |"
    yield ""


def _topics(topics: Iterator[Topic]) -> str:
    return ", ".join(f"`{topic.name}`" for topic in topics) or "none"
