"""The SQL of `review`'s reports: cases, plans, results, reports, signatures."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from overread.contracts.events.cases import Case
from overread.contracts.events.deliveries import DeliveryDone
from overread.contracts.events.inference import InferenceDone, InferencePlanned
from overread.contracts.events.reports import SeenCase
from overread.contracts.report_life import ReportState
from overread.review.revision import Head, Revision, report_id_for
from overread.runtime.inbox import Cause

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Connection

COLUMNS = (
    "site_id, report_id, report_revision, case_id, study_revision, identity_version, state, reason, changed_by,"
    " claimed_by, claimed_at, document, digest, basis, signed_digest, drafted_at, changed_at, submission, repeats,"
    " released_by, released_case_revision, released_case, gate_verdict, withdrawal_digest"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signed document as it was signed, with what proves it."""

    subject: str
    document: bytes
    digest: str
    signature: bytes
    certificate_pem: str
    signed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a report's history."""

    action: str
    from_state: str
    to_state: str
    actor: str
    reason: str
    at: datetime


async def lock_heads(connection: "Connection", cases: Iterable[tuple[str, UUID]]) -> dict[tuple[str, UUID], Head]:
    """Lock the reports of `cases`, making those that are not there yet; in one order, so that no two wait in a ring."""
    wanted = sorted(set(cases))
    sites, case_ids = [site for site, _ in wanted], [case_id for _, case_id in wanted]
    await connection.execute(
        "INSERT INTO report_heads (site_id, report_id, case_id)"
        " SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[]) ON CONFLICT DO NOTHING",
        sites,
        [report_id_for(site, case_id) for site, case_id in wanted],
        case_ids,
    )
    rows = await connection.fetch(
        "SELECT h.site_id, h.report_id, h.case_id, h.report_revision, h.cause_id, h.traceparent FROM report_heads h"
        " JOIN unnest($1::text[], $2::uuid[]) AS w (site_id, case_id) USING (site_id, case_id)"
        " ORDER BY h.site_id, h.case_id FOR UPDATE OF h",
        sites,
        case_ids,
    )
    return {(row["site_id"], _uuid(row["case_id"])): _head(row) for row in rows}


async def lock_report(connection: "Connection", site_id: str, report_id: UUID) -> Head | None:
    """Lock one report and return it, None when there is none."""
    row = await connection.fetchrow(
        "SELECT site_id, report_id, case_id, report_revision, cause_id, traceparent FROM report_heads"
        " WHERE site_id = $1 AND report_id = $2 FOR UPDATE",
        site_id,
        report_id,
    )
    return _head(row) if row else None


async def remember_cause(connection: "Connection", head: Head, cause: Cause) -> None:
    """Keep what led here, so that what a clinician or a timer does later belongs to the same trace."""
    await connection.execute(
        "UPDATE report_heads SET cause_id = $3, traceparent = $4 WHERE site_id = $1 AND report_id = $2",
        head.site_id,
        head.report_id,
        cause.id,
        cause.traceparent,
    )


async def next_event_revision(connection: "Connection", head: Head) -> int:
    """Count one more event of the report and return its number."""
    counted: int = await connection.fetchval(
        "UPDATE report_heads SET revision = revision + 1 WHERE site_id = $1 AND report_id = $2 RETURNING revision",
        head.site_id,
        head.report_id,
    )
    return counted


async def save_case(connection: "Connection", site_id: str, case: Case) -> None:
    """Keep `case` unless a newer revision of it is known."""
    await connection.execute(
        "INSERT INTO cases (site_id, case_id, revision, study_instance_uid, snapshot) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (site_id, case_id) DO UPDATE SET revision = excluded.revision, snapshot = excluded.snapshot,"
        " study_instance_uid = excluded.study_instance_uid WHERE cases.revision < excluded.revision",
        site_id,
        case.case_id,
        case.revision,
        case.study_instance_uid,
        case.model_dump_json(),
    )


async def save_superseded(connection: "Connection", site_id: str, case_id: UUID, superseded_revision: int) -> None:
    """Keep that newer images put this study revision, and every earlier one, out of date."""
    await connection.execute(
        "UPDATE cases SET superseded_revision = greatest(superseded_revision, $3) WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
        superseded_revision,
    )


