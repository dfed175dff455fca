"""What an operator sees and does with messages that their destination has not taken."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

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

    False when there is no such message, or when a later one of the same report exists at that destination: it stands
    for the newer state, and an older one must not follow it.
    """
    revived = await connection.fetchval(
        "UPDATE outbound AS o SET state = 'waiting', next_attempt_at = $3, ended_at = NULL"
        " WHERE site_id = $1 AND delivery_id = $2 AND ((state IN ('waiting', 'sending') AND next_attempt_at > $3)"
        " OR (state = 'given_up'"
        " AND NOT EXISTS (SELECT FROM outbound AS l WHERE l.site_id = o.site_id AND l.destination = o.destination"
        " AND l.report_id = o.report_id AND l.position > o.position"
        " AND (l.report_revision, l.status) <> (o.report_revision, o.status)))) RETURNING delivery_id",
        site_id,
        delivery_id,
        now,
    )
    await connection.execute("SELECT pg_notify('work_' || current_schema(), 'outbound')")
    return revived is not None
