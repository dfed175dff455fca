"""A running archive of its own site, for the tests that talk to it by the topic."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr

from overread.archive.app import make_service
from overread.archive.committing import Committer
from overread.archive.settings import ArchiveSettings
from overread.archive.sweep import Sweeper
from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.events.intake import InstanceStored
from overread.contracts.identifiers import instance_event_id
from overread.contracts.topics import DICOM_RECEIVED, Topic
from overread.dicom_intake.ports import SyncedInstances
from overread.embedded.endpoints import Endpoints
from overread.embedded.postgres import ARCHIVE_READER
from overread.protocols.dicom.attributes import part10_header, read_header
from overread.runtime.publisher import kafka_client_options
from overread.runtime.settings import ServiceSettings
from tests.builders import dicom
from tests.builders.events import an_event, an_instance_stored, an_intake_restarted, some_attributes
from tests.fakes.objects import an_object_store

PATIENCE_SECONDS = 30.0


class ArchiveBench:
    """A running archive of its own site, an intake that may die between disk and broker, and one who listens."""

    def __init__(self, endpoints: Endpoints, folder: Path, **told: Any) -> None:
        self.site_id = f"site-{uuid4().hex[:12]}"
        settings = ArchiveSettings(
            site_id=self.site_id,
            instance_id="tests",
            object_root=folder,
            database_dsn=SecretStr(endpoints.dsn("archive")),
            **_broker(endpoints, "archive"),
            **told,
        )
        self.service = make_service(settings)
        self.reader_dsn = endpoints.dsn(ARCHIVE_READER)
        self._peers = settings.dicom_peers
        self.objects = an_object_store(folder)
        self.sweeper = Sweeper(self.service, self.objects, fallback_charset="ISO_IR 192")
        self.committer = Committer(self.service, settings)
        self._as_intake = ServiceSettings(**_broker(endpoints, "dicom_intake"))
        self._as_listener = ServiceSettings(**_broker(endpoints, "assembly"))
        self._producer: AIOKafkaProducer | None = None
        self._assembly: AIOKafkaProducer | None = None

    def address_of(self, ae_title: str) -> str:
        """Return where a peer takes what archive reports."""
        return self._peers[ae_title]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ArchiveBench"]:
        """Run consumption and relay; sweeps are begun by the test."""
        async with AsyncExitStack() as stack:
            self._producer = await _producing(stack, self._as_intake)
            self._assembly = await _producing(stack, self._as_listener)
            await self.service.start(stack)
            yield self

    async def stores(self, number: int, *, is_told: bool) -> Event[InstanceStored]:
        """Do what an intake does with one image; it dies before it tells, or after."""
        raw = dicom.encoded(dicom.a_ct_slice(study=self.site_id, number=number))
        header = read_header([raw], dicom.EXPLICIT_VR_LITTLE_ENDIAN)
        meta = part10_header(header.sop_class_uid, header.sop_instance_uid, dicom.EXPLICIT_VR_LITTLE_ENDIAN, "TESTCT")
        stored = await SyncedInstances(self.site_id, self.objects).keep(meta, [raw], header)
        told = an_instance_stored(
            number,
            study=header.study_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
            object_key=stored.object_key,
            digest=stored.digest,
            attributes=some_attributes(number, series_instance_uid=header.attributes.series_instance_uid),
        )
        event_id = instance_event_id(self.site_id, header.sop_instance_uid, stored.digest)
        event = an_event(told, site_id=self.site_id, event_id=event_id)
        if is_told:
            await self.tells(event)
        return event

    async def tells(self, event: Event[Any], topic: Topic = DICOM_RECEIVED) -> None:
        """Put an event on a topic as the intake, or of orders as assembly."""
        producer = self._producer if topic is DICOM_RECEIVED else self._assembly
        assert producer is not None
        await producer.send_and_wait(topic.name, codec.encode(event), key=topic.key_of(event))

    async def intake_restarts(self, at: datetime | None = None) -> None:
        """Let the intake say that it came back, and the archive hear it and sweep."""
        body = an_intake_restarted(study_instance_uid="-", restarted_at=at or datetime.now(UTC))
        await self.tells(an_event(body, site_id=self.site_id, own_key=str(uuid4())))
        await self.until(lambda: self._count("NOT is_done"), 1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await self._count("NOT is_done"):
            assert time.monotonic() < deadline, "the sweep did not end"
            await self.sweeper.tick()
            await asyncio.sleep(0.1)

    async def holds(self, count: int) -> None:
        """Wait until the archive knows that many instances of the site."""
        sql = "SELECT count(*) FROM instances WHERE site_id = $1"
        await self.until(lambda: self.service.pool.fetchval(sql, self.site_id), count)

    async def sweeps_done(self) -> int:
        """Return how many sweeps of the site are done."""
        return await self._count("is_done")

    async def _count(self, condition: str) -> int:
        sql = f"SELECT count(*) FROM sweeps WHERE site_id = $1 AND {condition}"
        count: int = await self.service.pool.fetchval(sql, self.site_id)
        return count

    async def until(self, ask: Callable[[], Any], wanted: int) -> None:
        """Wait until `ask` returns what is wanted."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (seen := await ask()) != wanted:
            assert time.monotonic() < deadline, f"{seen}, not {wanted}"
            await asyncio.sleep(0.05)

    async def on_topic(self, kind: type[Body]) -> list[Event[Any]]:
        """Return every event of this site and kind on the topic, from its beginning."""
        consumer = AIOKafkaConsumer(
            DICOM_RECEIVED.name, auto_offset_reset="earliest", **kafka_client_options(self._as_listener)
        )
        await consumer.start()
        try:
            polled = [await consumer.getmany(timeout_ms=1500) for _ in range(2)]
        finally:
            await consumer.stop()
        values = [record.value for one in polled for records in one.values() for record in records]
        events = [codec.decode(value, DICOM_RECEIVED.bodies) for value in values]
        return [event for event in events if event.site_id == self.site_id and isinstance(event.data, kind)]


async def _producing(stack: AsyncExitStack, settings: ServiceSettings) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(acks="all", **kafka_client_options(settings))
    await producer.start()
    stack.push_async_callback(producer.stop)
    return producer


def _broker(endpoints: Endpoints, user: str) -> dict[str, Any]:
    return {
        "kafka_bootstrap": endpoints.kafka_bootstrap,
        "kafka_username": user,
        "kafka_password": SecretStr(endpoints.kafka_password(user)),
    }
