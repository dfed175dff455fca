"""The job table: what waits, what runs and for how long it may be silent."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.inference import InferenceRequested
from overread.runtime.inbox import Transaction


@dataclass(frozen=True, kw_only=True)
class Job:
    """A claimed job, with the lease under which this worker may end it.

    `lost_servers` counts how often the model server went away while it was asked for this job.
    """

    id: UUID
    site_id: str
    traceparent: str
    requested: InferenceRequested
    attempts: int
    lease: UUID
    started_at: datetime
    lost_servers: int = 0


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
    """Cancel the case's jobs up to a study revision that have not ended; return them."""
    rows = await tx.connection.fetch(
        "UPDATE jobs SET state = 'cancelled', lease = NULL WHERE site_id = $1 AND case_id = $2"
        " AND study_revision <= $3 AND state IN ('waiting', 'running')"
        " RETURNING site_id, event_id, traceparent, requested, attempts, job_id, started_at",
        site_id,
        case_id,
        up_to_revision,
    )
    return [
        Job(
            id=UUID(str(r["event_id"])),
            site_id=r["site_id"],
            traceparent=r["traceparent"],
            requested=InferenceRequested.model_validate_json(r["requested"]),
            attempts=r["attempts"],
            lease=UUID(int=0),
            started_at=r["started_at"] or tx.clock(),
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
        " jobs.lost_servers",
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
