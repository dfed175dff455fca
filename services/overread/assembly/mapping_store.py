"""Assembly's tables of mappings: every version, the codes that none names yet, and the links that orders came in on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly.mapping import SiteMapping
from overread.assembly.mapping_difference import Difference
from overread.assembly.mapping_rows import Key, Kind, MappingRow, rows_json
from overread.assembly.order_folding import StoredOrder
from overread.contracts import codec
from overread.contracts.events.orders import OrderStatus, Patient, ServiceRequest
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

MOST_UNMAPPED = 5_000
"""Of a site; a sender of codes that never repeat fills no table."""
LONGEST_CODE = 80
LONGEST_EXAMPLE = 120
_KEPT_MAPPINGS = 16
_ROWS = TypeAdapter(tuple[MappingRow, ...])
_OPEN = [OrderStatus.ACTIVE.value, OrderStatus.HELD.value]


@dataclass(frozen=True, kw_only=True)
class Version:
    """One import, without its rows: who made it, when, from what, and how far the orders follow it."""

    version: int
    made_at: datetime
    made_by: str
    origin: str
    digest: str
    row_count: int
    added: int
    changed: int
    removed: int
    orders_told: int
    is_applied: bool


@dataclass(frozen=True, kw_only=True)
class UnmappedCode:
    """A code that came and that no row names."""

    kind: Kind
    link: str
    code: str
    system: str
    example: str
    first_seen: datetime
    last_seen: datetime
    count: int

    @property
    def key(self) -> Key:
        """Return what a row for it is known by."""
        return Key(self.kind, self.link, self.code, self.system)


_VERSION = ", ".join(Version.__dataclass_fields__)


class _Known:
    """Mappings by the digest of their rows, so that a batch asks the database for a number only."""

    def __init__(self) -> None:
        self._by_digest: dict[str, SiteMapping] = {}

    def get(self, digest: str) -> SiteMapping | None:
        return self._by_digest.get(digest)

    def keep(self, digest: str, rows: str) -> SiteMapping:
        if len(self._by_digest) >= _KEPT_MAPPINGS:
            self._by_digest.pop(next(iter(self._by_digest)))
        return self._by_digest.setdefault(digest, SiteMapping(_ROWS.validate_json(rows)))


_KNOWN = _Known()
_NOTHING = SiteMapping()


async def current(tx: Transaction, site_id: str) -> SiteMapping:
    """Return the mapping that counts at the site now."""
    row = await tx.connection.fetchrow(
        "SELECT version, digest FROM mapping_versions WHERE site_id = $1 ORDER BY version DESC LIMIT 1", site_id
    )
    return await _mapping_of(tx, site_id, row["version"], row["digest"]) if row else _NOTHING


async def version_number(tx: Transaction, site_id: str) -> int:
    """Return the number of the version that counts, 0 before the first."""
    number = await tx.connection.fetchval("SELECT max(version) FROM mapping_versions WHERE site_id = $1", site_id)
    return int(number or 0)


async def mapping_at(tx: Transaction, site_id: str, version: int) -> SiteMapping | None:
    """Return the mapping as a version had it, version 0 without rows; None when there is no such version."""
    if version == 0:
        return _NOTHING
    digest = await tx.connection.fetchval(
        "SELECT digest FROM mapping_versions WHERE site_id = $1 AND version = $2", site_id, version
    )
    return await _mapping_of(tx, site_id, version, digest) if digest else None


async def _mapping_of(tx: Transaction, site_id: str, version: int, digest: str) -> SiteMapping:
    if known := _KNOWN.get(digest):
        return known
    rows = await tx.connection.fetchval(
        "SELECT rows FROM mapping_versions WHERE site_id = $1 AND version = $2", site_id, version
    )
    return _KNOWN.keep(digest, rows)


async def versions(tx: Transaction, site_id: str, limit: int) -> list[Version]:
    """Return the versions, newest first."""
    rows = await tx.connection.fetch(
        f"SELECT {_VERSION} FROM mapping_versions WHERE site_id = $1 ORDER BY version DESC LIMIT $2",  # noqa: S608
        site_id,
        limit,
    )
    return [Version(**dict(row)) for row in rows]


async def add_version(
    tx: Transaction, site_id: str, rows: Sequence[MappingRow], difference: Difference, *, made_by: str, origin: str
) -> int:
    """Let `rows` be the mapping from now on; return the version's number."""
    content = rows_json(rows)
    version = await version_number(tx, site_id) + 1
    await tx.connection.execute(
        "INSERT INTO mapping_versions (site_id, version, made_at, made_by, origin, digest, rows, row_count, added,"
        " changed, removed) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11)",
        site_id,
        version,
        tx.clock(),
        made_by,
        origin,
        codec.sha256(content),
        content.decode(),
        len(rows),
        len(difference.added),
        len(difference.changed),
        len(difference.removed),
    )
    return version


