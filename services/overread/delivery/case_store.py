"""Delivery's projection of `cases.changed`: what the gate compares a signed document with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts.events.cases import Case, StudyReady, StudySuperseded
from overread.runtime.consume import Delivered
from overread.runtime.database import away_as_unavailable
from overread.runtime.dead_letter import SourceRecord

if TYPE_CHECKING:
    from overread.runtime.database import Connection, Pool


@dataclass(frozen=True, slots=True)
class KnownCase:
    """A case as it was told last, and the newest study revision that newer images put out of date (0: none)."""

    case: Case
    superseded_revision: int


async def keep_newest(connection: "Connection", batch: Sequence[Delivered]) -> None:
    """Keep the newest revision of each case, the partition of its events, and what newer images put out of date."""
    await connection.executemany(
        "INSERT INTO cases (site_id, case_id, revision, identity_version, snapshot, partition)"
        " VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (site_id, case_id) DO UPDATE SET revision = EXCLUDED.revision,"
        " identity_version = EXCLUDED.identity_version, snapshot = EXCLUDED.snapshot, partition = EXCLUDED.partition"
        " WHERE cases.revision < EXCLUDED.revision",
        [_case_row(delivered.event.site_id, delivered.event.data.case, delivered.partition) for delivered in batch],
    )
    await _keep_superseded(connection, batch)
    await _forget_letters(connection, batch)


def _case_row(site_id: str, case: Case, partition: int) -> tuple[object, ...]:
    return site_id, case.case_id, case.revision, case.identity_version, case.model_dump_json(), partition


async def _keep_superseded(connection: "Connection", batch: Iterable[Delivered]) -> None:
    """Keep the newest study revision that is out of date, in whatever order that was told: no snapshot says it."""
    superseded = [d.event for d in batch if isinstance(d.event.data, StudySuperseded)]
    await connection.executemany(
        "UPDATE cases SET superseded_revision = greatest(superseded_revision, $3) WHERE site_id = $1 AND case_id = $2",
        [(event.site_id, event.data.case_id, event.data.superseded_revision) for event in superseded],
    )


async def _forget_letters(connection: "Connection", batch: Iterable[Delivered]) -> None:
    """Forget what was set aside and is taken now, and what a complete study stands for that was told of later.

    Any event tells the whole case, but only a study of a later revision answers for a `StudySuperseded` that is missing.
    """
    await connection.executemany(
        "DELETE FROM case_letters WHERE partition = $1"
        " AND (record_offset = $2 OR ($4 AND record_offset < $2 AND case_id = $3))",
        [(d.partition, d.offset, d.event.data.case_id, isinstance(d.event.data, StudyReady)) for d in batch],
    )


async def case_of(connection: "Connection", site_id: str, case_id: UUID) -> "KnownCase | None":
    """Return the case as the projection has it."""
    row = await connection.fetchrow(
        "SELECT snapshot, superseded_revision FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    return None if row is None else KnownCase(Case.model_validate_json(row["snapshot"]), row["superseded_revision"])


async def partition_of(pool: "Pool", site_id: str, case_id: UUID) -> int | None:
    """Return the partition on which the case's events come; None when none has come yet."""
    async with away_as_unavailable():
        partition: int | None = await pool.fetchval(
            "SELECT partition FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id
        )
    return partition


async def note_letter(connection: "Connection", source: SourceRecord) -> None:
    """Keep that an event of `cases.changed` was set aside: the topic is not read to its end for that case."""
    await connection.execute(
        "INSERT INTO case_letters (partition, record_offset, case_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        source.partition,
        source.offset,
        _case_in(source.key),
    )


def _case_in(key: bytes) -> UUID | None:
    """Return the case whose id is the record's key (`CASES_CHANGED.key`); None when no case can be told from it."""
    try:
        return UUID(key.decode("ascii"))
    except ValueError:
        return None


async def has_letter(connection: "Connection", site_id: str, case_id: UUID) -> bool:
    """Say whether an event of the case was set aside, or one whose case can't be told and may be this one."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM case_letters AS l WHERE l.case_id = $2 OR (l.case_id IS NULL AND NOT EXISTS ("
        "SELECT FROM cases AS c WHERE c.site_id = $1 AND c.case_id = $2 AND c.partition <> l.partition)))",
        site_id,
        case_id,
    )
    return found
