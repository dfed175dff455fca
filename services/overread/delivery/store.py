"""Delivery's own tables; the only place with their SQL."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.deliveries import GateVerdict
from overread.contracts.events.reports import ReportSigned, SeenCase
from overread.delivery.gate import ReleaseRequest
from overread.delivery.sequence import Position, Status
from overread.delivery.telling import OutboundMessage
from overread.runtime.database import away_as_unavailable

if TYPE_CHECKING:
    from asyncpg import Record

    from overread.runtime.database import Connection, Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCause:
    """What a row keeps of the event that led to it."""

    id: UUID
    site_id: str
    traceparent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRow:
    """A message on its way: its bytes, whose it is, and how often it was tried.

    The bytes of a large message are a stored object: `message_key` names it, and `message` is empty until it is read.
    """

    site_id: str
    delivery_id: UUID
    destination: str
    form: str
    case_id: UUID
    report_id: UUID
    report_revision: int
    status: Status
    message: bytes
    message_digest: str
    message_control_id: str
    attempts: int
    cause: StoredCause
    message_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a message was not taken: our words and the answer's codes; the receiver's own words stay in its row."""

    reason: str = ""
    receiver_text: str = ""


async def ask_release(connection: "Connection", event: Event[ReportSigned], document: bytes, signature: bytes) -> bool:
    """Put a signed document before the gate; False when this submission is before it already, or was decided."""
    signed = event.data
    asked = await connection.execute(
        "INSERT INTO release_requests (site_id, event_id, case_id, report_id, report_revision, traceparent, document,"
        " digest, signature, certificate_pem, signed_at, released_by, released_case_revision, released_case,"
        " submission)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING",
        event.site_id,
        event.id,
        signed.case_id,
        signed.report_id,
        signed.report_revision,
        event.traceparent,
        document,
        signed.digest,
        signature,
        signed.certificate_pem,
        signed.signed_at,
        signed.released_by,
        signed.released_case_revision,
        signed.released_case and signed.released_case.model_dump_json(),
        signed.submission,
    )
    return asked == "INSERT 0 1"


async def pending_requests(pool: "Pool", limit: int, now: datetime) -> list[tuple[ReleaseRequest, StoredCause]]:
    """Return the oldest requests that the gate has not decided and that are due."""
    async with away_as_unavailable():
        rows = await pool.fetch(
            "SELECT * FROM release_requests WHERE state = 'pending' AND next_attempt_at <= $2"
            " ORDER BY position LIMIT $1",
            limit,
            now,
        )
    return [(_request(row), StoredCause(id=row["event_id"], **_origin(row))) for row in rows]


def _origin(row: "Record") -> dict[str, Any]:
    return {"site_id": row["site_id"], "traceparent": row["traceparent"]}


def _request(row: "Record") -> ReleaseRequest:
    names = ("site_id", "case_id", "report_id", "report_revision", "document", "digest", "signature")
    more = ("certificate_pem", "signed_at", "released_by", "released_case_revision", "submission")
    seen = SeenCase.model_validate_json(row["released_case"]) if row["released_case"] else None
    return ReleaseRequest(**{name: row[name] for name in (*names, *more)}, released_case=seen)


async def lock_pending(connection: "Connection", cause: StoredCause) -> ReleaseRequest | None:
    """Lock a request for this transaction and return it as it is now; None when it was decided meanwhile."""
    row = await connection.fetchrow(
        "SELECT * FROM release_requests WHERE site_id = $1 AND event_id = $2 AND state = 'pending' FOR UPDATE",
        cause.site_id,
        cause.id,
    )
    return None if row is None else _request(row)


async def put_off(pool: "Pool", cause: StoredCause, until: datetime) -> None:
    """Let the others pass a request that waits for something of its own."""
    async with away_as_unavailable():
        await pool.execute(
            "UPDATE release_requests SET next_attempt_at = $3"
            " WHERE site_id = $1 AND event_id = $2 AND state = 'pending'",
            cause.site_id,
            cause.id,
            until,
        )


