"""Assembly's own tables: orders, cases, the links between them, and the timers that end the wait for images."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overread.assembly.completeness import Arrivals, Due
from overread.assembly.matching import ImagedStudy
from overread.assembly.orders import StoredOrder
from overread.contracts.envelope import Body, Event
from overread.contracts.events.cases import Case, Study
from overread.contracts.events.intake import InstanceStored
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.contracts.identifiers import case_id_for
from overread.runtime.inbox import Transaction


@dataclass(frozen=True, kw_only=True)
class EventReference:
    """What the event of a later transaction needs to know of the one that led to it."""

    id: UUID
    site_id: str
    traceparent: str


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """A case as its table holds it, without its orders."""

    case_id: UUID
    study_instance_uid: str
    revision: int
    identity_version: int
    imaged_patient: Patient
    is_synthetic: bool
    modality: str
    study: Study | None
    is_superseded: bool


async def lock_matching(tx: Transaction, site_id: str, keys: list[str]) -> None:
    """Hold every key, in order, until the transaction ends."""
    for key in keys:
        await tx.connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", f"{site_id} {key}")


async def order_by_number(tx: Transaction, site_id: str, placer: str, filler: str) -> UUID | None:
    """Return the order that one of these numbers names, the placer's first."""
    found: UUID | None = await tx.connection.fetchval(
        "SELECT order_id FROM order_numbers WHERE site_id = $1 AND ((kind = 'placer' AND number = $2)"
        " OR (kind = 'filler' AND number = $3)) ORDER BY kind DESC LIMIT 1",
        site_id,
        placer,
        filler,
    )
    return found and UUID(str(found))


async def name_order(tx: Transaction, site_id: str, order_id: UUID, placer: str, filler: str) -> None:
    """Let both numbers name the order from now on; a number that names another order keeps doing so."""
    for kind, number in (("placer", placer), ("filler", filler)):
        if number:
            await tx.connection.execute(
                "INSERT INTO order_numbers (site_id, kind, number, order_id) VALUES ($1, $2, $3, $4)"
                " ON CONFLICT DO NOTHING",
                site_id,
                kind,
                number,
                order_id,
            )


async def lock_order(tx: Transaction, site_id: str, order_id: UUID) -> StoredOrder | None:
    """Return the order and hold its row, None when it is new."""
    row = await tx.connection.fetchrow(
        "SELECT revision, sender_sequence, service_request, patient FROM orders"
        " WHERE site_id = $1 AND order_id = $2 FOR UPDATE",
        site_id,
        order_id,
    )
    if row is None:
        return None
    return StoredOrder(
        revision=row["revision"],
        sender_sequence=row["sender_sequence"],
        order=ServiceRequest.model_validate_json(row["service_request"]),
        patient=Patient.model_validate_json(row["patient"]),
    )


async def save_order(tx: Transaction, site_id: str, stored: StoredOrder) -> None:
    """Write the order as it reads now."""
    await tx.connection.execute(
        "INSERT INTO orders (site_id, order_id, revision, sender_sequence, accession_number, study_instance_uid,"
        " service_request, patient) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (site_id, order_id) DO UPDATE SET revision = excluded.revision,"
        " sender_sequence = excluded.sender_sequence, accession_number = excluded.accession_number,"
        " study_instance_uid = excluded.study_instance_uid, service_request = excluded.service_request,"
        " patient = excluded.patient",
        site_id,
        stored.order.order_id,
        stored.revision,
        stored.sender_sequence,
        stored.order.accession_number,
        stored.order.study_instance_uid,
        stored.order.model_dump_json(),
        stored.patient.model_dump_json(),
    )


