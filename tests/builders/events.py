"""A valid event in one line, a fault by keyword. Identities are synthetic and look it."""

import base64
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from overread.contracts import codec
from overread.contracts.envelope import Body, Event, event_of
from overread.contracts.events.audit import Recorded
from overread.contracts.events.cases import (
    Case,
    CaseWithdrawn,
    CompletenessBasis,
    ContextChanged,
    ContextObservation,
    ElsewhereReading,
    OrderCancelled,
    OrderChangedOnCase,
    OrderLinked,
    PatientCorrected,
    PatientsMerged,
    ReadElsewhere,
    SeriesSummary,
    Study,
    StudyReady,
    StudySuperseded,
)
from overread.contracts.events.deliveries import DeliveryDone, DeliveryOutcome, GateDecided, GateVerdict
from overread.contracts.events.inference import (
    Decision,
    Finding,
    InferenceDone,
    InferencePlanned,
    InferenceRequested,
    Lane,
    ModelReference,
    Outcome,
    PlannedModel,
)
from overread.contracts.events.intake import (
    CorrectionRequested,
    HintKind,
    HL7Received,
    InstanceAttributes,
    InstanceStored,
    IntakeRestarted,
    StudyHint,
)
from overread.contracts.events.operations import ReplayRequested
from overread.contracts.events.order_statements import (
    OrderAction,
    OrderForm,
    OrderNumber,
    OrderReceived,
    OrderStatement,
    RequestPriority,
)
from overread.contracts.events.orders import (
    CodedElement,
    OrderChanged,
    OrderStatus,
    Patient,
    PatientIdentifier,
    ServiceRequest,
)
from overread.contracts.events.reports import (
    ModelResult,
    ReportChanged,
    ReportDocument,
    ReportSigned,
    Signer,
    Verdict,
)
from overread.contracts.identifiers import case_id_for, deterministic_id
from overread.contracts.report_life import ReportState

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SITE = "site"
STUDY = "1.2.826.0.1.3680043.10.1338.1"
SERIES = f"{STUDY}.1"
CASE_ID = case_id_for(SITE, STUDY)
ORDER_ID = deterministic_id("order", SITE, "TEST-PLACER-1")
REPORT_ID = deterministic_id("report", str(CASE_ID))
JOB_ID = deterministic_id("job", str(CASE_ID), "1", "ct-lung-density", "1.0.0")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DIGEST = codec.sha256(b"synthetic")

B = TypeVar("B", bound=Body)


def an_event(data: B, *, source: str = "test", own_key: str = "1", **envelope: Any) -> Event[B]:
    """Wrap `data` as its producer would; any field of the envelope can be given."""
    fields = {
        "time": NOON,
        "subject": str(getattr(data, "case_id", "test")),
        "site_id": SITE,
        "traceparent": TRACEPARENT,
        **envelope,
    }
    return event_of(data, source=source, own_key=own_key, **fields)


def an_hl7_received(raw: bytes = b"MSH|^~\\&|TEST\r", **changed: Any) -> HL7Received:
    """Say that a link took `raw`."""
    fields = {
        "link_id": "his",
        "message_type": "OMI",
        "trigger_event": "O23",
        "version_id": "2.5.1",
        "message_control_id": "TEST-1",
        "sending_application": "HIS",
        "sending_facility": "TEST",
        "digest": codec.sha256(raw),
        "fallback_charset": "UNICODE UTF-8",
        "received_at": NOON,
        "acknowledgment_code": "AA",
        "raw_base64": base64.b64encode(raw).decode(),
    }
    return HL7Received.model_validate(fields | changed)


def a_correction_requested(raw: bytes = b"MSH|^~\\&|TEST\r", **changed: Any) -> CorrectionRequested:
    """Say that a person mended a message that was set aside."""
    fields = {
        "link_id": "his",
        "corrects": deterministic_id("a message that was set aside"),
        "digest": codec.sha256(raw),
        "requested_by": "integrator",
        "requested_at": NOON,
        "raw_base64": base64.b64encode(raw).decode(),
    }
    return CorrectionRequested.model_validate(fields | changed)


