"""`overread dead`: what was set aside and why, and giving it back to the one that set it aside."""

import argparse
import asyncio
import sys

from overread.cli import options
from overread.contracts.errors import OverreadError
from overread.contracts.topics import REPORTS_SIGNED, TOPICS, topic_named
from overread.embedded.endpoints import Endpoints
from overread.runtime.dead_letter import replay
from overread.runtime.dead_letters import DeadLetter, read_all
from overread.runtime.publisher import KafkaPublisher
from overread.runtime.settings import ServiceSettings


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "dead",
        help="list what was set aside, or replay it",
        description="Dead letters keep the source bytes unchanged. A replay keeps the event's id and goes only to the "
        "service that set the record aside; what already had its effects is recognised and changes nothing.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|replay")
    listing = actions.add_parser("list", help="every dead letter: its place, whose it is, the reason")
    replaying = actions.add_parser("replay", help="give dead letters back to their consumer")
    replaying.add_argument("place", nargs="+", help="as `dead list` shows it: TOPIC/PARTITION/OFFSET")
    for action, run in ((listing, run_list), (replaying, run_replay)):
        options.add_data(action)
        action.set_defaults(run=run)


def run_list(told: argparse.Namespace) -> int:
    """Print every dead letter, a line each."""
    letters = asyncio.run(_letters(told))
    for letter in letters:
        sys.stdout.write(f"{letter.place}  {letter.kind}  {letter.consumer}  {letter.reason}\n")
    if not letters:
        sys.stderr.write("no dead letters\n")
    return 0


def run_replay(told: argparse.Namespace) -> int:
    """Give the named dead letters back."""
    asyncio.run(_replay(told))
    return 0


async def _letters(told: argparse.Namespace) -> list[DeadLetter]:
    return await read_all(_settings(told), [topic.dead_name for topic in TOPICS])


async def _replay(told: argparse.Namespace) -> None:
    by_place = {letter.place: letter for letter in await _letters(told)}
    if unknown := [place for place in told.place if place not in by_place]:
        raise OverreadError(f"no dead letter at {', '.join(unknown)}: see `overread dead list`")
    if any(by_place[place].record.topic == REPORTS_SIGNED.dead_name for place in told.place):
        raise OverreadError("only review may write reports.signed: confirm the report again and sign it anew")
    publisher = KafkaPublisher(_settings(told))
    await publisher.start()
    try:
        for place in told.place:
            letter = by_place[place]
            source = topic_named(letter.record.topic.removesuffix(".dead"))
            await publisher.publish([replay(letter.record, consumer=letter.consumer, source_topic=source.name)])
            sys.stdout.write(f"{place}  given back to {letter.consumer}\n")
    finally:
        await publisher.stop()


def _settings(told: argparse.Namespace) -> ServiceSettings:
    endpoints = Endpoints.of(told.data)
    return ServiceSettings(
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username="ops",
        kafka_password=endpoints.kafka_password("ops"),
    )
