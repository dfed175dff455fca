"""The operator's routes on the real broker: flow, health, dead letters and giving them back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from pydantic import SecretStr

from overread.archive.queries import ArchiveQueries
from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.topics import AUDIT_RECORDED, DELIVERIES_DONE, HL7_RECEIVED, REPLAYS_REQUESTED, TOPICS, Topic
from overread.embedded.postgres import ARCHIVE_READER
from overread.ops.settings import OpsSettings
from overread.ops.web import build
from overread.runtime.database import migrate, migrations_of, open_pool
from overread.runtime.dead_letter import DeadLetterKind, SourceRecord, dead_letter
from overread.runtime.dead_letters import letters
from overread.runtime.flow import FlowReader, group_of
from overread.runtime.health import Health, operations_app
from overread.runtime.publisher import KafkaPublisher, Outgoing, kafka_client_options
from overread.runtime.service import Service
from overread.runtime.settings import ServiceSettings
from tests.builders.events import NOON, a_delivery_done, an_event, an_hl7_received
from tests.builders.hl7 import an_omi
from tests.fakes.behind import serving
from tests.fakes.review import OPERATOR, ReviewBench, SilentPublisher, a_review_bench

pytestmark = pytest.mark.stack

SECRET = "a secret of front and ops"
BURST, BURST_SECONDS = 30, 10


@dataclass
class Operated:
    """A review with ops behind it, and the place of one dead letter."""

    bench: ReviewBench
    place: str
    stack: Any
    assembly_socket: Path


@pytest.fixture
async def operated(stack: Any, tmp_path: Path) -> AsyncIterator[Operated]:
    """Return an installation with a ready service, a silent one, and one dead letter of governance."""
    socket, ready, assembly = (tmp_path / f"{name}.sock" for name in ("ops", "ready", "assembly"))
    health = Health()
    health.is_started = True
    async with a_review_bench(
        stack.endpoints.dsn("review"),
        tmp_path,
        ops_socket=socket,
        assembly_socket=assembly,
        front_secret=SecretStr(SECRET),
    ) as bench:
        watched = {"ready-one": ready, "silent-one": tmp_path / "nobody.sock"}
        settings = some_settings(stack, "ops", watched=watched, socket=socket, site_id=bench.site_id)
        service = Service("ops", settings, publisher=SilentPublisher(), clock=bench.clock)
        flow = FlowReader(settings)
        archive = ArchiveQueries(settings.archive_dsn.get_secret_value(), bench.site_id)
        await archives_tables(stack)
        place = await a_dead_letter(stack)
        async with serving(build(service, settings, flow, archive), socket), serving(operations_app(health), ready):
            yield Operated(bench, place, stack, assembly)
        await flow.close()
        await archive.close()


def some_settings(stack: Any, user: str, *, watched: dict[str, Path], socket: Path, site_id: str) -> OpsSettings:
    """Return the settings of ops on the test's stack."""
    return OpsSettings.model_validate(
        {
            "site_id": site_id,
            "kafka_bootstrap": stack.endpoints.kafka_bootstrap,
            "kafka_username": user,
            "kafka_password": stack.endpoints.kafka_password(user),
            "archive_dsn": stack.endpoints.dsn(ARCHIVE_READER),
            "front_secret": SECRET,
            "http_socket": socket,
            "OVERREAD_OPS_WATCHED": watched,
        }
    )


async def archives_tables(stack: Any) -> None:
    """Make archive's tables, as its start does."""
    pool = await open_pool(stack.endpoints.dsn("archive"))
    await migrate(pool, migrations_of("overread.archive"))
    await pool.close()


async def a_dead_letter(stack: Any) -> str:
    """Let governance set a record aside that names a patient, and return where it lies."""
    source = SourceRecord(
        topic=DELIVERIES_DONE.name, partition=3, offset=7, key=b"k", value=f"NGUYEN {uuid4()}".encode()
    )
    letter = dead_letter(
        DELIVERIES_DONE,
        source,
        kind=DeadLetterKind.MALFORMED,
        reason="not JSON",
        attempts=1,
        consumer="governance",
        now=NOON,
    )
    await publish(stack, "governance", letter)
    return f"{DELIVERIES_DONE.dead_name}/0/"


