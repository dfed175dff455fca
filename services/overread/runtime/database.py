"""A service's own schema: connection pool, numbered migrations, and what counts as 'away'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import resources
from typing import TYPE_CHECKING, Any

import asyncpg

from overread.contracts.errors import OverreadError, Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, crashed, starting, query cancelled
    asyncpg.InsufficientResourcesError,  # disk full, out of memory, too many connections
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresIOError,
    asyncpg.InternalClientError,  # what asyncpg says when the connection breaks between two of its own states
    ConnectionError,
    TimeoutError,
    asyncio.TimeoutError,
)
"""What a database does when it is not there: not our bug, so the record waits."""

COMMAND_TIMEOUT_SECONDS = 15.0
MIGRATION_SECONDS = 600.0
"""A migration may rewrite a table, or wait for another process that does."""

INBOX_AND_OUTBOX = """
CREATE TABLE IF NOT EXISTS inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    replay_attempt integer NOT NULL DEFAULT 0,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, event_id, replay_attempt)
);
CREATE TABLE IF NOT EXISTS outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    headers jsonb NOT NULL DEFAULT '[]'
);
CREATE OR REPLACE FUNCTION outbox_written() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('outbox_' || TG_TABLE_SCHEMA, '');
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER outbox_written AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION outbox_written();
"""

OUTBOX_REFUSED = "ALTER TABLE outbox ADD COLUMN IF NOT EXISTS refused_because text"
"""Why the broker will never take a row; such a row stays, and does not hold back the others."""

OWN_MIGRATIONS = (("0000_inbox_outbox.sql", INBOX_AND_OUTBOX), ("0000_outbox_refused.sql", OUTBOX_REFUSED))


class MigrationChangedError(OverreadError):
    """A migration that was applied before reads differently now: ship a new one instead of editing it."""


@asynccontextmanager
async def away_as_unavailable() -> AsyncIterator[None]:
    """Turn a lost or refused connection into `Unavailable`."""
    try:
        yield
    except AWAY as error:
        raise Unavailable("the database does not answer") from error
    except asyncpg.InterfaceError as error:
        if "closed" in str(error) or "closing" in str(error):
            raise Unavailable("the database connection was lost") from error
        raise


async def open_pool(dsn: str) -> "Pool":
    """Connect to the service's schema (its role's search path begins with it)."""
    async with away_as_unavailable():
        return await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=6,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
            timeout=COMMAND_TIMEOUT_SECONDS,
            connect=_connected,
        )


async def _connected(*args: Any, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """Return a new connection; whatever `OSError` keeps it from being made, the server is away.

    A socket that an ended server removed, a queue that a hung one does not take up (EAGAIN), a name or a network that
    is gone: few of these are a `ConnectionError`, and any other error would be taken for a bug of ours.
    """
    try:
        return await asyncpg.connect(*args, **options)
    except (ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise ConnectionError(f"{type(error).__name__} on the way to the database") from error


def migrations_of(package: str) -> list[tuple[str, str]]:
    """Return (name, SQL) of `package`'s migrations in order: its `migrations/NNNN_*.sql`."""
    folder = resources.files(package) / "migrations"
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(name, (folder / name).read_text(encoding="utf-8")) for name in names]


async def migrate(pool: "Pool", migrations: list[tuple[str, str]]) -> None:
    """Apply what is new, each once, in one transaction, one process at a time."""
    async with away_as_unavailable(), pool.acquire() as connection, connection.transaction():
        lock = "SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.migrations'))"
        await connection.execute(lock, timeout=MIGRATION_SECONDS)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, sql text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        applied = {row["name"]: row["sql"] for row in await connection.fetch("SELECT name, sql FROM schema_migrations")}
        for name, sql in [*OWN_MIGRATIONS, *migrations]:
            if name not in applied:
                await connection.execute(sql, timeout=MIGRATION_SECONDS)
                await connection.execute("INSERT INTO schema_migrations (name, sql) VALUES ($1, $2)", name, sql)
            elif applied[name] != sql:
                raise MigrationChangedError(f"{name} was applied with other content: ship a new migration instead")
