"""What modalities and archives announce: procedure steps, availability, requests for commitment."""

import base64
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from overread.archive.commitment_store import JudgedCommitment
from overread.contracts.events.intake import CommitmentRequested, ProcedureStepReported
from overread.contracts.identifiers import deterministic_id
from overread.protocols.dicom.announced import ReferencedSop
from tests.builders.dicom import EXPLICIT_VR_LITTLE_ENDIAN, a_uid, encoded
from tests.builders.events import NOON, STUDY

STEP = a_uid("procedure step")
TRANSACTION = a_uid("transaction")
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


def an_item(**values: Any) -> Dataset:
    """Return a data set with these attributes."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def a_begun_step(study: str = STUDY, **changed: Any) -> Dataset:
    """Return an N-CREATE's data set: a CT in progress."""
    scheduled = an_item(StudyInstanceUID=study, AccessionNumber="ACC-1", RequestedProcedureID="RP1")
    fields = {
        "SpecificCharacterSet": "ISO_IR 192",
        "Modality": "CT",
        "PatientName": "THỬ^NGHIỆM",
        "PatientID": "TEST-0001",
        "ScheduledStepAttributesSequence": [scheduled],
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "TESTCT",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "PerformedSeriesSequence": [],
    }
    return an_item(**fields | changed)


def an_ended_step(instances: Sequence[str], status: str = "COMPLETED") -> Dataset:
    """Return an N-SET's data set that lists these instances."""
    images = [_reference(uid) for uid in instances]
    series = an_item(SeriesInstanceUID=a_uid("series"), ReferencedImageSequence=images)
    return an_item(PerformedProcedureStepStatus=status, PerformedSeriesSequence=[series])


def an_availability(instances: Sequence[str], *, study: str = STUDY, is_online: bool = True) -> Dataset:
    """Return an Instance Availability Notification of these instances."""
    offered = [_reference(uid) for uid in instances]
    for reference in offered:
        reference.InstanceAvailability = "ONLINE" if is_online else "OFFLINE"
        reference.RetrieveAETitle = "PACS"
    series = an_item(SeriesInstanceUID=a_uid("series"), ReferencedSOPSequence=offered)
    return an_item(StudyInstanceUID=study, ReferencedSeriesSequence=[series])


def a_commitment(instances: Sequence[str], *, transaction: str = TRANSACTION) -> Dataset:
    """Return an N-ACTION's data set that asks us to vouch for these CT slices."""
    return an_item(TransactionUID=UID(transaction), ReferencedSOPSequence=[_reference(uid) for uid in instances])


def _reference(sop_instance_uid: str) -> Dataset:
    return an_item(ReferencedSOPClassUID=CT_IMAGE_STORAGE, ReferencedSOPInstanceUID=sop_instance_uid)


def a_step_report(data_set: Dataset | None = None, **changed: Any) -> ProcedureStepReported:
    """Return the event of an N-CREATE, or of what is changed."""
    told = data_set if data_set is not None else a_begun_step()
    fields = _announced(told) | {
        "procedure_step_uid": STEP,
        "is_new": True,
        "status": "IN PROGRESS",
        "study_instance_uids": (STUDY,),
        "accession_numbers": ("ACC-1",),
    }
    return ProcedureStepReported.model_validate(fields | changed)


def a_commitment_request(instances: Sequence[str], **changed: Any) -> CommitmentRequested:
    """Return the event of a request to vouch for these instances."""
    fields = _announced(a_commitment(instances)) | {"transaction_uid": TRANSACTION}
    return CommitmentRequested.model_validate(fields | changed)


def _announced(data_set: Dataset) -> dict[str, Any]:
    return {
        "calling_ae_title": "TESTCT",
        "association_id": deterministic_id("association", "1"),
        "received_at": NOON,
        "transfer_syntax_uid": EXPLICIT_VR_LITTLE_ENDIAN,
        "data_set_base64": base64.b64encode(encoded(data_set)).decode(),
    }


def a_judgement(references: tuple[ReferencedSop, ...], failed: dict[str, int] | None = None) -> JudgedCommitment:
    """Return what a request for commitment came to."""
    return JudgedCommitment(references, failed or {})
