"""The SQL of what a clinician is asked about final reports."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    import asyncpg

    from overread.review.revision import Head
    from overread.runtime.database import Connection

NEW_IMAGES = "new_images"
OTHER_ORDER = "other_order"
"""The report answers an order that is not the case's any more, or one of the case's is not answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One question, and its answer once there is one."""

    task_id: UUID
    case_id: UUID
    report_id: UUID
    kind: str
    study_revision: int
    identity_version: int
    raised_at: datetime
    answer: str
    reason: str
    answered_by: str
    answered_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Say whether nobody has answered yet."""
        return self.answered_at is None


_COLUMNS = (
    "task_id, case_id, report_id, kind, study_revision, identity_version, raised_at, answer, reason, answered_by,"
    " answered_at"
)


async def newest(connection: "Connection", site_id: str, report_id: UUID, kind: str = "") -> Task | None:
    """Return the last question about a report, of one kind or any: one that is open first, about its orders first."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM tasks WHERE site_id = $1 AND report_id = $2"  # noqa: S608 - a constant list of columns
        " AND ($3 = '' OR kind = $3) ORDER BY answered_at IS NOT NULL, kind <> $4, identity_version DESC,"
        " study_revision DESC, raised_at DESC LIMIT 1",
        site_id,
        report_id,
        kind,
        OTHER_ORDER,
    )
    return _task(row) if row else None


async def add(
    connection: "Connection", head: "Head", task_id: UUID, kind: str, revisions: tuple[int, int], *, now: datetime
) -> None:
    """Ask about a final report, as of a study revision and an identity; asking twice asks once."""
    await connection.execute(
        "INSERT INTO tasks (site_id, task_id, case_id, report_id, kind, study_revision, identity_version, raised_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        head.site_id,
        task_id,
        head.case_id,
        head.report_id,
        kind,
        *revisions,
        now,
    )


async def answer(
    connection: "Connection", head: "Head", answer: str, *, reason: str, actor: str, now: datetime, kind: str = ""
) -> None:
    """Answer every open question about the report, or those of one kind."""
    await connection.execute(
        "UPDATE tasks SET answer = $3, reason = $4, answered_by = $5, answered_at = $6"
        " WHERE site_id = $1 AND report_id = $2 AND answered_at IS NULL AND ($7 = '' OR kind = $7)",
        head.site_id,
        head.report_id,
        answer,
        reason,
        actor,
        now,
        kind,
    )


def _task(row: "asyncpg.Record") -> Task:
    values = dict(row) | {name: UUID(str(row[name])) for name in ("task_id", "case_id", "report_id")}
    return Task(**values)