async def decide(
    connection: "Connection", cause: StoredCause, verdict: GateVerdict, reason: str, now: datetime
) -> None:
    """Keep the gate's decision; a request that was decided is never judged again."""
    await connection.execute(
        "UPDATE release_requests SET state = $3, reason = $4, decided_at = $5"
        " WHERE site_id = $1 AND event_id = $2 AND state = 'pending'",
        cause.site_id,
        cause.id,
        verdict.value,
        reason,
        now,
    )


async def released_revision(connection: "Connection", site_id: str, report_id: UUID) -> int | None:
    """Return the newest revision of the report that the gate has released."""
    revision: int | None = await connection.fetchval(
        "SELECT max(report_revision) FROM release_requests"
        " WHERE site_id = $1 AND report_id = $2 AND state = 'released'",
        site_id,
        report_id,
    )
    return revision


async def lock_report(connection: "Connection", site_id: str, report_id: UUID) -> None:
    """Let one transaction at a time decide what follows on what for this report."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{site_id}/{report_id}")


async def take_back(connection: "Connection", site_id: str, report_id: UUID, status: Status, revision: int) -> None:
    """Keep that this revision and those before it were taken back, whether or not a destination hears of it."""
    await connection.execute(
        "INSERT INTO taken_back (site_id, report_id, status, report_revision) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (site_id, report_id, status) DO UPDATE"
        " SET report_revision = greatest(taken_back.report_revision, EXCLUDED.report_revision)",
        site_id,
        report_id,
        status.value,
        revision,
    )


async def taken_back_revision(connection: "Connection", site_id: str, report_id: UUID) -> int:
    """Return the newest revision that was taken back, signed or not; 0 when none was."""
    revision: int | None = await connection.fetchval(
        "SELECT max(report_revision) FROM taken_back WHERE site_id = $1 AND report_id = $2", site_id, report_id
    )
    return revision or 0


async def positions(connection: "Connection", site_id: str, report_id: UUID) -> Mapping[str, Sequence[Position]]:
    """Return, for each destination, the messages of the report that it got or is about to get."""
    rows = await connection.fetch(
        "SELECT destination, report_revision, status, state, form, message_control_id FROM outbound"
        " WHERE site_id = $1 AND report_id = $2 ORDER BY position",
        site_id,
        report_id,
    )
    found: defaultdict[str, list[Position]] = defaultdict(list)
    for row in rows:
        found[row["destination"]].append(_position(row))
    return found


def _position(row: "Record") -> Position:
    return Position(
        report_revision=row["report_revision"],
        status=Status(row["status"]),
        was_refused=row["state"] == "given_up",
        form=row["form"],
        message_control_id=row["message_control_id"],
    )


async def newest_documents(connection: "Connection", site_id: str, report_id: UUID) -> Mapping[str, bytes]:
    """Return, for each destination, the document of the newest message of the report that it did not refuse."""
    rows = await connection.fetch(
        "SELECT DISTINCT ON (destination) destination, document FROM outbound"
        " WHERE site_id = $1 AND report_id = $2 AND state <> 'given_up' ORDER BY destination, position DESC",
        site_id,
        report_id,
    )
    return {row["destination"]: row["document"] for row in rows}


async def enqueue(
    connection: "Connection", messages: Iterable[OutboundMessage], cause: StoredCause, now: datetime
) -> None:
    """Store messages as the bytes that will be sent; one that is there already stays as it is."""
    await connection.executemany(
        "INSERT INTO outbound (site_id, delivery_id, destination, form, case_id, report_id, report_revision,"
        " order_id, status, message, message_digest, message_control_id, document, message_key, caused_by, traceparent,"
        " next_attempt_at, created_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)"
        " ON CONFLICT DO NOTHING",
        [
            (
                cause.site_id,
                message.delivery_id,
                message.destination,
                message.form,
                message.case_id,
                message.report_id,
                message.report_revision,
                message.order_id,
                message.status.value,
                message.message,
                message.message_digest,
                message.message_control_id,
                message.document,
                message.message_key,
                cause.id,
                cause.traceparent,
                now,
            )
            for message in messages
        ],
    )
