"""The job table: what waits, what runs and for how long it may be silent."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.inference import InferenceRequested
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    from asyncpg import Record


@dataclass(frozen=True, kw_only=True)
class Job:
    """A claimed job, with the lease under which this worker may end it.

    `lost_servers` counts how often the model server went away while it was asked for this job; `times_revived` how often
    the job was taken up again after its end.
    """

    id: UUID
    site_id: str
    traceparent: str
    requested: InferenceRequested
    attempts: int
    lease: UUID
    started_at: datetime
    lost_servers: int = 0
    times_revived: int = 0

    @property
    def end_key(self) -> str:
        """Return what tells this end of the job from every other event: a job that was revived ends once more."""
        job_id = str(self.requested.job_id)
        return f"{job_id}/{self.times_revived}" if self.times_revived else job_id


async def add(tx: Transaction, event: Event[InferenceRequested]) -> None:
    """Add a job unless its study revision and model version have one."""
    job = event.data
    await tx.connection.execute(
        "INSERT INTO jobs (site_id, job_id, case_id, study_revision, model_name, model_version, lane, requested,"
        " event_id, traceparent, waiting_since, not_before)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11) ON CONFLICT DO NOTHING",
        event.site_id,
        job.job_id,
        job.case_id,
        job.study_revision,
        job.model.name,
        job.model.version,
        job.lane.value,
        job.model_dump_json(),
        event.id,
        event.traceparent,
        tx.clock(),
    )


async def cancel(tx: Transaction, site_id: str, case_id: UUID, up_to_revision: int) -> list[Job]:
    """Cancel the case's jobs up to a study revision that have not ended, for good; return them."""
    await tx.connection.execute(
        "UPDATE jobs SET is_read_elsewhere = false WHERE site_id = $1 AND case_id = $2 AND study_revision <= $3"
        " AND is_read_elsewhere",
        site_id,
        case_id,
        up_to_revision,
    )
    rows = await tx.connection.fetch(
        "UPDATE jobs SET state = 'cancelled', lease = NULL WHERE site_id = $1 AND case_id = $2"
        " AND study_revision <= $3 AND state IN ('waiting', 'running')"
        " RETURNING site_id, event_id, traceparent, requested, attempts, job_id, started_at, times_revived",
        site_id,
        case_id,
        up_to_revision,
    )
    return _ended(rows, tx.clock())


async def cancel_while_read_elsewhere(tx: Transaction, site_id: str, case_id: UUID) -> list[Job]:
    """Cancel all the case's jobs that have not ended, until `revive`; return them."""
    rows = await tx.connection.fetch(
        "UPDATE jobs SET state = 'cancelled', lease = NULL, is_read_elsewhere = true"
        " WHERE site_id = $1 AND case_id = $2 AND state IN ('waiting', 'running')"
        " RETURNING site_id, event_id, traceparent, requested, attempts, job_id, started_at, times_revived",
        site_id,
        case_id,
    )
    return _ended(rows, tx.clock())


async def revive(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Let the case's jobs that were cancelled while it was read elsewhere wait again, as if they had just come."""
    await tx.connection.execute(
        "UPDATE jobs SET state = 'waiting', is_read_elsewhere = false, times_revived = times_revived + 1, attempts = 0,"
        " lost_servers = 0, waiting_since = $3, not_before = $3, started_at = NULL"
        " WHERE site_id = $1 AND case_id = $2 AND state = 'cancelled' AND is_read_elsewhere",
        site_id,
        case_id,
        tx.clock(),
    )


async def lock_cases(tx: Transaction, cases: Iterable[tuple[str, UUID]]) -> None:
    """Hold the cases until the transaction ends, all at once and in one order: job and word on its case never miss."""
    await tx.connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1::text[]) AS key",
        sorted({f"{site_id} case {case_id}" for site_id, case_id in cases}),
    )


