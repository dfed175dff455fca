"""A replay is asked for by place: the service reads its own letter, and takes nobody else's."""

from dataclasses import replace
from typing import Any

import pytest

from overread.contracts.errors import Malformed
from overread.contracts.topics import AUDIT_RECORDED, REPLAYS_REQUESTED
from overread.delivery.app import make_service
from overread.delivery.settings import DeliverySettings
from overread.runtime.consume import Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.dead_letters import DeadLetter, record_at, request_for
from overread.runtime.replays import Replays, Source
from overread.runtime.settings import ServiceSettings
from tests.builders.events import NOON, a_replay_requested, an_event

SERVICE = "governance"
NO_TRANSACTION: Any = None


class Kept:
    """A consumption that keeps what it is given again."""

    def __init__(self) -> None:
        self.again: list[tuple[SourceRecord, int]] = []

    async def take_again(self, source: SourceRecord, *, broker_milliseconds: int) -> None:
        """Keep it."""
        self.again.append((source, broker_milliseconds))


def a_letter(*, consumer: str = SERVICE) -> DeadLetter:
    record = SourceRecord(topic=AUDIT_RECORDED.dead_name, partition=0, offset=4, key=b"site", value=b"bytes")
    again = SourceRecord(
        topic=AUDIT_RECORDED.name, partition=7, offset=41, key=b"site", value=b"bytes", replay_attempt=1
    )
    return DeadLetter(record=record, again=again, kind="Defect", reason="a bug", consumer=consumer)


def some_replays(letter: DeadLetter | None, *, source: Source | None = None) -> tuple[Replays, Kept]:
    """Return the replays of a service in whose place 0/4 `letter` lies; with `source` it asks for proof."""

    async def find(_settings: ServiceSettings, topic: str, partition: int, offset: int) -> DeadLetter | None:
        return letter if (topic, partition, offset) == (AUDIT_RECORDED.dead_name, 0, 4) else None

    kept = Kept()
    return Replays(SERVICE, ServiceSettings(), {AUDIT_RECORDED.name: kept}, find=find, source=source), kept


def delivered(**changed: Any) -> Delivered:
    asked = request_for(a_letter(), requested_by="ops", now=NOON)
    return Delivered(an_event(a_replay_requested(**(asked.model_dump() | changed))), 9, 0, 0)


async def test_own_letter_is_taken_again_as_it_was_read_the_first_time() -> None:
    """Bytes, key and place are the source's; only the attempt counts on."""
    replays, kept = some_replays(a_letter())

    await replays.requested([delivered()], NO_TRANSACTION)

    assert kept.again == [(a_letter().again, 9)]


async def test_request_for_another_service_is_left_alone() -> None:
    """Every service hears every request."""
    replays, kept = some_replays(a_letter())

    await replays.requested([delivered(consumer="review")], NO_TRANSACTION)

    assert kept.again == []


@pytest.mark.parametrize(
    ("letter", "changed"),
    [
        (None, {}),
        (a_letter(consumer="review"), {}),
        (a_letter(), {"offset": 5}),
        (a_letter(), {"dead_topic": "cases.changed.dead"}),
        (a_letter(), {"dead_topic": AUDIT_RECORDED.name}),
    ],
    ids=["gone", "another's", "another place", "a topic that it does not read", "no dead letters' topic"],
)
async def test_request_that_names_no_letter_of_ours_is_malformed(
    letter: DeadLetter | None, changed: dict[str, Any]
) -> None:
    """It is set aside with its reason, and nothing is taken."""
    replays, kept = some_replays(letter)

    with pytest.raises(Malformed):
        await replays.requested([delivered(**changed)], NO_TRANSACTION)

    assert kept.again == []


def a_source(**changed: Any) -> Source:
    """Return a topic that holds what `a_letter()` was made of in its place, but for `changed`; `gone`: no more."""
    is_gone = changed.pop("gone", False)
    there = None if is_gone else replace(a_letter().again, replay_attempt=0, **changed)

    async def record_at(_settings: ServiceSettings, topic: str, partition: int, offset: int) -> SourceRecord | None:
        return there if (topic, partition, offset) == (AUDIT_RECORDED.name, 7, 41) else None

    return record_at


async def test_letter_that_its_source_topic_holds_is_taken_with_proof() -> None:
    """Only that topic's writers can have written it."""
    replays, kept = some_replays(a_letter(), source=a_source())

    await replays.requested([delivered()], NO_TRANSACTION)

    assert kept.again == [(a_letter().again, 9)]


@pytest.mark.parametrize(
    ("letter", "source"),
    [
        (a_letter(), a_source(value=b"the true bytes")),
        (a_letter(), a_source(key=b"another site")),
        (a_letter(), a_source(gone=True)),
        (replace(a_letter(), again=replace(a_letter().again, offset=42)), a_source()),
    ],
    ids=["other bytes", "another key", "gone", "a place where it never lay"],
)
async def test_letter_without_proof_is_not_taken_where_proof_is_asked_for(letter: DeadLetter, source: Source) -> None:
    """Whoever reads a topic may write its dead letters, in another's name and as if the topic had held them."""
    replays, kept = some_replays(letter, source=source)

    with pytest.raises(Malformed):
        await replays.requested([delivered()], NO_TRANSACTION)

    assert kept.again == []


def test_delivery_asks_for_proof() -> None:
    """A letter could tell its gate a case that assembly never told, or a clinician's word that nobody gave."""
    handler: Any = make_service(DeliverySettings()).consumptions[REPLAYS_REQUESTED.name]._handler

    assert handler.__self__._source is record_at
