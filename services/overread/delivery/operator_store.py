"""What an operator sees and does with messages that their destination has not taken."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery import sending_store
from overread.delivery.sending_store import Ending
from overread.delivery.store import Why, lock_report

if TYPE_CHECKING:
    from overread.runtime.database import Connection


async def not_taken(connection: "Connection", site_id: str) -> list[Mapping[str, Any]]:
    """Return what waits, was refused for the time being, or was given up, oldest first."""
    rows = await connection.fetch(
        "SELECT delivery_id, destination, form, report_id, report_revision, status, attempts, next_attempt_at,"
        " CASE WHEN state IN ('waiting', 'sending') AND held_at IS NOT NULL THEN 'held' ELSE state END AS state,"
        " reason, receiver_text FROM outbound WHERE site_id = $1 AND state <> 'acknowledged' ORDER BY position",
        site_id,
    )
    return [dict(row) for row in rows]


async def retry(connection: "Connection", site_id: str, delivery_id: UUID, now: datetime) -> bool:
    """Let a message leave now, the same bytes: one that was given up, is held, or waits for its next try.

    False when there is no such message, or when what a given-up one says no longer holds: a later one of the same report
    went the same way, a later revision was released, or the report was taken back, whoever heard of that.
    """
    report_id = await connection.fetchval(
        "SELECT report_id FROM outbound WHERE site_id = $1 AND delivery_id = $2", site_id, delivery_id
    )
    if report_id is None:
        return False
    # What is taken back or sent meanwhile is decided under the same lock.
    await lock_report(connection, site_id, report_id)
    revived = await connection.fetchval(
        "UPDATE outbound AS o SET state = 'waiting', next_attempt_at = $3, ended_at = NULL, held_at = NULL"
        " WHERE site_id = $1 AND delivery_id = $2"
        " AND ((state IN ('waiting', 'sending') AND (next_attempt_at > $3 OR held_at IS NOT NULL))"
        " OR (state = 'given_up' AND still_holds(o))) RETURNING delivery_id",
        site_id,
        delivery_id,
        now,
    )
    await connection.execute("SELECT pg_notify('work_' || current_schema(), 'outbound')")
    return revived is not None


async def give_up(
    connection: "Connection", site_id: str, delivery_id: UUID, now: datetime
) -> tuple[Ending, int] | None:
    """End a held message by an operator's word, so that what is behind it in its case leaves; None when it is not held.

    Returns how it ended and how often it was tried. What is under way at this moment is not held: its answer decides.
    """
    row = await sending_store.lock_held(connection, site_id, delivery_id)
    if row is None:
        return None
    ending = Ending(row=row, outcome=DeliveryOutcome.GIVEN_UP, why=Why(reason="given up by an operator"))
    [attempts] = await sending_store.end_all(connection, [ending], now)
    await connection.execute("SELECT pg_notify('work_' || current_schema(), 'outbound')")
    return None if attempts is None else (ending, attempts)


async def ways(connection: "Connection", site_id: str) -> list[Mapping[str, Any]]:
    """Return how the way to each destination is, as its sender last saw it, and what it has not taken."""
    rows = await connection.fetch(
        "SELECT d.destination, d.state, d.failures, d.since, d.reason,"
        " (SELECT count(*) FROM outbound AS o WHERE o.site_id = d.site_id AND o.destination = d.destination"
        " AND o.state IN ('waiting', 'sending')) AS open,"
        " (SELECT count(*) FROM outbound AS o WHERE o.site_id = d.site_id AND o.destination = d.destination"
        " AND o.state IN ('waiting', 'sending') AND o.held_at IS NOT NULL) AS held,"
        " (SELECT min(o.created_at) FROM outbound AS o WHERE o.site_id = d.site_id AND o.destination = d.destination"
        " AND o.state IN ('waiting', 'sending')) AS oldest"
        " FROM destination_states AS d WHERE d.site_id = $1 ORDER BY d.destination",
        site_id,
    )
    return [dict(row) for row in rows]


async def newest_document(connection: "Connection", site_id: str, report_id: UUID) -> bytes | None:
    """Return the newest document of a report that delivery has seen, signed or not; None when it has seen none."""
    document: bytes | None = await connection.fetchval(
        "SELECT document FROM (SELECT document, report_revision, 1 AS rank, position FROM release_requests"
        " WHERE site_id = $1 AND report_id = $2 UNION ALL"
        " SELECT document, report_revision, 0, position FROM outbound WHERE site_id = $1 AND report_id = $2) AS seen"
        " ORDER BY report_revision DESC, rank DESC, position DESC LIMIT 1",
        site_id,
        report_id,
    )
    return document
