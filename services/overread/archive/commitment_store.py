"""Archive's table of requests for commitment."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts.envelope import Event
from overread.contracts.events.intake import CommitmentRequested
from overread.protocols.dicom.announced import ReferencedSop
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    import asyncpg


@dataclass(frozen=True, kw_only=True)
class CommitmentRow:
    """One request: what is to be vouched for, and, once it is judged, for what we don't (instance to failure reason).

    `id` and `traceparent` are those of the event that brought it.
    """

    site_id: str
    transaction_uid: str
    calling_ae_title: str
    association_id: UUID
    id: UUID
    traceparent: str
    answer_here: bool
    references: tuple[ReferencedSop, ...]
    requested_at: datetime
    failed: dict[str, int] | None
    attempts: int

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what names the request."""
        return self.site_id, self.transaction_uid, self.calling_ae_title


@dataclass(frozen=True, slots=True)
class JudgedCommitment:
    """What a request came to: its instances, and for those that we don't vouch for, the failure reason."""

    references: tuple[ReferencedSop, ...]
    failed: dict[str, int]


def judged_of(instances: str, failed: str) -> JudgedCommitment:
    """Return what the columns `instances` and `failed` say."""
    return JudgedCommitment(tuple(ReferencedSop(*pair) for pair in json.loads(instances)), json.loads(failed))


_KEY = "site_id = $1 AND transaction_uid = $2 AND calling_ae_title = $3"


async def add(tx: Transaction, event: Event[CommitmentRequested], references: Sequence[ReferencedSop]) -> None:
    """Keep a request; one under a number that its peer used before takes that one's place."""
    request = event.data
    await tx.connection.execute(
        "INSERT INTO commitments (site_id, transaction_uid, calling_ae_title, association_id, answer_here, instances,"
        " requested_at, next_at, event_id, traceparent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        " ON CONFLICT (site_id, transaction_uid, calling_ae_title) DO UPDATE SET"
        " association_id = excluded.association_id, answer_here = excluded.answer_here, instances = excluded.instances,"
        " requested_at = excluded.requested_at, next_at = excluded.next_at, event_id = excluded.event_id,"
        " traceparent = excluded.traceparent, judged_at = NULL, failed = NULL,"
        " answered_at = NULL, given_up_at = NULL, attempts = 0, reason = ''",
        event.site_id,
        request.transaction_uid,
        request.calling_ae_title,
        request.association_id,
        request.answer_here,
        json.dumps([[one.sop_class_uid, one.sop_instance_uid] for one in references]),
        request.received_at,
        tx.clock(),
        event.id,
        event.traceparent,
    )


async def due(tx: Transaction, now: datetime, limit: int = 60, limit_of_peer: int = 10) -> list[CommitmentRow]:
    """Return the requests that wait to be judged or told, of each peer the earliest; other processes leave them alone."""
    rows = await tx.connection.fetch(
        "WITH waiting AS (SELECT site_id, transaction_uid, calling_ae_title,"
        " row_number() OVER (PARTITION BY site_id, calling_ae_title ORDER BY next_at) AS place FROM commitments"
        " WHERE next_at <= $1 AND answered_at IS NULL AND given_up_at IS NULL"
        " AND NOT (answer_here AND judged_at IS NOT NULL))"
        " SELECT c.* FROM commitments c JOIN waiting w USING (site_id, transaction_uid, calling_ae_title)"
        " WHERE w.place <= $3 ORDER BY w.place, c.next_at LIMIT $2 FOR UPDATE OF c SKIP LOCKED",
        now,
        limit,
        limit_of_peer,
    )
    return [_row(row) for row in rows]


async def judged_now(tx: Transaction, row: CommitmentRow) -> CommitmentRow:
    """Return the request as it is now, judged."""
    found = await tx.connection.fetchrow(f"SELECT * FROM commitments WHERE {_KEY}", *row.key)  # noqa: S608
    return _row(found) if found else row


async def forget(tx: Transaction, before: datetime) -> None:
    """Forget requests that came before that moment and steps that ended before it: nobody asks for them any more."""
    await tx.connection.execute("DELETE FROM commitments WHERE requested_at < $1", before)
    await tx.connection.execute("DELETE FROM procedure_steps WHERE coalesce(ended_at, begun_at) < $1", before)


async def held_classes(tx: Transaction, site_id: str, sop_instance_uids: Iterable[str]) -> dict[str, str]:
    """Return the SOP class of each of the instances that we hold."""
    rows = await tx.connection.fetch(
        "SELECT sop_instance_uid, sop_class_uid FROM instances WHERE site_id = $1 AND sop_instance_uid = ANY($2::text[])",
        site_id,
        list(sop_instance_uids),
    )
    return {row["sop_instance_uid"]: row["sop_class_uid"] for row in rows}


async def by_study(tx: Transaction, site_id: str, sop_instance_uids: Sequence[str]) -> dict[str, list[str]]:
    """Return the instances by the study under which we hold them."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT study_instance_uid, sop_instance_uid FROM instances"
        " WHERE site_id = $1 AND sop_instance_uid = ANY($2::text[]) ORDER BY sop_instance_uid",
        site_id,
        list(sop_instance_uids),
    )
    grouped: dict[str, list[str]] = {}
    for row in rows:
        grouped.setdefault(row["study_instance_uid"], []).append(row["sop_instance_uid"])
    return grouped


async def wait_until(tx: Transaction, row: CommitmentRow, at: datetime) -> None:
    """Let the request wait: something it names may still come."""
    await tx.connection.execute(f"UPDATE commitments SET next_at = $4 WHERE {_KEY}", *row.key, at)  # noqa: S608


async def judged(tx: Transaction, row: CommitmentRow, failed: dict[str, int]) -> None:
    """Keep the judgement, which is told from now on."""
    await tx.connection.execute(
        f"UPDATE commitments SET judged_at = $4, failed = $5 WHERE {_KEY}",  # noqa: S608 - a constant condition
        *row.key,
        tx.clock(),
        json.dumps(failed),
    )


async def answered(tx: Transaction, row: CommitmentRow) -> None:
    """Note that the peer has heard the judgement."""
    await tx.connection.execute(
        f"UPDATE commitments SET answered_at = $4, reason = '' WHERE {_KEY}",  # noqa: S608 - a constant condition
        *row.key,
        tx.clock(),
    )


async def not_heard(tx: Transaction, row: CommitmentRow, reason: str, next_at: datetime | None) -> None:
    """Note why the peer has not heard it, and when it is told again; None gives it up."""
    await tx.connection.execute(
        f"UPDATE commitments SET attempts = attempts + 1, reason = $4, next_at = coalesce($5, next_at),"  # noqa: S608
        f" given_up_at = CASE WHEN $5::timestamptz IS NULL THEN $6::timestamptz END WHERE {_KEY}",
        *row.key,
        reason,
        next_at,
        tx.clock(),
    )


def _row(row: "asyncpg.Record") -> CommitmentRow:
    return CommitmentRow(
        site_id=row["site_id"],
        transaction_uid=row["transaction_uid"],
        calling_ae_title=row["calling_ae_title"],
        association_id=UUID(str(row["association_id"])),
        id=UUID(str(row["event_id"])),
        traceparent=row["traceparent"],
        answer_here=row["answer_here"],
        references=tuple(ReferencedSop(*pair) for pair in json.loads(row["instances"])),
        requested_at=row["requested_at"],
        failed=json.loads(row["failed"]) if row["failed"] is not None else None,
        attempts=row["attempts"],
    )
