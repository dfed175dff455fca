"""An order as an item of the Modality Worklist (PS3.4, table K.6-1). Pure."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final

from pydicom.dataset import Dataset

from overread.contracts.events.orders import CodedElement, OrderChanged, OrderStatus, Patient, PatientIdentifier
from overread.contracts.identifiers import uid_from

_RECORD_NUMBERS: Final = ("MR", "PI", "PT")
_PRIORITIES: Final = {"S": "STAT", "A": "HIGH", "R": "ROUTINE", "P": "MEDIUM", "C": "HIGH", "T": "HIGH"}
_LONGEST_LO: Final = 64
_LONGEST_SH: Final = 16


def is_open(changed: OrderChanged) -> bool:
    """Say whether somebody may perform the order: it is asked for, and images could be told to be its own."""
    order = changed.order
    return order.status is OrderStatus.ACTIVE and bool(order.accession_number or order.study_instance_uid)


def scheduled_at(changed: OrderChanged) -> datetime:
    """Return when the step is to begin; an order that says no time is for the day on which it came."""
    return changed.order.scheduled_at or changed.changed_at


def study_instance_uid(changed: OrderChanged) -> str:
    """Return the order's study; one that names none has a UID made of its id, the same at every question."""
    return changed.order.study_instance_uid or uid_from(changed.order_id)


def item(changed: OrderChanged, at: datetime, time_zone: tzinfo, station: str) -> Dataset:
    """Return the worklist's item: one scheduled step for `station`, since an order names none of its own."""
    order, answer = changed.order, Dataset()
    answer.SpecificCharacterSet = "ISO_IR 192"
    _patient(answer, changed.patient)
    answer.AccessionNumber = order.accession_number or ""
    answer.StudyInstanceUID = study_instance_uid(changed)
    answer.ReferringPhysicianName = answer.RequestingPhysician = _named(order.ordering_provider)
    answer.RequestedProcedureID = (order.filler_order_number or order.placer_order_number)[:_LONGEST_SH]
    answer.RequestedProcedureDescription = order.service.text[:_LONGEST_LO] if order.service else ""
    answer.RequestedProcedureCodeSequence = _codes(order.service)
    answer.RequestedProcedurePriority = _PRIORITIES.get(order.priority, "ROUTINE")
    answer.ReasonForTheRequestedProcedure = order.clinical_information[:_LONGEST_LO]
    answer.PlacerOrderNumberImagingServiceRequest = order.placer_order_number[:_LONGEST_LO]
    answer.FillerOrderNumberImagingServiceRequest = order.filler_order_number[:_LONGEST_LO]
    answer.AdmissionID = order.visit_number[:_LONGEST_LO]
    answer.CurrentPatientLocation = order.patient_location[:_LONGEST_LO]
    answer.ScheduledProcedureStepSequence = [_step(changed, at.astimezone(time_zone), station)]
    return answer


def _step(changed: OrderChanged, at: datetime, station: str) -> Dataset:
    order, step = changed.order, Dataset()
    step.Modality = order.modality
    step.ScheduledStationAETitle = station
    step.ScheduledProcedureStepStartDate = f"{at:%Y%m%d}"
    step.ScheduledProcedureStepStartTime = f"{at:%H%M%S}"
    step.ScheduledPerformingPhysicianName = ""
    step.ScheduledProcedureStepDescription = order.service.text[:_LONGEST_LO] if order.service else ""
    step.ScheduledProtocolCodeSequence = _codes(order.service)
    step.ScheduledProcedureStepID = (order.filler_order_number or order.placer_order_number)[:_LONGEST_SH]
    step.ScheduledProcedureStepStatus = "SCHEDULED"
    return step


def _patient(answer: Dataset, patient: Patient) -> None:
    number = _record_number(patient.identifiers)
    answer.PatientName = f"{patient.family_name}^{patient.given_name}".rstrip("^")
    answer.PatientID = number.id_number if number else ""
    answer.IssuerOfPatientID = number.assigning_authority if number else ""
    answer.PatientBirthDate = f"{patient.birth_date:%Y%m%d}" if patient.birth_date else ""
    answer.PatientSex = patient.sex if patient.sex in ("M", "F", "O") else ""


def _record_number(identifiers: Sequence[PatientIdentifier]) -> PatientIdentifier | None:
    """Return the hospital's record number before an insurance number or a citizen's."""
    kinds = {one.identifier_type_code: one for one in reversed(identifiers)}
    return next((kinds[kind] for kind in _RECORD_NUMBERS if kind in kinds), identifiers[0] if identifiers else None)


def _named(person: CodedElement | None) -> str:
    return person.text if person else ""


def _codes(service: CodedElement | None) -> list[Dataset]:
    if service is None or not service.identifier:
        return []
    code = Dataset()
    code.CodeValue = service.identifier[:_LONGEST_SH]
    code.CodingSchemeDesignator = service.coding_system[:_LONGEST_SH] or "L"
    code.CodeMeaning = service.text[:_LONGEST_LO] or service.identifier
    return [code]
