"""Assembly's tables of images: what came on which association, and the timers that end the wait for more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overread.assembly import list_store
from overread.assembly.completeness import Arrivals, Due
from overread.contracts.envelope import Body, Event
from overread.contracts.events.intake import InstanceStored, IntakeRestarted
from overread.runtime.inbox import Transaction


@dataclass(frozen=True, kw_only=True)
class EventReference:
    """What the event of a later transaction needs to know of the one that led to it."""

    id: UUID
    site_id: str
    traceparent: str


@dataclass(frozen=True)
class Added:
    """An instance that was not known; `is_conflicting` when its SOPInstanceUID came with other content before."""

    event: Event[InstanceStored]
    is_conflicting: bool


@dataclass(frozen=True)
class Timer:
    """A wait that may be over."""

    site_id: str
    case_id: UUID
    due_at: datetime
    basis: str
    partition: int


async def add_instances(
    tx: Transaction, site_id: str, case_id: UUID, events: Sequence[Event[InstanceStored]]
) -> list[Added]:
    """Note instances of the case, whose row the caller holds; return those that are new, in order."""
    rows = await tx.connection.fetch(
        "SELECT sop_instance_uid, digest FROM instances"
        " WHERE site_id = $1 AND case_id = $2 AND sop_instance_uid = ANY($3::text[])",
        site_id,
        case_id,
        [event.data.sop_instance_uid for event in events],
    )
    digests: dict[str, set[str]] = {}
    for row in rows:
        digests.setdefault(row["sop_instance_uid"], set()).add(row["digest"])
    added = []
    for event in events:
        known = digests.setdefault(event.data.sop_instance_uid, set())
        if event.data.digest not in known:
            added.append(Added(event, is_conflicting=bool(known)))
            known.add(event.data.digest)
    await _insert_instances(tx, site_id, case_id, added)
    return added


async def _insert_instances(tx: Transaction, site_id: str, case_id: UUID, added: Sequence[Added]) -> None:
    await tx.connection.executemany(
        "INSERT INTO instances (site_id, case_id, sop_instance_uid, digest, is_conflicting, is_accompanying, stored)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            (
                site_id,
                case_id,
                one.event.data.sop_instance_uid,
                one.event.data.digest,
                one.is_conflicting,
                one.event.data.is_accompanying,
                one.event.data.model_dump_json(),
            )
            for one in added
        ],
    )


async def images(tx: Transaction, site_id: str, case_id: UUID) -> list[InstanceStored]:
    """Return the images of the case: first content of each SOPInstanceUID, nothing accompanying."""
    rows = await tx.connection.fetch(
        "SELECT stored FROM instances WHERE site_id = $1 AND case_id = $2 AND NOT is_conflicting"
        " AND NOT is_accompanying ORDER BY sop_instance_uid",
        site_id,
        case_id,
    )
    return [InstanceStored.model_validate_json(row["stored"]) for row in rows]


async def note_associations(tx: Transaction, site_id: str, case_id: UUID, opened_at: Mapping[UUID, datetime]) -> None:
    """Note the associations that brought images of the case, with the time of the first.

    What was opened before the intake's last start has ended with the process that held it.
    """
    await tx.connection.executemany(
        "INSERT INTO associations (site_id, case_id, association_id, opened_at, is_closed)"
        " VALUES ($1, $2, $3, $4, EXISTS (SELECT FROM restarts WHERE site_id = $1 AND restarted_at > $4))"
        " ON CONFLICT DO NOTHING",
        [(site_id, case_id, association_id, at) for association_id, at in opened_at.items()],
    )


async def close_associations(tx: Transaction, site_id: str, case_id: UUID, association_ids: Iterable[UUID]) -> None:
    """Note that associations have ended; one that brought nothing new counts too."""
    await tx.connection.executemany(
        "INSERT INTO associations (site_id, case_id, association_id, opened_at, is_closed)"
        " VALUES ($1, $2, $3, $4, true)"
        " ON CONFLICT (site_id, case_id, association_id) DO UPDATE SET is_closed = true",
        [(site_id, case_id, association_id, tx.clock()) for association_id in sorted(association_ids)],
    )


async def note_restart(tx: Transaction, event: Event[IntakeRestarted]) -> list[tuple[UUID, int]]:
    """Note that an intake came back, its associations ended; return the waiting cases, each with its partition."""
    await tx.connection.execute(
        "INSERT INTO restarts (site_id, restarted_at) VALUES ($1, $2)"
        " ON CONFLICT (site_id) DO UPDATE SET restarted_at = greatest(restarts.restarted_at, excluded.restarted_at)",
        event.site_id,
        event.data.restarted_at,
    )
    rows = await tx.connection.fetch(
        "SELECT DISTINCT t.case_id, t.partition FROM timers t JOIN associations a USING (site_id, case_id)"
        " WHERE t.site_id = $1 AND NOT a.is_closed AND a.opened_at < $2 ORDER BY t.case_id",
        event.site_id,
        event.data.restarted_at,
    )
    return [(UUID(str(row["case_id"])), row["partition"]) for row in rows]


async def close_opened_before(tx: Transaction, site_id: str, case_id: UUID, at: datetime) -> None:
    """Note that what was opened before `at` has ended."""
    await tx.connection.execute(
        "UPDATE associations SET is_closed = true WHERE site_id = $1 AND case_id = $2 AND opened_at < $3",
        site_id,
        case_id,
        at,
    )


async def note_signal(
    tx: Transaction, site_id: str, case_id: UUID, between: tuple[datetime, datetime], last: Event[Body]
) -> Arrivals:
    """Note that something came from the broker's time to time; return what has come since the last complete revision."""
    row = await tx.connection.fetchrow(
        "UPDATE cases SET first_unread_at = least(first_unread_at, $3),"
        " last_signal_at = greatest(last_signal_at, $4), last_event_id = $5, last_traceparent = $6"
        " WHERE site_id = $1 AND case_id = $2 RETURNING first_unread_at, last_signal_at",
        site_id,
        case_id,
        *between,
        last.id,
        last.traceparent,
    )
    counts = await tx.connection.fetchrow(
        "SELECT count(*) FILTER (WHERE NOT is_closed) AS open, count(*) FILTER (WHERE is_closed) AS closed"
        " FROM associations WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
    )
    if row is None or counts is None:
        raise LookupError(f"no case {case_id}")
    lists = await list_store.listed(tx, site_id, case_id)
    return Arrivals(
        first_unread_at=row["first_unread_at"],
        last_signal_at=row["last_signal_at"],
        open_associations=counts["open"],
        closed_associations=counts["closed"],
        is_listed=lists.is_listed,
        is_final_list=lists.is_final_list,
        missing=lists.missing,
        open_steps=lists.open_steps,
    )


