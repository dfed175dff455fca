"""Archive's own tables: what we hold, which restarts still need a look at the objects, and what could not be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.intake import InstanceStored, IntakeRestarted
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Connection


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """An intake came back at `restarted_at`; objects since `checkpoint` may not have been told."""

    id: UUID
    site_id: str
    traceparent: str
    intake: str
    restarted_at: datetime
    checkpoint: datetime | None


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """An accepted object that could not be told of, and why; it is tried again at each restart of an intake."""

    site_id: str
    object_key: str
    reason: str
    at: datetime


async def add_instances(tx: Transaction, events: Sequence[Event[InstanceStored]]) -> None:
    """Note instances that we hold; one that was set aside is told of now."""
    await tx.connection.executemany(
        "INSERT INTO instances (site_id, object_key, study_instance_uid, series_instance_uid, sop_instance_uid,"
        " sop_class_uid, transfer_syntax_uid, digest, size_bytes, received_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
        [_instance_row(event.site_id, event.data) for event in events],
    )
    await tx.connection.execute(
        "DELETE FROM set_aside USING unnest($1::text[], $2::text[]) AS told (site_id, object_key)"
        " WHERE set_aside.site_id = told.site_id AND set_aside.object_key = told.object_key",
        [event.site_id for event in events],
        [event.data.object_key for event in events],
    )


def _instance_row(site_id: str, stored: InstanceStored) -> tuple[object, ...]:
    return (
        site_id,
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


async def set_aside(tx: Transaction, site_id: str, object_key: str, reason: str) -> None:
    """Keep that this object could not be told of, with the newest reason."""
    await tx.connection.execute(
        "INSERT INTO set_aside (site_id, object_key, reason, at) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (site_id, object_key) DO UPDATE SET reason = excluded.reason, at = excluded.at",
        site_id,
        object_key,
        reason,
        tx.clock(),
    )


async def keys_set_aside(tx: Transaction, site_id: str) -> list[str]:
    """Return the objects that could not be told of so far."""
    rows = await tx.connection.fetch("SELECT object_key FROM set_aside WHERE site_id = $1 ORDER BY at", site_id)
    return [row["object_key"] for row in rows]


async def all_set_aside(connection: "asyncpg.Connection[asyncpg.Record] | Connection") -> list[SetAside]:
    """Return every object that could not be told of, oldest first."""
    rows = await connection.fetch("SELECT site_id, object_key, reason, at FROM set_aside ORDER BY at, object_key")
    return [SetAside(**row) for row in rows]
