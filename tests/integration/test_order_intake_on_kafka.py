"""The order intake as a process on the real broker: a HIS that speaks Kafka, and a client whose server is killed."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Consumer as OtherConsumer
from confluent_kafka import Producer, TopicPartition
from pydantic import SecretStr

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.topics import HL7_RECEIVED, ORDERS_OFFERED, ORDERS_RECEIVED
from overread.embedded.kafka_admin import FIRST_OUTSIDERS, connection
from overread.order_intake.settings import OrderIntakeSettings
from overread.runtime.dead_letters import DeadLetter, letters
from overread.runtime.health import readiness_at
from overread.runtime.passes import PASS_HEADER, Visitor, issue
from overread.runtime.topic_reader import tail
from tests.fakes.assembly import an_assembly_bench
from tests.fakes.order_intake import SECRET, an_order_as_json

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90.0
MAIN = "from overread.order_intake.app import main; main()"
(OUTSIDER,) = FIRST_OUTSIDERS


class Intake:
    """The service as a process, and what it left on the broker."""

    def __init__(self, stack: Any) -> None:
        self.endpoints = stack.endpoints
        self.link = f"his-{uuid4().hex[:12]}"
        self.socket = self.endpoints.data.run / "orders-test.sock"
        self._told = {
            **os.environ,
            **self.endpoints.environment_of("order_intake"),
            "OVERREAD_FRONT_SECRET": SECRET,
            "OVERREAD_HTTP_SOCKET": str(self.socket),
        }

    @contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Run the service for the time of the block."""
        with (self.endpoints.data.logs / "order_intake.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", MAIN], cwd=ROOT, env=self._told, stderr=log)
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    async def is_ready(self) -> None:
        """Wait until the service says so."""
        health = self.endpoints.health_socket("order_intake")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await asyncio.to_thread(readiness_at, health) != {}:  # noqa: ASYNC110 - asked of another process
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Return a client that comes as the front does."""
        visitor = Visitor(subject=self.link, site_id=self.endpoints.site_id, roles=frozenset({"order_placer"}))
        shown = issue(visitor, audience="order_intake", secret=SECRET.encode(), now=datetime.now(UTC))
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://service", headers={PASS_HEADER: shown}, timeout=10.0
        ) as client:
            yield client

    async def received(self, link: str = "") -> Sequence[Event[Any]]:
        """Return what the statements of a link, else of its own, became, oldest first."""
        since = datetime.now(UTC) - timedelta(hours=1)
        key = (link or self.link).encode()
        newest_first = tail(self.settings, ORDERS_RECEIVED.name, key, most=100_000, since=since)
        return [codec.decode(value, ORDERS_RECEIVED.bodies) async for value in newest_first][::-1]

    async def set_aside(self) -> list[DeadLetter]:
        """Return the dead letters of this link's records."""
        found = letters(self.settings, [ORDERS_OFFERED.dead_name])
        return [letter async for letter in found if self.link.encode() in letter.record.value]

    @property
    def settings(self) -> OrderIntakeSettings:
        """Return how the service reaches the broker."""
        return OrderIntakeSettings(
            site_id=self.endpoints.site_id,
            kafka_bootstrap=self.endpoints.kafka_bootstrap,
            kafka_username="order_intake",
            kafka_password=SecretStr(self.endpoints.kafka_password("order_intake")),
        )

    def of_others(self, **changed: Any) -> dict[str, Any]:
        """Return how a system of others reaches the broker, in librdkafka's words."""
        password = self.endpoints.kafka_password(OUTSIDER)
        return {**connection(self.endpoints.ports.kafka, OUTSIDER, password), **changed}

    def offer(self, *values: bytes, topic: str = ORDERS_OFFERED.name) -> list[str]:
        """Write records as a HIS does, with a client that is not ours; return what the broker said against any."""
        faults: list[str] = []
        producer = Producer(self.of_others())
        for value in values:
            producer.produce(
                topic, value, key=self.link, on_delivery=lambda e, _: faults.append(e.name()) if e else None
            )
        producer.flush(PATIENCE_SECONDS)
        return faults

    def offered(self, message_id: str, **changed: Any) -> bytes:
        """Return a record's value."""
        statement = an_order_as_json(message_id="ABSENT", **changed)
        said = {"type": "OrderOffered.v1", "link_id": self.link, "message_id": message_id, "statement": statement}
        return json.dumps(said, ensure_ascii=False).encode()


