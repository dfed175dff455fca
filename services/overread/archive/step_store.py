"""Archive's tables of what was announced: procedure steps, and requests for commitment."""

from collections.abc import Sequence
from dataclasses import dataclass

from overread.contracts.envelope import Event
from overread.contracts.events.intake import ProcedureStepReported
from overread.runtime.inbox import Transaction


@dataclass(frozen=True, kw_only=True)
class StepRow:
    """A procedure step as archive knows it."""

    status: str
    study_instance_uids: tuple[str, ...]
    accession_numbers: tuple[str, ...]


async def lock_step(tx: Transaction, site_id: str, procedure_step_uid: str) -> StepRow | None:
    """Return a step and hold its row, None when it is not known."""
    row = await tx.connection.fetchrow(
        "SELECT status, study_instance_uids, accession_numbers FROM procedure_steps WHERE site_id = $1 AND procedure_step_uid = $2"
        " FOR UPDATE",
        site_id,
        procedure_step_uid,
    )
    if row is None:
        return None
    return StepRow(
        status=row["status"],
        study_instance_uids=tuple(row["study_instance_uids"]),
        accession_numbers=tuple(row["accession_numbers"]),
    )


async def save_step(
    tx: Transaction, event: Event[ProcedureStepReported], studies: Sequence[str], accessions: Sequence[str]
) -> None:
    """Keep a step as the event tells it; its times are those of the intake."""
    reported = event.data
    is_ended = reported.status in ("COMPLETED", "DISCONTINUED")
    await tx.connection.execute(
        "INSERT INTO procedure_steps (site_id, procedure_step_uid, status, study_instance_uids, calling_ae_title,"
        " begun_at, ended_at, accession_numbers) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (site_id, procedure_step_uid) DO UPDATE SET status = excluded.status,"
        " study_instance_uids = excluded.study_instance_uids, ended_at = excluded.ended_at",
        event.site_id,
        reported.procedure_step_uid,
        reported.status or "IN PROGRESS",
        list(studies),
        reported.calling_ae_title,
        reported.received_at if reported.is_new else None,
        reported.received_at if is_ended else None,
        list(accessions),
    )


async def studies_of(tx: Transaction, site_id: str, sop_instance_uids: Sequence[str]) -> list[str]:
    """Return the studies of which we hold one of the instances."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT study_instance_uid FROM instances WHERE site_id = $1 AND sop_instance_uid = ANY($2::text[])"
        " ORDER BY study_instance_uid",
        site_id,
        list(sop_instance_uids),
    )
    return [row["study_instance_uid"] for row in rows]
