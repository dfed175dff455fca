"""Records out to Kafka: acknowledged by every in-sync replica, after its flush, or `Unavailable`."""

import asyncio
import ssl
from collections.abc import Awaitable, Iterator, Sequence
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
from overread.runtime.produce_request import ProduceBatch, raise_for
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import PUBLISHED

REQUEST_TIMEOUT_MILLISECONDS = 8_000

RETRY_BACKOFF_MILLISECONDS = 300
"""Every client waits this long before it asks a broker again that was away: many at once would slow its return."""

MAX_BATCH_BYTES = 256 * 1024

P = TypeVar("P")

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
        if self._producer is not None:
            await self._producer.stop()

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Return when every record is acknowledged, in order within a key; raise `Unavailable` otherwise."""
        sent = [await self.enqueue(record) for record in records]
        fault: OverreadError | None = None
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

    async def send_batch(self, batch: Any, line: tuple[str, bytes], records: int) -> None:
        """Return when all of `batch`, of one topic and key, is acknowledged; raise `Unavailable` or `Malformed`.

        It goes straight to the partition's leader: aiokafka's own queue and sender would be a second group commit.
        """
        topic, key = line
        with _explained():
            await self._produce(topic, key, bytes(batch.build()))
        _published(topic).inc(records)

    async def _produce(self, topic: str, key: bytes, batch: bytes) -> None:
        """Ask the leader, and ask again while the broker says that it may yet be, until the time is over."""
        client, loop = self._connected().client, asyncio.get_running_loop()
        deadline = loop.time() + REQUEST_TIMEOUT_MILLISECONDS / 1000
        while True:
            try:
                leader, partition = await self._leader(client, topic, key)
                request = ProduceBatch(topic, partition, batch, REQUEST_TIMEOUT_MILLISECONDS)
                raise_for(await client.send(leader, request))
            except KafkaError as error:
                pause = RETRY_BACKOFF_MILLISECONDS / 1000
                if not error.retriable or loop.time() + pause > deadline:
                    raise
                client.force_metadata_update()
                await asyncio.sleep(pause)
            else:
                return

    async def _leader(self, client: Any, topic: str, key: bytes) -> tuple[int, int]:
        """Return the node that leads the partition of `key`, and the partition."""
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