async def superseded_revision_of(connection: "Connection", site_id: str, case_id: UUID) -> int:
    """Return the newest study revision that is out of date, 0 when none is."""
    known: int | None = await connection.fetchval(
        "SELECT superseded_revision FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    return known or 0


async def case_of(connection: "Connection", site_id: str, case_id: UUID) -> Case | None:
    """Return the newest case."""
    raw = await connection.fetchval("SELECT snapshot FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id)
    return Case.model_validate_json(raw) if raw else None


async def save_plan(connection: "Connection", site_id: str, plan: InferencePlanned) -> None:
    """Keep `plan` unless the study revision has one: the first wins."""
    await connection.execute(
        "INSERT INTO plans (site_id, case_id, study_revision, deadline, plan) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        site_id,
        plan.case_id,
        plan.study_revision,
        plan.deadline,
        plan.model_dump_json(),
    )


async def plan_of(
    connection: "Connection", site_id: str, case_id: UUID, study_revision: int
) -> InferencePlanned | None:
    """Return the plan of a study revision."""
    raw = await connection.fetchval(
        "SELECT plan FROM plans WHERE site_id = $1 AND case_id = $2 AND study_revision = $3",
        site_id,
        case_id,
        study_revision,
    )
    return InferencePlanned.model_validate_json(raw) if raw else None


async def due_plans(connection: "Connection", now: datetime) -> list[tuple[str, UUID]]:
    """Return the cases whose plan's deadline has passed without a draft."""
    rows = await connection.fetch(
        "SELECT DISTINCT site_id, case_id FROM plans WHERE awaits_draft AND deadline <= $1 LIMIT 100", now
    )
    return [(row["site_id"], _uuid(row["case_id"])) for row in rows]


async def plans_are_drafted(connection: "Connection", head: Head, *, now: datetime) -> None:
    """Stop waiting for plans whose deadline has passed, or whose study revision has its draft."""
    await connection.execute(
        "UPDATE plans p SET awaits_draft = false WHERE awaits_draft AND site_id = $1 AND case_id = $2"
        " AND (deadline <= $3 OR EXISTS (SELECT FROM reports r WHERE r.site_id = p.site_id"
        " AND r.case_id = p.case_id AND r.report_id = $4 AND r.study_revision >= p.study_revision))",
        head.site_id,
        head.case_id,
        now,
        head.report_id,
    )


async def save_result(connection: "Connection", site_id: str, result: InferenceDone) -> None:
    """Keep what a model version said of a study revision; of several the one that ended last."""
    await connection.execute(
        "INSERT INTO results (site_id, case_id, study_revision, model_name, model_version, ended_at, result)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (site_id, case_id, study_revision, model_name, model_version)"
        " DO UPDATE SET ended_at = excluded.ended_at, result = excluded.result"
        " WHERE results.ended_at < excluded.ended_at",
        site_id,
        result.case_id,
        result.study_revision,
        result.model.name,
        result.model.version,
        result.ended_at,
        result.model_dump_json(),
    )


async def results_of(connection: "Connection", site_id: str, case_id: UUID, study_revision: int) -> list[InferenceDone]:
    """Return what the models said of a study revision."""
    rows = await connection.fetch(
        "SELECT result FROM results WHERE site_id = $1 AND case_id = $2 AND study_revision = $3"
        " ORDER BY model_name, model_version",
        site_id,
        case_id,
        study_revision,
    )
    return [InferenceDone.model_validate_json(row["result"]) for row in rows]


async def newest_revision(connection: "Connection", site_id: str, report_id: UUID) -> Revision | None:
    """Return the newest revision of a report."""
    row = await connection.fetchrow(
        f"SELECT {COLUMNS} FROM reports WHERE site_id = $1 AND report_id = $2"  # noqa: S608 - a constant list of columns
        " ORDER BY report_revision DESC LIMIT 1",
        site_id,
        report_id,
    )
    return revision_from(row) if row else None


async def insert_draft(connection: "Connection", draft: Revision) -> None:
    """Add a new revision; the database takes it only in the opening state."""
    values = [getattr(draft, column) for column in COLUMNS.split(", ")]
    places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
    await connection.execute(f"INSERT INTO reports ({COLUMNS}) VALUES ({places})", *values)  # noqa: S608 - as above
    await connection.execute(
        "UPDATE report_heads SET report_revision = $3 WHERE site_id = $1 AND report_id = $2",
        draft.site_id,
        draft.report_id,
        draft.report_revision,
    )


async def save_state(connection: "Connection", changed: Revision) -> None:
    """Write what may change of a revision: state, claim, why, digest of what was signed, and its way to the gate."""
    await connection.execute(
        "UPDATE reports SET state = $4, reason = $5, changed_by = $6, claimed_by = $7, claimed_at = $8,"
        " signed_digest = $9, changed_at = $10, submission = $11, repeats = $12, released_by = $13, gate_verdict = $14,"
        " withdrawal_digest = $15, released_case_revision = $16, released_case = $17"
        " WHERE site_id = $1 AND report_id = $2 AND report_revision = $3",
        changed.site_id,
        changed.report_id,
        changed.report_revision,
        changed.state.value,
        changed.reason,
        changed.changed_by,
        changed.claimed_by,
        changed.claimed_at,
        changed.signed_digest,
        changed.changed_at,
        changed.submission,
        changed.repeats,
        changed.released_by,
        changed.gate_verdict,
        changed.withdrawal_digest,
        changed.released_case_revision,
        changed.released_case and changed.released_case.model_dump_json(),
    )


async def expired_claims(connection: "Connection", claimed_before: datetime) -> list[tuple[str, UUID]]:
    """Return the reports whose claim is older."""
    rows = await connection.fetch(
        "SELECT site_id, report_id FROM reports WHERE state = 'in_review' AND claimed_at < $1 LIMIT 100",
        claimed_before,
    )
    return [(row["site_id"], _uuid(row["report_id"])) for row in rows]


async def add_step(connection: "Connection", revision: Revision, step: Step) -> None:
    """Add a line to the report's history."""
    await connection.execute(
        "INSERT INTO report_history"
        " (site_id, report_id, report_revision, action, from_state, to_state, actor, reason, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        revision.site_id,
        revision.report_id,
        revision.report_revision,
        step.action,
        step.from_state,
        step.to_state,
        step.actor,
        step.reason,
        step.at,
    )


async def insert_signature(connection: "Connection", revision: Revision, signature: Signature) -> None:
    """Keep a signature for good; a revision has at most one."""
    await connection.execute(
        "INSERT INTO signatures (site_id, report_id, report_revision, subject, document, digest, signature,"
        " certificate_pem, signed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        revision.site_id,
        revision.report_id,
        revision.report_revision,
        signature.subject,
        signature.document,
        signature.digest,
        signature.signature,
        signature.certificate_pem,
        signature.signed_at,
    )


async def insert_withdrawal(
    connection: "Connection", revision: Revision, signature: Signature, *, final_digest: str
) -> None:
    """Keep the signature that takes a final report back, for good."""
    await connection.execute(
        "INSERT INTO withdrawals (site_id, report_id, report_revision, final_digest, subject, document, digest,"
        " signature, certificate_pem, signed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        revision.site_id,
        revision.report_id,
        revision.report_revision,
        final_digest,
        signature.subject,
        signature.document,
        signature.digest,
        signature.signature,
        signature.certificate_pem,
        signature.signed_at,
    )


async def withdrawal_of(connection: "Connection", revision: Revision) -> Signature | None:
    """Return the signature that took a final revision back."""
    row = await connection.fetchrow(
        "SELECT subject, document, digest, signature, certificate_pem, signed_at FROM withdrawals"
        " WHERE site_id = $1 AND report_id = $2 AND report_revision = $3",
        revision.site_id,
        revision.report_id,
        revision.report_revision,
    )
    return Signature(**dict(row)) if row else None


async def signature_of(connection: "Connection", revision: Revision) -> Signature | None:
    """Return the signature of a revision."""
    row = await connection.fetchrow(
        "SELECT subject, document, digest, signature, certificate_pem, signed_at FROM signatures"
        " WHERE site_id = $1 AND report_id = $2 AND report_revision = $3",
        revision.site_id,
        revision.report_id,
        revision.report_revision,
    )
    return Signature(**dict(row)) if row else None


async def save_delivery(connection: "Connection", site_id: str, delivery: DeliveryDone) -> None:
    """Keep how a message ended; an operator's later retry replaces it."""
    await connection.execute(
        "INSERT INTO deliveries (site_id, delivery_id, report_id, report_revision, ended_at, delivery)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (site_id, delivery_id) DO UPDATE SET"
        " ended_at = excluded.ended_at, delivery = excluded.delivery WHERE deliveries.ended_at <= excluded.ended_at",
        site_id,
        delivery.delivery_id,
        delivery.report_id,
        delivery.report_revision,
        delivery.ended_at,
        delivery.model_dump_json(),
    )


def _head(row: "asyncpg.Record") -> Head:
    return Head(
        site_id=row["site_id"],
        report_id=_uuid(row["report_id"]),
        case_id=_uuid(row["case_id"]),
        report_revision=row["report_revision"],
        cause_id=_uuid(row["cause_id"]) if row["cause_id"] else None,
        traceparent=row["traceparent"],
    )


def revision_from(row: "asyncpg.Record") -> Revision:
    """Return the revision in a row of COLUMNS."""
    values = {column: row[column] for column in COLUMNS.split(", ")}
    values |= {
        "report_id": _uuid(row["report_id"]),
        "case_id": _uuid(row["case_id"]),
        "state": ReportState(row["state"]),
        "released_case": SeenCase.model_validate_json(row["released_case"]) if row["released_case"] else None,
    }
    return Revision(**values)


def _uuid(value: object) -> UUID:
    """Return asyncpg's own UUID as the standard library's."""
    return UUID(str(value))
