"""Claims jobs while a slot is free, asks the model, and tells the result once."""

import asyncio
import random
from datetime import timedelta
from time import monotonic
from uuid import uuid4

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.events.inference import InferenceDone, Outcome
from overread.contracts.manifest import Manifest, ManifestSeries
from overread.contracts.topics import INFERENCE_DONE
from overread.inference import deidentify, postprocessing, preprocessing
from overread.inference.catalog import Catalog, Model
from overread.inference.client import TritonClient
from overread.inference_worker import outlines, results, store
from overread.inference_worker.results import Answered
from overread.inference_worker.settings import InferenceWorkerSettings
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.retry import Defect, or_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import BACKLOG_SECONDS, INFERENCE_SECONDS, JOBS_WAITING, log, parent_context, tracer

ATTEMPTS = 3
WORKER_LOST = "WorkerLost"
LOST_SERVERS = 5
"""How often a server may go away while it is asked for one job, before that job is taken for the reason."""
IDLE_SECONDS = 0.5
AWAY_SECONDS = 2.0
LOST_SECONDS = 10.0
"""How long a job waits that saw its server go, for each time: longer than a server takes to be back for the others."""


class LeaseLost(OverreadError):
    """The job was cancelled, or another worker has it: what this one found does not count."""


class NoAnswer(OverreadError):
    """Triton serves the model, and the model did not answer in its time."""


class ServerLost(OverreadError):
    """Triton served the model, and went away while it was asked."""


