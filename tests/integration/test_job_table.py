"""The job table on real PostgreSQL: who is next, who may end a job, and what becomes of a silent one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts.errors import Unavailable
from overread.contracts.events.inference import Lane, Outcome
from overread.contracts.topics import CASES_CHANGED, INFERENCE_REQUESTED
from overread.inference.client import RequestRejected
from overread.inference_worker import results, store
from overread.inference_worker.handlers import READ_ELSEWHERE
from overread.inference_worker.jobs import ATTEMPTS
from overread.inference_worker.results import Answered
from tests.builders.events import (
    CASE_ID,
    a_case_withdrawn,
    a_read_elsewhere,
    a_study_superseded,
    an_elsewhere_reading,
    an_event,
    an_inference_requested,
    an_order_cancelled,
)
from tests.fakes.inference_worker import WorkerBench, a_worker_bench

pytestmark = pytest.mark.stack

READING = an_elsewhere_reading()


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[WorkerBench]:
    """Return a worker and an empty job table."""
    async with a_worker_bench(stack.endpoints.dsn("inference_worker"), tmp_path) as opened:
        yield opened


async def claimed(bench: WorkerBench, **how: bool) -> Any:
    """Return the id of the job that is claimed next."""
    job = await bench.claim(**how)
    return job and job.requested.job_id


async def test_stat_goes_first_whenever_it_came(bench: WorkerBench) -> None:
    """Lanes: what is urgent overtakes what waits."""
    routine = await bench.has_job()
    bench.pass_by(seconds=1)
    stat = await bench.has_job(lane=Lane.STAT)

    assert [await claimed(bench), await claimed(bench), await claimed(bench)] == [stat, routine, None]


async def test_aged_routine_job_counts_as_stat(bench: WorkerBench) -> None:
    """Lanes with ageing: nothing waits for ever behind a stream of STAT."""
    routine = await bench.has_job()
    bench.pass_by(seconds=601)
    stat = await bench.has_job(lane=Lane.STAT)

    assert [await claimed(bench), await claimed(bench)] == [routine, stat]


async def test_slot_for_stat_takes_nothing_else(bench: WorkerBench) -> None:
    """One slot is kept for STAT, aged or not."""
    await bench.has_job()
    bench.pass_by(seconds=601)
    stat = await bench.has_job(lane=Lane.STAT)

    assert [await claimed(bench, only_stat=True), await claimed(bench, only_stat=True)] == [stat, None]


async def test_sites_share_fairly(bench: WorkerBench) -> None:
    """The site with the fewest running jobs is next, however many another has sent before."""
    many = [await bench.has_job(site_id="large") for _ in range(3)]
    bench.pass_by(seconds=1)
    one = await bench.has_job(site_id="small")

    order = [await claimed(bench) for _ in range(4)]

    assert (set(order), order[1]) == ({*many, one}, one)


async def test_only_one_worker_wins_a_job(bench: WorkerBench) -> None:
    """FOR UPDATE SKIP LOCKED: many at once, each another job, none twice, none forgotten."""
    jobs = {await bench.has_job() for _ in range(12)}

    won = await asyncio.gather(*(claimed(bench) for _ in range(30)))

    taken = [job for job in won if job is not None]
    assert (len(taken), set(taken)) == (12, jobs)


async def test_silent_worker_loses_its_job_and_its_result_does_not_count(bench: WorkerBench) -> None:
    """A lease that ran out makes the job free; who comes back late ends nothing."""
    job_id = await bench.has_job()
    first = await bench.claim()
    bench.pass_by(seconds=21)

    second = await bench.claim()

    assert first is not None
    assert second is not None
    assert (second.requested.job_id, second.attempts) == (job_id, 2)
    async with bench.service.transaction() as tx:
        assert (await store.end(tx, first), await store.end(tx, second)) == (False, True)


async def test_heartbeat_keeps_the_job(bench: WorkerBench) -> None:
    """A long inference is not taken away."""
    await bench.has_job()
    job = await bench.claim()
    assert job is not None
    bench.pass_by(seconds=19)
    async with bench.service.transaction() as tx:
        kept = await store.heartbeat(tx, job, bench.runner()._lease_time)
    bench.pass_by(seconds=19)

    assert (kept, await bench.claim()) == (True, None)


async def test_job_given_back_costs_no_attempt_and_waits(bench: WorkerBench) -> None:
    """A server that is away is nobody's fault."""
    job_id = await bench.has_readable_job()
    bench.triton.fault, bench.triton.is_ready = Unavailable("away"), False

    for _ in range(ATTEMPTS + 2):
        await bench.runs_a_job()
        assert await bench.claim() is None
        bench.pass_by(seconds=3)

    assert (await bench.state(job_id), await bench.attempts(job_id), await bench.told(job_id)) == ("waiting", 0, [])


