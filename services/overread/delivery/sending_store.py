"""What senders ask of the outbound rows: which may leave, how each ended, and how the way to a destination is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.breaker import Breaker
from overread.delivery.sequence import Status
from overread.delivery.store import OutboundRow, StoredCause, Why
from overread.runtime.database import away_as_unavailable

if TYPE_CHECKING:
    from asyncpg import Record

    from overread.runtime.database import Connection, Pool

_IS_FIRST_OF_ITS_CASE = (
    " NOT EXISTS (SELECT FROM outbound AS e WHERE e.site_id = o.site_id AND e.destination = o.destination"
    " AND e.case_id = o.case_id AND e.position < o.position AND e.state IN ('waiting', 'sending'))"
)
# An unread result that is held is tried once more when a later one waits behind it, and ends then.
_IS_NOT_HELD = (
    " (o.held_at IS NULL OR (o.status IN ('R', 'P') AND EXISTS (SELECT FROM outbound AS l"
    " WHERE l.site_id = o.site_id AND l.destination = o.destination AND l.report_id = o.report_id"
    " AND l.position > o.position AND (l.report_revision, l.status) <> (o.report_revision, o.status)"
    " AND l.state IN ('waiting', 'sending'))))"
)
_COLUMNS = (
    "o.site_id, o.delivery_id, o.destination, o.form, o.case_id, o.report_id, o.report_revision, o.status, o.message,"
    " o.message_key, o.message_digest, o.message_control_id, o.attempts, o.caused_by, o.traceparent"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a message ended."""

    row: OutboundRow
    outcome: DeliveryOutcome
    why: Why


async def due_rows(pool: "Pool", site_id: str, destination: str, now: datetime, limit: int) -> list[OutboundRow]:
    """Return the oldest messages that are due, each the first open one of its case: so all are of different cases."""
    async with away_as_unavailable():
        rows = await pool.fetch(
            f"SELECT {_COLUMNS} FROM outbound AS o WHERE o.site_id = $1 AND o.destination = $2"  # noqa: S608 - constants
            " AND o.state IN ('waiting', 'sending') AND o.next_attempt_at <= $3"
            f" AND {_IS_NOT_HELD} AND {_IS_FIRST_OF_ITS_CASE} ORDER BY o.position LIMIT $4",
            site_id,
            destination,
            now,
            limit,
        )
    return [_outbound_row(row) for row in rows]


def _outbound_row(row: "Record") -> OutboundRow:
    names = ("site_id", "delivery_id", "destination", "form", "case_id", "report_id", "report_revision")
    message = ("message", "message_key", "message_digest", "message_control_id", "attempts")
    return OutboundRow(
        **{name: row[name] for name in (*names, *message)},
        status=Status(row["status"]),
        cause=StoredCause(id=row["caused_by"], site_id=row["site_id"], traceparent=row["traceparent"]),
    )


async def mark_sending(connection: "Connection", rows: Sequence[OutboundRow]) -> list[bool]:
    """Keep of each that it is about to leave; False for one that has ended, or that an earlier one stands before now."""
    async with away_as_unavailable():
        marked = await connection.fetch(
            "UPDATE outbound AS o SET state = 'sending', attempts = attempts + 1"  # noqa: S608 - constants
            " FROM unnest($1::text[], $2::uuid[]) AS asked (site_id, delivery_id)"
            " WHERE o.site_id = asked.site_id AND o.delivery_id = asked.delivery_id"
            f" AND o.state IN ('waiting', 'sending') AND {_IS_FIRST_OF_ITS_CASE} RETURNING o.site_id, o.delivery_id",
            [row.site_id for row in rows],
            [row.delivery_id for row in rows],
        )
    names = {(row["site_id"], row["delivery_id"]) for row in marked}
    return [(row.site_id, row.delivery_id) in names for row in rows]


async def postpone(pool: "Pool", row: OutboundRow, until: datetime, why: Why) -> None:
    """Keep that the message was not taken, and when it is due again; it is never given up for that.

    One that is held and was tried once more is held as before: an operator may end it.
    """
    async with away_as_unavailable():
        await pool.execute(
            "UPDATE outbound SET next_attempt_at = $3, reason = $4, receiver_text = $5,"
            " state = CASE WHEN held_at IS NULL THEN state ELSE 'waiting' END"
            " WHERE site_id = $1 AND delivery_id = $2 AND state IN ('waiting', 'sending')",
            row.site_id,
            row.delivery_id,
            until,
            why.reason,
            why.receiver_text,
        )


