"""Inference worker: takes jobs from the table, asks Triton, and tells what the models found."""

import asyncio

from overread.contracts.topics import CASES_CHANGED, INFERENCE_REQUESTED
from overread.inference import catalog
from overread.inference_worker.handlers import Handlers
from overread.inference_worker.jobs import JobRunner
from overread.inference_worker.settings import InferenceWorkerSettings
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service


def make_service(settings: InferenceWorkerSettings) -> Service:
    """Wire a worker; a catalogue that can't be used stops the start."""
    service = Service("inference_worker", settings, owns="overread.inference_worker")
    objects = LocalObjectStore(settings.objects_folder)
    work = asyncio.Event()
    handlers = Handlers(work, infers_read_elsewhere=settings.infer_read_elsewhere)
    runner = JobRunner(service, settings, catalog.load(settings.models_file), objects, work)
    service.consumes(INFERENCE_REQUESTED)(handlers.inference_requested)
    service.consumes(CASES_CHANGED)(handlers.cases_changed)
    service.runs(runner.run)
    service.health.register("object store", objects.ping)
    service.health.register("triton", runner.ping)
    return service


def main() -> None:
    """Run a worker until it is told to stop."""
    make_service(InferenceWorkerSettings()).run()
