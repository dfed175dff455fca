"""Archive's own tables: what we hold, and which restarts of an intake still need a look at the objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.intake import InstanceStored, IntakeRestarted
from overread.runtime.inbox import Transaction


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """An intake came back at `restarted_at`; objects since `checkpoint` may not have been told."""

    id: UUID
    site_id: str
    traceparent: str
    intake: str
    restarted_at: datetime
    checkpoint: datetime | None


async def add_instance(tx: Transaction, event: Event[InstanceStored]) -> None:
    """Note an instance that we hold."""
    stored = event.data
    await tx.connection.execute(
        "INSERT INTO instances (site_id, object_key, study_instance_uid, series_instance_uid, sop_instance_uid,"
        " sop_class_uid, transfer_syntax_uid, digest, size_bytes, received_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        event.site_id,
        stored.object_key,
        stored.study_instance_uid,
        stored.attributes.series_instance_uid,
        stored.sop_instance_uid,
        stored.sop_class_uid,
        stored.transfer_syntax_uid,
        stored.digest,
        stored.size_bytes,
        stored.received_at,
    )


async def add_sweep(tx: Transaction, event: Event[IntakeRestarted]) -> None:
    """Note that an intake came back."""
    await tx.connection.execute(
        "INSERT INTO sweeps (site_id, intake, restarted_at, event_id, traceparent) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        event.site_id,
        event.data.intake,
        event.data.restarted_at,
        event.id,
        event.traceparent,
    )


async def next_sweep(tx: Transaction) -> Sweep | None:
    """Return the earliest restart that was not looked into, with the one before it as checkpoint."""
    row = await tx.connection.fetchrow(
        "SELECT s.*, (SELECT max(d.restarted_at) FROM sweeps d WHERE d.site_id = s.site_id AND d.intake = s.intake"
        "  AND d.is_done AND d.restarted_at < s.restarted_at) AS checkpoint"
        " FROM sweeps s WHERE NOT s.is_done ORDER BY s.restarted_at LIMIT 1"
    )
    if row is None:
        return None
    return Sweep(
        id=UUID(str(row["event_id"])),
        site_id=row["site_id"],
        traceparent=row["traceparent"],
        intake=row["intake"],
        restarted_at=row["restarted_at"],
        checkpoint=row["checkpoint"],
    )


async def end_sweep(tx: Transaction, sweep: Sweep) -> None:
    """Note that the objects were looked through."""
    await tx.connection.execute(
        "UPDATE sweeps SET is_done = true WHERE site_id = $1 AND intake = $2 AND restarted_at = $3",
        sweep.site_id,
        sweep.intake,
        sweep.restarted_at,
    )


async def not_held(tx: Transaction, site_id: str, object_keys: Sequence[str]) -> list[str]:
    """Return those of the keys that no event has told of, in the given order."""
    rows = await tx.connection.fetch(
        "SELECT object_key FROM instances WHERE site_id = $1 AND object_key = ANY($2::text[])",
        site_id,
        list(object_keys),
    )
    held = {row["object_key"] for row in rows}
    return [key for key in object_keys if key not in held]
