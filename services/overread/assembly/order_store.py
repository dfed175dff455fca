"""Assembly's tables of orders: every message about an order, the numbers that name it, and how it reads now."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly import patients
from overread.assembly.matching import ImagedStudy
from overread.assembly.order_folding import OrderLife, StoredOrder
from overread.assembly.orders import OrderMessage, Place
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.contracts.identifiers import case_id_for
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    from asyncpg import Record

_MESSAGES = TypeAdapter(OrderMessage)


class Naming(NamedTuple):
    """A number, the placer's or the filler's by `kind`, and an order that it names.

    `sender` is empty where the number says whose it is, and in what was kept before senders were.
    """

    kind: str
    number: str
    suffix: str
    order_id: UUID
    sender: str = ""


class KeptMessage(NamedTuple):
    """What one event says about one order."""

    order_id: UUID
    event_id: UUID
    message: OrderMessage

    @property
    def key(self) -> tuple[UUID, UUID, str]:
        """Return what the message is known by: a repeat of the event has the same."""
        return self.order_id, self.event_id, self.message.suffix


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


async def namings(tx: Transaction, site_id: str, numbers: Iterable[str]) -> list[Naming]:
    """Return which orders `numbers` name."""
    rows = await tx.connection.fetch(
        "SELECT kind, number, suffix, order_id, sender FROM order_numbers"
        " WHERE site_id = $1 AND number = ANY($2::text[]) ORDER BY suffix, sender",
        site_id,
        sorted(numbers),
    )
    return [
        Naming(row["kind"], row["number"], row["suffix"], UUID(str(row["order_id"])), row["sender"]) for row in rows
    ]


async def name_orders(tx: Transaction, site_id: str, named: Sequence[Naming]) -> None:
    """Let numbers name their orders from now on; a number that names another order keeps doing so."""
    await tx.connection.execute(
        "INSERT INTO order_numbers (site_id, kind, number, suffix, order_id, sender)"
        " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[]) ON CONFLICT DO NOTHING",
        site_id,
        *_columns(named, 5),
    )


async def lock_orders(tx: Transaction, site_id: str, order_ids: Iterable[UUID]) -> dict[UUID, OrderLife]:
    """Return those of the orders that are stored and hold their rows, all at once and in the order of their ids."""
    rows = await tx.connection.fetch(
        "SELECT * FROM orders WHERE site_id = $1 AND order_id = ANY($2::uuid[]) ORDER BY order_id FOR UPDATE",
        site_id,
        sorted(order_ids),
    )
    return {life.order_id: life for life in map(_life, rows)}


async def kept_of(
    tx: Transaction, site_id: str, order_ids: Iterable[UUID], event_ids: Iterable[UUID]
) -> set[tuple[UUID, UUID, str]]:
    """Return the keys of the events' messages that were kept about the orders before."""
    rows = await tx.connection.fetch(
        "SELECT order_id, event_id, suffix FROM order_messages"
        " WHERE site_id = $1 AND order_id = ANY($2::uuid[]) AND event_id = ANY($3::uuid[])",
        site_id,
        sorted(order_ids),
        sorted(event_ids),
    )
    return {(UUID(str(row["order_id"])), UUID(str(row["event_id"])), row["suffix"]) for row in rows}


async def keep_messages(tx: Transaction, site_id: str, kept: Sequence[KeptMessage]) -> None:
    """Keep what each message says about its order, in order of arrival."""
    rows = [(*one.key, _MESSAGES.dump_json(one.message).decode()) for one in kept]
    await tx.connection.execute(
        "INSERT INTO order_messages (site_id, order_id, event_id, suffix, message)"
        " SELECT $1, order_id, event_id, suffix, message::jsonb"
        " FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[])"
        " WITH ORDINALITY AS told (order_id, event_id, suffix, message, place) ORDER BY place ON CONFLICT DO NOTHING",
        site_id,
        *_columns(rows, 4),
    )


async def messages_about(tx: Transaction, site_id: str, order_id: UUID) -> list[OrderMessage]:
    """Return every message that was kept about the order, in order of arrival."""
    rows = await tx.connection.fetch(
        "SELECT message FROM order_messages WHERE site_id = $1 AND order_id = $2 ORDER BY arrival", site_id, order_id
    )
    return [_MESSAGES.validate_json(row["message"]) for row in rows]


