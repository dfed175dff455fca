"""Assembly's tables of patients: what ADT said, who is known under which number, and what a person should look at."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly.image_store import EventReference
from overread.assembly.known_patients import KnownPatients
from overread.assembly.order_folding import StoredOrder
from overread.assembly.patient_numbers import id_numbers, key_of
from overread.assembly.patient_records import CIRCLE, WAITS, Folded, Record, Statement, said_in
from overread.assembly.shared_numbers import SHARED
from overread.contracts.events.orders import Patient, PatientIdentifier, ServiceRequest
from overread.contracts.identifiers import deterministic_id
from overread.runtime.inbox import Cause, Transaction

_STATEMENTS = TypeAdapter(Statement)
_RECORDS = TypeAdapter(Record)
ANOTHER_PATIENT = "a message under the order's number names another patient"
NOT_THEIRS = "ADT knows the number of the order's patient under another name and birth date"
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended(s || ' patients', 0)) FROM unnest($1::text[]) AS s"
_TOGETHER = "SELECT pg_advisory_xact_lock_shared(hashtextextended(s || ' patients', 0)) FROM unnest($1::text[]) AS s"


async def lock_patients(tx: Transaction, site_ids: Iterable[str], *, to_change: bool) -> None:
    """Hold the sites' patients until the transaction ends: alone to change them, with others to read them.

    Taken before any other lock. An order or an image is then read wholly before or wholly after a change of its patient.
    """
    await tx.connection.execute(_ALONE if to_change else _TOGETHER, sorted(site_ids))


async def add_statement(tx: Transaction, site_id: str, statement: Statement) -> None:
    """Keep what one PID of an ADT message says."""
    await tx.connection.execute(
        "INSERT INTO patient_statements (site_id, event_id, group_number, keys, statement) VALUES ($1, $2, $3, $4, $5)"
        " ON CONFLICT DO NOTHING",
        site_id,
        statement.event_id,
        statement.group_number,
        sorted(statement.keys),
        _STATEMENTS.dump_json(statement).decode(),
    )


async def statements_about(tx: Transaction, site_id: str, keys: frozenset[str]) -> list[Statement]:
    """Return, in order of arrival, the statements that `keys` name, and those that these tie to them.

    A number that is known to be shared by many ties nothing.
    """
    keys -= await shared_numbers(tx, site_id, keys)
    while True:
        rows = await tx.connection.fetch(
            "SELECT keys, statement FROM patient_statements WHERE site_id = $1 AND keys && $2::text[] ORDER BY arrival",
            site_id,
            sorted(keys),
        )
        reached = keys.union(*(row["keys"] for row in rows))
        reached -= await shared_numbers(tx, site_id, reached)
        if reached == keys:
            return [_STATEMENTS.validate_json(row["statement"]) for row in rows]
        keys = reached


async def shared_numbers(tx: Transaction, site_id: str, keys: Iterable[str]) -> frozenset[str]:
    """Return those of the keys that are known to be shared by many patients."""
    rows = await tx.connection.fetch(
        "SELECT key FROM shared_numbers WHERE site_id = $1 AND key = ANY($2::text[])", site_id, sorted(keys)
    )
    return frozenset(row["key"] for row in rows)


async def note_shared(tx: Transaction, site_id: str, keys: Iterable[str], message_control_id: str) -> None:
    """Know the numbers as shared from now on, and let a person see it."""
    for key in sorted(keys):
        await tx.connection.execute(
            "INSERT INTO shared_numbers (site_id, key) VALUES ($1, $2) ON CONFLICT DO NOTHING", site_id, key
        )
        subject = deterministic_id("shared number", site_id, key)
        await _set_desk(tx, site_id, [subject], [("patient", subject, said_in(SHARED, message_control_id))])


async def known(tx: Transaction, site_id: str, *patients: Patient) -> KnownPatients:
    """Return the records that could be those of `patients`."""
    numbers = id_numbers(one for patient in patients for one in patient.identifiers)
    return await known_by(tx, site_id, numbers)


async def known_by(tx: Transaction, site_id: str, numbers: Iterable[str]) -> KnownPatients:
    """Return the records of whoever has, or had, one of these numbers of any authority."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT r.record_id, r.record FROM patient_numbers n JOIN patient_records r USING (site_id, record_id)"
        " WHERE n.site_id = $1 AND n.id_number = ANY($2::text[]) ORDER BY r.record_id",
        site_id,
        sorted(numbers),
    )
    return KnownPatients(tuple(_RECORDS.validate_json(row["record"]) for row in rows))