async def orders_for_study(tx: Transaction, site_id: str, study: ImagedStudy) -> list[StoredOrder]:
    """Return the orders whose accession number or StudyInstanceUID the study shows."""
    rows = await tx.connection.fetch(
        "SELECT revision, sender_sequence, service_request, patient FROM orders"
        " WHERE site_id = $1 AND (study_instance_uid = $2 OR accession_number = ANY($3::text[]))",
        site_id,
        study.study_instance_uid,
        sorted(study.accession_numbers),
    )
    return [
        StoredOrder(
            revision=row["revision"],
            sender_sequence=row["sender_sequence"],
            order=ServiceRequest.model_validate_json(row["service_request"]),
            patient=Patient.model_validate_json(row["patient"]),
        )
        for row in rows
    ]


async def cases_for_order(tx: Transaction, site_id: str, order: ServiceRequest) -> list[UUID]:
    """Return the cases that the order is linked to or could belong to by its numbers."""
    rows = await tx.connection.fetch(
        "SELECT case_id FROM case_orders WHERE site_id = $1 AND order_id = $2"
        " UNION SELECT case_id FROM case_accessions WHERE site_id = $1 AND accession_number = $3"
        " UNION SELECT case_id FROM cases WHERE site_id = $1 AND study_instance_uid = $4 ORDER BY case_id",
        site_id,
        order.order_id,
        order.accession_number,
        order.study_instance_uid,
    )
    return [UUID(str(row["case_id"])) for row in rows]


async def open_case(tx: Transaction, site_id: str, first: InstanceStored, patient: Patient) -> UUID:
    """Make sure that the case of the instance's study is there; it is born with its first instance."""
    case_id = case_id_for(site_id, first.study_instance_uid)
    await tx.connection.execute(
        "INSERT INTO cases (site_id, case_id, study_instance_uid, imaged_patient, is_synthetic, modality)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        site_id,
        case_id,
        first.study_instance_uid,
        patient.model_dump_json(),
        first.attributes.quality_control_image == "YES",
        first.attributes.modality or "",
    )
    return case_id


async def lock_case(tx: Transaction, site_id: str, case_id: UUID) -> CaseRow | None:
    """Return the case and hold its row; its events leave in the order in which this lock is taken."""
    row = await tx.connection.fetchrow(
        "SELECT * FROM cases WHERE site_id = $1 AND case_id = $2 FOR UPDATE", site_id, case_id
    )
    if row is None:
        return None
    return CaseRow(
        case_id=UUID(str(row["case_id"])),
        study_instance_uid=row["study_instance_uid"],
        revision=row["revision"],
        identity_version=row["identity_version"],
        imaged_patient=Patient.model_validate_json(row["imaged_patient"]),
        is_synthetic=row["is_synthetic"],
        modality=row["modality"],
        study=Study.model_validate_json(row["study"]) if row["study"] else None,
        is_superseded=row["is_superseded"],
    )


async def imaged_study(tx: Transaction, site_id: str, case: CaseRow) -> ImagedStudy:
    """Return what the images of the case say about order and patient."""
    rows = await tx.connection.fetch(
        "SELECT accession_number FROM case_accessions WHERE site_id = $1 AND case_id = $2", site_id, case.case_id
    )
    return ImagedStudy(
        study_instance_uid=case.study_instance_uid,
        accession_numbers=frozenset(row["accession_number"] for row in rows),
        patient=case.imaged_patient,
    )


async def add_accession(tx: Transaction, site_id: str, case_id: UUID, accession_number: str) -> None:
    """Note that images of the case carry this accession number."""
    await tx.connection.execute(
        "INSERT INTO case_accessions (site_id, accession_number, case_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        site_id,
        accession_number,
        case_id,
    )


async def link(tx: Transaction, site_id: str, case_id: UUID, order_id: UUID) -> bool:
    """Link the order to the case; say whether that is new."""
    row = await tx.connection.fetchrow(
        "INSERT INTO case_orders (site_id, case_id, order_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1",
        site_id,
        case_id,
        order_id,
    )
    return row is not None


async def is_linked(tx: Transaction, site_id: str, case_id: UUID, order_id: UUID) -> bool:
    """Say whether the order belongs to the case."""
    return bool(
        await tx.connection.fetchval(
            "SELECT EXISTS (SELECT FROM case_orders WHERE site_id = $1 AND case_id = $2 AND order_id = $3)",
            site_id,
            case_id,
            order_id,
        )
    )


