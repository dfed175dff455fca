"""The skeleton of every service: broker, database, outbox relay, health and signals, in the right order."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import uvloop
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import FAKE_CONSUMER, KafkaMessage
from faststream.security import BaseSecurity, SASLScram256, SASLScram512

from overread.contracts.errors import Unavailable
from overread.contracts.topics import REPLAYS_REQUESTED, Topic, topic_named
from overread.runtime.clock import Clock, utc_now
from overread.runtime.consume import Consumption, Handler, Opens, SetAside
from overread.runtime.database import away_as_unavailable, migrate, migrations_of, open_pool
from overread.runtime.dead_letters import record_at
from overread.runtime.health import Answer, Health, operations_app, serve_on_socket
from overread.runtime.inbox import Transaction
from overread.runtime.offsets import OffsetsClient
from overread.runtime.outbox import OutboxRelay
from overread.runtime.publisher import (
    RETRY_BACKOFF_MILLISECONDS,
    KafkaPublisher,
    Publisher,
    kafka_client_options,
)
from overread.runtime.replays import Replays
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import BROKER_LOGGER, configure_logging, configure_tracing, log

if TYPE_CHECKING:
    from overread.runtime.database import Pool

START_RETRY_SECONDS = 0.5
STOP_SECONDS = 8.0

Task = Callable[[], Coroutine[Any, Any, None]]
H = TypeVar("H", bound=Handler)
T = TypeVar("T")


class Service:
    """One process: what it consumes, what it runs beside, and what it depends on.

    `owns` is the package whose `migrations/` make its tables; a service without it is stateless. With `proves_replays`
    it takes again only what its source topic holds word for word: whoever reads a topic may write its dead letters.
    """

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        owns: str | None = None,
        proves_replays: bool = False,
        publisher: Publisher | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock
        self.health = Health()
        self.publisher: Publisher = publisher or KafkaPublisher(settings)
        self.broker = KafkaBroker(
            settings.kafka_bootstrap,
            security=_security(settings),
            client_id=f"overread.{name}",
            allow_auto_create_topics=False,
            retry_backoff_ms=RETRY_BACKOFF_MILLISECONDS,
            logger=logging.getLogger(BROKER_LOGGER),
        )
        self.consumptions: dict[str, Consumption] = {}
        self._owns = owns
        self._proves_replays = proves_replays
        self._migrations: list[tuple[str, str]] = migrations_of(owns) if owns else []
        self._tasks: list[Task] = []
        self._servers: list[Callable[[], AbstractAsyncContextManager[None]]] = []
        self._answers: dict[str, Answer] = {}
        self._pool: Pool | None = None
        self._offsets = OffsetsClient(settings)

    @property
    def has_database(self) -> bool:
        """Say whether the service owns state."""
        return self._owns is not None

    @property
    def pool(self) -> "Pool":
        """Return the database connections, or raise `Unavailable` before the service has started."""
        if self._pool is None:
            raise Unavailable("the database is not connected yet")
        return self._pool

    def migration(self, name: str, sql: str) -> None:
        """Add a migration that is generated from a contract instead of written in a file."""
        self._migrations.append((name, sql))
        self._migrations.sort()

    def consumes(
        self, topic: Topic, *, set_aside: SetAside | None = None, opens: Opens | None = None
    ) -> Callable[[H], H]:
        """Register a handler for `topic`: a batch of unseen events and one transaction at a time.

        `set_aside` is told of each record that is set aside; `opens` reads records that are not in our envelope. Who consumes anything also takes its own dead letters again
        when an operator asks for it.
        """

        def register(handler: H) -> H:
            self._subscribe(Consumption(self, topic, handler, set_aside=set_aside, opens=opens))
            if REPLAYS_REQUESTED.name not in self.consumptions:
                source = record_at if self._proves_replays else None
                replays = Replays(self.name, self.settings, self.consumptions, source=source)
                self._subscribe(Consumption(self, REPLAYS_REQUESTED, replays.requested))
            return handler

        return register

    def runs(self, task: Task) -> None:
        """Run `task` beside the consumers; its end, however it ends, ends the service (which is then restarted)."""
        self._tasks.append(partial(self._without_end, task))

    def prepares(self, task: Task) -> None:
        """Run `task` once beside the consumers, for what is better done before it is asked for."""
        self._tasks.append(task)

    async def _without_end(self, task: Task) -> None:
        """Run `task` until cancelled. A task that ended as if cancelled would else be missed by nobody."""
        running = asyncio.create_task(task())
        try:
            await asyncio.wait((running,))
        finally:
            await _cancelled(running)
        if not running.cancelled():
            running.result()
        raise RuntimeError(f"{self.name}: a task ended that should run for ever")

    def serves(self, server: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        """Open `server` once the dependencies are there, and close it before they are let go."""
        self._servers.append(server)

    def answers(self, path: str, answer: Answer) -> None:
        """Answer `GET path` on the service's own socket, beside its health, with what `answer` returns."""
        self._answers[path] = answer

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Open a unit of work: on leaving, effects and outgoing events commit together.

        A stateless service's events are acknowledged by the broker before this returns.
        """
        if not self.has_database:
            tx = self._new_transaction(None)
            yield tx
            if tx.outgoing:
                await self.publisher.publish(tx.outgoing)
            return
        async with away_as_unavailable(), self.pool.acquire() as connection, connection.transaction():
            tx = self._new_transaction(connection)
            yield tx
            await tx.write_outbox()

    def _new_transaction(self, connection: Any) -> Transaction:
        return Transaction(service=self.name, site_id=self.settings.site_id, clock=self.clock, connection=connection)

    async def dependencies_answer(self) -> bool:
        """Say whether every dependency answers its ping now."""
        return not await self.health.dependencies_failing()

    def _subscribe(self, consumption: Consumption) -> None:
        self.consumptions[consumption.topic.name] = consumption
        subscriber = self.broker.subscriber(
            consumption.topic.name,
            group_id=consumption.group_id,
            group_instance_id=f"{consumption.group_id}.{self.settings.instance_id}",
            batch=True,
            batch_timeout_ms=self.settings.poll_milliseconds,
            max_records=self.settings.batch_records,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            listener=consumption,
            parser=_raw,
            decoder=_as_read,
            title=consumption.group_id,
            description=consumption.topic.says,
        )

        async def on_batch(records: Any) -> None:
            await consumption.on_records(records)

        subscriber(on_batch)
        consumption.consumer_now = lambda: subscriber.consumer
        consumption.offsets = self._offsets

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, then stop in order; the process exits 0 when it was asked to stop."""
        configure_logging(self.name, self.settings.log_level)
        configure_tracing(self.name, self.settings.otlp_endpoint)
        try:
            uvloop.run(self._run_until_signalled())
        except Exception:  # noqa: BLE001 - an uncaught traceback would print messages, which may name a patient
            log.exception("service_failed")
            raise SystemExit(1) from None

    async def _run_until_signalled(self) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with AsyncExitStack() as stack:
            running = asyncio.create_task(self._start_and_run(stack))
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            if running.done() and not stop.is_set():
                running.result()
                raise RuntimeError(f"{self.name}: a task ended that should run for ever")
            await _cancelled(running)
        log.info("stopped")

    async def _start_and_run(self, stack: AsyncExitStack) -> None:
        async with asyncio.TaskGroup() as group:
            if self.settings.health_socket:
                told = operations_app(self.health, self._answers)
                group.create_task(serve_on_socket(told, self.settings.health_socket))
            await self.start(stack)
            for task in self._tasks:
                group.create_task(task())
            group.create_task(_for_ever())
            gc.freeze()  # what was made at start lives on: the collector need not look at it again
            self.health.is_started = True
            log.info("started", consumes=sorted(self.consumptions))

    async def start(self, stack: AsyncExitStack) -> None:
        """Connect database, publisher and consumers, waiting for each that is away; `stack` undoes it in reverse."""
        if self.has_database:
            await self._start_database(stack)
        await _when_available(self.publisher.start)
        stack.push_async_callback(self.publisher.stop)
        self.health.register("kafka", self.publisher.ping)
        if self.has_database:
            relay = asyncio.create_task(OutboxRelay(self.pool, self.publisher).run())
            stack.push_async_callback(_cancelled, relay)
        if self.consumptions:
            await _when_available(self._start_consumers)
            stack.push_async_callback(self.broker.stop)
            stack.push_async_callback(self._offsets.stop)
        for consumption in self.consumptions.values():
            self.health.register_wait(f"consumption of {consumption.topic.name}", consumption.why_it_waits)
        for server in self._servers:
            await stack.enter_async_context(server())

    async def _start_consumers(self) -> None:
        try:
            await self.broker.start()
        except (KafkaError, OSError) as error:
            await self.broker.stop()
            raise Unavailable(f"the event broker does not answer ({type(error).__name__})") from error

    async def _start_database(self, stack: AsyncExitStack) -> None:
        dsn = self.settings.database_dsn
        if dsn is None:
            raise Unavailable(f"{self.name} owns state: set OVERREAD_DATABASE_DSN")
        self._pool = await _when_available(lambda: open_pool(dsn.get_secret_value()))
        stack.push_async_callback(_close, self._pool)
        pool = self._pool
        await _when_available(lambda: migrate(pool, self._migrations))
        self.health.register("postgresql", self.ping_database)

    async def ping_database(self) -> None:
        """Raise `Unavailable` when the database does not answer."""
        async with away_as_unavailable():
            await self.pool.fetchval("SELECT 1", timeout=2.0)

    async def has_read_to_the_end(self, topic: Topic, partitions: Sequence[int]) -> bool:
        """Say whether all that the broker held in `partitions` of `topic` at this moment has had its effects."""
        return await self.consumptions[topic_named(topic.name).name].has_read_to_the_end(partitions)