async def keep(tx: Transaction, site_id: str, before: Sequence[Record], folded: Folded) -> None:
    """Write the records as they are now in place of `before`."""
    gone = [record.record_id for record in before]
    await tx.connection.execute(
        "WITH numbers AS (DELETE FROM patient_numbers WHERE site_id = $1 AND record_id = ANY($2::uuid[]))"
        " DELETE FROM patient_records WHERE site_id = $1 AND record_id = ANY($2::uuid[])",
        site_id,
        gone,
    )
    await tx.connection.executemany(
        "INSERT INTO patient_records (site_id, record_id, record) VALUES ($1, $2, $3)",
        [(site_id, record.record_id, _RECORDS.dump_json(record).decode()) for record in folded.records],
    )
    await tx.connection.executemany(
        "INSERT INTO patient_numbers (site_id, id_number, record_id) VALUES ($1, $2, $3)",
        [
            (site_id, number, record.record_id)
            for record in folded.records
            for number in sorted(id_numbers((*record.identifiers, *record.former)))
        ],
    )


async def note_open(
    tx: Transaction, site_id: str, statements: Sequence[Statement], before: Sequence[Record], folded: Folded
) -> None:
    """Let the desk and the list of waiting merges hold what is open now of these statements, and nothing else."""
    events = sorted({statement.event_id for statement in statements})
    await tx.connection.execute(
        "DELETE FROM waiting_merges WHERE site_id = $1 AND event_id = ANY($2::uuid[])", site_id, events
    )
    await tx.connection.executemany(
        "INSERT INTO waiting_merges (site_id, id_number, key, event_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        [(site_id, s.id_number, key_of(s), one.event_id) for one in folded.waiting for s in one.survivors],
    )
    subjects = {*events, *(record.record_id for record in (*before, *folded.records))}
    await _set_desk(tx, site_id, sorted(subjects), _entries(folded))


async def note_named(tx: Transaction, site_id: str, named: Iterable[tuple[str, Cause]]) -> None:
    """Note that orders or images name patients by these numbers: a merge may wait for one of them."""
    rows = [(number, cause.id, cause.traceparent) for number, cause in named]
    await tx.connection.execute(
        "UPDATE waiting_merges w SET named_by = e.named_by, named_traceparent = e.traceparent"
        " FROM unnest($2::text[], $3::uuid[], $4::text[]) AS e (id_number, named_by, traceparent)"
        " WHERE w.site_id = $1 AND w.id_number = e.id_number AND w.named_by IS NULL",
        site_id,
        *([row[part] for row in rows] for part in range(3)),
    )