def some_attributes(number: int = 1, **changed: Any) -> InstanceAttributes:
    """Return a CT slice's header."""
    fields = {
        "series_instance_uid": SERIES,
        "accession_number": "TEST-ACC-1",
        "patient_id": "TEST-0001",
        "patient_name": "THỬ NGHIỆM^NGUYỄN VĂN",
        "patient_birth_date": date(1970, 1, 1),
        "patient_sex": "M",
        "modality": "CT",
        "series_number": 1,
        "instance_number": number,
        "body_part_examined": "CHEST",
        "rows": 512,
        "columns": 512,
        "pixel_spacing": (0.7, 0.7),
        "slice_thickness": 1.25,
        "image_position_patient": (0.0, 0.0, 1.25 * number),
        "image_orientation_patient": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        "convolution_kernel": ("STANDARD",),
        "burned_in_annotation": "NO",
    }
    return InstanceAttributes.model_validate(fields | changed)


def an_instance_stored(number: int = 1, *, study: str = STUDY, **changed: Any) -> InstanceStored:
    """Say that slice `number` of a CT series is on synced disk."""
    sop = f"{study}.1.{number}"
    fields = {
        "study_instance_uid": study,
        "sop_instance_uid": sop,
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "object_key": f"{SITE}/studies/{study}/{sop}/{DIGEST[:16]}",
        "digest": DIGEST,
        "size_bytes": 526_000,
        "received_at": NOON,
        "calling_ae_title": "TESTCT",
        "association_id": deterministic_id("association", "1"),
        "is_accompanying": False,
        "attributes": some_attributes(number),
    }
    return InstanceStored.model_validate(fields | changed)


def a_study_hint(instances: int = 1, *, study: str = STUDY, **changed: Any) -> StudyHint:
    """Say that the association closed after `instances` slices."""
    fields = {
        "study_instance_uid": study,
        "kind": HintKind.ASSOCIATION_CLOSED,
        "calling_ae_title": "TESTCT",
        "association_id": deterministic_id("association", "1"),
        "sop_instance_uids": tuple(f"{study}.1.{number}" for number in range(1, instances + 1)),
        "is_orderly": True,
    }
    return StudyHint.model_validate(fields | changed)


def an_intake_restarted(**changed: Any) -> IntakeRestarted:
    """Say that the DICOM intake came back after an unclean end."""
    fields = {"study_instance_uid": "", "intake": "dicom_intake", "restarted_at": NOON}
    return IntakeRestarted.model_validate(fields | changed)


def a_patient(**changed: Any) -> Patient:
    """Return a patient whom nobody can mistake for a real one."""
    fields = {
        "identifiers": (
            PatientIdentifier(id_number="TEST-0001", assigning_authority="HIS", identifier_type_code="PI"),
        ),
        "family_name": "THỬ NGHIỆM",
        "given_name": "NGUYỄN VĂN",
        "birth_date": date(1970, 1, 1),
        "sex": "M",
    }
    return Patient.model_validate(fields | changed)


def a_service_request(**changed: Any) -> ServiceRequest:
    """Return an active order of a chest CT."""
    fields = {
        "order_id": ORDER_ID,
        "status": OrderStatus.ACTIVE,
        "placer_order_number": "TEST-PLACER-1",
        "placer_namespace": "HIS",
        "accession_number": "TEST-ACC-1",
        "study_instance_uid": STUDY,
        "service": CodedElement(identifier="CTCHEST", text="CT ngực", coding_system="L"),
        "modality": "CT",
    }
    return ServiceRequest.model_validate(fields | changed)


def an_order_statement(**changed: Any) -> OrderStatement:
    """Return what a sender says that orders a chest CT."""
    fields = {
        "action": OrderAction.NEW,
        "stated_at": NOON,
        "placer": OrderNumber(number="TEST-PLACER-1", namespace="HIS"),
        "accession_number": "TEST-ACC-1",
        "study_instance_uid": STUDY,
        "service": CodedElement(identifier="CTCHEST", text="CT ngực", coding_system="L"),
        "modality": "CT",
        "priority": RequestPriority.ROUTINE,
        "patient": a_patient(),
    }
    return OrderStatement.model_validate(fields | changed)


def an_order_received(raw: bytes = b'{"action":"new"}', **changed: Any) -> OrderReceived:
    """Say that `an_order_statement()` was posted as `raw`."""
    fields = {
        "link_id": "his",
        "form": OrderForm.JSON,
        "media_type": "application/json",
        "message_id": "TEST-1",
        "digest": codec.sha256(raw),
        "received_at": NOON,
        "statement": an_order_statement(),
        "raw_base64": base64.b64encode(raw).decode(),
    }
    return OrderReceived.model_validate(fields | changed)