async def hold(pool: "Pool", row: OutboundRow, now: datetime, why: Why) -> None:
    """Keep that the message waits for an operator: it is not due again by itself, and nothing of its case passes it."""
    async with away_as_unavailable():
        await pool.execute(
            "UPDATE outbound SET state = 'waiting', held_at = $3, reason = $4, receiver_text = $5"
            " WHERE site_id = $1 AND delivery_id = $2 AND state IN ('waiting', 'sending')",
            row.site_id,
            row.delivery_id,
            now,
            why.reason,
            why.receiver_text,
        )


async def lock_held(connection: "Connection", site_id: str, delivery_id: UUID) -> OutboundRow | None:
    """Lock a message that waits for an operator and is not under way; None when there is no such one."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM outbound AS o WHERE o.site_id = $1 AND o.delivery_id = $2"  # noqa: S608 - constants
        " AND o.held_at IS NOT NULL AND o.state = 'waiting' FOR UPDATE",
        site_id,
        delivery_id,
    )
    return None if row is None else _outbound_row(row)


async def end_all(connection: "Connection", endings: Sequence[Ending], now: datetime) -> list[int | None]:
    """Keep how each message ended; return how often each was tried, None for one that had ended before."""
    ended = await connection.fetch(
        "UPDATE outbound AS o SET state = e.state, reason = e.reason, receiver_text = e.words, ended_at = $6"
        " FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[])"
        " AS e (site_id, delivery_id, state, reason, words)"
        " WHERE o.site_id = e.site_id AND o.delivery_id = e.delivery_id AND o.state IN ('waiting', 'sending')"
        " RETURNING o.site_id, o.delivery_id, o.attempts",
        [ending.row.site_id for ending in endings],
        [ending.row.delivery_id for ending in endings],
        [ending.outcome.value for ending in endings],
        [ending.why.reason for ending in endings],
        [ending.why.receiver_text for ending in endings],
        now,
    )
    attempts: dict[tuple[str, UUID], int] = {(r["site_id"], r["delivery_id"]): r["attempts"] for r in ended}
    return [attempts.get((ending.row.site_id, ending.row.delivery_id)) for ending in endings]


async def is_overtaken(pool: "Pool", row: OutboundRow) -> bool:
    """Say whether a later message of the same report waits behind this one."""
    async with away_as_unavailable():
        overtaken: bool = await pool.fetchval(
            "SELECT EXISTS (SELECT FROM outbound AS l JOIN outbound AS o USING (site_id, destination, report_id)"
            " WHERE o.site_id = $1 AND o.delivery_id = $2 AND l.position > o.position"
            " AND (l.report_revision, l.status) <> (o.report_revision, o.status)"
            " AND l.state IN ('waiting', 'sending'))",
            row.site_id,
            row.delivery_id,
        )
    return overtaken


async def open_and_held(pool: "Pool", site_id: str, destination: str) -> tuple[int, int]:
    """Return how many messages the destination has not acknowledged yet, and how many of them wait for an operator."""
    async with away_as_unavailable():
        counted = await pool.fetchrow(
            "SELECT count(*) AS open, count(held_at) AS held FROM outbound"
            " WHERE site_id = $1 AND destination = $2 AND state IN ('waiting', 'sending')",
            site_id,
            destination,
        )
    return (0, 0) if counted is None else (counted["open"], counted["held"])


async def keep_state(pool: "Pool", site_id: str, destination: str, breaker: Breaker, now: datetime) -> None:
    """Keep how the way to a destination is, where an operator's command can read it."""
    async with away_as_unavailable():
        await pool.execute(
            "INSERT INTO destination_states (site_id, destination, state, failures, reason, since)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (site_id, destination) DO UPDATE"
            " SET state = EXCLUDED.state, failures = EXCLUDED.failures, reason = EXCLUDED.reason, since = EXCLUDED.since",
            site_id,
            destination,
            breaker.state.value,
            breaker.failures,
            breaker.reason,
            breaker.since or now,
        )
