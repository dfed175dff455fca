"""What an intake stored and did not come to tell is told after its next start, on real Kafka and PostgreSQL."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr

from overread.archive import store
from overread.archive.app import make_service
from overread.archive.settings import ArchiveSettings
from overread.archive.sweep import Sweeper
from overread.contracts import codec
from overread.contracts.envelope import Body, Event, event_of
from overread.contracts.events.intake import InstanceStored, StudyHint
from overread.contracts.identifiers import instance_event_id
from overread.contracts.topics import DICOM_RECEIVED
from overread.dicom_intake.ports import SyncedInstances
from overread.embedded.endpoints import Endpoints
from overread.protocols.dicom.attributes import part10_header, read_header
from overread.runtime.publisher import kafka_client_options
from overread.runtime.settings import ServiceSettings
from tests.builders import dicom
from tests.builders.events import TRACEPARENT, an_event, an_instance_stored, an_intake_restarted, some_attributes
from tests.fakes.objects import an_object_store

pytestmark = pytest.mark.stack

PATIENCE_SECONDS = 30.0


class ArchiveBench:
    """A running archive of its own site, an intake that may die between disk and broker, and one who listens."""

    def __init__(self, endpoints: Endpoints, folder: Path) -> None:
        self.site_id = f"site-{uuid4().hex[:12]}"
        settings = ArchiveSettings(
            site_id=self.site_id,
            instance_id="tests",
            object_root=folder,
            database_dsn=SecretStr(endpoints.dsn("archive")),
            **_broker(endpoints, "archive"),
        )
        self.service = make_service(settings)
        self.objects = an_object_store(folder)
        self.sweeper = Sweeper(self.service, self.objects, fallback_charset="ISO_IR 192")
        self._as_intake = ServiceSettings(**_broker(endpoints, "dicom_intake"))
        self._as_listener = ServiceSettings(**_broker(endpoints, "assembly"))
        self._producer: AIOKafkaProducer | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator["ArchiveBench"]:
        """Run consumption and relay; sweeps are begun by the test."""
        async with AsyncExitStack() as stack:
            self._producer = AIOKafkaProducer(acks="all", **kafka_client_options(self._as_intake))
            await self._producer.start()
            stack.push_async_callback(self._producer.stop)
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

    async def tells(self, event: Event[Any]) -> None:
        """Put an event on the topic as the intake."""
        assert self._producer is not None
        key = DICOM_RECEIVED.key_of(event)
        await self._producer.send_and_wait(DICOM_RECEIVED.name, codec.encode(event), key=key)

    async def intake_restarts(self, at: datetime | None = None) -> None:
        """Let the intake say that it came back, and the archive hear it and sweep."""
        body = an_intake_restarted(study_instance_uid="-", restarted_at=at or datetime.now(UTC))
        await self.tells(an_event(body, site_id=self.site_id, own_key=str(uuid4())))
        await self._until(lambda: self._count("NOT is_done"), 1)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await self._count("NOT is_done"):
            assert time.monotonic() < deadline, "the sweep did not end"
            await self.sweeper.tick()
            await asyncio.sleep(0.1)

    async def holds(self, count: int) -> None:
        """Wait until the archive knows that many instances of the site."""
        sql = "SELECT count(*) FROM instances WHERE site_id = $1"
        await self._until(lambda: self.service.pool.fetchval(sql, self.site_id), count)

    async def sweeps_done(self) -> int:
        """Return how many sweeps of the site are done."""
        return await self._count("is_done")

    async def _count(self, condition: str) -> int:
        sql = f"SELECT count(*) FROM sweeps WHERE site_id = $1 AND {condition}"
        count: int = await self.service.pool.fetchval(sql, self.site_id)
        return count

    async def _until(self, ask: Callable[[], Any], wanted: int) -> None:
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


def _broker(endpoints: Endpoints, user: str) -> dict[str, Any]:
    return {
        "kafka_bootstrap": endpoints.kafka_bootstrap,
        "kafka_username": user,
        "kafka_password": SecretStr(endpoints.kafka_password(user)),
    }


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ArchiveBench]:
    """Return a running archive of its own site."""
    async with ArchiveBench(stack.endpoints, tmp_path).running() as opened:
        yield opened


async def test_stored_and_not_told_is_told_once_under_the_intakes_own_id(bench: ArchiveBench) -> None:
    """REQ-ACK-08: 0x0000 followed the sync; the event follows the next start, and what was told is not told again."""
    told = await bench.stores(1, is_told=True)
    untold = await bench.stores(2, is_told=False)

    await bench.intake_restarts()
    await bench.holds(2)

    events = await bench.on_topic(InstanceStored)
    assert sorted(str(event.id) for event in events) == sorted((str(told.id), str(untold.id)))
    (swept,) = [event for event in events if event.id == untold.id]
    assert (swept.source, swept.data.digest, swept.data.object_key) == (
        "archive",
        untold.data.digest,
        untold.data.object_key,
    )
    assert swept.data.calling_ae_title == "TESTCT"


async def test_what_is_swept_says_that_its_association_is_closed(bench: ArchiveBench) -> None:
    """Nobody else will: otherwise its study waits for an end that never comes."""
    untold = await bench.stores(1, is_told=False)

    await bench.intake_restarts()
    await bench.holds(1)

    (hint,) = await bench.on_topic(StudyHint)
    (swept,) = await bench.on_topic(InstanceStored)
    assert hint.data.association_id == swept.data.association_id
    assert hint.data.sop_instance_uids == (untold.data.sop_instance_uid,)


async def test_second_restart_tells_nothing_again(bench: ArchiveBench) -> None:
    """A sweep begins where the last one ended, and knows what is held."""
    await bench.stores(1, is_told=False)
    await bench.intake_restarts()
    await bench.holds(1)

    await bench.intake_restarts()

    assert (await bench.sweeps_done(), len(await bench.on_topic(InstanceStored))) == (2, 1)


async def test_stray_and_broken_objects_stop_no_sweep(bench: ArchiveBench) -> None:
    """What can't be read as an instance is set aside, visibly; a stray file is none; the rest is told."""
    untold = await bench.stores(1, is_told=False)
    folder = f"{bench.site_id}/studies/{dicom.a_uid(bench.site_id)}"
    broken = f"{folder}/1.2.3/{'0' * 64}"
    for key in (f"{folder}/1.2.3/notes.txt", broken, f"{folder}/manifests/1-{'1' * 64}"):
        await bench.objects.put(key, [b"not an instance"])

    await bench.intake_restarts()
    await bench.holds(1)

    aside = await bench.service.pool.fetch("SELECT object_key FROM set_aside WHERE site_id = $1", bench.site_id)
    assert [event.id for event in await bench.on_topic(InstanceStored)] == [untold.id]
    assert [row["object_key"] for row in aside] == [broken]