def an_order_changed(**changed: Any) -> OrderChanged:
    """Say that the order is new."""
    fields = {
        "order_id": ORDER_ID,
        "revision": 1,
        "changed_at": NOON,
        "order": a_service_request(),
        "patient": a_patient(),
    }
    return OrderChanged.model_validate(fields | changed)


def a_study(**changed: Any) -> Study:
    """Return a complete CT study of one series."""
    fields = {
        "study_instance_uid": STUDY,
        "study_revision": 1,
        "manifest_key": f"{SITE}/manifests/{CASE_ID}/1",
        "manifest_digest": DIGEST,
        "modalities": ("CT",),
        "body_part_examined": "CHEST",
        "series_count": 1,
        "instance_count": 60,
        "completeness_basis": CompletenessBasis.QUIET_AFTER_ASSOCIATION,
        "series": (SeriesSummary(series_instance_uid=SERIES, modality="CT", instance_count=60),),
    }
    return Study.model_validate(fields | changed)


def a_case(**changed: Any) -> Case:
    """Return a case with one order, one patient and a complete study."""
    fields = {
        "case_id": CASE_ID,
        "revision": 1,
        "identity_version": 1,
        "study_instance_uid": STUDY,
        "patient": a_patient(),
        "orders": (a_service_request(),),
        "study": a_study(),
        "is_synthetic": True,
    }
    return Case.model_validate(fields | changed)


def a_study_ready(**changed: Any) -> StudyReady:
    """Say that the study of `a_case(**changed)` is complete."""
    case = a_case(**changed)
    return StudyReady(case_id=case.case_id, case=case)


def a_study_superseded(**changed: Any) -> StudySuperseded:
    """Say that a late image made revision 1 out of date."""
    case = a_case(**{"revision": 2, "study": a_study(study_revision=2)} | changed)
    return StudySuperseded(case_id=case.case_id, case=case, superseded_revision=1)


def an_order_linked(**changed: Any) -> OrderLinked:
    """Say that the order joined the case."""
    case = a_case(**{"revision": 2, "identity_version": 2} | changed)
    return OrderLinked(case_id=case.case_id, case=case, order_id=ORDER_ID)


def an_order_changed_on_case(**changed: Any) -> OrderChangedOnCase:
    """Say that the case's order reads differently."""
    case = a_case(**{"revision": 2, "identity_version": 2} | changed)
    return OrderChangedOnCase(case_id=case.case_id, case=case, order_id=ORDER_ID)


def an_order_cancelled(**changed: Any) -> OrderCancelled:
    """Say that the case's order was cancelled."""
    orders = (a_service_request(status=OrderStatus.CANCELLED),)
    case = a_case(**{"revision": 2, "identity_version": 2, "orders": orders} | changed)
    return OrderCancelled(case_id=case.case_id, case=case, order_id=ORDER_ID)


def a_patient_corrected(**changed: Any) -> PatientCorrected:
    """Say that the case's patient reads differently."""
    case = a_case(**{"revision": 2, "identity_version": 2, "patient": a_patient(given_name="NGUYỄN THỊ")} | changed)
    return PatientCorrected(case_id=case.case_id, case=case)


def a_patients_merged(**changed: Any) -> PatientsMerged:
    """Say that the case's patient was merged into another."""
    case = a_case(**{"revision": 2, "identity_version": 2} | changed)
    return PatientsMerged(case_id=case.case_id, case=case, prior_identifiers=("TEST-0002",))


def a_case_withdrawn(**changed: Any) -> CaseWithdrawn:
    """Say that the case is no longer to be read."""
    case = a_case(**{"revision": 2, "is_withdrawn": True} | changed)
    return CaseWithdrawn(case_id=case.case_id, case=case, reason="wrong patient on the scanner")


def a_creatinine(**changed: Any) -> ContextObservation:
    """Return a raised creatinine of this morning."""
    fields = {
        "concept": "creatinine",
        "code": CodedElement(identifier="14682-9", text="Creatinine", coding_system="LN"),
        "value": "126",
        "unit": "umol/L",
        "reference_range": "49-92",
        "abnormal_flag": "H",
        "status": "F",
        "observed_at": NOON - timedelta(hours=3),
    }
    return ContextObservation.model_validate(fields | changed)


