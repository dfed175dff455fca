"""Assembly's tables of cases: what the images say, the orders that belong to them, and what a person must decide."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from overread.assembly import case_context, decision_store, mapping_store, patient_store
from overread.assembly.matching import ImagedStudy
from overread.assembly.patients import folded_name
from overread.contracts.events.cases import Case, Study
from overread.contracts.events.intake import InstanceStored
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.contracts.identifiers import case_id_for
from overread.runtime.inbox import Transaction

if TYPE_CHECKING:
    import asyncpg

    from overread.runtime.database import Connection


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """A case as its table holds it, without its orders."""

    case_id: UUID
    study_instance_uid: str
    revision: int
    identity_version: int
    imaged_patient: Patient
    is_synthetic: bool
    modalities: tuple[str, ...]
    study: Study | None
    is_superseded: bool


@dataclass(frozen=True, kw_only=True)
class DeskEntry:
    """What could not be settled by itself: `subject` is an order's id, a series' UID or a SOPInstanceUID, by `kind`.

    A patient's doubt and a merge belong to no case; their subjects are the record's id and the message's event.
    """

    kind: str
    subject: str
    case_id: UUID | None
    reason: str
    raised_at: datetime


async def open_case(tx: Transaction, site_id: str, first: InstanceStored, patient: Patient) -> bool:
    """Make sure that the case of the instance's study is there, born with its first instance; say whether it is new."""
    row = await tx.connection.fetchrow(
        "INSERT INTO cases (site_id, case_id, study_instance_uid, imaged_patient, folded_name)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING 1",
        site_id,
        case_id_for(site_id, first.study_instance_uid),
        first.study_instance_uid,
        patient.model_dump_json(),
        folded_name(patient),
    )
    return row is not None


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
        modalities=tuple(row["modalities"]),
        study=Study.model_validate_json(row["study"]) if row["study"] else None,
        is_superseded=row["is_superseded"],
    )


async def lock_cases(tx: Transaction, site_id: str, case_ids: Iterable[UUID]) -> None:
    """Hold the rows of several cases, all at once and in the order of their ids, as whoever holds several does."""
    await tx.connection.execute(
        "SELECT FROM cases WHERE site_id = $1 AND case_id = ANY($2::uuid[]) ORDER BY case_id FOR UPDATE",
        site_id,
        sorted(case_ids),
    )


async def accessions_of_studies(tx: Transaction, site_id: str, study_instance_uids: Iterable[str]) -> set[str]:
    """Return the accession numbers that the studies' images carried before."""
    rows = await tx.connection.fetch(
        "SELECT a.accession_number FROM cases c JOIN case_accessions a USING (site_id, case_id)"
        " WHERE c.site_id = $1 AND c.study_instance_uid = ANY($2::text[])",
        site_id,
        sorted(study_instance_uids),
    )
    return {row["accession_number"] for row in rows}


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


async def add_accessions(tx: Transaction, site_id: str, case_id: UUID, accession_numbers: Iterable[str]) -> bool:
    """Note that images of the case carry these accession numbers; say whether any is new."""
    rows = await tx.connection.fetch(
        "INSERT INTO case_accessions (site_id, accession_number, case_id) SELECT $1, number, $3"
        " FROM unnest($2::text[]) AS number ON CONFLICT DO NOTHING RETURNING 1",
        site_id,
        sorted(accession_numbers),
        case_id,
    )
    return bool(rows)