# --- codes that no row names, and links ----------------------------------------------------------------------


async def note_unmapped(tx: Transaction, site_id: str, seen: Iterable[tuple[Key, str]]) -> None:
    """Count what came: one statement a batch, in the order of the codes."""
    counts: dict[Key, int] = {}
    examples: dict[Key, str] = {}
    for key, example in seen:
        short = key._replace(code=key.code[:LONGEST_CODE], system=key.system[:LONGEST_CODE])
        counts[short] = counts.get(short, 0) + 1
        examples.setdefault(short, example[:LONGEST_EXAMPLE])
    keys = sorted(counts)
    await tx.connection.execute(
        "INSERT INTO unmapped_codes (site_id, link_id, kind, code, coding_system, example, first_seen, last_seen, count)"
        " SELECT $1, link_id, kind, code, coding_system, example, $8, $8, count"
        " FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[])"
        " AS seen (link_id, kind, code, coding_system, example, count)"
        " WHERE (SELECT count(*) FROM unmapped_codes WHERE site_id = $1) < $9 OR EXISTS (SELECT FROM unmapped_codes u"
        " WHERE u.site_id = $1 AND (u.link_id, u.kind, u.code, u.coding_system)"
        " = (seen.link_id, seen.kind, seen.code, seen.coding_system))"
        " ON CONFLICT (site_id, link_id, kind, code, coding_system) DO UPDATE SET last_seen = excluded.last_seen,"
        " count = unmapped_codes.count + excluded.count",
        site_id,
        [key.link for key in keys],
        [key.kind.value for key in keys],
        [key.code for key in keys],
        [key.system for key in keys],
        [examples[key] for key in keys],
        [counts[key] for key in keys],
        tx.clock(),
        MOST_UNMAPPED,
    )


async def unmapped(tx: Transaction, site_id: str) -> list[UnmappedCode]:
    """Return the codes that were counted, the most frequent first; some may be named by now."""
    rows = await tx.connection.fetch(
        "SELECT kind, link_id AS link, code, coding_system AS system, example, first_seen, last_seen, count"
        " FROM unmapped_codes WHERE site_id = $1 ORDER BY count DESC, kind, link_id, code",
        site_id,
    )
    return [UnmappedCode(**(dict(row) | {"kind": Kind(row["kind"])})) for row in rows]


async def forget_unmapped(tx: Transaction, site_id: str, keys: Sequence[Key]) -> None:
    """Forget the counts of codes that are named now."""
    await tx.connection.execute(
        "DELETE FROM unmapped_codes WHERE site_id = $1 AND (link_id, kind, code, coding_system)"
        " IN (SELECT * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]))",
        site_id,
        [key.link for key in keys],
        [key.kind.value for key in keys],
        [key.code for key in keys],
        [key.system for key in keys],
    )


async def note_links(tx: Transaction, site_id: str, places: dict[str, tuple[str, ...]]) -> None:
    """Keep where each link's sender keeps the accession number, as its messages were told with."""
    await tx.connection.execute(
        "INSERT INTO ordering_links (site_id, link_id, accession_places)"
        " SELECT $1, link_id, string_to_array(places, ' ') FROM unnest($2::text[], $3::text[]) AS t (link_id, places)"
        " ON CONFLICT (site_id, link_id) DO UPDATE SET accession_places = excluded.accession_places"
        " WHERE ordering_links.accession_places <> excluded.accession_places",
        site_id,
        sorted(places),
        [" ".join(places[link]) for link in sorted(places)],
    )


async def links(tx: Transaction, site_id: str) -> dict[str, list[str]]:
    """Return the links that orders came in on, each with the places of the accession number."""
    rows = await tx.connection.fetch(
        "SELECT link_id, accession_places FROM ordering_links WHERE site_id = $1 ORDER BY link_id", site_id
    )
    return {row["link_id"]: list(row["accession_places"]) for row in rows}


# --- orders that are there already ---------------------------------------------------------------------------


async def note_read(tx: Transaction, cases: Iterable[tuple[str, UUID]]) -> None:
    """Note, by site and case, what was read: a changed mapping leaves its orders alone."""
    named = sorted(set(cases))
    await tx.connection.execute(
        "INSERT INTO read_cases (site_id, case_id) SELECT * FROM unnest($1::text[], $2::uuid[]) ON CONFLICT DO NOTHING",
        [site_id for site_id, _ in named],
        [case_id for _, case_id in named],
    )