async def to_the_desk(tx: Transaction, site_id: str, case_id: UUID, kind: str, subject: str, reason: str) -> None:
    """Put what a person must decide on the desk, once."""
    await tx.connection.execute(
        "INSERT INTO desk (site_id, case_id, kind, subject, reason, raised_at) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT DO NOTHING",
        site_id,
        case_id,
        kind,
        subject,
        reason,
        tx.clock(),
    )


async def change_case(
    tx: Transaction, site_id: str, case: CaseRow, *, identity_moved: bool, study: Study | None = None
) -> Case:
    """Raise the case's revision, note what changed, and return the whole case as its next event carries it."""
    linked = await tx.connection.fetch(
        "SELECT o.service_request, o.patient FROM case_orders l JOIN orders o USING (site_id, order_id)"
        " WHERE l.site_id = $1 AND l.case_id = $2 ORDER BY o.order_id",
        site_id,
        case.case_id,
    )
    orders = tuple(ServiceRequest.model_validate_json(row["service_request"]) for row in linked)
    study = study or case.study
    changed = Case(
        case_id=case.case_id,
        revision=case.revision + 1,
        identity_version=case.identity_version + identity_moved,
        study_instance_uid=case.study_instance_uid,
        patient=Patient.model_validate_json(linked[0]["patient"]) if linked else case.imaged_patient,
        orders=orders,
        study=study,
        is_synthetic=case.is_synthetic or any(order.is_synthetic for order in orders),
    )
    await tx.connection.execute(
        "UPDATE cases SET revision = $3, identity_version = $4, study = $5 WHERE site_id = $1 AND case_id = $2",
        site_id,
        case.case_id,
        changed.revision,
        changed.identity_version,
        study.model_dump_json() if study else None,
    )
    return changed


async def add_instance(tx: Transaction, site_id: str, case_id: UUID, stored: InstanceStored) -> tuple[bool, bool]:
    """Note an instance; return whether it is new, and whether another content has the same SOPInstanceUID."""
    conflicts = await tx.connection.fetchval(
        "SELECT EXISTS (SELECT FROM instances WHERE site_id = $1 AND case_id = $2 AND sop_instance_uid = $3"
        " AND digest <> $4)",
        site_id,
        case_id,
        stored.sop_instance_uid,
        stored.digest,
    )
    row = await tx.connection.fetchrow(
        "INSERT INTO instances (site_id, case_id, sop_instance_uid, digest, is_conflicting, is_accompanying, stored)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING 1",
        site_id,
        case_id,
        stored.sop_instance_uid,
        stored.digest,
        conflicts,
        stored.is_accompanying,
        stored.model_dump_json(),
    )
    return row is not None, bool(conflicts)


async def images(tx: Transaction, site_id: str, case_id: UUID) -> list[InstanceStored]:
    """Return the images of the case: first content of each SOPInstanceUID, nothing accompanying."""
    rows = await tx.connection.fetch(
        "SELECT stored FROM instances WHERE site_id = $1 AND case_id = $2 AND NOT is_conflicting"
        " AND NOT is_accompanying ORDER BY sop_instance_uid",
        site_id,
        case_id,
    )
    return [InstanceStored.model_validate_json(row["stored"]) for row in rows]


async def note_association(
    tx: Transaction, site_id: str, case_id: UUID, association_id: UUID, *, is_closed: bool
) -> None:
    """Note an association that brought images of the case; once closed it stays closed."""
    await tx.connection.execute(
        "INSERT INTO associations (site_id, case_id, association_id, is_closed) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (site_id, case_id, association_id) DO UPDATE"
        " SET is_closed = associations.is_closed OR excluded.is_closed",
        site_id,
        case_id,
        association_id,
        is_closed,
    )


