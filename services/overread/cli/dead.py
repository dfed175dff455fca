"""`overread dead`: what was set aside and why, and giving it back to the one that set it aside."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from uuid import UUID

import asyncpg

from overread.archive import store as archive
from overread.cli import dead_messages, options
from overread.contracts.errors import OverreadError, Unavailable
from overread.contracts.topics import REPLAYS_REQUESTED, TOPICS
from overread.embedded.endpoints import Endpoints
from overread.runtime.clock import utc_now
from overread.runtime.dead_letters import DeadLetter, letter_at, letters, request_for
from overread.runtime.inbox import Transaction
from overread.runtime.publisher import KafkaPublisher
from overread.runtime.settings import ServiceSettings


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "dead",
        help="list what was set aside, or replay it",
        description="Dead letters keep the source bytes unchanged. A replay keeps the event's id and goes only to the "
        "service that set the record aside; what already had its effects is recognised and changes nothing. A stored "
        "object that could not be told of is listed too; archive tries it again at each restart of an intake. An HL7 "
        "message can be mended instead: the mended one is a new message of its link that stands for it, once; what it "
        "stands for is not replayed any more.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show|fix|replay")
    listing = actions.add_parser("list", help="all that was set aside: its place, whose it is, the reason")
    replaying = actions.add_parser("replay", help="give dead letters back to their consumer")
    replaying.add_argument("place", nargs="+", help="as `dead list` shows it: TOPIC/PARTITION/OFFSET")
    for action, run in ((listing, run_list), (replaying, run_replay)):
        options.add_data(action)
        action.set_defaults(run=run)
    dead_messages.add_to(actions, lambda told: _letter(_settings(told), told.place))


def run_list(told: argparse.Namespace) -> int:
    """Print every dead letter, and every stored object that was set aside, a line each."""
    if not asyncio.run(_list(told)):
        sys.stderr.write("nothing is set aside\n")
    return 0


def run_replay(told: argparse.Namespace) -> int:
    """Give the named dead letters back."""
    asyncio.run(_replay(told))
    return 0


async def _list(told: argparse.Namespace) -> int:
    shown, known = 0, await dead_messages.answered(Endpoints.of(told.data))
    async for letter in letters(_settings(told), [topic.dead_name for topic in TOPICS]):
        sys.stdout.write(f"{letter.place}  {letter.kind}  {letter.consumer}  {letter.reason}{_answer(known, letter)}\n")
        shown += 1
    for aside in await _objects_set_aside(Endpoints.of(told.data).dsn("archive")):
        sys.stdout.write(f"object {aside.object_key}  archive  {aside.reason}\n")
        shown += 1
    return shown


def _answer(known: Mapping[UUID, UUID], letter: DeadLetter) -> str:
    """Say which message stands for an HL7 message that was mended."""
    event = dead_messages.event_of(letter) if known else None
    return f"  answered by {known[event.id]}" if event and event.id in known else ""


async def _objects_set_aside(dsn: str) -> list[archive.SetAside]:
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, asyncpg.PostgresError) as error:
        raise Unavailable("the database does not answer: is the stack up?") from error
    try:
        return await archive.all_set_aside(connection)
    finally:
        await connection.close()


async def _letter(settings: ServiceSettings, place: str) -> DeadLetter:
    """Return the letter that `place` names, or say that there is none."""
    topic, partition, offset = [*place.split("/"), "", ""][:3]
    is_place = topic in {known.dead_name for known in TOPICS} and partition.isdecimal() and offset.isdecimal()
    found = await letter_at(settings, topic, int(partition), int(offset)) if is_place else None
    if found is None or found.place != place:
        raise OverreadError(f"no dead letter at {place}: see `overread dead list`")
    return found


async def _replay(told: argparse.Namespace) -> None:
    """Ask for all of them at once; what is asked for twice is one request."""
    tx = Transaction(service="ops", site_id=Endpoints.of(told.data).site_id, clock=utc_now, connection=None)
    found = {place: await _letter(_settings(told), place) for place in told.place}
    await dead_messages.refuse_mended(Endpoints.of(told.data), found)
    consumers = {place: _request(tx, letter) for place, letter in found.items()}
    publisher = KafkaPublisher(_settings(told))
    await publisher.start()
    try:
        await publisher.publish(tx.outgoing)
    finally:
        await publisher.stop()
    sys.stdout.writelines(f"{place}  given back to {consumer}\n" for place, consumer in consumers.items())


def _request(tx: Transaction, letter: DeadLetter) -> str:
    body = request_for(letter, requested_by=f"uid {os.getuid()} (command line)", now=tx.clock())
    tx.publish(REPLAYS_REQUESTED, body, subject=letter.place, own_key=letter.place, caused_by=None)
    return letter.consumer


def _settings(told: argparse.Namespace) -> ServiceSettings:
    endpoints = Endpoints.of(told.data)
    return ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="ops",
        kafka_password=endpoints.kafka_password("ops"),
    )
