"""What others may ask archive: which instances we hold. Reading only, under a role that may do nothing else.

The one written exception to "services meet only in Kafka": a viewer's question must be answered at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from overread.archive.commitment_store import JudgedCommitment, judged_of
from overread.archive.store import SetAside, all_set_aside
from overread.archive.worklist import item as worklist_item
from overread.contracts.events.orders import OrderChanged
from overread.runtime.database import away_as_unavailable, open_pool

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Pool

__all__ = [
    "ArchiveQueries",
    "HeldInstance",
    "HeldStudy",
    "JudgedCommitment",
    "ScheduledOrder",
    "SetAside",
    "worklist_item",
]

_COLUMNS = (
    "study_instance_uid, series_instance_uid, sop_instance_uid, sop_class_uid, transfer_syntax_uid, object_key,"
    " digest, size_bytes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldInstance:
    """One instance that we hold: of several contents under one SOPInstanceUID the first that came."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    object_key: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldStudy:
    """One study that we hold."""

    study_instance_uid: str
    instances: int
    series: int
    last_received_at: datetime


@dataclass(frozen=True, slots=True)
class ScheduledOrder:
    """An order on the worklist, and when its step is to begin."""

    changed: OrderChanged
    at: datetime


class ArchiveQueries:
    """Asks archive's tables of one site; connects at the first question."""

    def __init__(self, dsn: str, site_id: str) -> None:
        self._dsn = dsn
        self._site_id = site_id
        self._pool: Pool | None = None

    async def ping(self) -> None:
        """Raise `Unavailable` when the database does not answer."""
        async with away_as_unavailable():
            await (await self._connected()).fetchval("SELECT 1", timeout=2.0)

    async def close(self) -> None:
        """Close the connections, if any was opened."""
        if self._pool is not None:
            await self._pool.close()

    async def instances(
        self, study_instance_uid: str, series_instance_uid: str | None = None, sop_instance_uid: str | None = None
    ) -> list[HeldInstance]:
        """Return what we hold of a study, a series, or one instance."""
        rows = await self._fetch(
            f"SELECT DISTINCT ON (sop_instance_uid) {_COLUMNS} FROM instances"  # noqa: S608 - a constant list of columns
            " WHERE site_id = $1 AND study_instance_uid = $2 AND ($3::text IS NULL OR series_instance_uid = $3)"
            " AND ($4::text IS NULL OR sop_instance_uid = $4) ORDER BY sop_instance_uid, received_at, object_key",
            self._site_id,
            study_instance_uid,
            series_instance_uid,
            sop_instance_uid,
        )
        return [HeldInstance(**dict(row)) for row in rows]

    async def studies(self, study_instance_uid: str | None, *, limit: int, offset: int) -> list[HeldStudy]:
        """Return the studies that we hold, the last received first."""
        rows = await self._fetch(
            "SELECT study_instance_uid, count(DISTINCT sop_instance_uid) AS instances,"
            " count(DISTINCT series_instance_uid) AS series, max(received_at) AS last_received_at FROM instances"
            " WHERE site_id = $1 AND ($2::text IS NULL OR study_instance_uid = $2)"
            " GROUP BY study_instance_uid ORDER BY last_received_at DESC, study_instance_uid LIMIT $3 OFFSET $4",
            self._site_id,
            study_instance_uid,
            limit,
            offset,
        )
        return [HeldStudy(**dict(row)) for row in rows]

    async def step_status(self, procedure_step_uid: str) -> str | None:
        """Return the state of a performed procedure step, None of one that we have not heard of."""
        rows = await self._fetch(
            "SELECT status FROM procedure_steps WHERE site_id = $1 AND procedure_step_uid = $2",
            self._site_id,
            procedure_step_uid,
        )
        return rows[0]["status"] if rows else None

    async def judged_commitment(self, transaction_uid: str, calling_ae_title: str) -> JudgedCommitment | None:
        """Return what a peer's request came to, None as long as it is not judged."""
        rows = await self._fetch(
            "SELECT instances, failed FROM commitments WHERE site_id = $1 AND transaction_uid = $2"
            " AND calling_ae_title = $3 AND judged_at IS NOT NULL",
            self._site_id,
            transaction_uid,
            calling_ae_title,
        )
        return judged_of(rows[0]["instances"], rows[0]["failed"]) if rows else None

    async def scheduled(
        self, modalities: Sequence[str], first: datetime | None, last: datetime | None, *, limit: int
    ) -> list[ScheduledOrder]:
        """Return the open orders of these modalities (none: of all) that are scheduled from `first` to `last`.

        An order without a modality is of every one. The earliest come first.
        """
        rows = await self._fetch(
            "SELECT said, scheduled_at FROM worklist WHERE site_id = $1 AND is_open AND NOT is_performed"
            " AND ($2::text[] = '{}' OR modality = ANY($2::text[]) OR modality = '')"
            " AND ($3::timestamptz IS NULL OR scheduled_at >= $3) AND ($4::timestamptz IS NULL OR scheduled_at <= $4)"
            " ORDER BY scheduled_at, order_id LIMIT $5",
            self._site_id,
            list(modalities),
            first,
            last,
            limit,
        )
        return [ScheduledOrder(OrderChanged.model_validate_json(row["said"]), row["scheduled_at"]) for row in rows]

    async def set_aside(self) -> list[SetAside]:
        """Return the stored objects that could not be told of, oldest first."""
        async with away_as_unavailable(), (await self._connected()).acquire() as connection:
            return [one for one in await all_set_aside(connection) if one.site_id == self._site_id]

    async def _fetch(self, sql: str, *values: object) -> "Sequence[asyncpg.Record]":
        async with away_as_unavailable():
            rows: Sequence[asyncpg.Record] = await (await self._connected()).fetch(sql, *values)
            return rows

    async def _connected(self) -> "Pool":
        if self._pool is None:
            self._pool = await open_pool(self._dsn)
        return self._pool
