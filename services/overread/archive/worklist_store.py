"""Archive's projection of orders, from which the Modality Worklist is answered."""

from collections.abc import Sequence

from overread.archive import worklist
from overread.contracts.envelope import Event
from overread.contracts.events.orders import OrderChanged
from overread.runtime.inbox import Transaction


async def save(tx: Transaction, events: Sequence[Event[OrderChanged]]) -> None:
    """Keep each order as it is now; what is older than what is kept changes nothing."""
    await tx.connection.executemany(
        "INSERT INTO worklist AS kept (site_id, order_id, revision, is_open, scheduled_at, modality, accession_number,"
        " study_instance_uid, said, is_performed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
        # an order may come after its examination
        " EXISTS (SELECT FROM procedure_steps s WHERE s.site_id = $1 AND s.status = 'COMPLETED'"
        " AND (s.study_instance_uids @> ARRAY[$8] OR ($7 <> '' AND s.accession_numbers @> ARRAY[$7]))))"
        " ON CONFLICT (site_id, order_id) DO UPDATE SET revision = excluded.revision, is_open = excluded.is_open,"
        # an order that names no time stays on the day on which it came
        " scheduled_at = CASE WHEN excluded.said->'order'->>'scheduled_at' IS NULL THEN kept.scheduled_at"
        " ELSE excluded.scheduled_at END, modality = excluded.modality, accession_number = excluded.accession_number,"
        " study_instance_uid = excluded.study_instance_uid, said = excluded.said"
        " WHERE kept.revision < excluded.revision",
        [_row(event) for event in events],
    )


def _row(event: Event[OrderChanged]) -> tuple[object, ...]:
    changed = event.data
    return (
        event.site_id,
        changed.order_id,
        changed.revision,
        worklist.is_open(changed),
        worklist.scheduled_at(changed),
        changed.order.modality,
        changed.order.accession_number or "",
        worklist.study_instance_uid(changed),
        changed.model_dump_json(),
    )


async def note_performed(
    tx: Transaction, site_id: str, study_instance_uids: Sequence[str], accession_numbers: Sequence[str]
) -> None:
    """Take the orders of these studies and accession numbers off the worklist: their step was completed."""
    await tx.connection.execute(
        "UPDATE worklist SET is_performed = true WHERE site_id = $1"
        " AND (study_instance_uid = ANY($2::text[]) OR accession_number = ANY($3::text[]))",
        site_id,
        list(study_instance_uids),
        [number for number in accession_numbers if number],
    )
