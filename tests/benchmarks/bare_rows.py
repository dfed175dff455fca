"""The limit of `bench_orders`: what assembly wrote, read back and written into tables like its own by bare INSERTs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from overread.runtime.database import Pool

Rows = Mapping[str, Sequence[Sequence[Any]]]

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "inbox": {"consumer": "text", "event_id": "uuid", "replay_attempt": "integer"},
    "order_messages": {"site_id": "text", "order_id": "uuid", "event_id": "uuid", "suffix": "text", "message": "jsonb"},
    "order_numbers": {
        "site_id": "text",
        "kind": "text",
        "number": "text",
        "suffix": "text",
        "order_id": "uuid",
        "sender": "text",
    },
    "orders": {
        "site_id": "text",
        "order_id": "uuid",
        "revision": "integer",
        "accession_number": "text",
        "study_instance_uid": "text",
        "service_request": "jsonb",
        "patient": "jsonb",
        "newest_sent_at": "timestamptz",
        "newest_said_at": "timestamptz",
        "newest_rank": "integer",
    },
    "outbox": {"topic": "text", "key": "bytea", "value": "bytea", "headers": "jsonb"},
}
_WRITTEN: Mapping[str, str] = {
    "inbox": "event_id = ANY($2) AND $1 <> '' AND $3 >= 0",
    "order_messages": "site_id = $1 AND event_id = ANY($2) AND $3 >= 0",
    "order_numbers": "site_id = $1 AND cardinality($2::uuid[]) > 0 AND $3 >= 0",
    "orders": "site_id = $1 AND cardinality($2::uuid[]) > 0 AND $3 >= 0",
    "outbox": "id > $3 AND $1 <> '' AND cardinality($2::uuid[]) > 0",
}


async def make_tables(pool: "Pool") -> None:
    """Make tables with the columns, keys and indexes of assembly's."""
    for table in _COLUMNS:
        await pool.execute(f"CREATE TABLE IF NOT EXISTS bare_{table} (LIKE {table} INCLUDING ALL)")


async def end_of_outbox(pool: "Pool") -> int:
    """Return the id of the outbox's last row."""
    return int(await pool.fetchval("SELECT coalesce(max(id), 0) FROM outbox"))


async def written(pool: "Pool", site_id: str, event_ids: Sequence[UUID], since: int, *, names_orders: bool) -> Rows:
    """Return what assembly wrote for the events: rows of each table as they are now, numbers only where it did."""
    return {
        table: [
            tuple(row)
            for row in await pool.fetch(
                f"SELECT {', '.join(columns)} FROM {table} WHERE {_WRITTEN[table]}",
                site_id,
                list(event_ids),
                since,
            )
        ]
        for table, columns in _COLUMNS.items()
        if names_orders or table != "order_numbers"
    }


async def insert(pool: "Pool", rows: Rows, batch: int) -> None:
    """Write the rows in batches, each batch of all tables one transaction; orders that are there are overwritten."""
    most = max(len(of_table) for of_table in rows.values())
    async with pool.acquire() as connection:
        for start in range(0, most, batch):
            async with connection.transaction():
                for table, of_table in rows.items():
                    columns = list(zip(*of_table[start : start + batch], strict=True))
                    if columns:
                        await connection.execute(_STATEMENTS[table], *columns)


def _statement(table: str) -> str:
    columns = _COLUMNS[table]
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(columns.values(), start=1))
    overwritten = ", ".join(f"{name} = excluded.{name}" for name in columns)
    conflict = f"(site_id, order_id) DO UPDATE SET {overwritten}" if table == "orders" else "DO NOTHING"
    names = ", ".join(columns)
    return f"INSERT INTO bare_{table} ({names}) SELECT * FROM unnest({arrays}) ON CONFLICT {conflict}"


_STATEMENTS = {table: _statement(table) for table in _COLUMNS}