async def test_study_is_not_read_while_its_model_is_not_served(bench: WorkerBench) -> None:
    """Reading costs, and a server may be away for hours; these images are not there, and reading would show it."""
    job_id = await bench.has_job()
    bench.triton.is_ready = False

    await bench.runs_a_job()

    assert (await bench.state(job_id), await bench.attempts(job_id)) == ("waiting", 0)


async def test_model_that_is_served_and_silent_fails_after_its_attempts(bench: WorkerBench) -> None:
    """A volume that always times out must not go round for ever."""
    job_id = await bench.has_readable_job()
    bench.triton.fault = Unavailable("Triton did not answer (DEADLINE_EXCEEDED)")

    for attempt in range(1, ATTEMPTS + 1):
        assert await bench.attempts(job_id) == attempt - 1
        await bench.runs_a_job()
        bench.pass_by(seconds=30)

    (done,) = await bench.told(job_id)
    assert (await bench.state(job_id), done.outcome) == ("done", Outcome.FAILED)
    assert done.reasons == ("the model did not answer in its time, 3 attempts",)


async def test_job_that_kills_its_worker_each_time_fails(bench: WorkerBench) -> None:
    """Out of memory leaves no trace but the lease that ran out."""
    job_id = await bench.has_readable_job()
    for _ in range(ATTEMPTS):
        assert await bench.claim() is not None
        bench.pass_by(seconds=21)

    await bench.runs_a_job()

    (done,) = await bench.told(job_id)
    assert (done.outcome, bench.triton.asked) == (Outcome.FAILED, [])


async def test_images_that_are_not_there_end_the_job_and_not_the_worker(bench: WorkerBench) -> None:
    """An error that explains itself is told as the job's end."""
    job_id = await bench.has_job(manifest_key="site/studies/1/manifests/none")

    await bench.runs_a_job()

    (done,) = await bench.told(job_id)
    assert (done.outcome, done.findings) == (Outcome.FAILED, ())
    assert done.reasons[0].startswith("no object under")


async def test_request_that_the_model_rejects_is_refused_at_once(bench: WorkerBench) -> None:
    """Asking again changes nothing."""
    job_id = await bench.has_readable_job()
    bench.triton.fault = RequestRejected("Triton rejected the request (INVALID_ARGUMENT)")

    await bench.runs_a_job()

    assert [done.outcome for done in await bench.told(job_id)] == [Outcome.REFUSED]


async def test_answer_becomes_findings_and_names_nobody(bench: WorkerBench) -> None:
    """The way that most jobs go; the model gets a random token and no number of ours."""
    job_id = await bench.has_readable_job()

    await bench.runs_a_job()

    (done,) = await bench.told(job_id)
    assert (done.outcome, len(done.findings)) == (Outcome.COMPLETED, 4)
    assert bench.triton.asked[0].job_token != str(job_id)


@pytest.mark.parametrize("ending", [an_order_cancelled(), a_case_withdrawn(), a_study_superseded()])
async def test_cancelled_while_it_runs_its_result_does_not_count(bench: WorkerBench, ending: Any) -> None:
    """What happens to the case ends the job, visibly, and once."""
    job_id = await bench.has_job(case_id=CASE_ID)
    job = await bench.claim()
    assert job is not None

    await bench.hears(CASES_CHANGED, an_event(ending, own_key=str(job_id)))
    await bench.runner()._tell(job, results.ended_with(job, Answered(), ended_at=bench.now))

    assert (await bench.state(job_id), [d.outcome for d in await bench.told(job_id)]) == (
        "cancelled",
        [Outcome.CANCELLED],
    )


