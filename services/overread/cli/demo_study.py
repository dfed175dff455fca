"""What the demo sends: a chest phantom and a brain template with their truth, or a user's own images, and their orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from overread.cli.hospital_messages import omi_o23, pid_of
from overread.contracts.errors import OverreadError
from overread.embedded.phantom import PhantomStudy, SyntheticPatient, Truth, make_phantom
from overread.embedded.t1_template import T1Truth, make_t1_study
from overread.runtime.settings import ServiceSettings

PATIENT = SyntheticPatient(
    patient_id="THU0001",
    patient_name="THỬ NGHIỆM^NGUYỄN VĂN",
    birth_date=date(1960, 1, 1),
    sex="M",
    age_years=66,
    issuer_of_patient_id="DEMO",
)


@dataclass(frozen=True, kw_only=True)
class DemoStudy:
    """Images to send and the order that they answer, empty where nobody ordered; `truth` is None where it is not known."""

    name: str
    datasets: Sequence[Dataset]
    order: str
    accession_number: str
    study_instance_uid: str
    truth: Truth | T1Truth | None


def ct_study(now: datetime) -> DemoStudy:
    """Return a chest CT phantom and its order; the order says that it is a test (MSH-11 T)."""
    study = new_study(f"DEMOCT{now:%y%m%d%H%M}", now, "CT CHEST PHANTOM")
    phantom = make_phantom(patient=PATIENT, study=study)
    return _ordered("CT", study, phantom.datasets, phantom.truth)


def mr_study(now: datetime) -> DemoStudy:
    """Return the ICBM152 T1 template, the average of many adult heads, as an MR study, and its order."""
    study = new_study(f"DEMOMR{now:%y%m%d%H%M}", now, "MR BRAIN TEMPLATE")
    template = make_t1_study(patient=PATIENT, study=study)
    return _ordered("MR", study, template.datasets, template.truth)


def new_study(accession_number: str, now: datetime, description: str) -> PhantomStudy:
    """Return a study that nobody else has."""
    return PhantomStudy(
        study_instance_uid=f"2.25.{uuid4().int}",
        series_instance_uid=f"2.25.{uuid4().int}",
        accession_number=accession_number,
        acquired_at=now,
        study_description=description,
    )


def order_of(study: PhantomStudy, patient: SyntheticPatient, *, number: str, modality: str, priority: str = "R") -> str:
    """Return the order that a study answers; it says that it is a test. `priority` is TQ1-9 (S: STAT)."""
    birth_date = patient.birth_date.strftime("%Y%m%d")
    return omi_o23(
        number=number,
        now=study.acquired_at,
        accession_number=study.accession_number,
        study_instance_uid=study.study_instance_uid,
        pid=pid_of(patient.patient_id, patient.issuer_of_patient_id, patient.patient_name, birth_date, patient.sex),
        modality=modality,
        processing_id="T",
        priority=priority,
    )


def _ordered(modality: str, study: PhantomStudy, datasets: Sequence[Dataset], truth: Truth | T1Truth) -> DemoStudy:
    return DemoStudy(
        name=modality,
        datasets=datasets,
        order=order_of(study, PATIENT, number=f"{modality}{study.acquired_at:%y%m%d%H%M%S}", modality=modality),
        accession_number=study.accession_number,
        study_instance_uid=study.study_instance_uid,
        truth=truth,
    )


def own_study(folder: Path, now: datetime) -> DemoStudy:
    """Return the one study in `folder` and an order made for it; nothing in the files is changed."""
    datasets = [dataset for path in sorted(folder.rglob("*")) if (dataset := _read(path)) is not None]
    studies = {str(dataset.StudyInstanceUID) for dataset in datasets}
    if len(studies) != 1:
        raise OverreadError(f"{folder} holds {len(studies)} studies; --study takes a folder with the images of one")
    first = datasets[0]
    number = now.strftime("%y%m%d%H%M%S")
    accession_number = str(first.get("AccessionNumber", "")) or f"DEMO{number}"
    pid = pid_of(
        str(first.get("PatientID", "")) or "UNKNOWN",
        str(first.get("IssuerOfPatientID", "")),
        str(first.get("PatientName", "")),
        str(first.get("PatientBirthDate", "")),
        str(first.get("PatientSex", "")),
    )
    order = omi_o23(
        number=number,
        now=now,
        accession_number=accession_number,
        study_instance_uid=studies.pop(),
        pid=pid,
        modality=str(first.get("Modality", "OT")),
        processing_id="P",
    )
    return DemoStudy(
        name=str(first.get("Modality", "OT")),
        datasets=datasets,
        order=order,
        accession_number=accession_number,
        study_instance_uid=str(first.StudyInstanceUID),
        truth=None,
    )


def _read(path: Path) -> Dataset | None:
    if not path.is_file():
        return None
    try:
        dataset = dcmread(path)
    except (InvalidDicomError, OSError):
        return None
    return dataset if "SOPInstanceUID" in dataset and "StudyInstanceUID" in dataset else None


def local_now() -> datetime:
    """Return the time now in the hospital's zone, to the second."""
    return datetime.now(UTC).astimezone(ServiceSettings().time_zone).replace(microsecond=0)
