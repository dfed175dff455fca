"""Results as a FHIR R4 transaction: one bundle for each report, whatever it answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from uuid import UUID

from overread.contracts import codec
from overread.contracts.events.inference import ModelReference, Outcome
from overread.contracts.events.reports import ReportDocument
from overread.contracts.identifiers import deterministic_id, nfc
from overread.delivery import faithful
from overread.delivery.destinations import FhirDestination
from overread.delivery.faithful import NumberedFinding
from overread.delivery.sequence import Status
from overread.delivery.telling import Telling, Written, observed_at, source_of
from overread.protocols.fhir.codes import GENDERS, coding_system
from overread.protocols.fhir.content import FhirContent, ReportedFinding, ReportStatus, observation_id
from overread.protocols.fhir.diagnostic_report import render
from overread.protocols.fhir.reading import FhirReading, SaidFinding, meant, read

FORM = "fhir"

STATUSES: Mapping[Status, ReportStatus] = {
    Status.UNVERIFIED: ReportStatus.PARTIAL,
    Status.PRELIMINARY: ReportStatus.PRELIMINARY,
    Status.FINAL: ReportStatus.FINAL,
    Status.CORRECTED: ReportStatus.CORRECTED,
    Status.CANCELLED: ReportStatus.CANCELLED,
    Status.WITHDRAWN: ReportStatus.ENTERED_IN_ERROR,
}
"""DiagnosticReport.status of each: `preliminary` would say that somebody has verified it."""


class FhirForm:
    """A transaction bundle around one DiagnosticReport (FHIR R4)."""

    def write(self, telling: Telling[FhirDestination]) -> Iterator[Written[FhirContent]]:
        """Yield the bundle; raise `NotRenderable` when FHIR can't say it."""
        content = content_for(telling)
        yield Written(form=FORM, message=render(content), message_control_id=_bundle_id(telling), meant=content)

    def unlike(self, written: Written[FhirContent], telling: Telling[FhirDestination]) -> Iterator[str]:
        """Compare the bundle with what was meant, and with the document itself and not with what was made of it."""
        said, expected = read(written.message), meant(written.meant)
        names = (field.name for field in fields(FhirReading))
        yield from (name for name in names if getattr(said, name) != getattr(expected, name))
        yield from _unlike_document(said, telling)


def content_for(telling: Telling[FhirDestination]) -> FhirContent:
    """Return what the bundle says, as values."""
    document, occasion, is_taken_back = telling.document, telling.occasion, telling.status.takes_back
    return FhirContent(
        site_id=document.site_id,
        performer=occasion.sending.facility or document.site_id,
        report_id=document.report_id,
        report_revision=document.report_revision,
        predecessor_revision=_predecessor(telling),
        digest=codec.sha256(telling.raw),
        status=STATUSES[telling.status],
        language=telling.language,
        is_synthetic=document.is_synthetic,
        patient=document.patient,
        orders=telling.orders,
        study_instance_uid=document.study_instance_uid,
        modalities=document.modalities,
        study_description=document.study_description,
        series=document.series,
        effective_at=observed_at(document.study_date_time, occasion.time_zone),
        issued_at=telling.said_at,
        findings=_reported(telling.stated, document),
        retracted=_reported(telling.retracted, telling.previous or document),
        models=_models(document),
        conclusion="" if is_taken_back else document.conclusion,
        signer=document.signed_by if telling.status.is_signed else None,
        signed_at=telling.said_at if telling.status.is_signed else None,
        reason=telling.reason,
    )


def _bundle_id(telling: Telling[FhirDestination]) -> str:
    """Name the bundle in our own records; the receiver knows the report by its identifier."""
    report = (str(telling.document.report_id), str(telling.document.report_revision))
    return str(deterministic_id("fhir-bundle", *report, telling.destination.name, telling.status.value))


def _predecessor(telling: Telling[FhirDestination]) -> int | None:
    told = [before.report_revision for before in telling.earlier if before.status.is_signed and not before.was_refused]
    return max(told, default=None) if telling.status is Status.CORRECTED else None


def _reported(findings: Sequence[NumberedFinding], document: ReportDocument) -> tuple[ReportedFinding, ...]:
    return tuple(
        ReportedFinding(
            finding=finding,
            sub_id=sub_id,
            model=source.model if (source := source_of(finding, document.ai_results)) else None,
        )
        for finding, sub_id in findings
    )


