"""Assembly's tables of what is known around cases: readers' reports of other systems, laboratory and bedside results."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from overread.assembly.observations import KeptObservation, Key
from overread.assembly.patient_numbers import id_numbers
from overread.assembly.reader_reports import ReaderReport
from overread.contracts.events.cases import Case
from overread.runtime.inbox import Transaction

_REPORTS = TypeAdapter(ReaderReport)
_OBSERVATIONS = TypeAdapter(KeptObservation)


async def reader_reports_named(tx: Transaction, site_id: str, report: ReaderReport) -> dict[str, ReaderReport]:
    """Return what is kept under the report's name, by sender: its own, and what was kept before senders were."""
    rows = await tx.connection.fetch(
        "SELECT sender, report FROM reader_reports WHERE site_id = $1 AND report_key = $2 AND sender = ANY($3::text[])",
        site_id,
        report.key,
        ["", report.sender],
    )
    return {row["sender"]: _REPORTS.validate_json(row["report"]) for row in rows}


async def forget_reader_report(tx: Transaction, site_id: str, key: str, sender: str) -> None:
    """Let go of a report that is kept under another sender's name from now on."""
    await tx.connection.execute(
        "DELETE FROM reader_reports WHERE site_id = $1 AND report_key = $2 AND sender = $3", site_id, key, sender
    )


async def save_reader_report(tx: Transaction, site_id: str, report: ReaderReport) -> None:
    """Keep the report's newest word."""
    await tx.connection.execute(
        "INSERT INTO reader_reports"
        " (site_id, report_key, accession_numbers, order_numbers, study_instance_uid, report, sender)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (site_id, report_key, sender) DO UPDATE SET"
        " accession_numbers = excluded.accession_numbers, order_numbers = excluded.order_numbers,"
        " study_instance_uid = excluded.study_instance_uid, report = excluded.report",
        site_id,
        report.key,
        sorted(report.accession_numbers),
        [number.number for number in (report.placer, report.filler) if number],
        report.study_instance_uid,
        _REPORTS.dump_json(report).decode(),
        report.sender,
    )


async def reader_reports_for(
    tx: Transaction, site_id: str, case: Case, accessions: Iterable[str]
) -> list[ReaderReport]:
    """Return every report that a number or the StudyInstanceUID ties to the case."""
    numbers = {number for order in case.orders for number in (order.placer_order_number, order.filler_order_number)}
    rows = await tx.connection.fetch(
        "SELECT report FROM reader_reports WHERE site_id = $1"
        " AND (study_instance_uid = $2 OR accession_numbers && $3::text[] OR order_numbers && $4::text[])",
        site_id,
        case.study_instance_uid,
        sorted(accessions),
        sorted(numbers - {""}),
    )
    return [_REPORTS.validate_json(row["report"]) for row in rows]


async def accessions_of(tx: Transaction, site_id: str, case: Case) -> frozenset[str]:
    """Return the accession numbers of the case's images and orders."""
    rows = await tx.connection.fetch(
        "SELECT accession_number FROM case_accessions WHERE site_id = $1 AND case_id = $2", site_id, case.case_id
    )
    ordered = {order.accession_number for order in case.orders if order.accession_number}
    return frozenset({row["accession_number"] for row in rows} | ordered)


async def cases_named_by(tx: Transaction, site_id: str, report: ReaderReport) -> list[UUID]:
    """Return the cases that a number of the report or its StudyInstanceUID could mean."""
    rows = await tx.connection.fetch(
        "SELECT case_id FROM cases WHERE site_id = $1 AND study_instance_uid = $2"
        " UNION SELECT case_id FROM case_accessions WHERE site_id = $1 AND accession_number = ANY($3::text[])"
        " UNION SELECT l.case_id FROM orders o JOIN case_orders l USING (site_id, order_id)"
        " WHERE o.site_id = $1 AND o.accession_number = ANY($3::text[])"
        " UNION SELECT l.case_id FROM order_numbers n JOIN case_orders l USING (site_id, order_id)"
        " WHERE n.site_id = $1 AND split_part(n.number, '^', 1) = ANY($4::text[])",
        site_id,
        report.study_instance_uid,
        sorted(report.accession_numbers),
        [number.number for number in (report.placer, report.filler) if number],
    )
    return [UUID(str(row["case_id"])) for row in rows]