def an_elsewhere_reading(**changed: Any) -> ElsewhereReading:
    """Return the final report of a reader at the RIS."""
    fields = {"reporter": "MẪU MINH CHÂU", "status": "F", "reported_at": NOON, "link_id": "ris"}
    return ElsewhereReading.model_validate(fields | {"sending_application": "RIS"} | changed)


def a_read_elsewhere(**changed: Any) -> ReadElsewhere:
    """Say that a reader at the RIS has reported the case."""
    case = a_case(**{"revision": 2, "read_elsewhere": an_elsewhere_reading()} | changed)
    return ReadElsewhere(case_id=case.case_id, case=case)


def a_context_changed(**changed: Any) -> ContextChanged:
    """Say that the laboratory has told a creatinine."""
    case = a_case(**{"revision": 2, "laboratory": (a_creatinine(),)} | changed)
    return ContextChanged(case_id=case.case_id, case=case)


def a_model(**changed: Any) -> ModelReference:
    """Return the lung density model."""
    fields = {"name": "ct-lung-density", "version": "1.0.0", "title": "CT lung density", "digest": DIGEST}
    return ModelReference.model_validate(fields | changed)


def a_finding(**changed: Any) -> Finding:
    """Return a lung volume in millilitres."""
    fields = {
        "code": "OR-LUNG-VOLUME",
        "scheme": "99OVERREAD",
        "display": "Lung volume",
        "value": "5512.3",
        "unit": "mL",
        "unit_display": "mL",
        "series_instance_uid": SERIES,
    }
    return Finding.model_validate(fields | changed)


def an_inference_planned(**changed: Any) -> InferencePlanned:
    """Say that one model runs."""
    job = PlannedModel(model=a_model(), decision=Decision.JOB, series_instance_uid=SERIES, job_id=JOB_ID)
    fields = {
        "case_id": CASE_ID,
        "study_instance_uid": STUDY,
        "study_revision": 1,
        "rules_digest": DIGEST,
        "planned": (job,),
        "deadline": NOON + timedelta(minutes=10),
    }
    return InferencePlanned.model_validate(fields | changed)


def an_inference_requested(**changed: Any) -> InferenceRequested:
    """Ask for the job of `an_inference_planned()`."""
    fields = {
        "case_id": CASE_ID,
        "job_id": JOB_ID,
        "study_instance_uid": STUDY,
        "study_revision": 1,
        "manifest_key": f"{SITE}/manifests/{CASE_ID}/1",
        "series_instance_uid": SERIES,
        "model": a_model(),
        "lane": Lane.ROUTINE,
        "deadline": NOON + timedelta(minutes=10),
    }
    return InferenceRequested.model_validate(fields | changed)


def an_inference_done(**changed: Any) -> InferenceDone:
    """Say that the job ended with one finding."""
    fields = {
        "case_id": CASE_ID,
        "job_id": JOB_ID,
        "study_instance_uid": STUDY,
        "study_revision": 1,
        "model": a_model(),
        "outcome": Outcome.COMPLETED,
        "reasons": (),
        "findings": (a_finding(),),
        "artefact_keys": (),
        "started_at": NOON,
        "ended_at": NOON + timedelta(seconds=4),
    }
    return InferenceDone.model_validate(fields | changed)


def a_report_document(**changed: Any) -> ReportDocument:
    """Return a draft's document; with `signed_by` and `signed_at`, a signed one's."""
    result = ModelResult(
        model=a_model(), outcome=Outcome.COMPLETED, findings=(a_finding(),), decision=Decision.JOB, ended_at=NOON
    )
    fields = {
        "report_id": REPORT_ID,
        "case_id": CASE_ID,
        "site_id": SITE,
        "report_revision": 1,
        "study_instance_uid": STUDY,
        "study_revision": 1,
        "manifest_digest": DIGEST,
        "identity_version": 1,
        "patient": a_patient(),
        "orders": (a_service_request(),),
        "study_date_time": "",
        "modalities": ("CT",),
        "study_description": "CHEST",
        "findings": (a_finding(),),
        "ai_results": (result,),
        "verdict": None,
        "conclusion": "Thể tích phổi 5512,3 mL.",
        "language": "vi",
        "is_synthetic": True,
        "drafted_at": NOON,
        "signed_by": None,
        "signed_at": None,
    }
    return ReportDocument.model_validate(fields | changed)


def a_signer(**changed: Any) -> Signer:
    """Return a clinician."""
    fields = {"subject": "dr.test", "family_name": "BÁC SĨ", "given_name": "THỬ"}
    return Signer.model_validate(fields | changed)