async def add_modalities(
    tx: Transaction, site_id: str, case_id: UUID, modalities: Iterable[str], *, is_synthetic: bool
) -> None:
    """Note of which modalities images have come, and whether one says that it shows no patient."""
    await tx.connection.execute(
        "UPDATE cases SET is_synthetic = is_synthetic OR $4,"
        " modalities = ARRAY(SELECT DISTINCT unnest(modalities || $3::text[]) ORDER BY 1)"
        " WHERE site_id = $1 AND case_id = $2",
        site_id,
        case_id,
        sorted(modalities),
        is_synthetic,
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


async def unlink(tx: Transaction, site_id: str, case_id: UUID, order_id: UUID) -> None:
    """Let the order belong to the case no longer."""
    await tx.connection.execute(
        "DELETE FROM case_orders WHERE site_id = $1 AND case_id = $2 AND order_id = $3", site_id, case_id, order_id
    )


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
    """Put what a person must decide on the desk, once, with its newest reason; one that was dismissed stays away."""
    if await decision_store.is_dismissed(tx.connection, site_id, case_id, kind, subject, reason):
        await _delete_from_desk(tx, site_id, case_id, kind, subject)
        return
    await tx.connection.execute(
        "INSERT INTO desk (site_id, case_id, kind, subject, reason, raised_at) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (site_id, case_id, kind, subject) DO UPDATE SET reason = excluded.reason",
        site_id,
        case_id,
        kind,
        subject,
        reason,
        tx.clock(),
    )


async def off_the_desk(tx: Transaction, site_id: str, case_id: UUID, kind: str, subject: str) -> None:
    """Take from the desk what has settled itself; where it was dismissed, a doubt to come is another one."""
    await _delete_from_desk(tx, site_id, case_id, kind, subject)
    await decision_store.note_settled(tx.connection, site_id, case_id, kind, subject, now=tx.clock())


async def _delete_from_desk(tx: Transaction, site_id: str, case_id: UUID, kind: str, subject: str) -> None:
    await tx.connection.execute(
        "DELETE FROM desk WHERE site_id = $1 AND case_id = $2 AND kind = $3 AND subject = $4",
        site_id,
        case_id,
        kind,
        subject,
    )


async def take_from_desk(
    tx: Transaction, site_id: str, case_id: UUID | None, kind: str, subject: str, reason: str
) -> bool:
    """Take exactly this entry from the desk; say whether it was there."""
    where = "site_id = $1 AND kind = $2 AND subject = $3 AND reason = $4"
    if case_id is None:
        asked = f"DELETE FROM patient_desk WHERE {where.replace('subject', 'subject::text')} RETURNING 1"  # noqa: S608 - constants
        return await tx.connection.fetchrow(asked, site_id, kind, subject, reason) is not None
    asked = f"DELETE FROM desk WHERE {where} AND case_id = $5 RETURNING 1"  # noqa: S608 - constants
    return await tx.connection.fetchrow(asked, site_id, kind, subject, reason, case_id) is not None


async def back_to_desk(
    tx: Transaction, site_id: str, case_id: UUID | None, kind: str, subject: str, reason: str
) -> None:
    """Put an entry back that a person took from the desk."""
    if case_id is not None:
        await to_the_desk(tx, site_id, case_id, kind, subject, reason)
        return
    await tx.connection.execute(
        "INSERT INTO patient_desk (site_id, kind, subject, reason, raised_at) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        site_id,
        kind,
        UUID(subject),
        reason,
        tx.clock(),
    )


async def lies_on_desk(tx: Transaction, site_id: str, case_id: UUID, kind: str, subject: str, reason: str) -> bool:
    """Say whether exactly this entry lies on the desk."""
    row = await tx.connection.fetchrow(
        "SELECT FROM desk WHERE site_id = $1 AND case_id = $2 AND kind = $3 AND subject = $4 AND reason = $5",
        site_id,
        case_id,
        kind,
        subject,
        reason,
    )
    return row is not None


async def subjects_on_desk(tx: Transaction, site_id: str, case_id: UUID, kind: str) -> set[str]:
    """Return what of one kind lies on the desk about the case."""
    rows = await tx.connection.fetch(
        "SELECT subject FROM desk WHERE site_id = $1 AND case_id = $2 AND kind = $3", site_id, case_id, kind
    )
    return {row["subject"] for row in rows}


async def on_the_desk(connection: "asyncpg.Connection[asyncpg.Record] | Connection", site_id: str) -> list[DeskEntry]:
    """Return all that a person must decide, oldest first."""
    rows = await connection.fetch(
        "SELECT kind, subject, case_id, reason, raised_at FROM desk WHERE site_id = $1"
        " UNION ALL SELECT kind, subject::text, NULL, reason, raised_at FROM patient_desk WHERE site_id = $1"
        " ORDER BY raised_at, case_id, kind, subject",
        site_id,
    )
    return [DeskEntry(**(dict(row) | {"case_id": row["case_id"] and UUID(str(row["case_id"]))})) for row in rows]


async def desk_counts(connection: "Connection", site_id: str) -> dict[str, int]:
    """Return how many entries wait for a person, by kind."""
    rows = await connection.fetch(
        "SELECT kind, count(*) AS count FROM"
        " (SELECT kind FROM desk WHERE site_id = $1 UNION ALL SELECT kind FROM patient_desk WHERE site_id = $1) entries"
        " GROUP BY kind ORDER BY kind",
        site_id,
    )
    return {row["kind"]: row["count"] for row in rows}


async def change_case(
    tx: Transaction, site_id: str, case: CaseRow, *, identity_moved: bool, study: Study | None = None
) -> Case:
    """Raise the case's revision, note what changed, and return the whole case as its next event carries it."""
    shown = await shown_case(tx, site_id, case, study=study)
    changed = shown.model_copy(
        update={"revision": case.revision + 1, "identity_version": case.identity_version + identity_moved}
    )
    await tx.connection.execute(
        "UPDATE cases SET revision = $3, identity_version = $4, study = $5 WHERE site_id = $1 AND case_id = $2",
        site_id,
        case.case_id,
        changed.revision,
        changed.identity_version,
        changed.study.model_dump_json() if changed.study else None,
    )
    await case_context.note_told(tx, site_id, changed)
    return changed


async def shown_case(tx: Transaction, site_id: str, case: CaseRow, *, study: Study | None = None) -> Case:
    """Return the whole case as it reads now, with what is known around it."""
    linked = await _linked_orders(tx, site_id, case.case_id)
    stated = _stated_patient(case, linked)
    mapping = await mapping_store.current(tx, site_id)
    orders = tuple(mapping.shown(ServiceRequest.model_validate_json(row["service_request"])) for row in linked)
    shown = Case(
        case_id=case.case_id,
        revision=case.revision,
        identity_version=case.identity_version,
        study_instance_uid=case.study_instance_uid,
        patient=(await patient_store.known(tx, site_id, stated)).shown(stated),
        orders=orders,
        study=study or case.study,
        is_synthetic=case.is_synthetic or any(order.is_synthetic for order in orders),
    )
    return await case_context.with_context(tx, site_id, shown)


async def stated_patient(tx: Transaction, site_id: str, case: CaseRow) -> Patient:
    """Return who the case is about as its first order or, without one, its images say it."""
    return _stated_patient(case, await _linked_orders(tx, site_id, case.case_id))


def _stated_patient(case: CaseRow, linked: "list[asyncpg.Record]") -> Patient:
    return Patient.model_validate_json(linked[0]["patient"]) if linked else case.imaged_patient


async def _linked_orders(tx: Transaction, site_id: str, case_id: UUID) -> "list[asyncpg.Record]":
    return await tx.connection.fetch(
        "SELECT o.service_request, o.patient FROM case_orders l JOIN orders o USING (site_id, order_id)"
        " WHERE l.site_id = $1 AND l.case_id = $2 ORDER BY o.order_id",
        site_id,
        case_id,
    )


async def set_superseded(tx: Transaction, site_id: str, case_id: UUID) -> None:
    """Note that images came after the last complete revision."""
    await tx.connection.execute(
        "UPDATE cases SET is_superseded = true WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
