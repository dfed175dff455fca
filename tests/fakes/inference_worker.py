"""`inference_worker` with a real database, real images, and a Triton that does what a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from aiokafka import ConsumerRecord
from numpy.typing import NDArray
from pydantic import SecretStr

from overread.contracts import codec
from overread.contracts.envelope import Body, Event
from overread.contracts.errors import Unavailable
from overread.contracts.events.inference import InferenceDone, Lane
from overread.contracts.topics import INFERENCE_DONE, INFERENCE_REQUESTED, Topic
from overread.inference import catalog
from overread.inference.catalog import Model
from overread.inference.deidentify import ModelRequest
from overread.inference.postprocessing import Answer
from overread.inference_worker import store
from overread.inference_worker.app import make_service
from overread.inference_worker.jobs import JobRunner
from overread.inference_worker.settings import InferenceWorkerSettings
from overread.runtime.database import migrate, open_pool
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service
from tests.builders.events import NOON, STUDY, an_event, an_inference_requested
from tests.builders.imaging import INFERENCE
from tests.builders.manifests import a_phantom_manifest
from tests.fakes.objects import an_object_store

AN_ANSWER: Answer = {
    "LUNG_VOLUME": 5500.0,
    "MEAN_HU": -850.0,
    "LAA_950": 8.0,
    "PERC15": -900.0,
    "REFUSAL": "",
    "QC_FLAGS": "",
}


class FakeTriton:
    """Answers, or raises `fault`; `is_ready` is what it says of its models; `dies` of each request while that is set."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.is_ready = True
        self.dies = False
        self.asked: list[ModelRequest] = []

    async def ready(self, _model: Model) -> bool:
        """Say what the test says."""
        return self.is_ready

    async def infer(self, _model: Model, request: ModelRequest) -> Answer:
        """Answer as the lung density model does, or fail."""
        self.asked.append(request)
        if self.dies:
            self.is_ready = False
            raise Unavailable("Triton did not answer (UNAVAILABLE)")
        if self.fault is not None:
            raise self.fault
        return {**AN_ANSWER, "LUNG_MASK": a_mask(request)}


def a_mask(request: ModelRequest) -> NDArray[np.uint8]:
    """Mark what is air in the volume that was asked about."""
    return (request.pixels < -500).astype(np.uint8)


class WorkerBench:
    """The job table and one worker; each bench begins with an empty table."""

    def __init__(self, service: Service, settings: InferenceWorkerSettings, objects: LocalObjectStore) -> None:
        self.service = service
        self.objects = objects
        self.now = NOON
        self.service.clock = lambda: self.now
        self.triton = FakeTriton()
        self._settings = settings
        self._offset = 0

    def pass_by(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    async def hears(self, topic: Topic, *events: Event[Body]) -> None:
        """Consume `events` as one polled batch."""
        await self.service.consumptions[topic.name].on_records([self._record(topic, event) for event in events])

    def _record(self, topic: Topic, event: Event[Body]) -> "ConsumerRecord[bytes, bytes]":
        self._offset += 1
        value = codec.encode(event)
        return ConsumerRecord(topic.name, 0, self._offset, 0, 0, topic.key_of(event), value, None, 0, len(value), ())

    async def has_job(self, *, site_id: str = "site", lane: Lane = Lane.ROUTINE, **changed: Any) -> UUID:
        """Let a request for a job come in; return the job's id."""
        asked = an_inference_requested(**{"job_id": uuid4(), "case_id": uuid4(), "lane": lane} | changed)
        event = an_event(asked, site_id=site_id, own_key=str(asked.job_id))
        await self.hears(INFERENCE_REQUESTED, event)
        return asked.job_id

    async def has_readable_job(self) -> UUID:
        """Let a request come in whose images are there."""
        key, series = await self._has_phantom()
        return await self.has_job(manifest_key=key, series_instance_uid=series)

    async def claim(self, *, only_stat: bool = False) -> store.Job | None:
        """Claim as a free slot does."""
        async with self.service.transaction() as tx:
            return await store.claim(
                tx,
                uuid4(),
                lease_time=timedelta(seconds=self._settings.lease_seconds),
                ageing=timedelta(seconds=self._settings.ageing_seconds),
                only_stat=only_stat,
            )

    async def runs_a_job(self) -> None:
        """Let a free slot do what it does with the next job."""
        job = await self.claim()
        assert job is not None
        runner = self.runner()
        await runner._take(job)

    def runner(self) -> JobRunner:
        """Return a worker that asks the fake Triton."""
        models = catalog.load(INFERENCE / "models.toml")
        runner = JobRunner(self.service, self._settings, models, self.objects, asyncio.Event())
        triton: Any = self.triton
        runner._triton = triton
        return runner

    async def state(self, job_id: UUID) -> str:
        """Return the state of a job."""
        state: str = await self.service.pool.fetchval("SELECT state FROM jobs WHERE job_id = $1", job_id)
        return state

    async def attempts(self, job_id: UUID) -> int:
        """Return how often a job was begun."""
        attempts: int = await self.service.pool.fetchval("SELECT attempts FROM jobs WHERE job_id = $1", job_id)
        return attempts

    async def told(self, job_id: UUID) -> list[InferenceDone]:
        """Return what was told of a job."""
        rows = await self.service.pool.fetch("SELECT value FROM outbox WHERE topic = $1 ORDER BY id", "inference.done")
        events = [codec.decode(row["value"], INFERENCE_DONE.bodies) for row in rows]
        return [event.data for event in events if event.data.job_id == job_id]  # type: ignore[attr-defined,misc]

    async def _has_phantom(self) -> tuple[str, str]:
        manifest, contents = a_phantom_manifest()
        for key, content in contents.items():
            await self.objects.put(key, [content])
        raw = manifest.to_bytes()
        key = f"site/studies/{STUDY}/manifests/1-{codec.sha256(raw)}"
        await self.objects.put(key, [raw])
        return key, manifest.series[0].series_instance_uid


@asynccontextmanager
async def a_worker_bench(dsn: str, folder: Path, **changed: Any) -> AsyncIterator[WorkerBench]:
    """Open `inference_worker` on the database at `dsn`, with an empty job table."""
    settings = InferenceWorkerSettings(
        database_dsn=SecretStr(dsn), object_root=folder, models_file=INFERENCE / "models.toml", **changed
    )
    service = make_service(settings)
    service._pool = await open_pool(dsn)
    await migrate(service.pool, service._migrations)
    await service.pool.execute("DELETE FROM jobs")
    await service.pool.execute("DELETE FROM cases_read_elsewhere")
    try:
        yield WorkerBench(service, settings, an_object_store(folder))
    finally:
        await service.pool.close()