async def observations_of(tx: Transaction, site_id: str, said: Iterable[KeptObservation]) -> dict[Key, KeptObservation]:
    """Return what is known of the reports that the observations are of, and hold its rows."""
    named = {(one.report_key, one.sender) for one in said}
    rows = await tx.connection.fetch(
        "SELECT observation FROM observations WHERE site_id = $1 AND report_key = ANY($2::text[])"
        " AND sender = ANY($3::text[]) ORDER BY report_key, sender, code, sub_id FOR UPDATE",
        site_id,
        sorted({report_key for report_key, _ in named}),
        sorted({"", *(sender for _, sender in named)}),
    )
    known = [_OBSERVATIONS.validate_json(row["observation"]) for row in rows]
    return {one.key: one for one in known}


async def save_observations(tx: Transaction, site_id: str, observations: Sequence[KeptObservation]) -> None:
    """Keep the newest word about each."""
    await tx.connection.executemany(
        "INSERT INTO observations (site_id, report_key, sender, code, sub_id, concept, id_numbers, moment, observation)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (site_id, report_key, sender, code, sub_id) DO UPDATE SET"
        " concept = excluded.concept, id_numbers = excluded.id_numbers, moment = excluded.moment,"
        " observation = excluded.observation",
        [
            (
                site_id,
                *one.key,
                one.concept,
                sorted(id_numbers(one.patient.identifiers)),
                one.moment,
                _OBSERVATIONS.dump_json(one).decode(),
            )
            for one in observations
        ],
    )


async def forget_observations(tx: Transaction, site_id: str, observations: Iterable[KeptObservation]) -> None:
    """Let go of what is kept under its sender's name from now on."""
    await tx.connection.executemany(
        "DELETE FROM observations WHERE (site_id, report_key, sender, code, sub_id) = ($1, $2, $3, $4, $5)",
        [(site_id, *one.key) for one in observations],
    )


async def observations_about(
    tx: Transaction, site_id: str, numbers: Iterable[str], *, since: datetime
) -> list[KeptObservation]:
    """Return what is known of listed concepts about whoever has one of the numbers."""
    rows = await tx.connection.fetch(
        "SELECT observation FROM observations"
        " WHERE site_id = $1 AND concept <> '' AND id_numbers && $2::text[] AND moment >= $3",
        site_id,
        sorted(numbers),
        since,
    )
    return [_OBSERVATIONS.validate_json(row["observation"]) for row in rows]


async def note_patient(tx: Transaction, site_id: str, case_id: UUID, numbers: Iterable[str]) -> None:
    """Note under which numbers the case's patient is known, and since when."""
    await tx.connection.execute(
        "INSERT INTO case_patients (site_id, id_number, case_id, noted_at) SELECT $1, number, $3, $4"
        " FROM unnest($2::text[]) AS number ON CONFLICT DO NOTHING",
        site_id,
        sorted(numbers),
        case_id,
        tx.clock(),
    )


async def recent_cases_of(tx: Transaction, site_id: str, numbers: Iterable[str], *, since: datetime) -> list[UUID]:
    """Return the cases of whoever has one of the numbers that were not there before `since`."""
    rows = await tx.connection.fetch(
        "SELECT DISTINCT case_id FROM case_patients"
        " WHERE site_id = $1 AND id_number = ANY($2::text[]) AND noted_at >= $3",
        site_id,
        sorted(numbers),
        since,
    )
    return [UUID(str(row["case_id"])) for row in rows]


async def told_context(tx: Transaction, site_id: str, case_id: UUID) -> str | None:
    """Return what the newest event of the case told of its context, None when none told any."""
    told: str | None = await tx.connection.fetchval(
        "SELECT told FROM case_contexts WHERE site_id = $1 AND case_id = $2", site_id, case_id
    )
    return told


async def save_told_context(tx: Transaction, site_id: str, case_id: UUID, told: str) -> None:
    """Keep what an event of the case tells of its context."""
    await tx.connection.execute(
        "INSERT INTO case_contexts (site_id, case_id, told) VALUES ($1, $2, $3)"
        " ON CONFLICT (site_id, case_id) DO UPDATE SET told = excluded.told",
        site_id,
        case_id,
        told,
    )
