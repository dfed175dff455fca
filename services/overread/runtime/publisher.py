"""Records out to Kafka: acknowledged by every in-sync replica, after its flush, or `Unavailable`."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, LeaderNotAvailableError, MessageSizeTooLargeError
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition
from prometheus_client import Counter

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.produce_channel import ProduceChannel
from overread.runtime.produce_request import ProduceBatch
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import PUBLISHED

REQUEST_TIMEOUT_MILLISECONDS = 8_000

RETRY_BACKOFF_MILLISECONDS = 300
"""Every client waits this long before it asks a broker again that was away: many at once would slow its return."""

MAX_BATCH_BYTES = 256 * 1024

P = TypeVar("P")

Line = tuple[str, bytes]
"""A topic and a key, whose records keep their order."""

OnSent = Callable[[OverreadError | None], None]
"""Told, once, that a batch is acknowledged, or why it is not."""

MAX_RECORD_BYTES = 2 * 1024 * 1024
"""Above the largest record that the broker takes, so that a dead letter can hold any record with its reason."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be written: topic name, key, value and headers as bytes."""

    topic: str
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher(Protocol):
    """Where records go; the real one is `KafkaPublisher`."""

    async def start(self) -> None:
        """Connect, or raise `Unavailable`."""

    async def stop(self) -> None:
        """Send what is waiting and disconnect."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when every record is acknowledged, in order within a key; raise `Unavailable` otherwise."""

    async def ping(self) -> None:
        """Raise `Unavailable` when the broker does not answer."""