async def test_case_that_is_read_elsewhere_asks_no_model(bench: WorkerBench) -> None:
    """A job that waits, one that runs, and one that is asked for later end visibly; another case's goes on."""
    running, waiting, other = [
        await bench.has_job(case_id=case_id, study_revision=revision)
        for case_id, revision in ((CASE_ID, 1), (CASE_ID, 2), (uuid4(), 1))
    ]
    await bench.claim()

    await bench.hears(CASES_CHANGED, an_event(a_read_elsewhere(), own_key=str(running)))
    late = await bench.has_job(case_id=CASE_ID, study_revision=3)

    assert [await bench.state(job) for job in (running, waiting, late)] == ["cancelled"] * 3
    assert [d.reasons for job in (running, waiting, late) for d in await bench.told(job)] == [(READ_ELSEWHERE,)] * 3
    assert await claimed(bench) == other


async def test_job_is_taken_up_again_when_the_other_report_is_taken_back(bench: WorkerBench) -> None:
    """It ends a second time, with the model's answer: both ends are told."""
    job_id = await bench.has_job(case_id=CASE_ID)
    await bench.hears(CASES_CHANGED, an_event(a_read_elsewhere(), own_key=str(job_id)))

    await bench.hears(CASES_CHANGED, an_event(a_read_elsewhere(read_elsewhere=None), own_key=f"{job_id} back"))

    job = await bench.claim()
    assert job is not None
    await bench.runner()._tell(job, results.ended_with(job, Answered(), ended_at=bench.now))
    assert [d.outcome for d in await bench.told(job_id)] == [Outcome.CANCELLED, Outcome.COMPLETED]


@pytest.mark.parametrize("ending", [a_case_withdrawn(), a_study_superseded()], ids=["withdrawn", "superseded"])
async def test_job_that_is_pointless_by_itself_is_not_taken_up_again(bench: WorkerBench, ending: Any) -> None:
    """What ended the case or its revision while it was read elsewhere stays true when that report is taken back."""
    job_id = await bench.has_job(case_id=CASE_ID)
    await bench.hears(CASES_CHANGED, an_event(a_read_elsewhere(), own_key=str(job_id)))
    with_reading = ending.model_copy(update={"case": ending.case.model_copy(update={"read_elsewhere": READING})})
    await bench.hears(CASES_CHANGED, an_event(with_reading, own_key=f"{job_id} ended"))

    await bench.hears(CASES_CHANGED, an_event(a_read_elsewhere(read_elsewhere=None), own_key=f"{job_id} back"))

    assert (await bench.state(job_id), len(await bench.told(job_id))) == ("cancelled", 1)


async def test_site_that_wants_the_models_opinion_all_the_same_gets_it(stack: Any, tmp_path: Path) -> None:
    """`OVERREAD_INFER_READ_ELSEWHERE`: the other reader's report cancels nothing."""
    async with a_worker_bench(stack.endpoints.dsn("inference_worker"), tmp_path, infer_read_elsewhere=True) as bench:
        job_id = await bench.has_job(case_id=CASE_ID)

        await bench.hears(CASES_CHANGED, an_event(a_read_elsewhere(), own_key=str(job_id)))

        assert await bench.state(job_id) == "waiting"


async def test_later_revision_is_not_cancelled_with_an_earlier_one(bench: WorkerBench) -> None:
    """Images came for revision 1: revision 2 is what they made."""
    job_id = await bench.has_job(case_id=CASE_ID, study_revision=2)

    await bench.hears(CASES_CHANGED, an_event(a_study_superseded(), own_key=str(job_id)))

    assert await bench.state(job_id) == "waiting"


async def test_request_twice_has_one_effect(bench: WorkerBench) -> None:
    """The same event, and the same revision and model under another id, are one job."""
    asked = an_inference_requested()
    event = an_event(asked, own_key="twice")
    await bench.hears(INFERENCE_REQUESTED, event, event)

    await bench.hears(INFERENCE_REQUESTED, event, an_event(asked, own_key="thrice"))

    assert [await claimed(bench), await claimed(bench)] == [asked.job_id, None]


async def test_cancellation_twice_has_one_effect(bench: WorkerBench) -> None:
    """A job ends once."""
    job_id = await bench.has_job(case_id=CASE_ID)
    event = an_event(a_case_withdrawn(), own_key=str(job_id))
    await bench.hears(CASES_CHANGED, event, event)

    await bench.hears(CASES_CHANGED, an_event(a_case_withdrawn(), own_key=f"{job_id} again"))

    assert len(await bench.told(job_id)) == 1