async def note_signal(tx: Transaction, site_id: str, case_id: UUID, at: datetime, event: Event[Body]) -> Arrivals:
    """Note that something came at the broker's time `at`; return what has come since the last complete revision."""
    row = await tx.connection.fetchrow(
        "UPDATE cases SET first_unread_at = coalesce(first_unread_at, $3),"
        " last_signal_at = greatest(last_signal_at, $3), last_event_id = $4, last_traceparent = $5"
        " WHERE site_id = $1 AND case_id = $2 RETURNING first_unread_at, last_signal_at",
        site_id,
        case_id,
        at,
        event.id,
        event.traceparent,
    )
    counts = await tx.connection.fetchrow(
        "SELECT count(*) FILTER (WHERE NOT is_closed) AS open, count(*) FILTER (WHERE is_closed) AS closed"
        " FROM associations WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
    )
    if row is None or counts is None:
        raise LookupError(f"no case {case_id}")
    return Arrivals(
        first_unread_at=row["first_unread_at"],
        last_signal_at=row["last_signal_at"],
        open_associations=counts["open"],
        closed_associations=counts["closed"],
    )


async def set_superseded(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Note that images came after the last complete revision."""
    await tx.connection.execute(
        "UPDATE cases SET is_superseded = true WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )


async def end_wait(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Note that the study is complete: no timer, no association to wait for, nothing unread."""
    await tx.connection.execute("DELETE FROM timers WHERE site_id = $1 AND case_id = $2", site_id, case_id)
    await tx.connection.execute("DELETE FROM associations WHERE site_id = $1 AND case_id = $2", site_id, case_id)
    await tx.connection.execute(
        "UPDATE cases SET is_superseded = false, first_unread_at = NULL, last_signal_at = NULL"
        " WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
    )


async def set_timer(tx: Transaction, site_id: str, case_id: UUID, due: Due, partition: int) -> None:
    """Set the one timer of the case."""
    await tx.connection.execute(
        "INSERT INTO timers (site_id, case_id, due_at, basis, partition) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT (site_id, case_id) DO UPDATE SET due_at = excluded.due_at, basis = excluded.basis,"
        " partition = excluded.partition",
        site_id,
        case_id,
        due.at,
        due.basis.value,
        partition,
    )


async def has_timer(tx: Transaction, site_id: str, case_id: UUID) -> bool:
    """Say whether the case waits for more images."""
    return bool(
        await tx.connection.fetchval(
            "SELECT EXISTS (SELECT FROM timers WHERE site_id = $1 AND case_id = $2)", site_id, case_id
        )
    )


@dataclass(frozen=True)
class Timer:
    """A wait that may be over."""

    site_id: str
    case_id: UUID
    due_at: datetime
    basis: str
    partition: int


async def due_timers(tx: Transaction, now: datetime, limit: int = 50) -> list[Timer]:
    """Return the timers that are due, the earliest first."""
    rows = await tx.connection.fetch(
        "SELECT site_id, case_id, due_at, basis, partition FROM timers WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
        now,
        limit,
    )
    return [Timer(r["site_id"], UUID(str(r["case_id"])), r["due_at"], r["basis"], r["partition"]) for r in rows]


async def last_image_event(tx: Transaction, site_id: str, case_id: UUID) -> EventReference | None:
    """Return the event of the case's newest image: the study's trace goes on from it."""
    row = await tx.connection.fetchrow(
        "SELECT last_event_id, last_traceparent FROM cases WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    if row is None or row["last_event_id"] is None:
        return None
    return EventReference(id=UUID(str(row["last_event_id"])), site_id=site_id, traceparent=row["last_traceparent"])


async def lock_timer(tx: Transaction, timer: Timer) -> bool:
    """Hold the timer if it still stands as it was read."""
    return bool(
        await tx.connection.fetchval(
            "SELECT true FROM timers WHERE site_id = $1 AND case_id = $2 AND due_at = $3 FOR UPDATE SKIP LOCKED",
            timer.site_id,
            timer.case_id,
            timer.due_at,
        )
    )
