"""`overread hl7 watch`: each message as it is taken, and what became of it."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

from overread.cli import options
from overread.cli.hl7_record import add_bounds
from overread.cli.hospital_time import local
from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.errors import Malformed
from overread.contracts.events.intake import HL7Received
from overread.contracts.events.orders import OrderChanged
from overread.contracts.topics import CASES_CHANGED, HL7_RECEIVED, ORDERS_CHANGED, Topic
from overread.embedded.endpoints import Endpoints
from overread.hl7_intake.link_view import PATH
from overread.protocols.hl7.explain import printable
from overread.runtime.following import Passed, follow
from overread.runtime.health import answer_at
from overread.runtime.settings import ServiceSettings

WATCHED: tuple[Topic, ...] = (HL7_RECEIVED, ORDERS_CHANGED, CASES_CHANGED)
OUTCOME_SECONDS = 2.0
"""How long the last message's outcome is waited for."""

MOST_KNOWN = 10_000
"""Of so many messages it is known what they led to."""

EXAMPLES = """\
examples:
  overread hl7 watch                    until Ctrl-C
  overread hl7 watch --link his-bvx     one link
  overread hl7 watch --limit 1          the next message and its outcome, then end

  18:50:03  his-bvx  OMI^O23  HIS0001  from HIS|BVX  CA
  18:50:03  his-bvx  HIS0001  -> order 5f0c8a31: active, revision 1, accession ACC26112200123
"""


def add_to(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action."""
    parser = actions.add_parser(
        "watch",
        help="follow the messages that are taken, and what becomes of each",
        description="Shows each message when it is kept: time, link, type, control ID, sender and the answer that it "
        "got; then the order or case that it changed, or why it was set aside. What a link refuses never gets here: it "
        "stands in the intake's log with its reason. No patient is shown. Nothing is consumed or changed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_data(parser)
    parser.add_argument("--link", metavar="ID", help="only this link")
    add_bounds(parser, "messages")
    parser.set_defaults(run=run)


class Watch:
    """Says what passes; it remembers of which message an event may speak."""

    def __init__(self, link_id: str | None = None) -> None:
        self._link_id = link_id
        self._known: dict[UUID, HL7Received] = {}
        self.messages = 0

    def lines(self, passed: Passed) -> Iterator[str]:
        """Yield the line about a record, if it is about a message of the link."""
        value = passed.letter.again.value if passed.letter else passed.value
        try:
            event = codec.decode(value, passed.topic.bodies)
        except Malformed as fault:
            yield f"{local(passed.at):%H:%M:%S}  a record of {passed.topic.name} can't be read: {fault}"
            return
        said = self._set_aside(event, passed) if passed.letter else self._passed(event)
        if said:
            yield f"{local(passed.at):%H:%M:%S}  {printable(said)}"

    def _passed(self, event: Event[Body]) -> str:
        if isinstance(event.data, HL7Received):
            return self._received(event.id, event.data)
        caused_by = self._known.get(event.caused_by) if event.caused_by else None
        return f"{_name(caused_by)}  -> {_outcome(event)}" if caused_by else ""

    def _received(self, event_id: UUID, received: HL7Received) -> str:
        if self._link_id not in (None, received.link_id):
            return ""
        self._remember(event_id, received)
        self.messages += 1
        sender = "|".join(name for name in (received.sending_application, received.sending_facility) if name)
        kind = f"{received.message_type}^{received.trigger_event}"
        return (
            f"{received.link_id}  {kind}  {received.message_control_id}  from {sender}  {received.acknowledgment_code}"
        )

    def _remember(self, event_id: UUID, received: HL7Received) -> None:
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[event_id] = received.model_copy(update={"raw_base64": None})

    def _set_aside(self, event: Event[Body], passed: Passed) -> str:
        received = event.data if isinstance(event.data, HL7Received) else self._known.get(event.caused_by or event.id)
        if received is None or passed.letter is None or self._link_id not in (None, received.link_id):
            return ""
        letter = passed.letter
        return f"{_name(received)}  -> set aside by {letter.consumer} ({letter.kind}): {letter.reason}; {letter.place}"


def _name(received: HL7Received) -> str:
    return f"{received.link_id}  {received.message_control_id}"


def _outcome(event: Event[Body]) -> str:
    """Say what an event changed, in ids and states."""
    data = event.data
    if isinstance(data, OrderChanged):
        accession = f", accession {data.order.accession_number}" if data.order.accession_number else ""
        return f"order {str(data.order_id)[:8]}: {data.order.status.value}, revision {data.revision}{accession}"
    return f"{type(data).__name__} of case {event.subject[:8]}"


def run(told: argparse.Namespace) -> int:
    """Watch until the bound, or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt, TimeoutError):
        asyncio.run(_watch(told))
    return 0


def unknown_link(link_id: str | None, view: Any) -> str:
    """Say that a running intake has no such link; it may be added while one watches."""
    there = [link["link_id"] for link in view["links"]] if view else []
    if link_id is None or not there or link_id in there:
        return ""
    return f"there is no link {link_id} now; there are {', '.join(there)}"


async def _watch(told: argparse.Namespace) -> None:
    watch, endpoints = Watch(told.link), Endpoints.of(told.data)
    if unknown := unknown_link(told.link, answer_at(endpoints.health_socket("hl7_intake"), PATH)):
        sys.stderr.write(f"{unknown}\n")
    settings = ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="ops",
        kafka_password=endpoints.kafka_password("ops"),
    )
    async with asyncio.timeout(told.seconds) as patience, aclosing(follow(settings, WATCHED, _announce)) as records:
        async for passed in records:
            was = watch.messages
            for line in watch.lines(passed):
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
            if told.limit is not None and was < told.limit <= watch.messages:
                patience.reschedule(asyncio.get_running_loop().time() + OUTCOME_SECONDS)


def _announce() -> None:
    sys.stderr.write("watching; Ctrl-C ends it\n")