async def test_restart_twice_has_one_effect(bench: ArchiveBench) -> None:
    """The same event again is the same sweep."""
    at = datetime.now(UTC) - timedelta(seconds=1)
    await bench.intake_restarts(at)

    body = an_intake_restarted(study_instance_uid="-", restarted_at=at)
    again = event_of(
        body,
        source="dicom_intake",
        time=at,
        subject="dicom_intake",
        site_id=bench.site_id,
        traceparent=TRACEPARENT,
        own_key=str(uuid4()),
    )
    await bench.tells(again)
    await bench.stores(1, is_told=True)
    await bench.holds(1)

    assert await bench.sweeps_done() == 1


async def test_instance_twice_has_one_effect(bench: ArchiveBench) -> None:
    """What we hold, we hold once."""
    event = await bench.stores(1, is_told=True)

    await bench.tells(event)
    await bench.tells(event.model_copy(update={"id": uuid4()}))
    await bench.stores(2, is_told=True)

    await bench.holds(2)


async def test_object_that_can_not_be_told_is_set_aside_until_it_can(bench: ArchiveBench) -> None:
    """Promise 2: accepted is used, or set aside with its reason where an operator finds it; a later restart tries again."""
    untold = await bench.stores(1, is_told=False)
    place = bench.objects._path(untold.data.object_key)
    content = place.read_bytes()
    place.write_bytes(b"not an instance")
    await bench.intake_restarts(datetime.now(UTC) - timedelta(hours=1))
    before = await _set_aside(bench)

    place.write_bytes(content)
    await bench.intake_restarts(datetime.now(UTC) + timedelta(hours=1))
    await bench.holds(1)

    assert [(aside.object_key, aside.reason) for aside in before] == [
        (untold.data.object_key, "Malformed: the object is not a DICOM Part 10 file")
    ]
    assert await _set_aside(bench) == []


async def _set_aside(bench: ArchiveBench) -> list[store.SetAside]:
    async with bench.service.pool.acquire() as connection:
        return [aside for aside in await store.all_set_aside(connection) if aside.site_id == bench.site_id]
