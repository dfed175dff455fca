"""What one transaction says of one report, as values; `diagnostic_report` writes it, `reading` reads it back."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from overread.contracts.errors import Malformed
from overread.contracts.events.cases import SeriesSummary
from overread.contracts.events.inference import Finding, ModelReference
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.contracts.events.reports import Signer
from overread.contracts.identifiers import deterministic_id
from overread.protocols.fhir.codes import identifier_system, is_uri
from overread.protocols.hl7.oru_content import Language

_NUMERIC = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class NotRenderable(Malformed):
    """The content can't be said in FHIR without breaking one of its rules."""


class ReportStatus(StrEnum):
    """DiagnosticReport.status (FHIR R4). `partial` may be unverified; `preliminary` means *verified* early results.

    `cancelled` takes back what was never final, `entered-in-error` what was.
    """

    PARTIAL = "partial"
    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    CANCELLED = "cancelled"
    ENTERED_IN_ERROR = "entered-in-error"

    @property
    def is_signed(self) -> bool:
        """True where a named clinician answers for it; withdrawing a final needs a signature too."""
        return self in (ReportStatus.FINAL, ReportStatus.CORRECTED, ReportStatus.ENTERED_IN_ERROR)

    @property
    def is_unconfirmed(self) -> bool:
        """True where the text must say that no clinician has confirmed it."""
        return self in (ReportStatus.PARTIAL, ReportStatus.PRELIMINARY)

    @property
    def is_withdrawal(self) -> bool:
        """True where nothing of the report holds any more."""
        return self in (ReportStatus.CANCELLED, ReportStatus.ENTERED_IN_ERROR)


OBSERVATION_STATUS: Mapping[ReportStatus, str] = {
    ReportStatus.PARTIAL: "preliminary",
    ReportStatus.PRELIMINARY: "preliminary",
    ReportStatus.FINAL: "final",
    ReportStatus.CORRECTED: "corrected",
    ReportStatus.CANCELLED: "cancelled",
    ReportStatus.ENTERED_IN_ERROR: "entered-in-error",
}
"""Observation.status under each status of the report."""

RETRACTED_STATUS: Mapping[ReportStatus, str] = {
    **OBSERVATION_STATUS,
    ReportStatus.PARTIAL: "cancelled",
    ReportStatus.PRELIMINARY: "cancelled",
    ReportStatus.FINAL: "cancelled",
    ReportStatus.CORRECTED: "entered-in-error",
}
"""Observation.status of a finding that this receiver was told before and that the report no longer states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedFinding:
    """A finding under the sub-ID that it keeps through every status; `model` is absent where a clinician said it."""

    finding: Finding
    sub_id: str
    model: ModelReference | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirContent:
    """One report as one receiver is told it. Texts count in NFC, times to the millisecond.

    `models` are all that contributed. `retracted` are findings that the receiver was told before and that the report no
    longer states. `predecessor_revision` is the revision that this one replaces. `digest` is that of the document.
    `systems` gives the URI of an assigning authority where the receiver knows it by one of its own.
    """

    site_id: str
    performer: str
    report_id: UUID
    report_revision: int
    predecessor_revision: int | None = None
    digest: str
    status: ReportStatus
    language: Language
    is_synthetic: bool
    patient: Patient
    orders: tuple[ServiceRequest, ...]
    study_instance_uid: str
    modalities: tuple[str, ...] = ()
    study_description: str = ""
    series: tuple[SeriesSummary, ...] = ()
    effective_at: datetime | None
    issued_at: datetime
    findings: tuple[ReportedFinding, ...]
    retracted: tuple[ReportedFinding, ...] = ()
    models: tuple[ModelReference, ...]
    conclusion: str
    signer: Signer | None
    signed_at: datetime | None
    reason: str = ""
    systems: Mapping[str, str] = field(default_factory=dict)

    def system_of(self, kind: str, authority: str) -> str:
        """Return the URI of `authority`: the receiver's own where it is known, the one that it is already, or ours."""
        own = authority if is_uri(authority) else identifier_system(self.site_id, kind, authority)
        return self.systems.get(authority) or own


def observation_id(report_id: UUID, finding: Finding, sub_id: str) -> UUID:
    """Return the ID of a finding in its report: the same through every status, as OBX-3 with OBX-4 is in HL7 v2."""
    return deterministic_id("fhir", "Observation", str(report_id), finding.scheme, finding.code, sub_id)