def settings_of(stack: Any, user: str) -> ServiceSettings:
    """Return how one of the broker's users reaches it."""
    return ServiceSettings(
        kafka_bootstrap=stack.endpoints.kafka_bootstrap,
        kafka_username=user,
        kafka_password=SecretStr(stack.endpoints.kafka_password(user)),
    )


async def publish(stack: Any, user: str, *records: Outgoing) -> None:
    """Write to the broker as one of its users."""
    publisher = KafkaPublisher(settings_of(stack, user))
    await publisher.start()
    await publisher.publish(records)
    await publisher.stop()


async def read_to_the_end(stack: Any, service: str, topic: Topic) -> None:
    """Let a reader take all that there is, commit, and stand still from then on."""
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    reader = AIOKafkaConsumer(
        group_id=group_of(service, topic),
        enable_auto_commit=False,
        **kafka_client_options(settings_of(stack, service)),
    )
    await reader.start()
    reader.assign(partitions)
    await reader.commit(await reader.end_offsets(partitions))
    await reader.stop()


def some_deliveries(count: int) -> list[Outgoing]:
    """Return the records of `count` messages that ended, of as many cases."""
    events = [an_event(a_delivery_done(case_id=uuid4()), source="delivery", own_key=str(uuid4())) for _ in range(count)]
    return [Outgoing(DELIVERIES_DONE.name, DELIVERIES_DONE.key_of(event), codec.encode(event)) for event in events]


