"""What a result of another system does: it is kept, and the cases that it stands beside, or has closed, are told."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from overread.assembly import (
    case_context,
    context_store,
    context_telling,
    matching,
    observations,
    order_store,
    reader_reports,
)
from overread.assembly.patient_numbers import id_numbers
from overread.assembly.reader_reports import ReaderReport
from overread.assembly.settings import AssemblySettings
from overread.contracts.envelope import Event
from overread.contracts.events.intake import HL7Received
from overread.protocols.hl7.lengths import check_numbers
from overread.protocols.hl7.observation_report import ObservationReport, read_observation_reports
from overread.protocols.hl7.tokenise import tokenise
from overread.runtime.inbox import Transaction
from overread.runtime.telemetry import log

RECENT = timedelta(days=14)
"""How long after its case opened a laboratory's new result is told of the case."""

Received = tuple[Event[HL7Received], bytes]
Touched = dict[UUID, Event[HL7Received]]


class ResultTaking:
    """Takes ORU messages: from links and applications that the site names, a reader's reports; from all others, values."""

    def __init__(self, settings: AssemblySettings) -> None:
        self._settings = settings

    async def take(self, received: Sequence[Received], tx: Transaction) -> None:
        """Keep what the messages say, then tell each case that it changes, in the order of their ids."""
        told = [(event, report) for event, raw in received for report in self._read(event.data, raw)]
        by_site: dict[str, list[tuple[Event[HL7Received], ObservationReport]]] = {}
        for event, report in told:
            by_site.setdefault(event.site_id, []).append((event, report))
        for site_id in sorted(by_site):
            await self._take_of_site(tx, site_id, by_site[site_id])

    def _read(self, received: HL7Received, raw: bytes) -> Sequence[ObservationReport]:
        message = tokenise(raw, received.fallback_charset or None)
        reports = read_observation_reports(
            message, time_zone=self._settings.time_zone, accession_places=received.accession_places
        )
        check_numbers(message)
        return [report for report in reports if not self._is_our_own(received, report)]

    def _is_our_own(self, received: HL7Received, report: ObservationReport) -> bool:
        """Say whether it is what Overread sent, come back: such a message must never close a case or be shown as news."""
        is_ours = report.is_from_overread or received.sending_application == self._settings.sending_application
        if is_ours:
            log.info("own_result_came_back", link_id=received.link_id, message_control_id=received.message_control_id)
        return is_ours

    async def _take_of_site(
        self, tx: Transaction, site_id: str, told: Sequence[tuple[Event[HL7Received], ObservationReport]]
    ) -> None:
        readers = [(event, _reader_report(event, report)) for event, report in told if self._is_reader(event.data)]
        values = [(event, report) for event, report in told if not self._is_reader(event.data)]
        await _lock(tx, site_id, [report for _, report in readers], [report for _, report in values])
        touched: Touched = {}
        for event, report in readers:
            await _take_reader_report(tx, event, report, touched)
        for event, observed in values:
            await _take_values(tx, event, observed, self._settings.local_observation_codes, touched)
        await context_telling.tell_what_differs(tx, touched)

    def _is_reader(self, received: HL7Received) -> bool:
        names = {
            received.sending_application,
            f"{received.sending_application}|{received.sending_facility}",
            f"|{received.sending_facility}",
        }
        return received.link_id in self._settings.report_links or bool(names & self._settings.report_applications)


def _reader_report(event: Event[HL7Received], report: ObservationReport) -> ReaderReport:
    return reader_reports.reader_report(report, event.data)


async def _lock(
    tx: Transaction, site_id: str, readers: Sequence[ReaderReport], values: Sequence[ObservationReport]
) -> None:
    """Hold what orders and images hold too, so that a report and its images can't miss each other."""
    keys = {f"result {report.key}" for report in readers}
    keys |= {f"result of {one}" for report in values for one in _numbers(report)}
    for report in readers:
        keys |= matching.matching_keys(report.accession_numbers, {report.study_instance_uid} - {""})
    await order_store.lock_matching(tx, site_id, keys)


def _numbers(report: ObservationReport) -> set[str]:
    return {identifier.id_number for identifier in report.patient.identifiers}


async def _take_reader_report(
    tx: Transaction, event: Event[HL7Received], report: ReaderReport, touched: Touched
) -> None:
    kept = await context_store.reader_reports_named(tx, event.site_id, report)
    sender, known = reader_reports.known_as(report, kept)
    if known is not None and report.place < known.place:
        return
    cases_of_both = await context_store.cases_named_by(tx, event.site_id, report)
    if known is not None:
        cases_of_both += await context_store.cases_named_by(tx, event.site_id, known)
    await context_store.save_reader_report(tx, event.site_id, report)
    if sender != report.sender:
        await context_store.forget_reader_report(tx, event.site_id, report.key, sender)
    touched |= dict.fromkeys(cases_of_both, event)


async def _take_values(
    tx: Transaction,
    event: Event[HL7Received],
    report: ObservationReport,
    local_codes: Mapping[str, str],
    touched: Touched,
) -> None:
    said = observations.kept(report, event.data, local_codes)
    known = await context_store.observations_of(tx, event.site_id, said)
    changed, taken_over = observations.merged(said, known)
    await context_store.forget_observations(tx, event.site_id, taken_over)
    await context_store.save_observations(tx, event.site_id, changed)
    if any(one.concept and not one.is_bedside for one in changed):
        patient = await case_context.with_all_numbers(tx, event.site_id, changed[0].patient)
        numbers, since = id_numbers(patient.identifiers), tx.clock() - RECENT
        recent = await context_store.recent_cases_of(tx, event.site_id, numbers, since=since)
        touched |= {case_id: event for case_id in recent if case_id not in touched}