class JobRunner:
    """One worker process: `slots` jobs at a time, and one slot more that only STAT jobs take."""

    def __init__(
        self,
        service: Service,
        settings: InferenceWorkerSettings,
        catalog: Catalog,
        objects: LocalObjectStore,
        work: asyncio.Event,
    ) -> None:
        self._service = service
        self._settings = settings
        self._catalog = catalog
        self._objects = objects
        self._work = work
        self._triton: TritonClient | None = None
        self._lease_time = timedelta(seconds=settings.lease_seconds)
        self._ageing = timedelta(seconds=settings.ageing_seconds)

    async def run(self) -> None:
        """Run every slot until cancelled."""
        async with TritonClient(self._settings.triton_grpc) as self._triton, asyncio.TaskGroup() as slots:
            for _ in range(self._settings.slots):
                slots.create_task(self._slot(only_stat=False))
            slots.create_task(self._slot(only_stat=True))
            slots.create_task(self._measure())

    async def ping(self) -> None:
        """Raise `Unavailable` when a model of the catalogue is not served."""
        for model in self._catalog.models:
            if self._triton is None or not await self._triton.ready(model):
                raise Unavailable(f"Triton does not serve {model.name}")

    async def _slot(self, *, only_stat: bool) -> None:
        while True:
            try:
                job = await self._claim(only_stat=only_stat)
                if job is None:
                    await self._wait_for_work()
                else:
                    await self._take(job)
            except Unavailable as away:
                log.warning("inference_waits", reason=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def _claim(self, *, only_stat: bool) -> store.Job | None:
        self._work.clear()
        async with self._service.transaction() as tx:
            return await store.claim(tx, uuid4(), lease_time=self._lease_time, ageing=self._ageing, only_stat=only_stat)

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._work.wait()
            await asyncio.sleep(random.uniform(0, 0.01))  # noqa: S311 - spreads the slots, guards nothing
        except TimeoutError:
            return

    async def _take(self, job: store.Job) -> None:
        if job.attempts > ATTEMPTS:
            await self._settle(job, Defect(WORKER_LOST))
        else:
            await self._run_job(job)

    async def _run_job(self, job: store.Job) -> None:
        started = monotonic()
        with tracer().start_as_current_span("inference", parent_context(job.traceparent)):
            try:
                answer = await or_defect(self._under_lease(job), job_id=str(job.requested.job_id))
            except LeaseLost:
                log.info("job_lost", job_id=str(job.requested.job_id))
                return
            except Unavailable as away:
                await self._give_back(job, str(away))
                return
            except ServerLost as lost:
                await self._bear_the_loss(job, str(lost))
                return
            except Malformed as refusal:
                answer = self._without_findings(job, Outcome.REFUSED, str(refusal))
            except NoAnswer as fault:
                answer = Defect(type(fault).__name__)
            except OverreadError as fault:
                answer = self._without_findings(job, Outcome.FAILED, str(fault))
        INFERENCE_SECONDS.labels(job.requested.model.name).observe(monotonic() - started)
        await self._settle(job, answer)

    async def _settle(self, job: store.Job, answer: InferenceDone | Defect) -> None:
        match answer:
            case Defect() if job.attempts < ATTEMPTS:
                await self._retry(job)
            case Defect(name):
                await self._tell(job, self._without_findings(job, Outcome.FAILED, _failed(name)))
            case done:
                await self._tell(job, done)

    async def _under_lease(self, job: store.Job) -> InferenceDone:
        """Ask the model while the lease is kept alive; a lost lease ends the asking."""
        asking = asyncio.create_task(self._ask(job))
        keeping = asyncio.create_task(self._keep_lease(job))
        try:
            await asyncio.wait((asking, keeping), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                keeping.result()
            answered = await asking
        finally:
            asking.cancel()
            keeping.cancel()
        return results.ended_with(job, answered, ended_at=self._service.clock())

    async def _keep_lease(self, job: store.Job) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            async with self._service.transaction() as tx:
                if not await store.heartbeat(tx, job, self._lease_time):
                    raise LeaseLost

    async def _ask(self, job: store.Job) -> Answered:
        requested = job.requested
        model = self._catalog.find(requested.model.name, requested.model.version)
        await self._serving(model)
        manifest = Manifest.from_bytes(await self._objects.get(requested.manifest_key))
        images = manifest.series_named(requested.series_instance_uid)
        series = await asyncio.to_thread(self._read_series, images, model)
        told = images.instances[0].attributes
        request = deidentify.build_request(
            model, series.volume, job_token=uuid4(), age_years=told.patient_age_years, sex=told.patient_sex
        )
        answer = await self._infer(model, request)
        findings = postprocessing.findings(model, answer, series_instance_uid=requested.series_instance_uid)
        return Answered(findings, await outlines.kept(self._objects, job, model, answer, series.grid))

    async def _serving(self, model: Model) -> TritonClient:
        """Return Triton if it serves the model, or raise `Unavailable`.

        Asked before the study is read, since a server may be away for hours and each try costs a reading, and again
        before the model is asked: who goes away from then on did so while it worked for this job.
        """
        if self._triton is None or not await self._triton.ready(model):
            raise Unavailable(f"Triton does not serve {model.name}")
        return self._triton

    async def _infer(self, model: Model, request: deidentify.ModelRequest) -> postprocessing.Answer:
        """Return the model's answer.

        A server that is away costs no attempt; a model that it serves and that is silent does; a server that goes away
        meanwhile is counted by itself.
        """
        triton = await self._serving(model)
        try:
            return await triton.infer(model, request)
        except Unavailable as away:
            if await triton.ready(model):
                raise NoAnswer(f"Triton serves {model.name}, but: {away}") from away
            raise ServerLost(f"Triton served {model.name}, and went away: {away}") from away

    def _read_series(self, images: ManifestSeries, model: Model) -> preprocessing.Series:
        files = (self._objects.read(instance.object_key) for instance in images.instances)
        return preprocessing.read_series(files, model.volume)

    async def _tell(self, job: store.Job, done: InferenceDone) -> None:
        async with self._service.transaction() as tx:
            if await store.end(tx, job):
                tx.publish(INFERENCE_DONE, done, subject=str(done.case_id), own_key=job.end_key, caused_by=job)
        log.info("job_ended", job_id=str(done.job_id), outcome=done.outcome.value, model=done.model.name)

    def _without_findings(self, job: store.Job, outcome: Outcome, reason: str) -> InferenceDone:
        return results.ended_without_findings(job, outcome, reason, ended_at=self._service.clock())

    async def _bear_the_loss(self, job: store.Job, reason: str) -> None:
        """Let the job wait, longer each time, so that others get on; the last time it is the reason, and has failed."""
        lost = job.lost_servers + 1
        if lost >= LOST_SERVERS:
            await self._tell(job, self._without_findings(job, Outcome.FAILED, _failed(ServerLost.__name__, lost)))
        else:
            await self._give_back(job, reason, wait_seconds=LOST_SECONDS * lost, lost_servers=lost)

    async def _give_back(
        self, job: store.Job, reason: str, *, wait_seconds: float = AWAY_SECONDS, lost_servers: int | None = None
    ) -> None:
        log.warning("job_waits", job_id=str(job.requested.job_id), reason=reason)
        lost = job.lost_servers if lost_servers is None else lost_servers
        async with self._service.transaction() as tx:
            await store.give_back(tx, job, tx.clock() + timedelta(seconds=wait_seconds), lost_servers=lost)

    async def _retry(self, job: store.Job) -> None:
        async with self._service.transaction() as tx:
            await store.retry(tx, job, tx.clock() + timedelta(seconds=AWAY_SECONDS * job.attempts))

    async def _measure(self) -> None:
        """Keep the scaling signal: waiting jobs times the time that one takes."""
        while True:
            try:
                async with self._service.transaction() as tx:
                    waiting = await store.waiting_by_model(tx)
                for model in self._catalog.models:
                    self._measure_model(model, waiting.get(model.name, 0))
            except Unavailable as away:
                log.warning("backlog_unknown", reason=str(away))
            await asyncio.sleep(AWAY_SECONDS)

    @staticmethod
    def _measure_model(model: Model, waiting: int) -> None:
        JOBS_WAITING.labels(model.name).set(waiting)
        BACKLOG_SECONDS.labels(model.name).set(waiting * model.service_seconds)


def _failed(name: str, attempts: int = ATTEMPTS) -> str:
    """Say why a job ended after its last attempt."""
    reasons = {
        NoAnswer.__name__: "the model did not answer in its time",
        WORKER_LOST: "the worker was lost each time while it read the study",
        ServerLost.__name__: "the model's server was lost each time while it read the study",
    }
    return f"{reasons.get(name, f'{name} while reading the study')}, {attempts} attempts"