async def save_orders(tx: Transaction, site_id: str, orders: Iterable[tuple[StoredOrder, Place | None]]) -> None:
    """Write the orders as they read, each with the place up to which it is folded."""
    rows = [
        (
            stored.order.order_id,
            stored.revision,
            stored.order.accession_number,
            stored.order.study_instance_uid,
            stored.order.model_dump_json(),
            stored.patient.model_dump_json(),
            *(newest or (None, None, None)),
            patients.folded_name(stored.patient),
        )
        for stored, newest in orders
    ]
    await tx.connection.execute(
        "INSERT INTO orders (site_id, order_id, revision, accession_number, study_instance_uid, service_request,"
        " patient, newest_sent_at, newest_said_at, newest_rank, folded_name)"
        " SELECT $1, order_id, revision, accession_number, study_instance_uid, service_request::jsonb, patient::jsonb,"
        " sent_at, said_at, rank, name FROM unnest($2::uuid[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[],"
        " $8::timestamptz[], $9::timestamptz[], $10::int[], $11::text[]) AS told (order_id, revision, accession_number,"
        " study_instance_uid, service_request, patient, sent_at, said_at, rank, name)"
        " ON CONFLICT (site_id, order_id) DO UPDATE SET revision = excluded.revision,"
        " accession_number = excluded.accession_number, study_instance_uid = excluded.study_instance_uid,"
        " service_request = excluded.service_request, patient = excluded.patient,"
        " newest_sent_at = excluded.newest_sent_at, newest_said_at = excluded.newest_said_at,"
        " newest_rank = excluded.newest_rank, folded_name = excluded.folded_name",
        site_id,
        *_columns(rows, 10),
    )


def _columns(rows: Sequence[tuple[object, ...]], count: int) -> list[list[object]]:
    """Return the rows' columns: a statement takes each as one array."""
    return [[row[number] for row in rows] for number in range(count)]


async def stored_orders(tx: Transaction, site_id: str, order_ids: Iterable[UUID]) -> list[StoredOrder]:
    """Return those of the orders that are stored, as they read now."""
    rows = await tx.connection.fetch(
        "SELECT revision, service_request, patient FROM orders WHERE site_id = $1 AND order_id = ANY($2::uuid[])"
        " ORDER BY order_id",
        site_id,
        sorted(order_ids),
    )
    return [_stored(row["revision"], row["service_request"], row["patient"]) for row in rows]


async def orders_for_study(tx: Transaction, site_id: str, study: ImagedStudy) -> Sequence[StoredOrder]:
    """Return the orders whose accession number or StudyInstanceUID the study shows, and those that a person attached.

    They are held as they are.
    """
    rows = await tx.connection.fetch(
        "SELECT revision, service_request, patient FROM orders"
        " WHERE site_id = $1 AND (study_instance_uid = $2 OR accession_number = ANY($3::text[]) OR order_id = ANY("
        "ARRAY(SELECT c.order_id FROM case_orders c WHERE c.site_id = $1 AND c.case_id = $4)))"
        " ORDER BY order_id FOR SHARE",
        site_id,
        study.study_instance_uid,
        sorted(study.accession_numbers),
        case_id_for(site_id, study.study_instance_uid),
    )
    return [_stored(row["revision"], row["service_request"], row["patient"]) for row in rows]


async def orders_with_cases(tx: Transaction, site_id: str, orders: Iterable[ServiceRequest]) -> set[UUID]:
    """Return those of `orders` that `cases_for_order` finds a case for."""
    rows = await tx.connection.fetch(
        "SELECT order_id FROM unnest($2::uuid[], $3::text[], $4::text[])"
        " AS o (order_id, accession_number, study_instance_uid)"
        " WHERE EXISTS (SELECT FROM case_orders c WHERE c.site_id = $1 AND c.order_id = o.order_id)"
        " OR EXISTS (SELECT FROM desk d WHERE d.site_id = $1 AND d.kind = 'order' AND d.subject = o.order_id::text)"
        " OR EXISTS (SELECT FROM case_accessions a WHERE a.site_id = $1 AND a.accession_number = o.accession_number)"
        " OR EXISTS (SELECT FROM cases c WHERE c.site_id = $1 AND c.study_instance_uid = o.study_instance_uid)",
        site_id,
        *_columns([(order.order_id, order.accession_number, order.study_instance_uid) for order in orders], 3),
    )
    return {UUID(str(row["order_id"])) for row in rows}


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


def _life(row: "Record") -> OrderLife:
    newest = (row["newest_sent_at"], row["newest_said_at"], row["newest_rank"]) if row["newest_sent_at"] else None
    stored = _stored(row["revision"], row["service_request"], row["patient"])
    return OrderLife(UUID(str(row["order_id"])), stored, newest)


def _stored(revision: int, service_request: str, patient: str) -> StoredOrder:
    return StoredOrder(
        revision=revision,
        order=ServiceRequest.model_validate_json(service_request),
        patient=Patient.model_validate_json(patient),
    )