async def waiting(tx: Transaction) -> list[tuple[str, int, UUID]]:
    """Return the oldest version of each site that orders must still be brought to, and up to which order they are."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT ON (site_id) site_id, version, applied_to FROM mapping_versions WHERE NOT is_applied"
        " ORDER BY site_id, version"
    )
    return [(row["site_id"], row["version"], UUID(str(row["applied_to"]))) for row in rows]


async def lock_progress(tx: Transaction, site_id: str, version: int) -> UUID | None:
    """Return the order up to which the version is applied and hold it, None when all are."""
    found = await tx.connection.fetchval(
        "SELECT applied_to FROM mapping_versions WHERE site_id = $1 AND version = $2 AND NOT is_applied FOR UPDATE",
        site_id,
        version,
    )
    return UUID(str(found)) if found is not None else None


async def note_progress(tx: Transaction, site_id: str, version: int, applied_to: UUID | None, told: int) -> None:
    """Note how far the version is applied, None for wholly."""
    await tx.connection.execute(
        "UPDATE mapping_versions SET applied_to = coalesce($3, applied_to), is_applied = $3::uuid IS NULL,"
        " orders_told = orders_told + $4 WHERE site_id = $1 AND version = $2",
        site_id,
        version,
        applied_to,
        told,
    )


_TOUCHED = (
    " FROM orders o WHERE o.site_id = $1 AND o.service_request ->> 'status' = ANY($2::text[])"
    " AND (o.newest_sent_at IS NULL OR o.newest_sent_at > $3)"
    " AND (o.service_request -> 'service' ->> 'identifier' = ANY($4::text[])"
    " OR o.service_request -> 'service' ->> 'coding_system' = ANY($5::text[])"
    " OR split_part(split_part(o.service_request ->> 'patient_location', '^', 1), '&', 1) = ANY($6::text[])"
    " OR o.service_request -> 'ordering_provider' ->> 'identifier' = ANY($7::text[]))"
    " AND NOT EXISTS (SELECT FROM case_orders c JOIN read_cases r USING (site_id, case_id)"
    " WHERE c.site_id = o.site_id AND c.order_id = o.order_id)"
)


async def count_touched(tx: Transaction, site_id: str, keys: Iterable[Key], since: datetime, most: int) -> int:
    """Return how many open orders whose study is not read hold one of the codes, `most` when there are more."""
    counted: int = await tx.connection.fetchval(
        f"SELECT count(*) FROM (SELECT 1{_TOUCHED} LIMIT $8) AS touched",  # noqa: S608 - our own text
        *_touched_by(site_id, keys, since),
        most,
    )
    return counted


async def touched_after(
    tx: Transaction, site_id: str, keys: Iterable[Key], since: datetime, after: UUID, most: int
) -> list[UUID]:
    """Return the next open orders that hold one of the codes, in the order of their ids; nobody waits for this look."""
    rows = await tx.connection.fetch(
        f"SELECT o.order_id{_TOUCHED} AND o.order_id > $8 ORDER BY o.order_id LIMIT $9",
        *_touched_by(site_id, keys, since),
        after,
        most,
    )
    return [UUID(str(row["order_id"])) for row in rows]


async def lock_touched(
    tx: Transaction, site_id: str, keys: Iterable[Key], since: datetime, order_ids: Sequence[UUID]
) -> list[StoredOrder]:
    """Return those of the orders that still are as `touched_after` found them, in the order of their ids, and hold them."""
    rows = await tx.connection.fetch(
        "SELECT o.revision, o.service_request, o.patient"
        f"{_TOUCHED} AND o.order_id = ANY($8::uuid[]) ORDER BY o.order_id FOR UPDATE OF o",
        *_touched_by(site_id, keys, since),
        order_ids,
    )
    return [_stored(row) for row in rows]


async def cases_of(tx: Transaction, site_id: str, order_id: UUID) -> list[UUID]:
    """Return the cases that the order is linked to."""
    rows = await tx.connection.fetch(
        "SELECT case_id FROM case_orders WHERE site_id = $1 AND order_id = $2 ORDER BY case_id", site_id, order_id
    )
    return [UUID(str(row["case_id"])) for row in rows]


def _touched_by(site_id: str, keys: Iterable[Key], since: datetime) -> tuple[object, ...]:
    codes: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for key in keys:
        codes[key.kind].add(key.code)
    kinds = (Kind.SERVICE, Kind.CODE_SYSTEM, Kind.WARD, Kind.DOCTOR)
    return (site_id, _OPEN, since, *(sorted(codes[kind]) for kind in kinds))


def _stored(row: "Record") -> StoredOrder:
    return StoredOrder(
        revision=row["revision"],
        order=ServiceRequest.model_validate_json(row["service_request"]),
        patient=Patient.model_validate_json(row["patient"]),
    )
