"""The SQL of the page's sessions."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overread.runtime.database import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """Who is signed in by which secret, since when, and until when at the latest."""

    site_id: str
    secret_digest: str
    subject: str
    identity: Mapping[str, Any]
    opened_at: datetime
    seen_at: datetime
    ends_at: datetime


async def add(connection: "Connection", session: StoredSession) -> None:
    """Keep a new session."""
    await connection.execute(
        "INSERT INTO sessions (site_id, secret_digest, subject, identity, opened_at, seen_at, ends_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        session.site_id,
        session.secret_digest,
        session.subject,
        json.dumps(session.identity),
        session.opened_at,
        session.seen_at,
        session.ends_at,
    )


async def find(pool: "Pool", site_id: str, secret_digest: str) -> StoredSession | None:
    """Return the session of that secret, None when there is none."""
    row = await pool.fetchrow(
        "SELECT site_id, secret_digest, subject, identity, opened_at, seen_at, ends_at FROM sessions"
        " WHERE site_id = $1 AND secret_digest = $2",
        site_id,
        secret_digest,
    )
    return StoredSession(**(dict(row) | {"identity": json.loads(row["identity"])})) if row else None


async def seen(pool: "Pool", session: StoredSession, now: datetime) -> None:
    """Note that the session is in use."""
    await pool.execute(
        "UPDATE sessions SET seen_at = greatest(seen_at, $3) WHERE site_id = $1 AND secret_digest = $2",
        session.site_id,
        session.secret_digest,
        now,
    )


async def end(connection: "Connection", site_id: str, secret_digest: str, *, now: datetime) -> str | None:
    """Remove that session, and all that have ended by themselves; return whose it was."""
    await connection.execute("DELETE FROM sessions WHERE ends_at < $1", now)
    subject: str | None = await connection.fetchval(
        "DELETE FROM sessions WHERE site_id = $1 AND secret_digest = $2 RETURNING subject", site_id, secret_digest
    )
    return subject
