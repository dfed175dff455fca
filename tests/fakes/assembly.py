"""`assembly` with a real database and nothing else: its handlers and its timers under a clock that a test moves."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import randrange
from typing import Any
from uuid import UUID, uuid4

from aiokafka import ConsumerRecord
from pydantic import SecretStr

from overread.assembly.app import make_service
from overread.assembly.readiness import Timekeeper
from overread.assembly.settings import AssemblySettings
from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.events.cases import Case
from overread.contracts.events.orders import OrderChanged, ServiceRequest
from overread.contracts.identifiers import case_id_for, deterministic_id, instance_event_id
from overread.contracts.manifest import Manifest
from overread.contracts.topics import CASES_CHANGED, DICOM_RECEIVED, HL7_RECEIVED, ORDERS_CHANGED, Topic, topic_named
from overread.runtime.database import migrate, open_pool
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service
from tests.builders.events import (
    NOON,
    STUDY,
    a_study_hint,
    an_event,
    an_hl7_received,
    an_instance_stored,
    some_attributes,
)
from tests.fakes.objects import an_object_store
from tests.fakes.units_of_work import FakeConsumer


class MovedClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


class AssemblyBench:
    """One site's `assembly`; every bench has its own site and partition, so that they share tables and nothing more."""

    def __init__(self, service: Service, objects: LocalObjectStore) -> None:
        self.service = service
        self.objects = objects
        self.clock = MovedClock()
        self.service.clock = self.clock
        self.site_id = service.settings.site_id
        self.partition = randrange(2**31)
        self._offset = 0
        for consumption in service.consumptions.values():
            consumption.consumer_now = partial(_itself, FakeConsumer(consumption.topic, [self.partition]))
            consumption.offsets = None
        self._timekeeper = Timekeeper(service, objects)

    # --- what comes -----------------------------------------------------------------------------------------

    def order(self, raw: bytes, **changed: Any) -> Event[Body]:
        """Return the event of an HL7 message."""
        return an_event(an_hl7_received(raw, **changed), site_id=self.site_id, own_key=str(uuid4()))

    def image(self, number: int = 1, *, attributes: dict[str, Any] | None = None, **changed: Any) -> Event[Body]:
        """Return the event of a slice; by default all lie on one association and carry one accession number."""
        header = some_attributes(number, **(attributes or {}))
        digest = codec.sha256(f"{changed.get('study', STUDY)}/{number}/{changed.pop('content', '')}".encode())
        fields: dict[str, Any] = {"attributes": header, "digest": digest} | changed
        stored = an_instance_stored(number, **fields)
        event_id = instance_event_id(self.site_id, stored.sop_instance_uid, stored.digest)
        return an_event(stored, site_id=self.site_id, event_id=event_id)

    def closed(self, **changed: Any) -> Event[Body]:
        """Return the event of an association that ended; each part of a long list is one of its own."""
        hint = a_study_hint(**changed)
        first = hint.sop_instance_uids[0] if hint.sop_instance_uids else ""
        event_id = deterministic_id("closed", self.site_id, str(hint.association_id), hint.study_instance_uid, first)
        return an_event(hint, site_id=self.site_id, event_id=event_id)

    async def hears(self, topic: Topic, *events: Event[Body]) -> None:
        """Consume `events` as one polled batch, at the clock's time."""
        await self.service.consumptions[topic.name].on_records([self.record(topic, event) for event in events])

    async def hears_orders(self, *raw: bytes) -> None:
        """Consume HL7 messages as one batch."""
        await self.hears(HL7_RECEIVED, *(self.order(one) for one in raw))

    async def hears_images(self, *events: Event[Body]) -> None:
        """Consume images and association ends as one batch."""
        await self.hears(DICOM_RECEIVED, *events)

    def record(self, topic: Topic, event: Event[Body]) -> "ConsumerRecord[bytes, bytes]":
        """Return the event as the broker hands it over."""
        self._offset += 1
        milliseconds = round(self.clock().timestamp() * 1000)
        value, key = codec.encode(event), topic.key_of(event)
        return ConsumerRecord(
            topic.name, self.partition, self._offset, milliseconds, 0, key, value, None, 0, len(value), ()
        )

    async def waits(self, seconds: float) -> None:
        """Let time pass and the timers fire that are due."""
        self.clock.pass_by(seconds=seconds)
        await self._timekeeper.tick()

    # --- what it led to -------------------------------------------------------------------------------------

    async def told(self, topic: Topic) -> list[Event[Any]]:
        """Return what this site published on `topic`, oldest first."""
        rows = await self.service.pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", topic.name)
        events = [codec.decode(row["value"], topic_named(topic.name).bodies) for row in rows]
        return [event for event in events if event.site_id == self.site_id]

    async def told_of_cases(self, study: str = STUDY) -> list[str]:
        """Return the kinds of events about the study's case, oldest first."""
        case_id = case_id_for(self.site_id, study)
        return [type(e.data).__name__ for e in await self.told(CASES_CHANGED) if e.data.case_id == case_id]

    async def case(self, study: str = STUDY) -> Case:
        """Return the case as its newest event says it."""
        case_id = case_id_for(self.site_id, study)
        bodies = [event.data for event in await self.told(CASES_CHANGED) if event.data.case_id == case_id]
        case: Case = bodies[-1].case
        return case

    async def orders(self) -> list[ServiceRequest]:
        """Return every order of the site as its newest event says it."""
        newest: dict[UUID, OrderChanged] = {}
        for event in await self.told(ORDERS_CHANGED):
            newest[event.data.order_id] = event.data
        return [body.order for body in newest.values()]

    async def desk(self, kind: str = "order") -> list[str]:
        """Return the reasons on the desk."""
        rows = await self.service.pool.fetch(
            "SELECT reason FROM desk WHERE site_id = $1 AND kind = $2 ORDER BY subject", self.site_id, kind
        )
        return [row["reason"] for row in rows]

    async def links(self) -> set[tuple[UUID, UUID]]:
        """Return every link of a case and an order."""
        rows = await self.service.pool.fetch("SELECT case_id, order_id FROM case_orders WHERE site_id=$1", self.site_id)
        return {(row["case_id"], row["order_id"]) for row in rows}

    async def manifest(self, study: str = STUDY) -> Manifest:
        """Return the manifest of the newest revision."""
        case = await self.case(study)
        assert case.study is not None
        return Manifest.from_bytes(await self.objects.get(case.study.manifest_key))

    async def due(self, study: str = STUDY) -> tuple[float, str] | None:
        """Return in how many seconds the study is whole if nothing comes, and by what sign."""
        row = await self.service.pool.fetchrow(
            "SELECT due_at, basis FROM timers WHERE site_id=$1 AND case_id=$2",
            self.site_id,
            case_id_for(self.site_id, study),
        )
        return ((row["due_at"] - self.clock()).total_seconds(), row["basis"]) if row else None


def _itself(fake: Any) -> Any:
    return fake


@asynccontextmanager
async def an_assembly_bench(dsn: str, folder: Path, **changed: Any) -> AsyncIterator[AssemblyBench]:
    """Open `assembly` on the database at `dsn`, for a site of its own."""
    site = {"site_id": f"site-{uuid4().hex[:12]}"} | changed
    settings = AssemblySettings(database_dsn=SecretStr(dsn), object_root=folder, **site)
    service = make_service(settings)
    service._pool = await open_pool(dsn)
    await migrate(service.pool, service._migrations)
    try:
        yield AssemblyBench(service, an_object_store(folder))
    finally:
        await service.pool.close()


def slices(bench: AssemblyBench, count: int, **changed: Any) -> Sequence[Event[Body]]:
    """Return the events of `count` slices of one series."""
    return [bench.image(number, **changed) for number in range(1, count + 1)]