async def asked(operated: Operated, path: str) -> Any:
    """Ask as an operator."""
    async with operated.bench.client(OPERATOR) as client:
        answer = await client.get(path, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def test_flow_names_each_topic_with_its_readers_and_what_lies_dead(operated: Operated) -> None:
    """In pipeline order."""
    shown = await flowing(operated)

    assert list(shown) == [topic.name for topic in TOPICS]
    assert shown[DELIVERIES_DONE.name]["dead"] >= 1
    assert [group["service"] for group in shown[DELIVERIES_DONE.name]["groups"]] == ["review", "governance"]


async def test_reader_that_stands_still_is_behind_by_what_came_since(operated: Operated) -> None:
    """Each unread record counts, the oldest grows older, and a topic that grows has a rate; who never read has it all."""
    operated.bench.clock.now = datetime.now(UTC)
    await read_to_the_end(operated.stack, "governance", DELIVERIES_DONE)
    before = (await flowing(operated))[DELIVERIES_DONE.name]
    await publish(operated.stack, "delivery", *some_deliveries(BURST))
    operated.bench.clock.pass_by(seconds=BURST_SECONDS)
    after = (await flowing(operated))[DELIVERIES_DONE.name]
    operated.bench.clock.pass_by(seconds=5)
    later = (await flowing(operated))[DELIVERIES_DONE.name]

    waited = [behind(topic, "governance")["oldest_unread_seconds"] for topic in (before, after, later)]
    assert [behind(topic, "governance")["lag"] for topic in (before, after, later)] == [0, BURST, BURST]
    assert waited[0] is None
    assert 0 < waited[1] <= BURST_SECONDS
    assert waited[2] == pytest.approx(waited[1] + 5)
    assert after["records"] - before["records"] == BURST
    assert [topic["rate_per_second"] for topic in (before, after)] == [0, BURST / BURST_SECONDS]
    assert behind(after, "review")["lag"] == after["records"]


@pytest.mark.parametrize("answered_by", [None, "063fb00b-713e-51e8-b1d7-37ea4379a5f0"])
async def test_letter_of_a_message_that_was_mended_is_not_given_back(
    operated: Operated, answered_by: str | None
) -> None:
    """REQ-MSG-07: ops says which message it is, assembly whether another stands for it; nothing is asked for then."""
    event = an_event(an_hl7_received(an_omi()), site_id=operated.bench.site_id)
    place = await a_dead_message(operated.stack, event)
    asked_for: list[UUID] = []

    assembly = FastAPI()

    @assembly.get("/messages/{event_id}")
    async def message(event_id: UUID) -> dict[str, Any]:
        asked_for.append(event_id)
        return {"message": {"answered_by": answered_by}}

    async with serving(assembly, operated.assembly_socket), operated.bench.client(OPERATOR) as client:
        answer = await client.post("/ops/dead/replay", json={"places": [place]})

    requests = await operated.bench.published(REPLAYS_REQUESTED)
    assert asked_for == [event.id]
    assert len(requests) == (0 if answered_by else 1)
    assert answer.status_code == (409 if answered_by else 200)
    assert answer.json().get("type") == ("urn:overread:problem:mended" if answered_by else None)


async def test_letter_of_a_message_is_given_back_while_assembly_does_not_answer(operated: Operated) -> None:
    """REQ-MSG-07: assembly leaves unused what was mended, whoever asks."""
    event = an_event(an_hl7_received(an_omi()), site_id=operated.bench.site_id)
    place = await a_dead_message(operated.stack, event)

    async with operated.bench.client(OPERATOR) as client:
        answer = await client.post("/ops/dead/replay", json={"places": [place]})

    assert answer.json()["given_back"] == [{"place": place, "consumer": "assembly"}]


async def a_dead_message(stack: Any, event: Event[Any]) -> str:
    """Let assembly set a message aside, and return where it lies."""
    source = SourceRecord(topic=HL7_RECEIVED.name, partition=0, offset=0, key=b"his", value=codec.encode(event))
    letter = dead_letter(
        HL7_RECEIVED,
        source,
        kind=DeadLetterKind.DEFECT,
        reason="a test",
        attempts=5,
        consumer="assembly",
        now=NOON,
    )
    await publish(stack, "assembly", letter)
    return [
        one.place
        async for one in letters(settings_of(stack, "ops"), [HL7_RECEIVED.dead_name])
        if one.record.value == source.value
    ][-1]


async def flowing(operated: Operated) -> dict[str, Any]:
    """Return each topic as an operator is shown it now."""
    return {topic["name"]: topic for topic in (await asked(operated, "/ops/flow"))["topics"]}


def behind(topic: dict[str, Any], service: str) -> dict[str, Any]:
    """Return how far one of a topic's readers is."""
    [group] = [group for group in topic["groups"] if group["service"] == service]
    return dict(group)


async def test_service_that_does_not_answer_is_told_from_one_that_is_ready(operated: Operated) -> None:
    """Each service is asked at its own socket."""
    services = {one["name"]: one for one in (await asked(operated, "/ops/services"))["services"]}

    assert (services["ready-one"]["ready"], services["ready-one"]["answered"]) == (True, True)
    assert (services["silent-one"]["ready"], services["silent-one"]["answered"]) == (False, False)


async def test_dead_letter_is_listed_and_given_back_on_request(operated: Operated) -> None:
    """Listed with its reason and without its content; the request names the place alone, and is recorded."""
    listed = await asked(operated, "/ops/dead?limit=1000")
    letters = [one for one in listed["items"] if one["place"].startswith(operated.place)]
    assert letters, [one["place"] for one in listed["items"]]
    letter = letters[-1]
    body = {"places": [letter["place"], letter["place"]]}
    async with operated.bench.client(OPERATOR) as client:
        answer = await client.post("/ops/dead/replay", json=body)
        nowhere = await client.post("/ops/dead/replay", json={"places": [f"{operated.place}999999"]})

    [event] = await operated.bench.published(REPLAYS_REQUESTED)
    recorded = [one.data.action for one in await operated.bench.published(AUDIT_RECORDED)]
    assert (letter["kind"], letter["reason"], letter["consumer"]) == ("Malformed", "not JSON", "governance")
    assert letter["source"] == f"{DELIVERIES_DONE.name}/3/7"
    assert "NGUYEN" not in str(listed)
    assert answer.json()["given_back"] == [{"place": letter["place"], "consumer": "governance"}]
    assert (event.data.consumer, event.data.requested_by, event.subject) == ("governance", OPERATOR, letter["place"])
    assert (recorded, nowhere.status_code) == (["replay"], 404)
