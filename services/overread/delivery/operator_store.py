"""What an operator sees and does with messages that their destination has not taken."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.delivery.store import lock_report

if TYPE_CHECKING:
    from overread.runtime.database import Connection


async def not_taken(connection: "Connection", site_id: str) -> list[Mapping[str, Any]]:
    """Return what waits, was refused for the time being, or was given up, oldest first."""
    rows = await connection.fetch(
        "SELECT delivery_id, destination, form, report_id, report_revision, status, state, attempts, next_attempt_at,"
        " reason, receiver_text FROM outbound WHERE site_id = $1 AND state <> 'acknowledged' ORDER BY position",
        site_id,
    )
    return [dict(row) for row in rows]


async def retry(connection: "Connection", site_id: str, delivery_id: UUID, now: datetime) -> bool:
    """Let a message leave now, the same bytes: one that was given up, or that waits for its next try.

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
        "UPDATE outbound AS o SET state = 'waiting', next_attempt_at = $3, ended_at = NULL"
        " WHERE site_id = $1 AND delivery_id = $2 AND ((state IN ('waiting', 'sending') AND next_attempt_at > $3)"
        " OR (state = 'given_up' AND still_holds(o))) RETURNING delivery_id",
        site_id,
        delivery_id,
        now,
    )
    await connection.execute("SELECT pg_notify('work_' || current_schema(), 'outbound')")
    return revived is not None
