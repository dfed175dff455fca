"""What a model outlined is on synced disk before anybody hears of it, and a job that runs twice stores it once."""

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.events.inference import Artefact, Outcome
from tests.builders.imaging import a_phantom, lung_density_model
from tests.fakes.inference_worker import WorkerBench, a_mask, a_worker_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[WorkerBench]:
    """Return a worker and an empty job table."""
    async with a_worker_bench(stack.endpoints.dsn("inference_worker"), tmp_path) as opened:
        yield opened


async def _artefact(bench: WorkerBench) -> Artefact:
    job_id = await bench.has_readable_job()
    await bench.runs_a_job()
    (done,) = await bench.told(job_id)
    (artefact,) = done.artefacts
    assert done.artefact_keys == (artefact.key,)
    assert artefact.key.startswith(f"site/artefacts/{job_id}/lungs-")
    return artefact


async def test_end_of_a_job_names_the_mask_that_is_stored(bench: WorkerBench) -> None:
    """Key, digest, series and segments; the object is there under that key with that digest."""
    artefact = await _artefact(bench)

    stored = await bench.objects.get(artefact.key)

    assert codec.sha256(stored) == artefact.digest
    assert artefact.segments == lung_density_model().segmentations[0].segments
    assert artefact.series_instance_uid == str(a_phantom().datasets[0].SeriesInstanceUID)


async def test_mask_lies_in_the_grid_of_the_series_frame_by_frame(bench: WorkerBench) -> None:
    """Each frame names its image: a SEG and an overlay are made from this alone."""
    stored = await bench.objects.get((await _artefact(bench)).key)

    with np.load(BytesIO(stored), allow_pickle=False) as archive:
        frames, uids = archive["labels"], archive["sop_instance_uids"].tolist()

    datasets = a_phantom().datasets
    assert uids == [str(dataset.SOPInstanceUID) for dataset in datasets]
    assert np.array_equal(frames, a_mask(bench.triton.asked[0]))
    assert frames.shape == (len(datasets), datasets[0].Rows, datasets[0].Columns)


async def test_mask_that_can_not_be_stored_leaves_the_job_untold(
    bench: WorkerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acknowledged means kept: a full disk makes the job wait, it never makes an end that names what is not there."""
    job_id = await bench.has_readable_job()

    async def is_full(*_: object) -> None:
        raise Unavailable("the object store has no room or can't be written")

    with monkeypatch.context() as patch:
        patch.setattr(bench.objects, "put", is_full)
        await bench.runs_a_job()
        assert (await bench.state(job_id), await bench.told(job_id)) == ("waiting", [])
    bench.pass_by(seconds=3)
    await bench.runs_a_job()

    (done,) = await bench.told(job_id)
    assert await bench.objects.get(done.artefacts[0].key)


async def test_mask_of_another_size_ends_the_job_refused(bench: WorkerBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that breaks its contract says nothing, neither numbers nor outline."""
    job_id = await bench.has_readable_job()
    monkeypatch.setattr("tests.fakes.inference_worker.a_mask", lambda _: np.zeros((1, 2, 3), dtype=np.uint8))

    await bench.runs_a_job()

    (done,) = await bench.told(job_id)
    assert (done.outcome, done.findings, done.artefacts) == (Outcome.REFUSED, (), ())
