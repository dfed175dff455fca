"""What every DICOM object of a report shares: who it is about, which object it is, what made it, what it answers."""

from functools import cache
from importlib import metadata

from overread.contracts.events.inference import ModelReference
from overread.contracts.events.orders import Patient, PatientIdentifier, ServiceRequest
from overread.contracts.events.reports import ReportDocument
from overread.contracts.identifiers import nfc
from overread.delivery.destinations import DicomDestination
from overread.delivery.imaging import ImagesUnfit, Imaging, Segmentation
from overread.delivery.sequence import RANK, Position
from overread.delivery.telling import Telling
from overread.protocols.dicom.composite import (
    Algorithm,
    Code,
    Device,
    Identity,
    PatientId,
    PatientModule,
    Signature,
    SopInstanceReference,
    StudyModule,
    derived_uid,
    person_name,
    study_module,
)
from overread.protocols.dicom.sr_content import ImagingRequest

SR, SEG, SC, KOS = "sr", "seg", "sc", "kos"

SOP_CLASSES = {
    SR: "1.2.840.10008.5.1.4.1.1.88.34",
    SEG: "1.2.840.10008.5.1.4.1.1.66.4",
    SC: "1.2.840.10008.5.1.4.1.1.7",
    KOS: "1.2.840.10008.5.1.4.1.1.88.59",
}
SERIES_NUMBERS = {SR: 9701, SEG: 9702, SC: 9703, KOS: 9704}

PUBLIC_SCHEMES = frozenset({"LN", "SCT", "DCM", "RADLEX", "I10", "UCUM"})
"""Coding schemes that are the same everywhere (PS3.16, 8); a designator of a site's own begins with 99."""


def imaging_of(telling: Telling[DicomDestination]) -> Imaging:
    """Return the images of the report, or raise `ImagesUnfit`."""
    if telling.imaging is None:
        raise ImagesUnfit("the images of the report are not at hand")
    return telling.imaging


def identity_of(telling: Telling[DicomDestination], form: str, *also: str) -> Identity:
    """Return which object this is: named by report, revision, status and language, and by what it is about.

    The same report told to two archives in one language is one object. A status that differs gives another object: a
    signature never changes one that exists (PS3.3, C.17.2).
    """
    document = telling.document
    names = (str(document.report_id), str(document.report_revision), telling.status.value, telling.language.value)
    series = series_uid(document, form)
    return Identity(
        sop_instance_uid=derived_uid("instance", document.site_id, form, *names, *also),
        series_instance_uid=series,
        series_number=SERIES_NUMBERS[form],
        instance_number=document.report_revision * 10 + RANK[telling.status],
        made_at=telling.said_at,
    )


def segmentation_identity(telling: Telling[DicomDestination], marked: Segmentation) -> Identity:
    """Return which object a segmentation is: a signature changes nothing of it, another patient does."""
    document = telling.document
    moment = marked.result.ended_at or document.drafted_at
    about = (str(document.case_id), str(document.identity_version), marked.artefact.digest, _last_rejection(telling))
    uid = derived_uid("instance", document.site_id, SEG, *about)
    return Identity(
        sop_instance_uid=uid,
        series_instance_uid=derived_uid("series", uid),
        series_number=SERIES_NUMBERS[SEG],
        made_at=moment.astimezone(telling.occasion.time_zone),
    )


def series_uid(document: ReportDocument, form: str) -> str:
    """Return the series in which a report's objects of one form are."""
    return derived_uid("series", document.site_id, form, str(document.report_id))


def sent_before(telling: Telling[DicomDestination], *forms: str) -> tuple[SopInstanceReference, ...]:
    """Name the report's objects of these forms that the archive has taken, or may still take, each once.

    What a rejection note took back is gone: nothing refers to it any more.
    """
    standing: dict[str, SopInstanceReference] = {}
    for before in telling.earlier:
        if before.form == KOS:
            standing.clear()
        elif before.form in forms and not before.was_refused:
            standing[before.message_control_id] = _reference(telling.document, before)
    return tuple(standing.values())


def _last_rejection(telling: Telling[DicomDestination]) -> str:
    """Return which note took back what came before it: an object that was rejected never comes again."""
    notes = [before.message_control_id for before in telling.earlier if before.form == KOS]
    return notes[-1] if notes else ""


