"""A reader's reports that another system sent: which cases each is about, and whether it stands. Pure.

A report is about a case as an order is: a number or the StudyInstanceUID agrees, and the patient does not conflict.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from overread.assembly import patients, result_status
from overread.assembly.observations import MOST_CHARACTERS
from overread.assembly.observed_patients import patient_said
from overread.assembly.senders import sender_named
from overread.contracts.errors import Malformed
from overread.contracts.events.cases import ElsewhereReading
from overread.contracts.events.intake import HL7Received
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.protocols.hl7.data_types import EntityIdentifier, Practitioner
from overread.protocols.hl7.observation_report import ObservationReport


@dataclass(frozen=True, kw_only=True)
class Number:
    """An order number and who gave it."""

    number: str
    namespace: str = ""

    def may_be(self, other: "Number") -> bool:
        """Say whether both are the same number of the same system, or of one that isn't named."""
        is_of_one = self.namespace == other.namespace or not (self.namespace and other.namespace)
        return self.number == other.number and is_of_one


@dataclass(frozen=True, kw_only=True)
class ReaderReport:
    """One report as its newest message says it: whom and what it is about, who reported, and its status."""

    status: str
    said_at: datetime
    reporter: str
    patient: Patient
    is_synthetic: bool
    link_id: str
    sending_application: str
    placer: Number | None = None
    filler: Number | None = None
    accession_number: str = ""
    study_instance_uid: str = ""
    sending_facility: str = ""

    @property
    def sender(self) -> str:
        """Return whose name `key` is: empty for a number with a namespace, and for a StudyInstanceUID."""
        named = self.filler or self.placer
        is_anybodys = bool(named.namespace) if named else not self.accession_number
        return "" if is_anybodys else sender_named(self.sending_application, self.sending_facility, self.link_id)

    @property
    def key(self) -> str:
        """Return what a later message about the same report names it by: OBR-3, else what else it has."""
        named = self.filler or self.placer
        return f"{named.number}^{named.namespace}" if named else self.accession_number or self.study_instance_uid

    @property
    def accession_numbers(self) -> frozenset[str]:
        """Return what may be the accession number: many systems send it as the filler number, and in OBR-18 nothing."""
        said = self.accession_number or (self.filler.number if self.filler else "")
        return frozenset({said} - {""})

    @property
    def place(self) -> result_status.Said:
        """Return the place of this word among those about the report."""
        return result_status.place(self.status, self.said_at)


@dataclass(frozen=True, kw_only=True)
class CaseNames:
    """By what a report could be about a case."""

    study_instance_uid: str
    patient: Patient
    is_synthetic: bool
    accession_numbers: frozenset[str] = frozenset()
    orders: Sequence[ServiceRequest] = field(default=())


def reader_report(report: ObservationReport, received: HL7Received) -> ReaderReport:
    """Return the report of a message, or raise `Malformed` when it names nothing that it could be about."""
    made = ReaderReport(
        status=report.status,
        said_at=report.changed_at or received.received_at,
        reporter=_name(report.interpreter),
        patient=patient_said(report.patient),
        is_synthetic=report.is_test,
        link_id=received.link_id,
        sending_application=received.sending_application,
        sending_facility=received.sending_facility,
        placer=_number(report.placer_order_number),
        filler=_number(report.filler_order_number),
        accession_number=report.accession_number or "",
        study_instance_uid=report.study_instance_uid or "",
    )
    if not made.key:
        raise Malformed("a reader's report names no order, accession number or study")
    return made


def known_as(report: ReaderReport, kept: Mapping[str, ReaderReport]) -> tuple[str, ReaderReport | None]:
    """Return what is `kept` (by sender) of the same report, and under whose name.

    One that was kept before senders were has an empty sender, and is taken for the report if its application is the same.
    """
    if report.sender in kept:
        return report.sender, kept[report.sender]
    old = kept.get("")
    is_theirs = old is not None and old.sending_application == report.sending_application
    return ("", old) if is_theirs else (report.sender, None)


def is_about(report: ReaderReport, case: CaseNames) -> bool:
    """Say whether the report names the case: by the study, else by the accession number, else by an order's number."""
    if report.study_instance_uid and report.study_instance_uid == case.study_instance_uid:
        return True
    if report.accession_number and case.accession_numbers:
        return report.accession_number in case.accession_numbers
    return bool(report.accession_numbers & case.accession_numbers) or _names_an_order(report, case.orders)


def conflict(report: ReaderReport, case: CaseNames) -> str | None:
    """Return why a report that names the case can't be about its patient, None when nothing speaks against it."""
    return patients.conflict(report.patient, case.patient)


def standing(reports: Iterable[ReaderReport], case: CaseNames) -> ElsewhereReading | None:
    """Return the newest final report about the case, None while none stands. A test message speaks of test data alone."""
    final = [
        report
        for report in reports
        if report.status in result_status.FINAL
        and (case.is_synthetic or not report.is_synthetic)
        and is_about(report, case)
        and conflict(report, case) is None
    ]
    if not final:
        return None
    newest = max(final, key=lambda report: report.place)
    return ElsewhereReading(
        reporter=newest.reporter,
        status=newest.status,
        reported_at=newest.said_at,
        link_id=newest.link_id,
        sending_application=newest.sending_application,
    )


def _names_an_order(report: ReaderReport, orders: Iterable[ServiceRequest]) -> bool:
    return any(
        (report.filler and report.filler.may_be(_of(order.filler_order_number, order.filler_namespace)))
        or (report.placer and report.placer.may_be(_of(order.placer_order_number, order.placer_namespace)))
        for order in orders
    )


def _of(number: str, namespace: str) -> Number:
    return Number(number=number, namespace=namespace)


def _number(identifier: EntityIdentifier | None) -> Number | None:
    return Number(number=identifier.entity_identifier, namespace=identifier.namespace_id) if identifier else None


def _name(person: Practitioner | None) -> str:
    said = (f"{person.family_name} {person.given_name}".strip() or person.id_number) if person else ""
    return said[:MOST_CHARACTERS]