@pytest.fixture
def intake(stack: Any) -> Intake:
    """Return an intake with a link of its own."""
    return Intake(stack)


async def test_a_his_that_speaks_kafka_offers_orders_and_each_ends_once(intake: Intake) -> None:
    """REQ-NON-10: good ones are received once, in their order; bad ones are set aside with the reason."""
    link = f"kafka-{intake.link}"
    values = [intake.offered("1"), b'{"link_id":"%s"}' % intake.link.encode(), intake.offered("2", action="cancel")]

    with intake.running():
        await intake.is_ready()
        faults = await asyncio.to_thread(intake.offer, *values, values[0])
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(await intake.received(link)) < 2 or not await intake.set_aside():  # noqa: ASYNC110 - asked of the broker
                await asyncio.sleep(0.1)

    assert faults == []
    assert [event.data.message_id for event in await intake.received(link)] == ["1", "2"]
    (letter,) = await intake.set_aside()
    assert letter.record.value == values[1]
    assert "/statement: This is missing." in letter.reason


async def test_a_system_of_others_may_offer_and_nothing_else(intake: Intake) -> None:
    """REQ-NON-10: its broker user writes one topic, and reads none, not even that one."""
    denied = await asyncio.to_thread(intake.offer, b"{}", topic=HL7_RECEIVED.name)
    reader = OtherConsumer(intake.of_others(**{"group.id": "his"}))
    reader.assign([TopicPartition(ORDERS_OFFERED.name, 0, 0)])
    refused = await asyncio.to_thread(reader.poll, PATIENCE_SECONDS)
    await asyncio.to_thread(reader.close)

    assert denied == ["TOPIC_AUTHORIZATION_FAILED"]
    fault = refused and refused.error()
    assert fault
    assert fault.name() in {"TOPIC_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED"}


async def test_what_was_acknowledged_before_each_kill_is_applied_once(intake: Intake, tmp_path: Path) -> None:
    """REQ-NON-01: kill -9 under load, twice; every 2xx is an order in assembly's tables, and none is two."""
    acknowledged: set[str] = set()
    numbers = iter(range(10**6))

    for _ in range(2):
        with intake.running() as process:
            await intake.is_ready()
            async with intake.client() as client:
                loads = [asyncio.ensure_future(_place(client, numbers, acknowledged)) for _ in range(8)]
                before = len(acknowledged)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while len(acknowledged) < before + 50:  # noqa: ASYNC110 - told by another process
                        await asyncio.sleep(0.01)
                process.kill()
                await asyncio.gather(*loads)

    received = await intake.received()
    async with an_assembly_bench(intake.endpoints.dsn("assembly"), tmp_path) as bench:
        again = [event.model_copy(update={"site_id": bench.site_id}) for event in received]
        for part in range(0, len(again), 200):
            await bench.hears(ORDERS_RECEIVED, *again[part : part + 200])
        await bench.hears(ORDERS_RECEIVED, *again[:200])
        applied = [order.placer_order_number for order in await bench.orders()]
    assert acknowledged <= set(applied)
    assert len(applied) == len(set(applied)) == len({event.data.message_id for event in received})


async def _place(client: httpx.AsyncClient, numbers: Iterator[int], acknowledged: set[str]) -> None:
    """Place one order after another until nobody answers any more, and note which were acknowledged."""
    while True:
        number = f"TEST-{next(numbers)}"
        order = an_order_as_json(message_id=number, placer={"number": number}, accession_number="ABSENT")
        try:
            answer = await client.post("/api/v1/orders", json=order)
        except httpx.HTTPError:
            return
        if answer.is_success:
            acknowledged.add(number)
