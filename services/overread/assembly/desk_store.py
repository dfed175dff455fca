"""What lies on the desk, a page at a time: doubts, studies without an order, orders without images."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Connection

DOUBT, NO_ORDER, NO_IMAGES = "doubt", "no_order", "no_images"
RECENT = timedelta(days=60)
"""Studies without an order and orders without images are shown for so long; doubts until they are settled."""

_VERSION = (
    "CASE WHEN entries.kind = 'order' THEN (SELECT c.identity_version || '.' || o.revision FROM cases c, orders o"
    " WHERE (c.site_id, c.case_id, o.site_id, o.order_id) = ($1, entries.case_id, $1, entries.subject::uuid)) END"
)
_ENTRIES = {
    DOUBT: (
        f"SELECT *, coalesce({_VERSION}, '') AS version FROM"  # noqa: S608 - constants
        " (SELECT kind, subject, case_id, reason, raised_at FROM desk WHERE site_id = $1"
        " UNION ALL SELECT kind, subject::text, NULL, reason, raised_at FROM patient_desk WHERE site_id = $1) entries"
        " WHERE ($2::timestamptz IS NULL OR (raised_at, subject) > ($2, $3))"
        " AND $4::timestamptz IS NOT NULL AND $6::text IS NOT NULL"
        " ORDER BY raised_at, subject LIMIT $5"
    ),
    NO_ORDER: (
        "SELECT $6::text AS kind, c.case_id::text AS subject, c.case_id, '' AS reason, c.born_at AS raised_at"
        " FROM cases c WHERE c.site_id = $1 AND c.born_at > $4 AND c.study IS NOT NULL"
        " AND ($2::timestamptz IS NULL OR (c.born_at, c.case_id) < ($2, $3::text::uuid))"
        " AND NOT EXISTS (SELECT FROM case_orders o WHERE o.site_id = $1 AND o.case_id = c.case_id)"
        " AND NOT EXISTS (SELECT FROM desk_dismissed d WHERE d.site_id = $1 AND d.entry_kind = $6"
        " AND d.entry_subject = c.case_id::text)"
        " ORDER BY c.born_at DESC, c.case_id DESC LIMIT $5"
    ),
    NO_IMAGES: (
        "SELECT $6::text AS kind, o.order_id::text AS subject, NULL AS case_id, '' AS reason,"
        " o.newest_sent_at AS raised_at FROM orders o WHERE o.site_id = $1 AND o.newest_sent_at > $4"
        " AND o.service_request ->> 'status' IN ('active', 'held')"
        " AND ($2::timestamptz IS NULL OR (o.newest_sent_at, o.order_id) < ($2, $3::text::uuid))"
        " AND NOT EXISTS (SELECT FROM case_orders c WHERE c.site_id = $1 AND c.order_id = o.order_id)"
        " AND NOT EXISTS (SELECT FROM desk_dismissed d WHERE d.site_id = $1 AND d.entry_kind = $6"
        " AND d.entry_subject = o.order_id::text)"
        " ORDER BY o.newest_sent_at DESC, o.order_id DESC LIMIT $5"
    ),
}
KINDS = tuple(_ENTRIES)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing on the desk; `subject` is an order's or case's id, a series' UID, a SOPInstanceUID, by `kind`.

    Of a doubt about an order `version` is what order and study are now: who dismisses it has seen that.
    """

    kind: str
    subject: str
    case_id: UUID | None
    reason: str
    raised_at: datetime
    version: str = ""


async def entries(
    connection: "Connection", site_id: str, kind: str, *, after: tuple[datetime, str] | None, now: datetime, limit: int
) -> list[Entry]:
    """Return a page of one kind: doubts oldest first, what is missing newest first."""
    at, subject = after or (None, None)
    rows = await connection.fetch(_ENTRIES[kind], site_id, at, subject, now - RECENT, limit, kind)
    return [_entry(row) for row in rows]


def _entry(row: "asyncpg.Record") -> Entry:
    case_id = UUID(str(row["case_id"])) if row["case_id"] else None
    return Entry(**(dict(row) | {"case_id": case_id}))
