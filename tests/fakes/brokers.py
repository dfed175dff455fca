"""One service on a fake broker or on real Kafka, so that the same suite can ask both the same questions."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream.kafka import TestKafkaBroker
from pydantic import SecretStr

from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.events.audit import Recorded
from overread.contracts.topics import AUDIT_RECORDED, REPLAYS_REQUESTED
from overread.embedded.endpoints import Endpoints
from overread.runtime.consume import Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.dead_letters import letters, request_for
from overread.runtime.inbox import Transaction
from overread.runtime.publisher import KafkaPublisher, Outgoing, kafka_client_options
from overread.runtime.service import Service
from overread.runtime.settings import ServiceSettings
from tests.builders.events import NOON, a_recorded, an_event
from tests.fakes.units_of_work import FakeUnitsOfWork

SERVICE = "governance"
PATIENCE_SECONDS = 20.0
EFFECTS = "CREATE TABLE IF NOT EXISTS effects_of_tests (run text NOT NULL, object_id text NOT NULL)"

Headers = tuple[tuple[str, bytes], ...]


class Bench(Protocol):
    """A running service that consumes `audit.recorded`, and what a test may do to it."""

    run: str
    on: Callable[[Delivered], None]

    async def send(self, value: bytes, headers: Headers = ()) -> None:
        """Put one record on the topic."""

    async def effects(self) -> list[str]:
        """Return the effects that were committed, in order."""

    async def dead_letters(self) -> list[Outgoing]:
        """Return what was set aside in this run."""

    async def replay(self, letter: Outgoing) -> None:
        """Ask for a dead letter once more."""

    async def go_away(self) -> None:
        """Take the dependencies away."""

    async def come_back(self) -> None:
        """Bring them back."""

    def why_it_waits(self) -> str | None:
        """Return what the consumption waits for."""


def an_act(bench: Bench, name: str, action: str = "view") -> bytes:
    """Return an event of this run whose effect is `name`."""
    return codec.encode(an_event(a_recorded(object_id=name, actor=bench.run, action=action), own_key=bench.run + name))


async def until(condition: Callable[[], Any]) -> Any:
    """Return the first true answer of `condition` (awaited when it is a coroutine), within the patience."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        answer = condition()
        answer = await answer if asyncio.iscoroutine(answer) else answer
        if answer:
            return answer
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.05)


async def has_effects(bench: Bench, *names: str) -> list[str]:
    """Return the effects as soon as all of `names` are among them."""

    async def there() -> list[str]:
        found = await bench.effects()
        return found if set(names) <= set(found) else []

    answer: list[str] = await until(there)
    return answer


def _echo(tx: Transaction, delivered: Delivered) -> None:
    """Answer an act called `ask` by an event of our own."""
    asked: Recorded = delivered.event.data
    if asked.action == "ask":
        answer = a_recorded(object_id=f"answer to {asked.object_id}", actor=asked.actor, action="answer")
        tx.publish(AUDIT_RECORDED, answer, subject="test", own_key=asked.object_id, caused_by=delivered.event)


class FakeBrokerService(Service):
    """A service whose transactions are kept in memory and whose publisher is the fake broker."""

    units: FakeUnitsOfWork

    @property
    def has_database(self) -> bool:
        """Say that it owns state: the fake keeps an inbox."""
        return True

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a unit of work of the fake."""
        async with self.units.transaction() as tx:
            yield tx

    async def dependencies_answer(self) -> bool:
        """Ask the fake."""
        return await self.units.dependencies_answer()


class FakeBench:
    """FastStream's TestKafkaBroker: a record is handled at once, and polled again while the service waits."""

    def __init__(self) -> None:
        self.run = uuid4().hex
        self.on: Callable[[Delivered], None] = lambda _: None
        self._effects: list[str] = []
        self._service = FakeBrokerService(SERVICE, ServiceSettings(kafka_security="PLAINTEXT"))
        self._service.units = FakeUnitsOfWork(name=SERVICE)
        self._service.consumes(AUDIT_RECORDED)(self._handle)
        self._relayed = 0

    async def _handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        for delivered in batch:
            self.on(delivered)
            _echo(tx, delivered)
        self._effects += [delivered.event.data.object_id for delivered in batch]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeBench"]:
        """Run the service on the fake broker."""
        async with TestKafkaBroker(self._service.broker):
            yield self

    async def send(self, value: bytes, headers: Headers = ()) -> None:
        """Publish; a record that was rewound is polled again when the consumption has resumed."""
        await self._polled(value, headers)
        if self.why_it_waits() is not None:
            self._later = asyncio.create_task(self._polled_later(value, headers))

    async def _polled_later(self, value: bytes, headers: Headers) -> None:
        await until(lambda: self.why_it_waits() is None)
        await self._polled(value, headers)

    async def _polled(self, value: bytes, headers: Headers) -> None:
        text_headers = {name: raw.decode() for name, raw in headers}
        await self._service.broker.publish(value, AUDIT_RECORDED.name, key=b"site", headers=text_headers)
        published = self._service.units.published
        while self._relayed < len(published):
            record = published[self._relayed]
            self._relayed += 1
            if record.topic == AUDIT_RECORDED.name:
                await self._polled(record.value, record.headers)

    async def effects(self) -> list[str]:
        """Return the effects in memory."""
        return list(self._effects)

    async def dead_letters(self) -> list[Outgoing]:
        """Return what the fake's outbox holds for the dead-letter topic."""
        return [record for record in self._service.units.published if record.topic == AUDIT_RECORDED.dead_name]

    async def replay(self, letter: Outgoing) -> None:
        """Take the letter again, as a request for it does; there is no dead-letter topic to read it from."""
        again = SourceRecord(
            topic=AUDIT_RECORDED.name, partition=0, offset=0, key=letter.key, value=letter.value, replay_attempt=1
        )
        await self._service.consumptions[AUDIT_RECORDED.name].take_again(again, broker_milliseconds=0)

    async def go_away(self) -> None:
        """Let transactions and pings fail."""
        self._service.units.is_away = True

    async def come_back(self) -> None:
        """Let them work."""
        self._service.units.is_away = False

    def why_it_waits(self) -> str | None:
        """Ask the consumption."""
        return self._service.consumptions[AUDIT_RECORDED.name].why_it_waits()


