"""The SQL of what people decided at the desk."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.assembly.decisions import Decision, DecisionKind

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Connection

_DECISIONS = (
    "SELECT d.*, EXISTS (SELECT FROM desk_decisions u WHERE u.site_id = d.site_id AND u.undoes = d.decision_id)"
    " AS is_undone FROM desk_decisions d WHERE d.site_id = $1"
)
_OF_PAIRS = " AND d.kind IN ('attach', 'keep_apart', 'detach')"


async def standing(connection: "Connection", site_id: str, case_id: UUID, order_id: UUID) -> Decision | None:
    """Return the decision that holds for the pair, None where nobody decided or all was undone."""
    made = await of_pair(connection, site_id, case_id, order_id)
    return next((one for one in made if not one.is_undone), None)


async def holding(connection: "Connection", site_id: str, case_id: UUID) -> dict[UUID, Decision]:
    """Return the decisions that hold for the case, by order."""
    asked = _DECISIONS + _OF_PAIRS + " AND d.case_id = $2 ORDER BY d.number"
    made = [_decision(row) for row in await connection.fetch(asked, site_id, case_id)]
    return {one.order_id: one for one in made if one.order_id and not one.is_undone}


async def is_dismissed(
    connection: "Connection", site_id: str, case_id: UUID | None, kind: str, subject: str, reason: str
) -> bool:
    """Say whether a person has dismissed exactly this entry of the desk."""
    row = await connection.fetchval(
        "SELECT 1 FROM desk_dismissed WHERE site_id = $1 AND case_id IS NOT DISTINCT FROM $2 AND entry_kind = $3"
        " AND entry_subject = $4 AND entry_reason = $5 LIMIT 1",
        site_id,
        case_id,
        kind,
        subject,
        reason,
    )
    return row is not None


async def note_settled(
    connection: "Connection", site_id: str, case_id: UUID, kind: str, subject: str, *, now: datetime
) -> None:
    """Note that what was dismissed has settled itself since."""
    await connection.execute(
        "INSERT INTO desk_settled (site_id, decision_id, settled_at) SELECT site_id, decision_id, $5 FROM desk_decisions"
        " WHERE site_id = $1 AND case_id = $2 AND kind = 'dismiss' AND entry_kind = $3 AND entry_subject = $4"
        " ON CONFLICT DO NOTHING",
        site_id,
        case_id,
        kind,
        subject,
        now,
    )


async def of_pair(connection: "Connection", site_id: str, case_id: UUID, order_id: UUID) -> list[Decision]:
    """Return what was decided about the pair, newest first."""
    asked = _DECISIONS + _OF_PAIRS + " AND d.case_id = $2 AND d.order_id = $3 ORDER BY d.number DESC"
    return [_decision(row) for row in await connection.fetch(asked, site_id, case_id, order_id)]


async def decision_of(connection: "Connection", site_id: str, decision_id: UUID) -> Decision | None:
    """Return one decision."""
    row = await connection.fetchrow(_DECISIONS + " AND d.decision_id = $2", site_id, decision_id)
    return _decision(row) if row else None


async def history(
    connection: "Connection",
    site_id: str,
    *,
    case_id: UUID | None = None,
    order_id: UUID | None = None,
    before: int | None = None,
    limit: int,
) -> Sequence[Decision]:
    """Return decisions, newest first, from before the number `before` on."""
    asked = (
        _DECISIONS + " AND ($2::uuid IS NULL OR d.case_id = $2) AND ($3::uuid IS NULL OR d.order_id = $3)"
        " AND ($4::bigint IS NULL OR d.number < $4) ORDER BY d.number DESC LIMIT $5"
    )
    return [_decision(row) for row in await connection.fetch(asked, site_id, case_id, order_id, before, limit)]


async def keep(connection: "Connection", site_id: str, decision: Decision) -> None:
    """Keep a decision; its number is given here."""
    await connection.execute(
        "INSERT INTO desk_decisions (site_id, decision_id, kind, case_id, order_id, entry_kind, entry_subject,"
        " entry_reason, decided_by, decided_at, reason, seen, undoes)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        site_id,
        decision.decision_id,
        decision.kind.value,
        decision.case_id,
        decision.order_id,
        decision.entry_kind,
        decision.entry_subject,
        decision.entry_reason,
        decision.decided_by,
        decision.decided_at,
        decision.reason,
        json.dumps(decision.seen),
        decision.undoes,
    )


def _decision(row: "asyncpg.Record") -> Decision:
    values: dict[str, Any] = dict(row)
    values.pop("site_id")
    ids = {name: _id(values[name]) for name in ("decision_id", "case_id", "order_id", "undoes")}
    return Decision(**(values | ids | {"kind": DecisionKind(values["kind"]), "seen": json.loads(values["seen"])}))


def _id(value: object) -> UUID | None:
    return UUID(str(value)) if value else None
