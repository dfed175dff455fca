"""Assembly's index of messages: written with the taking of each, looked through by people."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from overread.assembly.message_index import IndexedMessage
from overread.contracts.topics import HL7_RECEIVED
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

    from overread.runtime.database import Connection

_SEPARATOR = "\x1f"
"""Joins keys on their way into the database, where an array of arrays must be a rectangle."""

TOPIC = HL7_RECEIVED.name
"""Where the messages of the index lie."""

_PRUNED_AT_ONCE = 10_000

# Apart, so that what is sought by a number is found by it, however the database guesses about the newest.
_WITH_KEYS = "WITH looked_at AS MATERIALIZED (SELECT * FROM messages WHERE keys @> $2::text[])"
_OF_ALL = "WITH looked_at AS (SELECT * FROM messages WHERE $2::text[] = '{}')"


class Found(NamedTuple):
    """A message as a search finds it, and the message that answers it, where somebody mended it."""

    event_id: UUID
    partition: int
    record_offset: int
    link_id: str
    message_type: str
    trigger_event: str
    message_control_id: str
    received_at: datetime
    outcome: str
    reason: str
    corrects: UUID | None
    answered_by: UUID | None


_COLUMNS = ", ".join(Found._fields)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is looked for; None is anything. `before` is the place of the last one seen, `limit` how many more."""

    keys: Sequence[str] = ()
    link_id: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: tuple[datetime, UUID] | None = None
    limit: int = 50


async def note(tx: Transaction, site_id: str, messages: Sequence[IndexedMessage]) -> None:
    """Keep how each message ended; one that was set aside and is taken now has been used."""
    await tx.connection.execute(
        "INSERT INTO messages (site_id, event_id, partition, record_offset, link_id, message_type, trigger_event,"
        " message_control_id, received_at, outcome, reason, corrects, keys)"
        " SELECT $1, e, p, o, l, t, g, c, r, w, b, x, string_to_array(k, $14) FROM unnest($2::uuid[], $3::int[],"
        " $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::text[], $11::text[],"
        " $12::uuid[], $13::text[]) AS one (e, p, o, l, t, g, c, r, w, b, x, k)"
        " ON CONFLICT (site_id, event_id) DO UPDATE"
        " SET outcome = excluded.outcome, reason = excluded.reason, keys = excluded.keys",
        site_id,
        *zip(*(message[:-1] for message in messages), strict=True),
        [_SEPARATOR.join(message.keys) for message in messages],
        _SEPARATOR,
    )


async def search(connection: "Connection", site_id: str, wanted: Wanted) -> list[Found]:
    """Return the messages that are wanted, the newest first."""
    before = wanted.before or (None, None)
    rows = await connection.fetch(
        f"{_WITH_KEYS if wanted.keys else _OF_ALL} SELECT {_COLUMNS} FROM looked_at WHERE site_id = $1"  # noqa: S608 - constants
        " AND ($3::text IS NULL OR link_id = $3) AND ($4::text IS NULL OR outcome = $4)"
        " AND ($5::timestamptz IS NULL OR received_at >= $5) AND ($6::timestamptz IS NULL OR received_at < $6)"
        " AND ($7::timestamptz IS NULL OR (received_at, event_id) < ($7, $8::uuid))"
        " ORDER BY received_at DESC, event_id DESC LIMIT $9",
        site_id,
        list(wanted.keys),
        wanted.link_id,
        wanted.outcome,
        wanted.since,
        wanted.until,
        *before,
        wanted.limit,
    )
    return [_found(row) for row in rows]