def _reference(document: ReportDocument, before: Position) -> SopInstanceReference:
    is_segmentation = before.form == SEG
    return SopInstanceReference(
        study_instance_uid=document.study_instance_uid,
        series_instance_uid=derived_uid("series", before.message_control_id)
        if is_segmentation
        else series_uid(document, before.form),
        sop_class_uid=SOP_CLASSES[before.form],
        sop_instance_uid=before.message_control_id,
    )


def patient_of(document: ReportDocument, imaging: Imaging) -> PatientModule:
    """Return the patient under the number by which the archive knows the study, if it is one of the patient's."""
    patient = document.patient
    main = _main_identifier(patient, str(imaging.header.get("PatientID", "")))
    others = (identifier for identifier in patient.identifiers if identifier != main)
    return PatientModule(
        patient_id=main.id_number,
        issuer_of_patient_id=main.assigning_authority,
        patient_name=person_name(patient.family_name, patient.given_name),
        patient_birth_date=patient.birth_date,
        patient_sex=patient.sex if patient.sex in ("M", "F", "O") else "",
        other_patient_ids=tuple(
            PatientId(patient_id=other.id_number, issuer_of_patient_id=other.assigning_authority) for other in others
        ),
    )


def _main_identifier(patient: Patient, known_as: str) -> PatientIdentifier:
    if not patient.identifiers:
        raise ImagesUnfit("a result needs a patient identifier (0010,0020)")
    known = (identifier for identifier in patient.identifiers if nfc(identifier.id_number) == nfc(known_as.strip()))
    return next(known, patient.identifiers[0])


def study_of(telling: Telling[DicomDestination], imaging: Imaging) -> StudyModule:
    """Return the study as its images have it, under the accession number of the order that is answered."""
    return study_module(imaging.header, accession_number=accession_number_of(telling))


def accession_number_of(telling: Telling[DicomDestination]) -> str | None:
    """Return the one accession number; empty where several are answered, None (the images' own) without an order."""
    numbers = {order.accession_number or "" for order in telling.orders}
    if not numbers:
        return None
    return numbers.pop() if len(numbers) == 1 else ""


def requests_of(telling: Telling[DicomDestination]) -> tuple[ImagingRequest, ...]:
    """Return the orders that the report answers."""
    return tuple(
        ImagingRequest(
            accession_number=order.accession_number or "",
            placer_order_number=order.placer_order_number,
            filler_order_number=order.filler_order_number,
            procedure=_procedure(order),
        )
        for order in telling.orders
    )


def _procedure(order: ServiceRequest) -> Code | None:
    service = order.service
    if service is None or not service.identifier:
        return None
    return code(service.identifier, service.coding_system, service.text)


def code(value: str, scheme: str, meaning: str) -> Code:
    """Return a code under a scheme that DICOM knows, or that says that it is a site's own."""
    is_named = scheme in PUBLIC_SCHEMES or scheme.startswith("99")
    return Code(value=value, scheme=scheme if is_named else f"99{scheme[:14]}", meaning=meaning or value)


def device_of(telling: Telling[DicomDestination]) -> Device:
    """Return what made the objects: this site's Overread."""
    site_id = telling.document.site_id
    return Device(
        device_uid=derived_uid("device", site_id),
        serial_number=site_id,
        software_version=_version(),
        institution_name=telling.occasion.sending.facility,
    )


@cache
def _version() -> str:
    return metadata.version("overread")


def algorithm_of(model: ModelReference) -> Algorithm:
    """Return the model as an algorithm."""
    return Algorithm(name=model.title or model.name, version=model.version, digest=model.digest or "")


def signature_of(telling: Telling[DicomDestination]) -> Signature | None:
    """Return who signed; None where nobody has."""
    signer, signed_at = telling.document.signed_by, telling.document.signed_at
    if not telling.status.is_signed or signer is None or signed_at is None:
        return None
    return Signature(
        family_name=signer.family_name,
        given_name=signer.given_name,
        identifier=signer.subject,
        organisation=telling.occasion.sending.facility,
        signed_at=signed_at.astimezone(telling.occasion.time_zone),
    )
