"""Assembly's tables of orders: every message about an order, the numbers that name it, and how it reads now."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly.matching import ImagedStudy
from overread.assembly.orders import Addressed, NamedOrder, OrderMessage, StoredOrder
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.runtime.inbox import Transaction

_MESSAGES = TypeAdapter(OrderMessage)


async def lock_matching(tx: Transaction, site_id: str, keys: Iterable[str]) -> None:
    """Hold every key until the transaction ends; all at once and in one order, so that two can't block each other."""
    await tx.connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest($1::text[]) AS key",
        sorted(f"{site_id} {key}" for key in keys),
    )


async def studies_of_named(
    tx: Transaction, site_id: str, numbers: Iterable[str]
) -> list[tuple[str | None, str | None]]:
    """Return accession number and StudyInstanceUID, as they read now, of every order that one of `numbers` names."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT o.accession_number, o.study_instance_uid FROM order_numbers n"
        " JOIN orders o USING (site_id, order_id) WHERE n.site_id = $1 AND n.number = ANY($2::text[])",
        site_id,
        sorted(numbers),
    )
    return [(row["accession_number"], row["study_instance_uid"]) for row in rows]


async def orders_named(tx: Transaction, site_id: str, message: OrderMessage) -> list[NamedOrder]:
    """Return the orders that the message's numbers name, the placer's first."""
    rows = await tx.connection.fetch(
        "SELECT n.order_id, n.suffix, o.accession_number, o.study_instance_uid FROM order_numbers n"
        " JOIN orders o USING (site_id, order_id) WHERE n.site_id = $1"
        " AND ((n.kind = 'placer' AND n.number = $2) OR (n.kind = 'filler' AND n.number = $3))"
        " ORDER BY n.kind DESC, n.suffix",
        site_id,
        message.placer,
        message.filler,
    )
    return [
        NamedOrder(
            order_id=UUID(str(row["order_id"])),
            suffix=row["suffix"],
            accession_number=row["accession_number"],
            study_instance_uid=row["study_instance_uid"],
        )
        for row in rows
    ]


async def name_order(tx: Transaction, site_id: str, order: Addressed, message: OrderMessage) -> None:
    """Let both numbers name the order from now on; a number that names another order keeps doing so."""
    numbers = [(kind, number) for kind, number in (("placer", message.placer), ("filler", message.filler)) if number]
    await tx.connection.executemany(
        "INSERT INTO order_numbers (site_id, kind, number, suffix, order_id) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        [(site_id, kind, number, order.suffix, order.order_id) for kind, number in numbers],
    )


async def add_message(tx: Transaction, site_id: str, order_id: UUID, event_id: UUID, message: OrderMessage) -> None:
    """Keep what one message says about the order."""
    await tx.connection.execute(
        "INSERT INTO order_messages (site_id, order_id, event_id, suffix, message) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        site_id,
        order_id,
        event_id,
        message.suffix,
        _MESSAGES.dump_json(message).decode(),
    )


async def messages_about(tx: Transaction, site_id: str, order_id: UUID) -> list[OrderMessage]:
    """Return every message about the order, in order of arrival."""
    rows = await tx.connection.fetch(
        "SELECT message FROM order_messages WHERE site_id = $1 AND order_id = $2 ORDER BY arrival", site_id, order_id
    )
    return [_MESSAGES.validate_json(row["message"]) for row in rows]


async def lock_order(tx: Transaction, site_id: str, order_id: UUID) -> StoredOrder | None:
    """Return the order and hold its row, None when it is new."""
    row = await tx.connection.fetchrow(
        "SELECT revision, service_request, patient FROM orders WHERE site_id = $1 AND order_id = $2 FOR UPDATE",
        site_id,
        order_id,
    )
    return None if row is None else _stored(row["revision"], row["service_request"], row["patient"])


async def save_order(tx: Transaction, site_id: str, stored: StoredOrder) -> None:
    """Write the order as it reads now."""
    await tx.connection.execute(
        "INSERT INTO orders (site_id, order_id, revision, accession_number, study_instance_uid, service_request,"
        " patient) VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (site_id, order_id) DO UPDATE SET revision = excluded.revision,"
        " accession_number = excluded.accession_number, study_instance_uid = excluded.study_instance_uid,"
        " service_request = excluded.service_request, patient = excluded.patient",
        site_id,
        stored.order.order_id,
        stored.revision,
        stored.order.accession_number,
        stored.order.study_instance_uid,
        stored.order.model_dump_json(),
        stored.patient.model_dump_json(),
    )


async def orders_for_study(tx: Transaction, site_id: str, study: ImagedStudy) -> Sequence[StoredOrder]:
    """Return the orders whose accession number or StudyInstanceUID the study shows, and hold them as they are."""
    rows = await tx.connection.fetch(
        "SELECT revision, service_request, patient FROM orders"
        " WHERE site_id = $1 AND (study_instance_uid = $2 OR accession_number = ANY($3::text[]))"
        " ORDER BY order_id FOR SHARE",
        site_id,
        study.study_instance_uid,
        sorted(study.accession_numbers),
    )
    return [_stored(row["revision"], row["service_request"], row["patient"]) for row in rows]


async def cases_for_order(tx: Transaction, site_id: str, order: ServiceRequest) -> list[UUID]:
    """Return the cases that the order is linked to, is on the desk for, or could belong to by its numbers."""
    rows = await tx.connection.fetch(
        "SELECT case_id FROM case_orders WHERE site_id = $1 AND order_id = $2"
        " UNION SELECT case_id FROM desk WHERE site_id = $1 AND kind = 'order' AND subject = $2::uuid::text"
        " UNION SELECT case_id FROM case_accessions WHERE site_id = $1 AND accession_number = $3"
        " UNION SELECT case_id FROM cases WHERE site_id = $1 AND study_instance_uid = $4 ORDER BY case_id",
        site_id,
        order.order_id,
        order.accession_number,
        order.study_instance_uid,
    )
    return [UUID(str(row["case_id"])) for row in rows]


def _stored(revision: int, service_request: str, patient: str) -> StoredOrder:
    return StoredOrder(
        revision=revision,
        order=ServiceRequest.model_validate_json(service_request),
        patient=Patient.model_validate_json(patient),
    )