async def message(connection: "Connection", site_id: str, event_id: UUID) -> Found | None:
    """Return one message; None when there is none of this id."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM messages WHERE site_id = $1 AND event_id = $2",  # noqa: S608 - constants
        site_id,
        event_id,
    )
    return None if row is None else _found(row)


async def lock(tx: Transaction, site_id: str, event_id: UUID) -> Found | None:
    """Return one message and hold its row: two who mend it come one after the other."""
    row = await tx.connection.fetchrow(
        f"SELECT {_COLUMNS} FROM messages WHERE site_id = $1 AND event_id = $2 FOR UPDATE",  # noqa: S608 - constants
        site_id,
        event_id,
    )
    return None if row is None else _found(row)


async def answer(tx: Transaction, site_id: str, event_id: UUID, answered_by: UUID) -> None:
    """Keep which message stands for one that was set aside."""
    await tx.connection.execute(
        "UPDATE messages SET answered_by = $3 WHERE site_id = $1 AND event_id = $2", site_id, event_id, answered_by
    )


async def lock_answered(tx: Transaction, site_id: str, event_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Return which of these messages were mended, with what stands for each; none of them is mended meanwhile."""
    rows = await tx.connection.fetch(
        "SELECT event_id, answered_by FROM messages WHERE site_id = $1 AND event_id = ANY($2::uuid[])"
        " ORDER BY event_id FOR UPDATE",
        site_id,
        list(event_ids),
    )
    return _answers(row for row in rows if row["answered_by"] is not None)


async def answered(connection: "Connection", site_id: str) -> dict[UUID, UUID]:
    """Return which messages were mended, each with the message that stands for it."""
    rows = await connection.fetch(
        "SELECT event_id, answered_by FROM messages WHERE site_id = $1 AND answered_by IS NOT NULL", site_id
    )
    return _answers(rows)


async def orders_of(connection: "Connection", site_id: str, found: Found) -> list[UUID]:
    """Return the orders that a message was used for."""
    rows = await connection.fetch(
        "SELECT DISTINCT m.order_id FROM messages AS i CROSS JOIN unnest(i.keys) AS key JOIN order_numbers AS n"
        " ON n.site_id = $1 AND split_part(n.number, '^', 1) = substr(key, 7) AND key LIKE 'order %'"
        " JOIN order_messages AS m ON m.site_id = $1 AND m.order_id = n.order_id AND m.event_id = $2"
        " WHERE i.site_id = $1 AND i.event_id = $2",
        site_id,
        found.event_id,
    )
    return [UUID(str(row["order_id"])) for row in rows]


async def patients_of(connection: "Connection", site_id: str, found: Found) -> list[UUID]:
    """Return the patients' records that a message was folded into."""
    rows = await connection.fetch(
        "SELECT DISTINCT n.record_id FROM patient_statements AS s,"
        " jsonb_array_elements(s.statement -> 'identifiers') AS one JOIN patient_numbers AS n"
        " ON n.site_id = $1 AND n.id_number = one ->> 'id_number' WHERE s.site_id = $1 AND s.event_id = $2",
        site_id,
        found.event_id,
    )
    return [UUID(str(row["record_id"])) for row in rows]


async def prune(connection: "Connection", before: datetime, set_aside_before: datetime, mended_before: datetime) -> int:
    """Forget some of the messages whose records no topic keeps any more; return how many."""
    done: str = await connection.execute(
        "DELETE FROM messages WHERE (site_id, event_id) IN (SELECT site_id, event_id FROM messages"
        " WHERE received_at < $1 AND (outcome = 'used' OR received_at < $2)"
        " AND (answered_by IS NULL OR received_at < $3) LIMIT $4)",
        before,
        set_aside_before,
        mended_before,
        _PRUNED_AT_ONCE,
    )
    return int(done.rpartition(" ")[2])


def _answers(rows: "Iterable[Record]") -> dict[UUID, UUID]:
    return {UUID(str(row["event_id"])): UUID(str(row["answered_by"])) for row in rows}


def _found(row: "Record") -> Found:
    ids = {name: row[name] and UUID(str(row[name])) for name in ("event_id", "corrects", "answered_by")}
    return Found(**{**{name: row[name] for name in Found._fields}, **ids})