def check(content: FhirContent) -> None:
    """Raise `NotRenderable` with the first rule that the content breaks; afterwards it can be said in FHIR."""
    sentence = next(_broken_rules(content), None)
    if sentence:
        raise NotRenderable(sentence)


def _broken_rules(content: FhirContent) -> Iterator[str]:
    yield from _broken_identity_rules(content)
    yield from _broken_status_rules(content)
    for reported in (*content.findings, *content.retracted):
        yield from _broken_finding_rules(reported)
    every = (*content.findings, *content.retracted)
    if len({observation_id(content.report_id, r.finding, r.sub_id) for r in every}) < len(every):
        yield "Two findings share code and sub-ID, so a receiver would keep only one."
    if any(_CONTROL.search(text) for text in _texts(content)):
        yield "A text has a control character, which FHIR forbids (R4, string)."


def _broken_identity_rules(content: FhirContent) -> Iterator[str]:
    if not content.patient.identifiers or not all(i.id_number.strip() for i in content.patient.identifiers):
        yield "A result needs a patient identifier (Patient.identifier)."
    if not content.study_instance_uid:
        yield "A result names its study (ImagingStudy.identifier)."
    if not content.performer.strip():
        yield "A result names who performed it (DiagnosticReport.performer)."
    if any(moment is not None and moment.tzinfo is None for moment in _moments(content)):
        yield "Every time needs its offset from UTC."


def _broken_status_rules(content: FhirContent) -> Iterator[str]:
    status = content.status
    if status.is_signed and not (content.signer and content.signer.family_name.strip() and content.signed_at):
        yield "A signed result needs a signer with a name, and the time of the signature."
    if not status.is_signed and (content.signer or content.signed_at):
        yield "A result that is not signed names no signer (DiagnosticReport.resultsInterpreter)."
    if not status.is_withdrawal and status.is_signed and not content.conclusion.strip() and not content.findings:
        yield "A final or corrected result has to say something."
    if status.is_withdrawal and (content.conclusion.strip() or not content.reason.strip()):
        yield "A withdrawn result says why, and nothing else."
    if content.reason and (status.is_unconfirmed or status is ReportStatus.FINAL):
        yield "Only a correction or a withdrawal gives a reason."


def _broken_finding_rules(reported: ReportedFinding) -> Iterator[str]:
    finding = reported.finding
    if not finding.code or not finding.scheme or not reported.sub_id:
        yield "A finding needs a code, its scheme and a sub-ID."
    if finding.value is not None and not _NUMERIC.fullmatch(finding.value):
        yield "A number is written in decimal digits, without an exponent and without leading zeros (decimal)."
    if finding.probability is not None and not _is_probability(finding.probability):
        yield "A probability is a decimal number from 0 to 1."
    if finding.value is not None and finding.coded_value:
        yield "A finding has a number or a coded value, not both (Observation.value[x])."
    if any(concept and not (concept.code and concept.scheme) for concept in (finding.finding_site, finding.property)):
        yield "A site and a property have a code and its scheme (Coding)."


def _is_probability(text: str) -> bool:
    return bool(_NUMERIC.fullmatch(text)) and 0 <= Decimal(text) <= 1


def _moments(content: FhirContent) -> Iterator[datetime | None]:
    yield from (content.effective_at, content.issued_at, content.signed_at)


def _texts(content: FhirContent) -> Iterator[str]:
    """Yield each text that a person may have typed."""
    patient, signer = content.patient, content.signer
    yield from (patient.family_name, patient.given_name, content.conclusion, content.reason, content.study_description)
    yield from (identifier.id_number for identifier in patient.identifiers)
    yield from (signer.family_name, signer.given_name) if signer else ()
    for reported in content.findings:
        yield from (reported.finding.display, reported.finding.coded_value_display, reported.finding.unit_display)
        concepts = (reported.finding.finding_site, reported.finding.property)
        yield from (concept.display for concept in concepts if concept)
    for order in content.orders:
        yield from (order.placer_order_number, order.filler_order_number, order.accession_number or "")
        yield from (order.service.text, order.service.identifier) if order.service else ()
        yield order.ordering_provider.text if order.ordering_provider else ""
