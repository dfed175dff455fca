"""The SQL of the patient numbers that were merged into a case's patient."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from overread.runtime.database import Connection


async def save_merged(connection: "Connection", site_id: str, case_id: UUID, numbers: Iterable[str]) -> None:
    """Keep that these numbers are the case's patient's since a merge."""
    await connection.execute(
        "UPDATE cases SET merged_numbers = ARRAY(SELECT DISTINCT unnest(merged_numbers || $3::text[]) ORDER BY 1)"
        " WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
        sorted(numbers),
    )


async def merged_numbers(connection: "Connection", site_id: str, case_id: UUID) -> frozenset[str]:
    """Return the numbers that ended in a merge into the case's patient."""
    known = await connection.fetchval(
        "SELECT merged_numbers FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    return frozenset(known or ())
