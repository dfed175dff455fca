"""The questions that the API asks: reading only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.contracts.codec import json_bytes
from overread.contracts.events.cases import Case
from overread.contracts.events.deliveries import DeliveryDone
from overread.contracts.report_life import ReportState
from overread.review.revision import Revision
from overread.review.store import COLUMNS, revision_from

if TYPE_CHECKING:
    from overread.runtime.database import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which reports or cases are asked for; `after` is the number of the last one seen, newest first."""

    accession_number: str | None = None
    study_instance_uid: str | None = None
    state: ReportState | None = None
    after: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Numbered:
    """A case or report in a list: the number to go on after, and the case as it is now."""

    number: int
    case: Case
    revision: Revision | None


async def reports_found(connection: "Connection", site_id: str, search: Search) -> list[Numbered]:
    """Return the newest revision of each report that `search` asks for, newest report first."""
    columns = ", ".join(f"r.{column}" for column in COLUMNS.split(", "))
    rows = await connection.fetch(
        f"SELECT h.number, c.snapshot, {columns} FROM report_heads h"  # noqa: S608 - a constant list of columns
        " JOIN reports r USING (site_id, report_id, report_revision)"
        " JOIN cases c ON c.site_id = h.site_id AND c.case_id = h.case_id"
        " WHERE h.site_id = $1 AND ($2::bigint IS NULL OR h.number < $2) AND ($3::text IS NULL OR r.state = $3)"
        " AND ($4::text IS NULL OR c.study_instance_uid = $4)"
        " AND ($5::jsonb IS NULL OR c.snapshot -> 'orders' @> $5)"
        " ORDER BY h.number DESC LIMIT $6",
        site_id,
        search.after,
        search.state.value if search.state else None,
        search.study_instance_uid,
        _order_with(search.accession_number),
        search.limit,
    )
    return [Numbered(row["number"], Case.model_validate_json(row["snapshot"]), revision_from(row)) for row in rows]


async def cases_found(connection: "Connection", site_id: str, search: Search) -> list[Numbered]:
    """Return the cases that `search` asks for, with or without a report, newest first."""
    rows = await connection.fetch(
        "SELECT h.number, c.snapshot FROM cases c"
        " JOIN report_heads h USING (site_id, case_id)"
        " WHERE c.site_id = $1 AND ($2::bigint IS NULL OR h.number < $2)"
        " AND ($3::text IS NULL OR c.study_instance_uid = $3) AND ($4::jsonb IS NULL OR c.snapshot -> 'orders' @> $4)"
        " ORDER BY h.number DESC LIMIT $5",
        site_id,
        search.after,
        search.study_instance_uid,
        _order_with(search.accession_number),
        search.limit,
    )
    return [Numbered(row["number"], Case.model_validate_json(row["snapshot"]), None) for row in rows]


async def revisions_of(connection: "Connection", site_id: str, report_id: UUID) -> list[Revision]:
    """Return every revision of a report, oldest first."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM reports WHERE site_id = $1 AND report_id = $2 ORDER BY report_revision",  # noqa: S608 - as above
        site_id,
        report_id,
    )
    return [revision_from(row) for row in rows]


async def history_of(connection: "Connection", site_id: str, report_id: UUID) -> list[Mapping[str, Any]]:
    """Return what was done to a report, oldest first."""
    rows = await connection.fetch(
        "SELECT report_revision, action, from_state, to_state, actor, reason, at FROM report_history"
        " WHERE site_id = $1 AND report_id = $2 ORDER BY number",
        site_id,
        report_id,
    )
    return [dict(row) for row in rows]


async def deliveries_of(connection: "Connection", site_id: str, report_id: UUID) -> list[DeliveryDone]:
    """Return how each message about a report ended."""
    rows = await connection.fetch(
        "SELECT delivery FROM deliveries WHERE site_id = $1 AND report_id = $2 ORDER BY ended_at", site_id, report_id
    )
    return [DeliveryDone.model_validate_json(row["delivery"]) for row in rows]


async def counts(connection: "Connection", site_id: str) -> Mapping[str, Any]:
    """Return how much is where: reports by state, cases, plans that still wait for a model."""
    by_state = await connection.fetch(
        "SELECT r.state, count(*) AS reports FROM report_heads h JOIN reports r USING (site_id, report_id, report_revision)"
        " WHERE h.site_id = $1 GROUP BY r.state ORDER BY r.state",
        site_id,
    )
    return {
        "cases": await connection.fetchval("SELECT count(*) FROM cases WHERE site_id = $1", site_id),
        "reports": {row["state"]: row["reports"] for row in by_state},
        "plans_waiting": await connection.fetchval(
            "SELECT count(*) FROM plans WHERE site_id = $1 AND awaits_draft", site_id
        ),
        "deliveries_given_up": await connection.fetchval(
            "SELECT count(*) FROM deliveries WHERE site_id = $1 AND delivery ->> 'outcome' = 'given_up'", site_id
        ),
    }


def _order_with(accession_number: str | None) -> str | None:
    return json_bytes([{"accession_number": accession_number}]).decode() if accession_number else None
