"""What every DICOM object that we make has in common: patient, study, equipment, codes (PS3.3, C.7 and C.12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from pydicom.dataset import Dataset

from overread.contracts.identifiers import deterministic_id, uid_from
from overread.contracts.manifest import ManifestSeries
from overread.protocols.dicom.data_elements import Elements, elements, exact, line_of, text
from overread.protocols.dicom.errors import NotRenderable
from overread.protocols.dicom.sop_classes import OUR_MANUFACTURER

LONGEST_CODE: Final = 16


def derived_uid(*names: str) -> str:
    """Return the UID of what `names` name: the same names give the same UID anywhere (PS3.5, B.2)."""
    return uid_from(deterministic_id(*names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded concept (PS3.3, 8). Value and scheme say which; the meaning is for people and cut to 64 characters."""

    value: str
    scheme: str
    meaning: str = ""

    def item(self) -> Elements:
        """Write the concept as one item of a code sequence; a value beyond 16 characters is a Long Code Value."""
        said = self.said()
        keyword = "CodeValue" if len(said.value) <= LONGEST_CODE else "LongCodeValue"
        return elements(**{keyword: said.value, "CodingSchemeDesignator": said.scheme, "CodeMeaning": said.meaning})

    @classmethod
    def read(cls, item: Dataset) -> "Code":
        """Read one item of a code sequence."""
        value = item.get("CodeValue") or item.get("LongCodeValue")
        return cls(
            value=str(value or ""), scheme=text(item, "CodingSchemeDesignator"), meaning=text(item, "CodeMeaning")
        )

    def said(self) -> "Code":
        """Return the code as it reads after writing."""
        return Code(value=exact(self.value), scheme=self.scheme, meaning=line_of(self.meaning or self.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which new object it is, and when what it says came about: aware, on the hospital's clock."""

    sop_instance_uid: str
    series_instance_uid: str
    series_number: int
    instance_number: int = 1
    made_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientId:
    """One identifier and who gave it (PS3.3, C.2.2)."""

    patient_id: str
    issuer_of_patient_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientModule:
    """Who the study is about (PS3.3, C.7.1.1); the name as one component group, family name first."""

    patient_id: str
    issuer_of_patient_id: str = ""
    patient_name: str = ""
    patient_birth_date: date | None = None
    patient_sex: str = ""
    other_patient_ids: tuple[PatientId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyModule:
    """The study as its images have it (PS3.3, C.7.2.1), date and time as DA and TM."""

    study_instance_uid: str
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    study_id: str = ""
    referring_physician_name: str = ""
    study_description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The equipment that made the object (PS3.3, C.7.5.1), and the device that observed (PS3.16, TID 1004).

    The manufacturer is how a secondary capture that comes back is known as ours.
    """

    device_uid: str
    serial_number: str
    software_version: str
    manufacturer: str = OUR_MANUFACTURER
    manufacturer_model_name: str = "Overread"
    name: str = "Overread"
    institution_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """The algorithm that said it (PS3.16, TID 4019; PS3.3, 10.16); `digest` names the files that ran."""

    name: str
    version: str
    digest: str = ""

    @property
    def parameters(self) -> str:
        """The algorithm parameters: which files ran."""
        return f"sha256={self.digest}" if self.digest else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SopReference:
    """One object by class and instance (PS3.3, 10.8)."""

    sop_class_uid: str
    sop_instance_uid: str

    def item(self) -> Elements:
        """Write the reference as a sequence item."""
        return elements(ReferencedSOPClassUID=self.sop_class_uid, ReferencedSOPInstanceUID=self.sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class SopInstanceReference:
    """One object with the series and study it is in (PS3.3, C.18.9)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str

    @property
    def sop(self) -> SopReference:
        """The object alone."""
        return SopReference(sop_class_uid=self.sop_class_uid, sop_instance_uid=self.sop_instance_uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeries:
    """A series with the images that a result was made from."""

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    instances: tuple[SopReference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The clinician who signed and when; `identifier` is what the identity provider calls them."""

    family_name: str
    given_name: str = ""
    identifier: str = ""
    organisation: str = ""
    signed_at: datetime


def study_module(header: Dataset, *, accession_number: str | None = None) -> StudyModule:
    """Return the study as an image's `header` has it; `accession_number` replaces its own, if given."""
    own = text(header, "AccessionNumber")
    return StudyModule(
        study_instance_uid=text(header, "StudyInstanceUID"),
        study_date=text(header, "StudyDate"),
        study_time=text(header, "StudyTime"),
        accession_number=own if accession_number is None else accession_number,
        study_id=text(header, "StudyID"),
        referring_physician_name=text(header, "ReferringPhysicianName"),
        study_description=text(header, "StudyDescription"),
    )


def source_series(study_instance_uid: str, series: ManifestSeries) -> SourceSeries:
    """Return a series of a study's manifest as a source that a document can name."""
    modalities = (instance.attributes.modality for instance in series.instances)
    return SourceSeries(
        study_instance_uid=study_instance_uid,
        series_instance_uid=series.series_instance_uid,
        modality=next((modality for modality in modalities if modality), ""),
        instances=tuple(
            SopReference(sop_class_uid=instance.sop_class_uid, sop_instance_uid=instance.sop_instance_uid)
            for instance in series.instances
        ),
    )


def person_name(family_name: str, given_name: str = "") -> str:
    """Return a name as one component group, never folded to ASCII (PS3.5, 6.2.1)."""
    parts = [exact(family_name), exact(given_name)]
    if any(delimiter in part for part in parts for delimiter in "^="):
        raise NotRenderable("A name holds a character that separates the parts of a DICOM name (PS3.5, 6.2.1).")
    return "^".join(parts).rstrip("^")


def new_object(
    *,
    sop_class_uid: str,
    modality: str,
    series_description: str,
    identity: Identity,
    patient: PatientModule,
    study: StudyModule,
    device: Device,
) -> Elements:
    """Return the modules that every object has: patient, study, series, equipment, SOP common (PS3.3, A.1)."""
    made = elements(
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=sop_class_uid,
        SOPInstanceUID=identity.sop_instance_uid,
        **_moment("InstanceCreation", identity.made_at),
        **_moment("Series", identity.made_at),
        **_moment("Content", identity.made_at),
        TimezoneOffsetFromUTC=identity.made_at.strftime("%z"),
        Modality=modality,
        SeriesInstanceUID=identity.series_instance_uid,
        SeriesNumber=str(identity.series_number),
        SeriesDescription=line_of(series_description),
        InstanceNumber=str(identity.instance_number),
    )
    for module in (_patient(patient), _study(study), _equipment(device)):
        made.update(module)
    return made


def _moment(prefix: str, moment: datetime) -> dict[str, str]:
    if moment.tzinfo is None:
        raise NotRenderable("Every time needs its offset from UTC.")
    return {f"{prefix}Date": moment.strftime("%Y%m%d"), f"{prefix}Time": moment.strftime("%H%M%S.%f")}


def _patient(patient: PatientModule) -> Elements:
    if not patient.patient_id.strip():
        raise NotRenderable("A result needs a patient ID (0010,0020).")
    others = [_other_patient_id(other) for other in patient.other_patient_ids]
    born = patient.patient_birth_date
    return elements(
        PatientName=exact(patient.patient_name),
        PatientID=exact(patient.patient_id),
        IssuerOfPatientID=exact(patient.issuer_of_patient_id) or None,
        OtherPatientIDsSequence=others or None,
        PatientBirthDate=born.strftime("%Y%m%d") if born else "",
        PatientSex=exact(patient.patient_sex),
    )


def _other_patient_id(other: PatientId) -> Elements:
    return elements(
        PatientID=exact(other.patient_id),
        IssuerOfPatientID=exact(other.issuer_of_patient_id) or None,
        TypeOfPatientID="TEXT",
    )


def _study(study: StudyModule) -> Elements:
    return elements(
        StudyInstanceUID=study.study_instance_uid,
        StudyDate=exact(study.study_date),
        StudyTime=exact(study.study_time),
        AccessionNumber=exact(study.accession_number),
        StudyID=exact(study.study_id),
        ReferringPhysicianName=exact(study.referring_physician_name),
        StudyDescription=line_of(study.study_description) or None,
    )


def _equipment(device: Device) -> Elements:
    return elements(
        Manufacturer=line_of(device.manufacturer),
        ManufacturerModelName=line_of(device.manufacturer_model_name),
        DeviceSerialNumber=line_of(device.serial_number),
        SoftwareVersions=line_of(device.software_version),
        InstitutionName=line_of(device.institution_name) or None,
    )


def evidence_items(references: Sequence[SopInstanceReference]) -> list[Elements]:
    """Return studies with their series and objects (Hierarchical SOP Instance Reference Macro; PS3.3, C.18.9)."""
    by_study: dict[str, list[Elements]] = {}
    for (study, series), objects in _by_series(references).items():
        items = [found.sop.item() for found in objects]
        by_study.setdefault(study, []).append(elements(ReferencedSOPSequence=items, SeriesInstanceUID=series))
    return [elements(ReferencedSeriesSequence=series, StudyInstanceUID=study) for study, series in by_study.items()]


def _by_series(
    references: Sequence[SopInstanceReference],
) -> dict[tuple[str, str], dict[SopInstanceReference, None]]:
    found: dict[tuple[str, str], dict[SopInstanceReference, None]] = {}
    for reference in references:
        found.setdefault((reference.study_instance_uid, reference.series_instance_uid), {})[reference] = None
    return found


def evidence_said(references: Sequence[SopInstanceReference]) -> tuple[SopInstanceReference, ...]:
    """Return references as they read after writing: each once, by study and series."""
    series = _by_series(references)
    studies = dict.fromkeys(study for study, _ in series)
    return tuple(found for study in studies for place in series if place[0] == study for found in series[place])


def read_evidence(items: Sequence[Dataset]) -> tuple[SopInstanceReference, ...]:
    """Read the objects of a Hierarchical SOP Instance Reference Macro."""
    return tuple(
        SopInstanceReference(
            study_instance_uid=text(study, "StudyInstanceUID"),
            series_instance_uid=text(series, "SeriesInstanceUID"),
            sop_class_uid=text(found, "ReferencedSOPClassUID"),
            sop_instance_uid=text(found, "ReferencedSOPInstanceUID"),
        )
        for study in items
        for series in study.ReferencedSeriesSequence
        for found in series.ReferencedSOPSequence
    )


def read_patient(source: Dataset) -> PatientModule:
    """Read who an object says it is about."""
    others = source.get("OtherPatientIDsSequence") or ()
    born = text(source, "PatientBirthDate")
    return PatientModule(
        patient_id=text(source, "PatientID"),
        issuer_of_patient_id=text(source, "IssuerOfPatientID"),
        patient_name=text(source, "PatientName"),
        patient_birth_date=date.fromisoformat(born) if born else None,
        patient_sex=text(source, "PatientSex"),
        other_patient_ids=tuple(
            PatientId(patient_id=text(other, "PatientID"), issuer_of_patient_id=text(other, "IssuerOfPatientID"))
            for other in others
        ),
    )


def patient_said(patient: PatientModule) -> PatientModule:
    """Return the patient as it reads after writing."""
    others = (
        PatientId(patient_id=exact(other.patient_id), issuer_of_patient_id=exact(other.issuer_of_patient_id))
        for other in patient.other_patient_ids
    )
    return PatientModule(
        patient_id=exact(patient.patient_id),
        issuer_of_patient_id=exact(patient.issuer_of_patient_id),
        patient_name=exact(patient.patient_name),
        patient_birth_date=patient.patient_birth_date,
        patient_sex=exact(patient.patient_sex),
        other_patient_ids=tuple(others),
    )
