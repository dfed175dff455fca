"""The diagrams of docs/how-it-works.md, drawn from the map of topics and from the table of a report's life.

A page holds them between two comments; what stands there is replaced, all else is left as it is.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from overread.contracts.report_life import OPENING_STATE, TABLE, ReportState
from overread.contracts.topics import AUDIT_RECORDED, REPLAYS_REQUESTED, TOPICS, Topic

_LISTENER = "governance"
_BESIDE_THE_WAY = (AUDIT_RECORDED, REPLAYS_REQUESTED)
_BLOCK = re.compile(r"(<!-- drawn: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def redrawn(page: str) -> str:
    """Return the page with each of its diagrams as the code says it now."""
    return _BLOCK.sub(lambda block: f"{block[1]}{_fenced(DIAGRAMS[block['name']]())}{block[3]}", page)


def _fenced(lines: Iterator[str]) -> str:
    return "".join(f"{line}\n" for line in ("```mermaid", *lines, "```"))


def topics_diagram() -> Iterator[str]:
    """Draw who tells whom: services as boxes, topics as arrows; what everybody hears or writes is left out."""
    yield "flowchart LR"
    for topic in TOPICS:
        if topic not in _BESIDE_THE_WAY:
            yield from _arrows(topic)


def _arrows(topic: Topic) -> Iterator[str]:
    told = sorted(set(_built(topic, topic.consumers)) - {_LISTENER})
    for producer in ("others",) if topic.from_outside else _built(topic, topic.producers):
        yield from (f"    {producer} -->|{topic.name}| {consumer}" for consumer in told if consumer != producer)


def _built(topic: Topic, services: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(service for service in services if service not in topic.not_yet)


def report_life_diagram() -> Iterator[str]:
    """Draw the states of a report's revision and the actions that lead on; what changes no state is left out."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {OPENING_STATE.value}"
    for state in ReportState:
        ways = dict(_ways(state))
        yield from (f"    {state.value} --> {following.value}: {', '.join(ways[following])}" for following in ways)
        if not ways:
            yield f"    {state.value} --> [*]"


def _ways(state: ReportState) -> Iterator[tuple[ReportState, list[str]]]:
    for following in ReportState:
        actions = [action.value for action, cell in TABLE[state].items() if cell is following]
        if actions and following is not state:
            yield following, actions


DIAGRAMS: Mapping[str, Callable[[], Iterator[str]]] = {
    "topics": topics_diagram,
    "report-life": report_life_diagram,
}
"""The diagrams by the name that a page asks for them."""
