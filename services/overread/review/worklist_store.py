"""The SQL of the worklist: one row a case, written with whatever changes it."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.contracts.errors import Malformed
from overread.review.worklist import AiKind, Row, Status

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows are asked for; `after` is the cursor of the last row seen."""

    view: str = "open"
    status: Status | None = None
    modality: str | None = None
    ai_kind: AiKind | None = None
    text: str = ""
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A row as it stands in the list."""

    row: Row
    waiting_since: datetime
    changed_at: datetime
    cursor: str


async def put(connection: "Connection", site_id: str, row: Row, *, now: datetime) -> None:
    """Write the row of a case; a case that is open again waits since now, and an unchanged row is left alone."""
    await connection.execute(
        "INSERT INTO worklist AS w (site_id, case_id, report_id, is_open, priority_rank, waiting_since, changed_at,"
        " status, ai_kind, modalities, search_text, row) VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (site_id, case_id) DO UPDATE SET is_open = excluded.is_open,"
        " priority_rank = excluded.priority_rank, changed_at = excluded.changed_at, status = excluded.status,"
        " waiting_since = CASE WHEN w.is_open THEN w.waiting_since ELSE excluded.waiting_since END,"
        " ai_kind = excluded.ai_kind, modalities = excluded.modalities, search_text = excluded.search_text,"
        " row = excluded.row, row_version = w.row_version + 1 WHERE w.row IS DISTINCT FROM excluded.row",
        site_id,
        row.case_id,
        row.report_id,
        row.is_open,
        row.rank,
        now,
        row.status.value,
        row.ai.kind.value,
        row.modalities,
        row.search_text,
        row.model_dump_json(),
    )


async def version(connection: "Connection", site_id: str) -> int:
    """Return the number that grows with each change of the site's worklist."""
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(row_version), 0)::bigint FROM worklist WHERE site_id = $1", site_id
    )
    return found


async def counts(connection: "Connection", site_id: str) -> tuple[int, int]:
    """Return how many cases are open, and how many done."""
    row = await connection.fetchrow(
        "SELECT count(*) FILTER (WHERE is_open) AS open, count(*) FILTER (WHERE NOT is_open) AS done"
        " FROM worklist WHERE site_id = $1",
        site_id,
    )
    return (row["open"], row["done"]) if row else (0, 0)


async def found(connection: "Connection", site_id: str, wanted: Wanted) -> tuple[list[Listed], int]:
    """Return a page of rows, STAT first and then the longest waiting, or the newest change first; and how many in all."""
    conditions, values = _conditions(site_id, wanted)
    total: int = await connection.fetchval(f"SELECT count(*) FROM worklist WHERE {conditions}", *values)  # noqa: S608 - built of constants
    order = "changed_at DESC, case_id" if wanted.view == "done" else "priority_rank, waiting_since, case_id"
    page, cursor = _after(wanted, len(values))
    rows = await connection.fetch(
        f"SELECT row, waiting_since, changed_at, priority_rank, case_id FROM worklist WHERE {conditions}{page}"  # noqa: S608 - as above
        f" ORDER BY {order} LIMIT {int(wanted.limit)}",
        *values,
        *cursor,
    )
    return [_listed(row, wanted.view) for row in rows], total


async def of_case(connection: "Connection", site_id: str, case_id: UUID) -> Listed | None:
    """Return the row of one case."""
    row = await connection.fetchrow(
        "SELECT row, waiting_since, changed_at, priority_rank, case_id FROM worklist WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
    )
    return _listed(row, "open") if row else None


async def cases_without_row(connection: "Connection", limit: int) -> list[tuple[str, UUID]]:
    """Return cases of before there was a worklist."""
    rows = await connection.fetch(
        "SELECT c.site_id, c.case_id FROM cases c LEFT JOIN worklist w USING (site_id, case_id)"
        " WHERE w.case_id IS NULL LIMIT $1",
        limit,
    )
    return [(row["site_id"], UUID(str(row["case_id"]))) for row in rows]


def _conditions(site_id: str, wanted: Wanted) -> tuple[str, list[Any]]:
    parts, values = ["site_id = $1"], [site_id]
    if wanted.view != "all":
        parts.append("is_open" if wanted.view == "open" else "NOT is_open")
    for column, value in (
        ("status = ${}", wanted.status and wanted.status.value),
        ("ai_kind = ${}", wanted.ai_kind and wanted.ai_kind.value),
        ("modalities @> ARRAY[${}::text]", wanted.modality),
        ("strpos(search_text, ${}) > 0", wanted.text),
    ):
        if value:
            values.append(value)
            parts.append(column.format(len(values)))
    return " AND ".join(parts), values


def _after(wanted: Wanted, given: int) -> tuple[str, list[Any]]:
    if not wanted.after:
        return "", []
    rank, at, case_id = _read_cursor(wanted.after)
    first, second, third = (f"${given + number}" for number in (1, 2, 3))
    if wanted.view == "done":
        return f" AND (changed_at < {first} OR (changed_at = {first} AND case_id > {second}))", [at, case_id]
    return f" AND (priority_rank, waiting_since, case_id) > ({first}, {second}, {third})", [rank, at, case_id]


def _listed(row: "asyncpg.Record", view: str) -> Listed:
    at = row["changed_at"] if view == "done" else row["waiting_since"]
    cursor = json.dumps([row["priority_rank"], at.isoformat(), str(row["case_id"])])
    return Listed(
        row=Row.model_validate_json(row["row"]),
        waiting_since=row["waiting_since"],
        changed_at=row["changed_at"],
        cursor=base64.urlsafe_b64encode(cursor.encode()).decode(),
    )


def _read_cursor(cursor: str) -> tuple[int, datetime, UUID]:
    try:
        rank, at, case_id = json.loads(base64.urlsafe_b64decode(cursor))
        return int(rank), datetime.fromisoformat(at), UUID(case_id)
    except (ValueError, TypeError) as error:
        raise Malformed("the cursor is not one that this list gave") from error