async def note_read_elsewhere(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Note that a reader of another system has reported the case."""
    await tx.connection.execute(
        "INSERT INTO cases_read_elsewhere (site_id, case_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", site_id, case_id
    )


async def forget_read_elsewhere(tx: Transaction, site_id: str, case_id: UUID) -> bool:
    """Note that no such report stands; say whether one did."""
    gone = await tx.connection.execute(
        "DELETE FROM cases_read_elsewhere WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    return gone == "DELETE 1"


async def is_read_elsewhere(tx: Transaction, site_id: str, case_id: UUID) -> bool:
    """Say whether a reader of another system has reported the case."""
    return bool(
        await tx.connection.fetchval(
            "SELECT EXISTS (SELECT FROM cases_read_elsewhere WHERE site_id = $1 AND case_id = $2)", site_id, case_id
        )
    )


def _ended(rows: "Iterable[Record]", now: datetime) -> list[Job]:
    return [
        Job(
            id=UUID(str(r["event_id"])),
            site_id=r["site_id"],
            traceparent=r["traceparent"],
            requested=InferenceRequested.model_validate_json(r["requested"]),
            attempts=r["attempts"],
            lease=UUID(int=0),
            started_at=r["started_at"] or now,
            times_revived=r["times_revived"],
        )
        for r in rows
    ]


async def claim(
    tx: Transaction, lease: UUID, *, lease_time: timedelta, ageing: timedelta, only_stat: bool
) -> Job | None:
    """Claim the job that should run next, None when nothing waits.

    STAT goes first, then what has aged past `ageing`; within a lane the site with the fewest running jobs, then the
    longest wait. A running job whose lease ran out is free again. Of the jobs that saw their server go, one runs at a
    time: whichever ends it then is seen to be the one.
    """
    now = tx.clock()
    row = await tx.connection.fetchrow(
        "WITH next AS ("
        "  SELECT j.site_id, j.job_id FROM jobs j WHERE ((j.state = 'waiting' AND j.not_before <= $1)"
        "   OR (j.state = 'running' AND j.leased_until < $1)) AND (NOT $5 OR j.lane = 'stat')"
        "   AND (j.lost_servers = 0 OR NOT EXISTS (SELECT FROM jobs s WHERE s.state = 'running'"
        "    AND s.lost_servers > 0 AND s.leased_until >= $1))"
        "  ORDER BY (j.lane = 'stat' OR j.waiting_since < $4) DESC,"
        "   (SELECT count(*) FROM jobs r WHERE r.site_id = j.site_id AND r.state = 'running'), j.waiting_since"
        "  LIMIT 1 FOR UPDATE OF j SKIP LOCKED)"
        " UPDATE jobs SET state = 'running', lease = $2, leased_until = $3, attempts = attempts + 1,"
        " started_at = coalesce(started_at, $1) FROM next"
        " WHERE jobs.site_id = next.site_id AND jobs.job_id = next.job_id"
        " RETURNING jobs.site_id, jobs.event_id, jobs.traceparent, jobs.requested, jobs.attempts, jobs.started_at,"
        " jobs.lost_servers, jobs.times_revived",
        now,
        lease,
        now + lease_time,
        now - ageing,
        only_stat,
    )
    if row is None:
        return None
    return Job(
        id=UUID(str(row["event_id"])),
        site_id=row["site_id"],
        traceparent=row["traceparent"],
        requested=InferenceRequested.model_validate_json(row["requested"]),
        attempts=row["attempts"],
        lease=lease,
        started_at=row["started_at"],
        lost_servers=row["lost_servers"],
        times_revived=row["times_revived"],
    )


async def heartbeat(tx: Transaction, job: Job, lease_time: timedelta) -> bool:
    """Lengthen the lease; False when the job was cancelled or another worker has it."""
    return bool(
        await tx.connection.fetchval(
            "UPDATE jobs SET leased_until = $4 WHERE site_id = $1 AND job_id = $2 AND lease = $3 AND state = 'running'"
            " RETURNING true",
            job.site_id,
            job.requested.job_id,
            job.lease,
            tx.clock() + lease_time,
        )
    )


async def end(tx: Transaction, job: Job) -> bool:
    """End the job if this worker still holds its lease: its result counts once."""
    return bool(
        await tx.connection.fetchval(
            "UPDATE jobs SET state = 'done', lease = NULL WHERE site_id = $1 AND job_id = $2 AND lease = $3"
            " AND state = 'running' RETURNING true",
            job.site_id,
            job.requested.job_id,
            job.lease,
        )
    )


async def give_back(tx: Transaction, job: Job, not_before: datetime, *, lost_servers: int) -> None:
    """Let the job wait again until `not_before`; a server that is away costs no attempt, one that went is counted."""
    await tx.connection.execute(
        "UPDATE jobs SET state = 'waiting', lease = NULL, attempts = attempts - 1, not_before = $4, lost_servers = $5"
        " WHERE site_id = $1 AND job_id = $2 AND lease = $3 AND state = 'running'",
        job.site_id,
        job.requested.job_id,
        job.lease,
        not_before,
        lost_servers,
    )


async def retry(tx: Transaction, job: Job, not_before: datetime) -> None:
    """Let the job wait again until `not_before`, its attempt counted."""
    await tx.connection.execute(
        "UPDATE jobs SET state = 'waiting', lease = NULL, not_before = $4"
        " WHERE site_id = $1 AND job_id = $2 AND lease = $3 AND state = 'running'",
        job.site_id,
        job.requested.job_id,
        job.lease,
        not_before,
    )


async def waiting_by_model(tx: Transaction) -> dict[str, int]:
    """Return how many jobs wait, by model name."""
    rows = await tx.connection.fetch(
        "SELECT model_name, count(*) AS n FROM jobs WHERE state = 'waiting' GROUP BY model_name"
    )
    return {row["model_name"]: row["n"] for row in rows}
