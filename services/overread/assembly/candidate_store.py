"""Where candidates come from: each question asks an index and has a bound; nothing reads a whole table."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from overread.assembly import near_numbers, order_store, patient_store, patients
from overread.assembly.candidates import OrderSide, StudySide
from overread.assembly.known_patients import KnownPatients
from overread.assembly.order_folding import StoredOrder
from overread.assembly.patient_numbers import id_numbers
from overread.contracts.events.intake import InstanceStored
from overread.contracts.events.orders import Patient
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    import asyncpg

MOST_FOUND = 60
"""Of each question: a person looks at ten, the best of what was found."""

_NAME = "folded_name <> '' AND folded_name = $2"
_NUMBER = "jsonb_path_query_array({0}, '$.identifiers[*].id_number') ?| $2::text[]"
_NEWEST_ORDERS = " ORDER BY newest_sent_at DESC NULLS LAST LIMIT $3"
_NEWEST_CASES = " ORDER BY born_at DESC LIMIT $3"


async def orders_like(tx: Transaction, site_id: str, study: StudySide) -> list[StoredOrder]:
    """Return orders that share anything with the study: a number, nearly one, an identifier, the name."""
    numbers = _all_forms(study.accession_numbers)
    found = [
        await tx.connection.fetch(
            "SELECT order_id FROM orders WHERE site_id = $1 AND accession_number = ANY($2::text[]) LIMIT $3",
            site_id,
            numbers,
            MOST_FOUND,
        ),
        await tx.connection.fetch(
            "SELECT order_id FROM orders WHERE site_id = $1 AND study_instance_uid = $2 LIMIT $3",
            site_id,
            study.study_instance_uid,
            MOST_FOUND,
        ),
        *await _by_patient(tx, site_id, study.known, "SELECT order_id FROM orders", "patient", _NEWEST_ORDERS),
    ]
    return await order_store.stored_orders(tx, site_id, _ids("order_id", found))


async def cases_like(tx: Transaction, site_id: str, order: OrderSide) -> list[UUID]:
    """Return cases that share anything with the order."""
    numbers = _all_forms({order.order.accession_number} - {None})
    found = [
        await tx.connection.fetch(
            "SELECT case_id FROM case_accessions WHERE site_id = $1 AND accession_number = ANY($2::text[]) LIMIT $3",
            site_id,
            numbers,
            MOST_FOUND,
        ),
        await tx.connection.fetch(
            "SELECT case_id FROM cases WHERE site_id = $1 AND study_instance_uid = $2 LIMIT $3",
            site_id,
            order.order.study_instance_uid,
            MOST_FOUND,
        ),
        *await _by_patient(tx, site_id, order.known, "SELECT case_id FROM cases", "imaged_patient", _NEWEST_CASES),
    ]
    return sorted(_ids("case_id", found))


async def order_side(tx: Transaction, site_id: str, stored: StoredOrder) -> OrderSide:
    """Return the order as it is compared."""
    known = await _known(tx, site_id, stored.patient)
    return OrderSide(order=stored.order, patient=stored.patient, known=known.compared(stored.patient))


async def study_side(tx: Transaction, site_id: str, case_id: UUID) -> StudySide | None:
    """Return what the images of the case say, as it is compared; None where there is no such case."""
    row = await tx.connection.fetchrow(
        "SELECT c.study_instance_uid, c.imaged_patient, c.modalities, (SELECT array_agg(a.accession_number) FROM"
        " case_accessions a WHERE a.site_id = c.site_id AND a.case_id = c.case_id) AS accessions, (SELECT i.stored FROM"
        " instances i WHERE i.site_id = c.site_id AND i.case_id = c.case_id AND NOT i.is_accompanying LIMIT 1) AS image"
        " FROM cases c WHERE c.site_id = $1 AND c.case_id = $2",
        site_id,
        case_id,
    )
    if row is None:
        return None
    patient = Patient.model_validate_json(row["imaged_patient"])
    header = InstanceStored.model_validate_json(row["image"]).attributes if row["image"] else None
    return StudySide(
        study_instance_uid=row["study_instance_uid"],
        accession_numbers=frozenset(row["accessions"] or ()),
        patient=patient,
        known=(await _known(tx, site_id, patient)).compared(patient),
        modalities=tuple(row["modalities"]),
        body_part_examined=(header.body_part_examined if header else None) or "",
        study_description=(header.study_description if header else None) or "",
        study_date_time=(header.study_date_time if header else None) or "",
    )


async def linked_orders(tx: Transaction, site_id: str, case_id: UUID) -> list[StoredOrder]:
    """Return the orders that belong to the case."""
    rows = await tx.connection.fetch(
        "SELECT order_id FROM case_orders WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    return await order_store.stored_orders(tx, site_id, _ids("order_id", [rows])) if rows else []


async def linked_cases(tx: Transaction, site_id: str, order_id: UUID) -> list[UUID]:
    """Return the cases that the order belongs to."""
    rows = await tx.connection.fetch(
        "SELECT case_id FROM case_orders WHERE site_id = $1 AND order_id = $2", site_id, order_id
    )
    return sorted(_ids("case_id", [rows]))


async def _by_patient(
    tx: Transaction, site_id: str, patient: Patient, select: str, column: str, newest: str
) -> list["list[asyncpg.Record]"]:
    numbers = sorted(id_numbers(patient.identifiers))
    name = patients.folded_name(patient)
    asked = [(_NUMBER, numbers)] if numbers else []
    questions: list[tuple[str, object]] = [*asked, *([(_NAME, name)] if name else [])]
    return [
        await tx.connection.fetch(
            f"{select} WHERE site_id = $1 AND {condition.format(column)}{newest}", site_id, value, MOST_FOUND
        )
        for condition, value in questions
    ]


async def _known(tx: Transaction, site_id: str, patient: Patient) -> KnownPatients:
    return await patient_store.known(tx, site_id, patient)


def _all_forms(numbers: Iterable[str | None]) -> list[str]:
    said = {number for number in numbers if number}
    return sorted(said.union(*(near_numbers.near_forms(number) for number in said)))


def _ids(name: str, found: Iterable[Iterable["asyncpg.Record"]]) -> set[UUID]:
    return {UUID(str(row[name])) for rows in found for row in rows}