async def named_since(tx: Transaction) -> list[tuple[str, EventReference]]:
    """Return the keys of surviving patients that merges wait for and that were named since, and by what."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT ON (site_id, key) site_id, key, named_by, named_traceparent FROM waiting_merges"
        " WHERE named_by IS NOT NULL ORDER BY site_id, key"
    )
    return [
        (
            row["key"],
            EventReference(id=UUID(str(row["named_by"])), site_id=row["site_id"], traceparent=row["named_traceparent"]),
        )
        for row in rows
    ]


async def forget_named(tx: Transaction, site_id: str, key: str) -> None:
    """Let a merge wait for its survivor to be named again."""
    await tx.connection.execute(
        "UPDATE waiting_merges SET named_by = NULL WHERE site_id = $1 AND key = $2", site_id, key
    )


async def orders_naming(tx: Transaction, site_id: str, numbers: Iterable[str]) -> list[StoredOrder]:
    """Return the orders whose patient has one of these numbers of any authority, and hold them as they are."""
    rows = await tx.connection.fetch(
        "SELECT o.revision, o.service_request, o.patient FROM orders o"
        " WHERE o.site_id = $1 AND jsonb_path_query_array(o.patient, '$.identifiers[*].id_number') ?| $2::text[]"
        " ORDER BY o.order_id FOR UPDATE",
        site_id,
        sorted(numbers),
    )
    return [
        StoredOrder(
            revision=row["revision"],
            order=ServiceRequest.model_validate_json(row["service_request"]),
            patient=Patient.model_validate_json(row["patient"]),
        )
        for row in rows
    ]


async def note_doubtful(
    tx: Transaction, site_id: str, known: KnownPatients, ordered: Iterable[tuple[UUID, Patient]]
) -> None:
    """Keep an order on the desk as long as ADT knows its patient's number as another person's."""
    doubtful = {order_id: known.is_doubtful(patient) for order_id, patient in ordered}
    entries = [("order", order_id, NOT_THEIRS) for order_id, is_doubtful in doubtful.items() if is_doubtful]
    await _set_desk(tx, site_id, sorted(doubtful), entries)


async def note_other_patients(tx: Transaction, site_id: str, named: Iterable[tuple[UUID, str]]) -> None:
    """Lay orders on the desk, each with the message (MSH-10) that named another patient, until a person has looked."""
    entries = [("order", order_id, f"{ANOTHER_PATIENT}: {message}") for order_id, message in named]
    await _put_on_desk(tx, site_id, entries)


async def raise_order(tx: Transaction, site_id: str, order_id: UUID) -> None:
    """Count one revision on: the order is the same, its patient reads differently."""
    await tx.connection.execute(
        "UPDATE orders SET revision = revision + 1 WHERE site_id = $1 AND order_id = $2", site_id, order_id
    )


async def cases_imaging(tx: Transaction, site_id: str, numbers: Iterable[str]) -> list[UUID]:
    """Return the cases whose images name a patient with one of these numbers of any authority."""
    rows = await tx.connection.fetch(
        "SELECT c.case_id FROM cases c WHERE c.site_id = $1"
        " AND jsonb_path_query_array(c.imaged_patient, '$.identifiers[*].id_number') ?| $2::text[]",
        site_id,
        sorted(numbers),
    )
    return [UUID(str(row["case_id"])) for row in rows]


async def identifiers_named(tx: Transaction, site_id: str, numbers: Iterable[str]) -> list[PatientIdentifier]:
    """Return the identifiers of every patient that an order or an image names by one of these numbers."""
    rows = await tx.connection.fetch(
        "SELECT o.patient FROM orders o WHERE o.site_id = $1"
        " AND jsonb_path_query_array(o.patient, '$.identifiers[*].id_number') ?| $2::text[]"
        " UNION SELECT c.imaged_patient FROM cases c WHERE c.site_id = $1"
        " AND jsonb_path_query_array(c.imaged_patient, '$.identifiers[*].id_number') ?| $2::text[]",
        site_id,
        sorted(numbers),
    )
    return [one for row in rows for one in Patient.model_validate_json(row["patient"]).identifiers]


def _entries(folded: Folded) -> list[tuple[str, UUID, str]]:
    doubts = [("patient", record.record_id, doubt) for record in folded.records for doubt in record.doubts]
    open_merges = [*((one, WAITS) for one in folded.waiting), *((one, CIRCLE) for one in folded.refused)]
    return [*doubts, *(("merge", one.event_id, said_in(why, one.message_control_id)) for one, why in open_merges)]


async def _set_desk(
    tx: Transaction, site_id: str, subjects: Sequence[UUID], entries: Sequence[tuple[str, UUID, str]]
) -> None:
    """Let the desk hold `entries` about `subjects`; what lay there before keeps its time."""
    await tx.connection.execute(
        "DELETE FROM patient_desk d WHERE site_id = $1 AND subject = ANY($2::uuid[]) AND NOT EXISTS ("
        "SELECT FROM unnest($3::text[], $4::uuid[], $5::text[]) AS e (kind, subject, reason)"
        " WHERE (e.kind, e.subject, e.reason) = (d.kind, d.subject, d.reason)) AND NOT starts_with(d.reason, $6)",
        site_id,
        subjects,
        *([entry[part] for entry in entries] for part in range(3)),
        ANOTHER_PATIENT,
    )
    await _put_on_desk(tx, site_id, entries)


async def _put_on_desk(tx: Transaction, site_id: str, entries: Sequence[tuple[str, UUID, str]]) -> None:
    if not entries:
        return
    await tx.connection.executemany(
        "INSERT INTO patient_desk (site_id, kind, subject, reason, raised_at) SELECT $1, $2, $3::uuid, $4, $5"
        " WHERE NOT EXISTS (SELECT FROM desk_dismissed d WHERE d.site_id = $1 AND d.entry_kind = $2"
        " AND d.entry_subject = $3::uuid::text AND d.entry_reason = $4)"
        " ON CONFLICT DO NOTHING",
        [(site_id, *entry, tx.clock()) for entry in entries],
    )