def a_signed_document(**changed: Any) -> ReportDocument:
    """Return the document of `a_report_document()` as a clinician accepted and signed it."""
    signed = {"verdict": Verdict.ACCEPTED, "signed_by": a_signer(), "signed_at": NOON + timedelta(minutes=5)}
    return a_report_document(**signed | changed)


def a_report_changed(document: ReportDocument | None = None, **changed: Any) -> ReportChanged:
    """Say that a draft opened."""
    raw = codec.document_bytes(document or a_report_document())
    fields = {
        "case_id": CASE_ID,
        "report_id": REPORT_ID,
        "report_revision": 1,
        "revision": 1,
        "state": ReportState.DRAFTED,
        "reason": "every planned job ended",
        "digest": codec.sha256(raw),
        "document_base64": base64.b64encode(raw).decode(),
    }
    return ReportChanged.model_validate(fields | changed)


def a_report_signed(document: ReportDocument | None = None, **changed: Any) -> ReportSigned:
    """Say that a clinician signed; the signature proves nothing unless a test gives a real one."""
    raw = codec.document_bytes(document or a_signed_document())
    fields = {
        "case_id": CASE_ID,
        "report_id": REPORT_ID,
        "report_revision": 1,
        "document_base64": base64.b64encode(raw).decode(),
        "digest": codec.sha256(raw),
        "signature_base64": base64.b64encode(b"synthetic").decode(),
        "certificate_pem": "-----BEGIN CERTIFICATE-----\nsynthetic\n-----END CERTIFICATE-----\n",
        "signed_at": NOON + timedelta(minutes=5),
    }
    return ReportSigned.model_validate(fields | changed)


def a_gate_decided(**changed: Any) -> GateDecided:
    """Say that the gate let the report out."""
    fields = {
        "case_id": CASE_ID,
        "report_id": REPORT_ID,
        "report_revision": 1,
        "verdict": GateVerdict.RELEASED,
        "reason": "",
        "decided_at": NOON + timedelta(minutes=6),
    }
    return GateDecided.model_validate(fields | changed)


def a_delivery_done(**changed: Any) -> DeliveryDone:
    """Say that the EMR acknowledged the final ORU."""
    fields = {
        "case_id": CASE_ID,
        "report_id": REPORT_ID,
        "report_revision": 1,
        "delivery_id": deterministic_id("delivery", str(REPORT_ID), "1", "emr"),
        "destination": "emr",
        "form": "oru",
        "status": "F",
        "outcome": DeliveryOutcome.ACKNOWLEDGED,
        "reason": "",
        "attempts": 1,
        "message_digest": DIGEST,
        "message_control_id": "TEST-F-1",
        "ended_at": NOON + timedelta(minutes=7),
    }
    return DeliveryDone.model_validate(fields | changed)


def a_recorded(**changed: Any) -> Recorded:
    """Say that somebody looked at a report."""
    fields = {
        "actor": "dr.test",
        "action": "view",
        "object_type": "report",
        "object_id": str(REPORT_ID),
        "outcome": "success",
        "recorded_at": NOON,
        "case_id": CASE_ID,
    }
    return Recorded.model_validate(fields | changed)


def a_replay_requested(**changed: Any) -> ReplayRequested:
    """Ask delivery to take a dead letter once more."""
    fields = {
        "consumer": "delivery",
        "dead_topic": "cases.changed.dead",
        "partition": 0,
        "offset": 17,
        "requested_by": "ops",
        "requested_at": NOON,
    }
    return ReplayRequested.model_validate(fields | changed)


def one_of_each() -> tuple[Body, ...]:
    """Return a valid body of every event version, in pipeline order."""
    return (
        an_hl7_received(),
        an_order_received(),
        an_instance_stored(),
        a_study_hint(),
        an_intake_restarted(),
        an_order_changed(),
        a_study_ready(),
        a_study_superseded(),
        an_order_linked(),
        an_order_changed_on_case(),
        an_order_cancelled(),
        a_patient_corrected(),
        a_patients_merged(),
        a_case_withdrawn(),
        an_inference_planned(),
        an_inference_requested(),
        an_inference_done(),
        a_report_changed(),
        a_report_signed(),
        a_gate_decided(),
        a_delivery_done(),
        a_recorded(),
        a_replay_requested(),
        a_correction_requested(),
    )
