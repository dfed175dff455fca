"""docs/message-flow.md, drawn from the map of topics."""

from collections.abc import Iterator

from overread.contracts.envelope import Body
from overread.contracts.topics import AUDIT_RECORDED, REPLAYS_REQUESTED, SERVICES, TOPICS, Topic, read_by, written_by

_HEAD = """\
# Where does a message go?

Generated from `contracts/overread/contracts/topics.py` by `python -m overread.contracts.publish`: change it there.

To follow a message: find its topic below, then open the *writer's* and the *readers'* folder in `services/overread/`.
A reader's `handlers.py` has one function per topic; its `app.py` shows how it is wired; what leaves is found by
`publish(`. Services meet only in these topics. Pixel data never goes through them: an event names the stored object.

**An order** comes in over MLLP (`hl7_intake/listener.py`) as `HL7Received`; `assembly` folds it into `OrderChanged`,
and where images of its study are there, tells `OrderLinked`. An order alone starts no model. Numbers that agree while
the patient does not go to assembly's desk, without an event.

**An image** comes in by C-STORE (`dicom_intake/storage_scp.py`) as `InstanceStored`. When the wait for more is over, a
timer in `assembly/readiness.py` tells `StudyReady`, which alone starts models: `routing` plans, `inference_worker` asks
Triton, `review` drafts (`ReportChanged`, drafted), a clinician signs (`ReportSigned`), and `delivery` sends the result in
up to three forms: ORU^R01 over MLLP (`delivery/hl7_sender.py`), a FHIR transaction (`delivery/fhir_sender.py`), DICOM
objects by C-STORE (`delivery/dicom_sender.py`). Unverified drafts and cancellations go to destinations that take them,
final results, and what takes a final back, only through `delivery/gate.py`.
"""

_TAIL = """\
## When a message can't be used

A record that can never work (`Malformed`), or that made a handler fail five times (`Defect`), goes to its topic's
dead-letter topic with its bytes unchanged; `consumer` (the reader that set it aside; all readers share the topic), kind,
reason, attempts and place are in the record's headers, and the metric `overread_dead_letters_total` rises. An operator
lists and replays them with `./run overread dead list` and `./run overread dead replay`: a `ReplayRequested` names the
letter's place, and the service that set it aside reads it again itself, with the same id and `replay_attempt` raised by
one. The page asks through `review`, the command line as the broker's user `ops`, which may write `replays.requested` and
nothing else. So an operator can change no byte of what is replayed. While a dependency is away nothing is set aside: the
reader waits.
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
    if topic.producers == SERVICES:
        return "any service, with the act"
    operators = ["the command line (as `ops`)"] if topic is REPLAYS_REQUESTED else []
    return ", ".join([_names(topic, topic.producers), *operators])


def _readers(topic: Topic) -> str:
    tails = (f"`{reader}` (its tail, at start)" for reader in topic.tail_readers)
    return ", ".join((_names(topic, topic.consumers), *tails))


def _names(topic: Topic, services: tuple[str, ...]) -> str:
    """Name the services, those that are not built yet apart."""
    built = [f"`{service}`" for service in services if service not in topic.not_yet]
    planned = [service for service in services if service in topic.not_yet]
    return ", ".join([*built, *([f"*not yet:* {', '.join(planned)}"] if planned else [])])


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
    yield from (f"    {producer} --> {node}" for producer in topic.producers if producer not in topic.not_yet)
    yield from (f"    {node} --> {consumer}" for consumer in topic.consumers if consumer not in topic.not_yet)


def _events() -> Iterator[str]:
    yield "## What each topic carries"
    yield ""
    for topic in TOPICS:
        yield f"**`{topic.name}`** ({topic.partitions} partitions, kept {topic.retention.days} days; dead letters: `{topic.dead_name}`)"
        yield ""
        yield from (_event(body) for body in topic.bodies)
        yield ""


def _event(body: type[Body]) -> str:
    """Name an event, its class and file, and what it says."""
    name = body.event_type()
    module = body.__module__.replace(".", "/")
    says = " ".join((body.__doc__ or "").split("\n\n", maxsplit=1)[0].split())
    schema = f"[schema](../contracts/schemas/{name}.json)"
    example = f"[example](../contracts/examples/{name}.json)"
    return f"- `{name}` (`{body.__name__}` in `contracts/{module}.py`): {says} {schema}, {example}"


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
