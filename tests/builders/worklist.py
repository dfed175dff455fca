"""Items of a RIS's worklist (PS3.4, K.6.1.2): valid in one line, a fault by keyword. Everybody in them is made up."""

from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import encode

from overread.order_intake.worklist_settings import WorklistLink
from overread.protocols.dicom.modality_worklist import WorklistItem, read_item

NAME = "THỬ NGHIỆM^ĐẶNG THỊ BÌNH"


def a_worklist_item(
    number: int = 1, *, without: str = "", step: dict[str, Any] | None = None, **changed: Any
) -> Dataset:
    """Return item `number`; `changed` and `step` replace attributes of the procedure and of its scheduled step."""
    data_set = Dataset()
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "AccessionNumber": f"RIS{number:05d}",
        "ReferringPhysicianName": "BÁC SĨ^MẪU",
        "PatientName": NAME,
        "PatientID": f"BN{number:06d}",
        "PatientBirthDate": "19990512",
        "PatientSex": "F",
        "StudyInstanceUID": f"2.25.{1000 + number}",
        "RequestingPhysician": "TRẦN^THỊ MẪU",
        "RequestedProcedureDescription": "CT ngực",
        "RequestedProcedureID": f"RP{number}",
        "RequestedProcedurePriority": "STAT",
        "ReasonForTheRequestedProcedure": "ho kéo dài",
        "PlacerOrderNumberImagingServiceRequest": f"ORD{number}",
        "FillerOrderNumberImagingServiceRequest": f"RIS{number:05d}",
        "AdmissionID": "V1",
        **changed,
    }
    for keyword, value in values.items():
        if keyword != without:
            setattr(data_set, keyword, value)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24627-2", "LN", "CT Chest"
    data_set.RequestedProcedureCodeSequence = Sequence([code])
    data_set.ScheduledProcedureStepSequence = Sequence([a_step(number, **(step or {}))])
    return data_set


def a_step(number: int = 1, **changed: Any) -> Dataset:
    """Return a scheduled procedure step."""
    step = Dataset()
    values: dict[str, Any] = {
        "Modality": "CT",
        "ScheduledStationAETitle": "CT1",
        "ScheduledProcedureStepStartDate": "20261122",
        "ScheduledProcedureStepStartTime": "093000",
        "ScheduledProcedureStepDescription": "CT ngực",
        "ScheduledProcedureStepID": f"SPS{number}",
        "ScheduledProcedureStepStatus": "SCHEDULED",
        **changed,
    }
    for keyword, value in values.items():
        setattr(step, keyword, value)
    return step


def a_read_item(number: int = 1, **changed: Any) -> WorklistItem:
    """Return an item as it is read from the line."""
    raw = encode(a_worklist_item(number, **changed), is_implicit_vr=True, is_little_endian=True)
    assert raw is not None
    return read_item(raw, is_implicit=True, fallback_charset="ISO_IR 192")


def a_worklist_link(**changed: Any) -> WorklistLink:
    """Return a link to a RIS of loopback."""
    settings = {
        "link_id": "ris",
        "host": "127.0.0.1",
        "port": 104,
        "called_ae_title": "RIS",
        "assigning_authority": "BVX",
        "placer_namespace": "HIS",
        "filler_namespace": "RIS",
        **changed,
    }
    return WorklistLink.model_validate(settings)