def kafka_client_options(settings: ServiceSettings) -> dict[str, Any]:
    """Return the connection options that consumers and producers share."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security,
        "retry_backoff_ms": RETRY_BACKOFF_MILLISECONDS,
    }
    if settings.kafka_security.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file)
    return options


class KafkaPublisher:
    """An aiokafka producer with `acks=all`.

    Without the idempotent producer: one batch a partition is in flight, so order holds, and a repeat after a lost
    acknowledgement carries the same event id, which every consumer recognises (ADR 0003).
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._channels: dict[int, ProduceChannel] = {}
        self._leaders: dict[Line, tuple[int, int]] = {}
        self._asking: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect, or raise `Unavailable`."""
        producer = AIOKafkaProducer(
            acks="all",
            enable_idempotence=False,
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            partitioner=partition_of,
            request_timeout_ms=REQUEST_TIMEOUT_MILLISECONDS,
            **kafka_client_options(self._settings),
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise Unavailable("the event broker does not answer") from error
        self._producer = producer

    async def stop(self) -> None:
        """Send what is waiting and disconnect."""
        producer, self._producer = self._producer, None
        for channel in self._channels.values():
            channel.close()
        if producer is not None:
            await producer.stop()
        if self._asking:
            await asyncio.wait(self._asking, timeout=1)

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when every record is acknowledged, in order within a key; raise `Unavailable` otherwise."""
        sent: list[Awaitable[None]] = []
        fault: OverreadError | None = None
        for record in records:
            try:
                sent.append(await self.enqueue(record))
            except OverreadError as error:
                fault = error
                break  # what comes after it must not overtake it; what came before is waited for
        for acknowledged in sent:
            try:
                await acknowledged
            except OverreadError as error:
                fault = fault or error
        if fault is not None:
            raise fault

    async def enqueue(self, record: Outgoing) -> Awaitable[None]:
        """Give `record` its place in the order; await the result for the broker's acknowledgement.

        Raises, now or then, what `publish` raises.
        """
        if self._producer is None:
            raise Unavailable("the event broker is not connected yet")
        with _explained():
            sent = await self._producer.send(
                record.topic, value=record.value, key=record.key, headers=list(record.headers)
            )
        return _acknowledged(sent, record.topic)

    def new_batch(self) -> Any:
        """Return an empty batch for `send_batch`; its `append` says None when it is full."""
        return DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, MAX_BATCH_BYTES)

    def send_batch(self, batch: Any, line: Line, records: int, on_sent: OnSent) -> None:
        """Send all of `batch`, of one topic and key; tell `on_sent`, once, that it is acknowledged, or why not.

        It goes straight to the partition's leader: aiokafka's own queue and sender would be a second group commit.
        """
        content, timeout = bytes(batch.build()), REQUEST_TIMEOUT_MILLISECONDS / 1000
        until = asyncio.get_running_loop().time() + timeout

        def on_told(failure: OverreadError | None) -> None:
            on_sent(failure)
            if failure is None:
                _published(line[0]).inc(records)

        def on_answer(error: KafkaError | None) -> None:
            self._ask_again(line, content, until, on_told) if error else on_told(None)

        leader = self._leaders.get(line)
        channel = self._channels.get(leader[0]) if leader else None
        if leader and channel and channel.is_open:
            channel.send(ProduceBatch(line[0], leader[1], content, REQUEST_TIMEOUT_MILLISECONDS), on_answer, timeout)
        else:
            self._ask_again(line, content, until, on_told)

    def _ask_again(self, line: Line, content: bytes, until: float, on_told: OnSent) -> None:
        """Ask with patience: who leads, over which connection, and again while the broker may yet answer."""
        self._leaders.pop(line, None)
        task = asyncio.get_running_loop().create_task(self._ask_until(line, content, until, on_told))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_until(self, line: Line, content: bytes, until: float, on_told: OnSent) -> None:
        failure: OverreadError | None = Unavailable("the event broker was not asked: the service stops")
        try:
            with _explained():
                await self._produce(line, content, until)
            failure = None
        except OverreadError as error:
            failure = error
        finally:
            on_told(failure)

    async def _produce(self, line: Line, content: bytes, until: float) -> None:
        """Ask the leader, and ask again while the broker says that it may yet be, until the time is over."""
        client, loop = self._connected().client, asyncio.get_running_loop()
        while True:
            try:
                node, partition = await self._leader(client, line)
                request = ProduceBatch(line[0], partition, content, REQUEST_TIMEOUT_MILLISECONDS)
                await self._answered(node, request, max(until - loop.time(), 0.0))
            except KafkaError as error:
                pause = RETRY_BACKOFF_MILLISECONDS / 1000
                if not error.retriable or loop.time() + pause > until:
                    raise
                client.force_metadata_update()
                await asyncio.sleep(pause)
            else:
                self._leaders[line] = (node, partition)
                return

    async def _answered(self, node: int, request: ProduceBatch, timeout_seconds: float) -> None:
        """Return when `node` has what `request` asks for; raise what it says instead."""
        channel = self._channels.get(node)
        if channel is None or not channel.is_open:
            channel = self._channels[node] = await self._opened(node)
        answer: asyncio.Future[KafkaError | None] = asyncio.get_running_loop().create_future()
        channel.send(request, lambda error: None if answer.done() else answer.set_result(error), timeout_seconds)
        if (error := await answer) is not None:
            raise error

    async def _opened(self, node: int) -> ProduceChannel:
        broker = self._connected().client.cluster.broker_metadata(node)
        if broker is None:
            raise LeaderNotAvailableError
        options = kafka_client_options(self._settings)
        told = {name: value for name, value in options.items() if name.startswith(("sasl", "ssl", "security"))}
        return await ProduceChannel.opened(broker.host, broker.port, REQUEST_TIMEOUT_MILLISECONDS, told)

    async def _leader(self, client: Any, line: Line) -> tuple[int, int]:
        """Return the node that leads the partition of the line's key, and the partition."""
        topic, key = line
        known = client.cluster.partitions_for_topic(topic) or await self._connected().partitions_for(topic)
        partition: int = partition_of(key, sorted(known))
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        if leader is None or leader < 0:
            raise LeaderNotAvailableError
        return leader, partition

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise Unavailable("the event broker is not connected yet")
        return self._producer

    async def ping(self) -> None:
        """Raise `Unavailable` when the broker does not answer."""
        if self._producer is None:
            raise Unavailable("the event broker is not connected yet")
        try:
            await self._producer.client.fetch_all_metadata()
        except (KafkaError, OSError) as error:
            raise Unavailable("the event broker does not answer") from error


@lru_cache(maxsize=4096)
def _hash_of(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of(key: bytes | None, all_partitions: Sequence[P], _available: Sequence[P] = ()) -> P:
    """Choose as Kafka's own clients do: by the key's hash, over all partitions; every record of ours has a key."""
    if not all_partitions:
        raise Unavailable("the topic is not there, or not ours to see")
    return all_partitions[_hash_of(key or b"") % len(all_partitions)]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise Malformed("the record is larger than the broker takes") from error
    except (KafkaError, OSError) as error:
        raise Unavailable(f"the event broker did not acknowledge ({type(error).__name__})") from error


def _acknowledged(sent: "asyncio.Future[object]", topic: str) -> "asyncio.Future[None]":
    """Return what becomes of `sent` in our words; a plain future, since a task for each record costs more."""
    acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_sent(done: "asyncio.Future[object]") -> None:
        if acknowledged.done():
            return
        try:
            with _explained():
                done.result()
        except (OverreadError, asyncio.CancelledError) as failure:
            acknowledged.set_exception(_as_unavailable(failure))
            return
        _published(topic).inc()
        acknowledged.set_result(None)

    sent.add_done_callback(on_sent)
    return acknowledged


@cache
def _published(topic: str) -> Counter:
    return PUBLISHED.labels(topic)


def _as_unavailable(failure: BaseException) -> BaseException:
    is_ours = isinstance(failure, OverreadError)
    return failure if is_ours else Unavailable("the connection to the event broker was closed")