def _models(document: ReportDocument) -> tuple[ModelReference, ...]:
    return tuple(result.model for result in document.ai_results if result.outcome is Outcome.COMPLETED)


def _unlike_document(said: FhirReading, telling: Telling[FhirDestination]) -> Iterator[str]:
    document = telling.document
    if said.status is not STATUSES[telling.status] or said.report_id != document.report_id:
        yield "status"
    if _said_patient(said) != _patient_of(document):
        yield "patient"
    if {nfc(number) for number in said.accession_numbers} != _accession_numbers(telling):
        yield "accession number"
    if said.study_instance_uid != document.study_instance_uid or said.is_synthetic != document.is_synthetic:
        yield "study"
    if said.series != _series_of(document):
        yield "series"
    if _said_signer(said) != _signer_of(telling):
        yield "signer"
    if faithful.lines(said.conclusion) != faithful.lines("" if telling.status.takes_back else document.conclusion):
        yield "conclusion"
    yield from _unlike_findings(said, telling)


def _unlike_findings(said: FhirReading, telling: Telling[FhirDestination]) -> Iterator[str]:
    document = telling.document
    if tuple(_said_finding(finding) for finding in said.findings) != _findings_of(telling):
        yield "findings"
    if said.retracted != {observation_id(document.report_id, *each) for each in telling.retracted}:
        yield "findings that hold no more"


def _said_patient(said: FhirReading) -> tuple[object, ...]:
    numbers = frozenset(value for _, value in said.patient_identifiers)
    return numbers, said.family_name, said.given_name, said.birth_date, said.gender


def _patient_of(document: ReportDocument) -> tuple[object, ...]:
    numbers = frozenset(number for number, *_ in faithful.identifiers_of(document))
    sex = faithful.sex_of(document)
    gender = GENDERS.get(sex, "unknown" if sex else "")
    return numbers, *faithful.name_of(document), faithful.birth_date_of(document), gender


def _series_of(document: ReportDocument) -> tuple[tuple[str, str, str], ...]:
    """Return the study's series as FHIR has them: those whose modality is known."""
    every = ((series.series_instance_uid, series.modality, str(series.instance_count)) for series in document.series)
    return tuple(said for said in every if said[1])


def _accession_numbers(telling: Telling[FhirDestination]) -> set[str]:
    return {nfc(order.accession_number) for order in telling.orders if order.accession_number}


def _said_signer(said: FhirReading) -> tuple[str, ...]:
    return (said.signer.subject, said.signer.family_name, said.signer.given_name) if said.signer else ()


def _signer_of(telling: Telling[FhirDestination]) -> tuple[str, ...]:
    signer = telling.document.signed_by if telling.status.is_signed else None
    return (nfc(signer.subject), nfc(signer.family_name), nfc(signer.given_name)) if signer else ()


def _said_finding(said: SaidFinding) -> tuple[str, ...]:
    name = (said.system, said.code, str(said.observation_id))
    value = (said.value, said.unit, said.coded_system, said.coded_value, said.probability, said.abnormal_flag)
    return (*name, *value, said.site_system, said.site_code, said.property_system, said.property_code)


def _findings_of(telling: Telling[FhirDestination]) -> tuple[tuple[str, ...], ...]:
    """Return the document's findings, under the names that FHIR has for their code systems and sub-IDs."""
    document = telling.document
    stated = faithful.stated(telling.stated, without_values=telling.status.takes_back)
    ids = (observation_id(document.report_id, *each) for each in telling.stated)
    return tuple(_in_fhir(document, finding, own_id) for finding, own_id in zip(stated, ids, strict=True))


def _in_fhir(document: ReportDocument, finding: faithful.SaidFinding, own_id: UUID) -> tuple[str, ...]:
    scheme, code, _, value, unit, coded_scheme, coded, probability, flag, site_scheme, site, broad_scheme, broad = (
        finding
    )
    schemes = (scheme, coded_scheme, site_scheme, broad_scheme)
    name_system, coded_system, site_system, broad_system = (_system(document, each) for each in schemes)
    said = (value, unit, coded_system, coded, probability, flag)
    return (name_system, code, str(own_id), *said, site_system, site, broad_system, broad)


def _system(document: ReportDocument, scheme: str) -> str:
    return coding_system(document.site_id, scheme) if scheme else ""
