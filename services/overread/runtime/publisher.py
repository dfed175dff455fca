"""Records out to Kafka: acknowledged by every in-sync replica, after its flush, or `Unavailable`."""

import ssl
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import PUBLISHED

REQUEST_TIMEOUT_MILLISECONDS = 8_000
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
            max_batch_size=256 * 1024,
            max_request_size=MAX_RECORD_BYTES,
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

    async def ping(self) -> None:
        """Raise `Unavailable` when the broker does not answer."""
        if self._producer is None:
            raise Unavailable("the event broker is not connected yet")
        try:
            await self._producer.client.fetch_all_metadata()
        except (KafkaError, OSError) as error:
            raise Unavailable("the event broker does not answer") from error


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except MessageSizeTooLargeError as error:
        raise Malformed("the record is larger than the broker takes") from error
    except (KafkaError, OSError) as error:
        raise Unavailable(f"the event broker did not acknowledge ({type(error).__name__})") from error


async def _acknowledged(sent: Awaitable[object], topic: str) -> None:
    with _explained():
        await sent
    PUBLISHED.labels(topic).inc()
