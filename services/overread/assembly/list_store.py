"""Assembly's tables of lists: what modality or archive says that a study has, and the steps that go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from overread.contracts.events.intake import HintKind, StudyHint
from overread.runtime.inbox import Transaction


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What the lists of a study say: whether there is one, what of them is not here, and how many steps go on.

    `is_final_list`: one of them is of the whole study, not only of what was to be vouched for at a moment.
    """

    is_listed: bool = False
    is_final_list: bool = False
    missing: int = 0
    open_steps: int = 0


async def note(tx: Transaction, site_id: str, case_id: UUID, hints: Sequence[StudyHint]) -> None:
    """Note the steps that began or ended, and each part of a list."""
    for hint in hints:
        if hint.list_id is None:
            continue
        if hint.kind is HintKind.PROCEDURE_STEP_STARTED:
            await tx.connection.execute(
                "INSERT INTO open_steps (site_id, case_id, list_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                site_id,
                case_id,
                hint.list_id,
            )
            continue
        if hint.kind is HintKind.PROCEDURE_STEP_ENDED:
            await tx.connection.execute(
                "DELETE FROM open_steps WHERE site_id = $1 AND case_id = $2 AND list_id = $3",
                site_id,
                case_id,
                hint.list_id,
            )
        if hint.sop_instance_uids:
            await tx.connection.execute(
                "INSERT INTO study_lists (site_id, case_id, list_id, kind, part, parts, sop_instance_uids)"
                " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
                site_id,
                case_id,
                hint.list_id,
                hint.kind.value,
                hint.part,
                hint.parts,
                list(hint.sop_instance_uids),
            )


async def listed(tx: Transaction, site_id: str, case_id: UUID) -> Listed:
    """Return what the lists of the case come to; a list of which a part is not here counts as one that misses it."""
    row = await tx.connection.fetchrow(
        "SELECT (SELECT count(*) FROM open_steps WHERE site_id = $1 AND case_id = $2) AS open_steps,"
        " (SELECT count(*) FROM study_lists WHERE site_id = $1 AND case_id = $2) AS lists,"
        " (SELECT count(*) FROM study_lists WHERE site_id = $1 AND case_id = $2 AND kind <> $3) AS final_lists,"
        " (SELECT coalesce(sum(parts - here), 0) FROM (SELECT parts, count(*) AS here FROM study_lists"
        "   WHERE site_id = $1 AND case_id = $2 GROUP BY list_id, parts) AS incomplete) AS missing_parts,"
        " (SELECT count(*) FROM (SELECT DISTINCT unnest(sop_instance_uids) AS uid FROM study_lists"
        "   WHERE site_id = $1 AND case_id = $2) AS wanted WHERE NOT EXISTS (SELECT FROM instances i"
        "   WHERE i.site_id = $1 AND i.case_id = $2 AND i.sop_instance_uid = wanted.uid)) AS missing",
        site_id,
        case_id,
        HintKind.COMMITMENT_REQUESTED.value,
    )
    if row is None:
        return Listed()
    return Listed(
        is_listed=row["lists"] > 0,
        is_final_list=row["final_lists"] > 0,
        missing=row["missing"] + int(row["missing_parts"]),
        open_steps=row["open_steps"],
    )


async def drop(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Forget the lists of a study all of whose images are here; what comes later is on none of them."""
    if (await listed(tx, site_id, case_id)).missing == 0:
        await tx.connection.execute("DELETE FROM study_lists WHERE site_id = $1 AND case_id = $2", site_id, case_id)
