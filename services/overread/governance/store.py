"""The only SQL of `governance`: it adds and reads, and never changes."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

import asyncpg

from overread.contracts.codec import json_bytes
from overread.governance.audit_chain import Chain, Link, Record, link
from overread.governance.facts import Fact

if TYPE_CHECKING:
    from overread.runtime.database import Connection

_LINK = "site_id, position, event_id, record, previous_hash, hash"


async def append(connection: "Connection", site_id: str, records: Sequence[Record]) -> None:
    """Add `records` to the end of a site's chain, one writer at a time; one that is there already is left out."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('audit_chain/' || $1, 0))", site_id)
    known = await _known(connection, site_id, [record.event_id for record in records])
    last = await _last(connection, site_id)
    links: list[Link] = []
    for record in records:
        if record.event_id not in known:
            last = link(last, record)
            links.append(last)
            known.add(record.event_id)
    await connection.executemany(
        f"INSERT INTO audit_chain ({_LINK}) VALUES ($1, $2, $3, $4, $5, $6)",  # noqa: S608 - a constant list of columns
        [(each.site_id, each.position, each.event_id, each.record, each.previous_hash, each.hash) for each in links],
    )


async def add_facts(connection: "Connection", facts: Sequence[Fact]) -> None:
    """Add `facts`; one that is there already stays as it is."""
    await connection.executemany(
        "INSERT INTO facts (site_id, event_id, topic, type, source, occurred_at, subject, case_id, caused_by, trace_id,"
        " said) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING",
        [
            (
                fact.site_id,
                fact.event_id,
                fact.topic,
                fact.type,
                fact.source,
                fact.occurred_at,
                fact.subject,
                fact.case_id,
                fact.caused_by,
                fact.trace_id,
                json_bytes(fact.said).decode(),
            )
            for fact in facts
        ],
    )


async def links_of(connection: "Connection | asyncpg.Connection[Any]", site_id: str) -> AsyncIterator[Link]:
    """Yield a site's chain from its beginning; needs an open transaction."""
    async for row in connection.cursor(
        f"SELECT {_LINK} FROM audit_chain WHERE site_id = $1 ORDER BY position",  # noqa: S608 - a constant list of columns
        site_id,
    ):
        yield _link(row)


async def sites_of(connection: "Connection | asyncpg.Connection[Any]") -> list[str]:
    """Return the sites that have a chain."""
    rows = await connection.fetch("SELECT DISTINCT site_id FROM audit_chain ORDER BY site_id")
    return [row["site_id"] for row in rows]


async def first_broken(connection: "Connection | asyncpg.Connection[Any]") -> str | None:
    """Recompute every site's chain; return the site and position of the first link that does not hold, None if all do."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for site_id in await sites_of(connection):
            chain = Chain()
            async for each in links_of(connection, site_id):
                if not chain.takes(each):
                    return f"{site_id}, position {each.position}"
    return None


async def _known(connection: "Connection", site_id: str, event_ids: Sequence[UUID]) -> set[UUID]:
    rows = await connection.fetch(
        "SELECT event_id FROM audit_chain WHERE site_id = $1 AND event_id = ANY($2::uuid[])", site_id, event_ids
    )
    return {UUID(str(row["event_id"])) for row in rows}


async def _last(connection: "Connection", site_id: str) -> Link | None:
    row = await connection.fetchrow(
        f"SELECT {_LINK} FROM audit_chain WHERE site_id = $1 ORDER BY position DESC LIMIT 1",  # noqa: S608 - a constant list of columns
        site_id,
    )
    return _link(row) if row else None


def _link(row: "asyncpg.Record") -> Link:
    return Link(
        site_id=row["site_id"],
        position=row["position"],
        event_id=UUID(str(row["event_id"])),
        record=row["record"],
        previous_hash=row["previous_hash"],
        hash=row["hash"],
    )