async def _raw(records: Any) -> KafkaMessage:
    """Hand the records on as they are: headers and bodies of a stranger are judged by us, one by one."""
    return KafkaMessage(body=b"", raw_message=tuple(records), headers={}, consumer=FAKE_CONSUMER)


async def _as_read(message: Any) -> Any:
    return message.raw_message


def _security(settings: ServiceSettings) -> BaseSecurity | None:
    options = kafka_client_options(settings)
    context = options.get("ssl_context")
    match options.get("sasl_mechanism"):
        case None:
            return BaseSecurity(context) if context else None
        case mechanism:
            scram = SASLScram256 if mechanism == "SCRAM-SHA-256" else SASLScram512
            return scram(
                username=options["sasl_plain_username"],
                password=options["sasl_plain_password"],
                use_ssl=context is not None,
                ssl_context=context,
            )


async def _for_ever() -> None:
    """Keep a service that only consumes running."""
    await asyncio.Event().wait()


async def _when_available(start: Callable[[], Awaitable[T]]) -> T:
    """Return what `start` returns, trying again while the dependency is away."""
    while True:
        try:
            return await start()
        except (Unavailable, OSError) as away:
            log.warning("waits_for_dependency", reason=str(away))
            await asyncio.sleep(START_RETRY_SECONDS)


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), STOP_SECONDS)


async def _close(pool: "Pool") -> None:
    try:
        await asyncio.wait_for(pool.close(), STOP_SECONDS)
    except TimeoutError:
        pool.terminate()
