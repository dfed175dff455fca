"""A study whose request ends the model server is found out, and keeps no other study waiting (REQ-INF-10)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from overread.contracts.events.inference import Outcome
from overread.inference_worker.jobs import ATTEMPTS, LOST_SECONDS, LOST_SERVERS
from tests.fakes.inference_worker import WorkerBench, a_worker_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[WorkerBench]:
    """Return a worker and an empty job table."""
    async with a_worker_bench(stack.endpoints.dsn("inference_worker"), tmp_path) as opened:
        yield opened


async def loses_its_server(bench: WorkerBench) -> None:
    """Let the next job run into a server that dies of it and is back at once."""
    bench.triton.dies = True
    await bench.runs_a_job()
    bench.triton.dies, bench.triton.is_ready = False, True


async def claimed(bench: WorkerBench) -> UUID | None:
    """Return the id of the job that is claimed next."""
    job = await bench.claim()
    return job.requested.job_id if job else None


async def test_job_that_ends_its_server_each_time_fails(bench: WorkerBench) -> None:
    """Five times; without an end it would go round for ever, and take the server away from everybody."""
    job_id = await bench.has_readable_job()

    for lost in range(1, LOST_SERVERS + 1):
        assert await bench.told(job_id) == []
        await loses_its_server(bench)
        bench.pass_by(seconds=LOST_SECONDS * lost + 1)

    (done,) = await bench.told(job_id)
    assert (await bench.state(job_id), done.outcome, len(bench.triton.asked)) == ("done", Outcome.FAILED, LOST_SERVERS)
    assert done.reasons == ("the model's server was lost each time while it read the study, 5 attempts",)


async def test_job_whose_server_was_lost_less_often_is_read(bench: WorkerBench) -> None:
    """It may have been another study, or a person with `kill -9`: no attempt is spent."""
    job_id = await bench.has_readable_job()
    for lost in range(1, LOST_SERVERS):
        await loses_its_server(bench)
        assert await bench.attempts(job_id) == 0
        bench.pass_by(seconds=LOST_SECONDS * lost + 1)

    await bench.runs_a_job()

    assert ATTEMPTS < LOST_SERVERS
    assert [done.outcome for done in await bench.told(job_id)] == [Outcome.COMPLETED]


async def test_server_that_is_away_before_it_is_asked_is_no_loss_and_forgets_none(bench: WorkerBench) -> None:
    """Ten minutes without Triton end no job; what was counted before stays counted."""
    job_id = await bench.has_readable_job()
    await loses_its_server(bench)
    bench.pass_by(seconds=LOST_SECONDS + 1)
    bench.triton.is_ready = False

    for _ in range(2 * LOST_SERVERS):
        await bench.runs_a_job()
        bench.pass_by(seconds=3)

    job = await bench.claim()
    assert job is not None
    assert (job.requested.job_id, job.lost_servers, await bench.told(job_id)) == (job_id, 1, [])


async def test_other_studies_go_first_while_a_suspect_waits(bench: WorkerBench) -> None:
    """The server is back for them before the one that may end it is asked again."""
    suspect = await bench.has_readable_job()
    bench.pass_by(seconds=1)
    other = await bench.has_readable_job()
    await loses_its_server(bench)
    bench.pass_by(seconds=LOST_SECONDS - 1)

    first, then = await claimed(bench), await claimed(bench)
    bench.pass_by(seconds=2)

    assert (first, then, await claimed(bench)) == (other, None, suspect)


async def test_jobs_that_saw_the_same_server_go_run_one_at_a_time(bench: WorkerBench) -> None:
    """Else the innocent one would be beside the other each time, and fail with it."""
    await bench.has_readable_job()
    await bench.has_readable_job()
    await loses_its_server(bench)
    await loses_its_server(bench)
    bench.pass_by(seconds=LOST_SECONDS + 1)
    third = await bench.has_readable_job()

    suspect, other, none = await bench.claim(), await bench.claim(), await bench.claim()

    assert suspect is not None
    assert other is not None
    assert (suspect.lost_servers, other.requested.job_id, none) == (1, third, None)
