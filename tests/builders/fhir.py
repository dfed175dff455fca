"""What a FHIR result says, coherent for its status, with a fault by keyword. Identities are synthetic and look it."""

from datetime import timedelta
from typing import Any

from overread.contracts.events.cases import SeriesSummary
from overread.contracts.events.inference import Finding
from overread.contracts.events.orders import CodedElement, PatientIdentifier
from overread.protocols.fhir.content import FhirContent, ReportedFinding, ReportStatus
from overread.protocols.hl7.oru_content import Language
from tests.builders.delivery import HANOI
from tests.builders.events import (
    DIGEST,
    NOON,
    REPORT_ID,
    SERIES,
    SITE,
    STUDY,
    a_finding,
    a_model,
    a_patient,
    a_service_request,
    a_signer,
)

CONCLUSION = "Phổi hai bên thông khí tốt & không có nốt mờ < 5 mm.\nTim không to."


def a_reported(finding: Finding | None = None, **changed: Any) -> ReportedFinding:
    """Return a finding of the model, under sub-ID 1."""
    fields: dict[str, Any] = {"finding": finding or a_finding(), "sub_id": "1", "model": a_model()}
    return ReportedFinding(**fields | changed)


def a_nodule(**changed: Any) -> Finding:
    """Return a coded finding with its probability and an abnormal flag."""
    fields = {
        "code": "19005-8",
        "scheme": "LN",
        "display": "Impression",
        "coded_value": "427359005",
        "coded_value_scheme": "SCT",
        "coded_value_display": "Solitary nodule of lung",
        "abnormal_flag": "A",
        "probability": "0.930",
    }
    return Finding.model_validate(fields | changed)


def some_series() -> tuple[SeriesSummary, ...]:
    """Return a series of a known modality, and one whose images do not say it."""
    return (
        SeriesSummary(series_instance_uid=SERIES, modality="CT", instance_count=60),
        SeriesSummary(series_instance_uid=f"{STUDY}.2", instance_count=1),
    )


def a_fhir_content(status: str = "final", **changed: Any) -> FhirContent:
    """Return a report of a volume, a nodule and a clinician's remark; signed when its status says so."""
    report_status = ReportStatus(status)
    is_withdrawal, is_signed = report_status.is_withdrawal, report_status.is_signed
    moment = (NOON + timedelta(minutes=5)).astimezone(HANOI)
    fields: dict[str, Any] = {
        "site_id": SITE,
        "performer": "Bệnh viện Thử Nghiệm",
        "report_id": REPORT_ID,
        "report_revision": 1,
        "predecessor_revision": 1 if report_status is ReportStatus.CORRECTED else None,
        "digest": DIGEST,
        "status": report_status,
        "language": Language.VIETNAMESE,
        "is_synthetic": True,
        "patient": a_patient(identifiers=some_identifiers()),
        "orders": (an_order(),),
        "study_instance_uid": STUDY,
        "modalities": ("CT",),
        "study_description": "CT ngực",
        "series": some_series(),
        "effective_at": (NOON - timedelta(hours=1)).astimezone(HANOI),
        "issued_at": moment,
        "findings": some_findings(),
        "models": (a_model(),),
        "conclusion": "" if is_withdrawal else CONCLUSION,
        "signer": a_signer() if is_signed else None,
        "signed_at": moment if is_signed else None,
        "reason": "Sai bên: sửa lại" if report_status is ReportStatus.CORRECTED or is_withdrawal else "",
    }
    return FhirContent(**fields | changed)


def some_identifiers() -> tuple[PatientIdentifier, ...]:
    """Return a citizen's number and the hospital's own."""
    return (
        PatientIdentifier(id_number="TEST-099012345", assigning_authority="VNBCA", identifier_type_code="NI"),
        PatientIdentifier(id_number="TEST-0001", assigning_authority="BVX", identifier_type_code="MR"),
    )


def an_order(**changed: Any) -> Any:
    """Return an order with placer, filler and accession number, a LOINC service, its doctor and its visit."""
    fields = {
        "filler_order_number": "TEST-FILLER-1",
        "filler_namespace": "RIS",
        "service": CodedElement(identifier="24627-2", text="CT Chest", coding_system="LN"),
        "ordering_provider": CodedElement(identifier="BS001", text="MẪU^BÁC SĨ"),
        "visit_number": "TEST-V-1",
    }
    return a_service_request(**fields | changed)


def some_findings() -> tuple[ReportedFinding, ...]:
    """Return a number with a trailing zero, a coded value with a probability, and a clinician's own finding."""
    return (
        a_reported(a_finding(value="5512.30")),
        a_reported(a_nodule(), sub_id="2"),
        a_reported(a_finding(code="REMARK", display="Ghi chú", value="-0.0", unit="%", unit_display="%"), model=None),
    )