class RealBench:
    """The embedded Kafka and PostgreSQL, as the service `governance` with its own user, rights and schema."""

    def __init__(self, endpoints: Endpoints, *, run: str | None = None, instance_id: str = "tests") -> None:
        self.run = run or uuid4().hex
        self.on: Callable[[Delivered], None] = lambda _: None
        self.settings = settings_of(endpoints, instance_id=instance_id)
        self._endpoints = endpoints
        self.service = Service(SERVICE, self.settings, owns="overread.runtime")
        self.service.migration("9000_effects_of_tests.sql", EFFECTS)
        self.service.consumes(AUDIT_RECORDED)(self._handle)
        self._producer: AIOKafkaProducer | None = None
        self._is_away = False

    async def _handle(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        ours = [delivered for delivered in batch if delivered.event.data.actor == self.run]
        for delivered in ours:
            self.on(delivered)
            _echo(tx, delivered)
        rows = [(self.run, delivered.event.data.object_id) for delivered in ours]
        await tx.connection.executemany("INSERT INTO effects_of_tests VALUES ($1, $2)", rows)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["RealBench"]:
        """Run the service until the end of the block."""
        async with AsyncExitStack() as stack:
            self._producer = AIOKafkaProducer(acks="all", **kafka_client_options(self.settings))
            await self._producer.start()
            stack.push_async_callback(self._producer.stop)
            await self.service.start(stack)
            self.service.health.register("tests", self._ping)
            yield self

    async def _ping(self) -> None:
        if self._is_away:
            raise Unavailable("taken away by a test")

    async def send(self, value: bytes, headers: Headers = ()) -> None:
        """Write to the real topic; a record of a run without a key of its own goes to one partition."""
        assert self._producer is not None
        await self._producer.send_and_wait(AUDIT_RECORDED.name, value, key=b"site", headers=list(headers))

    async def effects(self) -> list[str]:
        """Read the effects from the database."""
        pool: Any = self.service.pool
        rows = await pool.fetch("SELECT object_id FROM effects_of_tests WHERE run = $1", self.run)
        return [row["object_id"] for row in rows]

    async def dead_letters(self) -> list[Outgoing]:
        """Read the dead-letter topic as an operator would."""
        consumer = AIOKafkaConsumer(
            AUDIT_RECORDED.dead_name,
            auto_offset_reset="earliest",
            **kafka_client_options(settings_of(self._endpoints, user="ops")),
        )
        await consumer.start()
        try:
            found = await consumer.getmany(timeout_ms=1500)
        finally:
            await consumer.stop()
        records = [record for polled in found.values() for record in polled]
        letters = [Outgoing(record.topic, record.key, record.value, tuple(record.headers)) for record in records]
        return [letter for letter in letters if self.run.encode() in letter.value]

    async def replay(self, letter: Outgoing) -> None:
        """Ask as an operator does: by the letter's place, on the topic of requests."""
        as_ops = settings_of(self._endpoints, user="ops")
        found = [kept async for kept in letters(as_ops, [letter.topic]) if kept.record.value == letter.value]
        asked = an_event(request_for(found[-1], requested_by="ops", now=NOON), own_key=uuid4().hex)
        publisher = KafkaPublisher(as_ops)
        await publisher.start()
        try:
            record = Outgoing(REPLAYS_REQUESTED.name, REPLAYS_REQUESTED.key_of(asked), codec.encode(asked))
            await publisher.publish([record])
        finally:
            await publisher.stop()

    async def go_away(self) -> None:
        """Let every transaction fail as it does without a database."""
        self._is_away = True
        self._real_transaction = self.service.transaction

        @asynccontextmanager
        async def away() -> AsyncIterator[Transaction]:
            if self._is_away:
                raise Unavailable("taken away by a test")
            async with self._real_transaction() as tx:
                yield tx

        self.service.transaction = away  # type: ignore[method-assign]

    async def come_back(self) -> None:
        """Let them work again."""
        self._is_away = False

    def why_it_waits(self) -> str | None:
        """Ask the consumption."""
        return self.service.consumptions[AUDIT_RECORDED.name].why_it_waits()


def settings_of(endpoints: Endpoints, *, user: str = SERVICE, instance_id: str = "tests") -> ServiceSettings:
    """Return the settings by which `user` reaches the embedded servers."""
    return ServiceSettings(
        site_id="site",
        instance_id=instance_id,
        kafka_bootstrap=endpoints.kafka_bootstrap,
        kafka_username=user,
        kafka_password=SecretStr(endpoints.kafka_password(user)),
        database_dsn=SecretStr(endpoints.dsn(SERVICE)),
    )


async def ended(task: "asyncio.Task[Any]") -> None:
    """Cancel `task` and wait for its end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
