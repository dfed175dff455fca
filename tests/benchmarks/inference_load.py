"""The two loops that the inference benchmark compares: jobs through Kafka, and bare requests to Triton."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr
from pydicom.dataset import FileDataset
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from overread.contracts import codec
from overread.contracts.events.inference import InferenceDone, InferenceRequested, Lane, Outcome
from overread.contracts.manifest import Manifest, ManifestInstance, ManifestSeries
from overread.contracts.topics import INFERENCE_DONE, INFERENCE_REQUESTED
from overread.embedded.stack_thread import StackThread
from overread.inference import client, deidentify, preprocessing
from overread.inference.catalog import Model
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import kafka_client_options
from overread.runtime.settings import ServiceSettings
from tests.builders.events import SITE, an_event
from tests.builders.imaging import TOKEN, file_bytes

IN_FLIGHT = 2
"""As many as the worker has slots by default."""

SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study in the object store, and the same volume as a ready request."""

    name: str
    model: Model
    manifest: Manifest
    manifest_key: str
    request: deidentify.ModelRequest


async def kept_study(running: StackThread, name: str, model: Model, datasets: Sequence[FileDataset]) -> Study:
    """Put images and manifest where the worker reads them."""
    objects = LocalObjectStore(running.endpoints.data.objects, low_watermark_bytes=0)
    files = [file_bytes(dataset) for dataset in datasets]
    instances = []
    for number, content in enumerate(files):
        instances.append(_instance(f"{SITE}/studies/{name}/{number}", content))
        await objects.put(instances[-1].object_key, [content])
    series = ManifestSeries(series_instance_uid=str(datasets[0].SeriesInstanceUID), instances=tuple(instances))
    manifest = Manifest(study_instance_uid=str(datasets[0].StudyInstanceUID), study_revision=1, series=(series,))
    key = f"{SITE}/studies/{name}/manifest"
    await objects.put(key, [manifest.to_bytes()])
    volume = preprocessing.read_series(files, model.volume).volume
    request = deidentify.build_request(model, volume, job_token=TOKEN)
    return Study(name=name, model=model, manifest=manifest, manifest_key=key, request=request)


def _instance(key: str, content: bytes) -> ManifestInstance:
    part10 = split(content)
    header = read_header([part10.data_set], part10.transfer_syntax_uid)
    return ManifestInstance(
        sop_instance_uid=header.sop_instance_uid,
        sop_class_uid=header.sop_class_uid,
        transfer_syntax_uid=part10.transfer_syntax_uid,
        object_key=key,
        digest=codec.sha256(content),
        attributes=header.attributes,
    )


async def bare_seconds(running: StackThread, study: Study, jobs: int) -> float:
    """Return how long Triton takes for `jobs` requests when nothing else is to be done."""
    address = f"127.0.0.1:{running.endpoints.ports.triton_grpc}"
    waiting = iter(range(jobs))
    async with InferenceServerClient(address, channel_args=client.CHANNEL_OPTIONS) as triton:
        inputs = client.inputs(study.model, study.request)
        began = time.monotonic()
        await asyncio.gather(*(_ask(triton, study.model, inputs, waiting) for _ in range(IN_FLIGHT)))
        return time.monotonic() - began


async def _ask(triton: InferenceServerClient, model: Model, inputs: list[InferInput], waiting: Iterator[int]) -> None:
    for _ in waiting:
        result = await triton.infer(model.name, inputs, model_version=model.served_version)
        result.as_numpy(model.outputs[0].tensor)


async def job_seconds(running: StackThread, study: Study, jobs: int) -> float:
    """Return how long it takes from the first request in Kafka until the last job's end is there."""
    asked = [_requested(study) for _ in range(jobs)]
    async with _listening(running) as ends, _writing(running) as producer:
        began = time.monotonic()
        for one in asked:
            event = an_event(one, own_key=str(one.job_id))
            await producer.send(INFERENCE_REQUESTED.name, codec.encode(event), key=INFERENCE_REQUESTED.key_of(event))
        await producer.flush()
        await asyncio.wait_for(_all_ended(ends, {one.job_id for one in asked}), SECONDS)
        return time.monotonic() - began


def _requested(study: Study) -> InferenceRequested:
    return InferenceRequested(
        case_id=uuid4(),
        job_id=uuid4(),
        study_instance_uid=study.manifest.study_instance_uid,
        study_revision=1,
        manifest_key=study.manifest_key,
        series_instance_uid=study.manifest.series[0].series_instance_uid,
        model=study.model.reference,
        lane=Lane.ROUTINE,
        deadline=datetime.now(UTC) + timedelta(minutes=15),
    )


async def _all_ended(ends: AIOKafkaConsumer, wanted: set[UUID]) -> None:
    while wanted:
        event = codec.decode((await ends.getone()).value, INFERENCE_DONE.bodies)
        done = event.data
        assert isinstance(done, InferenceDone)
        assert done.outcome is Outcome.COMPLETED, done.reasons
        wanted.discard(done.job_id)


@asynccontextmanager
async def _listening(running: StackThread) -> AsyncIterator[AIOKafkaConsumer]:
    options = kafka_client_options(_as(running, "governance"))
    consumer = AIOKafkaConsumer(INFERENCE_DONE.name, group_id=None, auto_offset_reset="latest", **options)
    await consumer.start()
    try:
        await consumer.seek_to_end()
        yield consumer
    finally:
        await consumer.stop()


@asynccontextmanager
async def _writing(running: StackThread) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(acks="all", **kafka_client_options(_as(running, "routing")))
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def _as(running: StackThread, user: str) -> ServiceSettings:
    return ServiceSettings(
        kafka_bootstrap=running.endpoints.kafka_bootstrap,
        kafka_username=user,
        kafka_password=SecretStr(running.endpoints.kafka_password(user)),
    )
