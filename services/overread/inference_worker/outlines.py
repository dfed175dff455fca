"""Keeps what a model outlined: on synced disk before anybody hears of it."""

import asyncio

from overread.contracts import codec
from overread.contracts.events.inference import Artefact, ArtefactKind
from overread.inference import artefacts, postprocessing
from overread.inference.catalog import Model, Segmentation
from overread.inference.postprocessing import Answer
from overread.inference.preprocessing import Grid
from overread.inference_worker.store import Job
from overread.runtime.object_store import LocalObjectStore


async def kept(objects: LocalObjectStore, job: Job, model: Model, answer: Answer, grid: Grid) -> tuple[Artefact, ...]:
    """Store every mask of `answer`, and return what the end of the job says of them.

    The key ends in the content's digest: a job that runs twice stores the same object, or one beside it that nobody
    names.
    """
    return tuple([await _kept(objects, job, segmentation, answer, grid) for segmentation in model.segmentations])


async def _kept(
    objects: LocalObjectStore, job: Job, segmentation: Segmentation, answer: Answer, grid: Grid
) -> Artefact:
    content, digest = await asyncio.to_thread(_content, segmentation, answer, grid)
    key = f"{job.site_id}/artefacts/{job.requested.job_id}/{segmentation.name}-{digest}.npz"
    await objects.put(key, [content])
    return Artefact(
        kind=ArtefactKind.SEGMENTATION,
        key=key,
        digest=digest,
        series_instance_uid=job.requested.series_instance_uid,
        segments=segmentation.segments,
    )


def _content(segmentation: Segmentation, answer: Answer, grid: Grid) -> tuple[bytes, str]:
    content = artefacts.segmentation_bytes(postprocessing.labels(segmentation, answer, grid.shape), grid)
    return content, codec.sha256(content)