async def end_wait(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Note that the study is complete: no timer, no association or list to wait for, nothing unread."""
    await list_store.drop(tx, site_id, case_id)
    await tx.connection.execute("DELETE FROM timers WHERE site_id = $1 AND case_id = $2", site_id, case_id)
    await tx.connection.execute("DELETE FROM associations WHERE site_id = $1 AND case_id = $2", site_id, case_id)
    await tx.connection.execute(
        "UPDATE cases SET is_superseded = false, first_unread_at = NULL, last_signal_at = NULL"
        " WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
    )


async def set_timer(tx: Transaction, site_id: str, case_id: UUID, due: Due, partition: int) -> None:
    """Set the one timer of the case."""
    await tx.connection.execute(
        "INSERT INTO timers (site_id, case_id, due_at, basis, partition) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (site_id, case_id) DO UPDATE SET due_at = excluded.due_at, basis = excluded.basis,"
        " partition = excluded.partition",
        site_id,
        case_id,
        due.at,
        due.basis.value,
        partition,
    )


async def has_timer(tx: Transaction, site_id: str, case_id: UUID) -> bool:
    """Say whether the case waits for more images."""
    return bool(
        await tx.connection.fetchval(
            "SELECT EXISTS (SELECT FROM timers WHERE site_id = $1 AND case_id = $2)", site_id, case_id
        )
    )


async def due_timers(tx: Transaction, now: datetime, partitions: Sequence[int], limit: int = 50) -> list[Timer]:
    """Return the timers of `partitions` that are due, the earliest first."""
    rows = await tx.connection.fetch(
        "SELECT site_id, case_id, due_at, basis, partition FROM timers"
        " WHERE due_at <= $1 AND partition = ANY($2::int[]) ORDER BY due_at LIMIT $3",
        now,
        partitions,
        limit,
    )
    return [Timer(r["site_id"], UUID(str(r["case_id"])), r["due_at"], r["basis"], r["partition"]) for r in rows]


async def postpone(tx: Transaction, timer: Timer, until: datetime) -> None:
    """Let the timer, if it still stands as it was read, wait until `until`."""
    await tx.connection.execute(
        "UPDATE timers SET due_at = $4 WHERE site_id = $1 AND case_id = $2 AND due_at = $3",
        timer.site_id,
        timer.case_id,
        timer.due_at,
        until,
    )


async def last_image_event(tx: Transaction, site_id: str, case_id: UUID) -> EventReference | None:
    """Return the event of the case's newest image: the study's trace goes on from it."""
    row = await tx.connection.fetchrow(
        "SELECT last_event_id, last_traceparent FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    if row is None or row["last_event_id"] is None:
        return None
    return EventReference(id=UUID(str(row["last_event_id"])), site_id=site_id, traceparent=row["last_traceparent"])


async def lock_timer(tx: Transaction, timer: Timer) -> bool:
    """Hold the timer if it still stands as it was read."""
    return bool(
        await tx.connection.fetchval(
            "SELECT true FROM timers WHERE site_id = $1 AND case_id = $2 AND due_at = $3 FOR UPDATE SKIP LOCKED",
            timer.site_id,
            timer.case_id,
            timer.due_at,
        )
    )
