"""A chest of simple shapes as a CT series, and the true answer to every question the lung density model is asked.

The truth is counted from the very voxels placed as lung, never from a formula. Nothing here stems from a patient: the
identity is given by the caller, and each image says that it shows a phantom.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

Mask = NDArray[np.bool_]

AIR_HU, FAT_HU, SOFT_TISSUE_HU, BONE_HU, TABLE_HU = -1000, -100, 40, 400, 120
PADDING_STORED = -2000
RESCALE_INTERCEPT = -1024
FIELD_OF_VIEW_MM = 400.0
LENGTH_MM = 288.0


@dataclass(frozen=True, kw_only=True)
class SyntheticPatient:
    """The invented person whose name the images carry."""

    patient_id: str
    patient_name: str
    birth_date: date
    sex: str
    age_years: int
    issuer_of_patient_id: str = ""


@dataclass(frozen=True, kw_only=True)
class PhantomStudy:
    """What the images say about their order and study."""

    study_instance_uid: str
    series_instance_uid: str
    accession_number: str
    acquired_at: datetime
    study_description: str = "CT CHEST PHANTOM"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The lungs' true numbers: airway, vessels and heart are not lung."""

    lung_volume_ml: float
    mean_hu: float
    laa_950_percent: float
    perc15_hu: float


@dataclass(frozen=True)
class Phantom:
    """The images, in order from feet to head, and their truth."""

    datasets: tuple[FileDataset, ...]
    truth: Truth

    def write_series(self, folder: Path) -> tuple[Path, ...]:
        """Write one Part 10 file a slice into `folder` (PS3.10)."""
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_write(dataset, folder / f"{n:04d}.dcm") for n, dataset in enumerate(self.datasets, start=1))


@dataclass(frozen=True)
class _Grid:
    """Millimetre coordinates of each voxel, the origin in the middle of the chest; y grows towards the back."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    z: NDArray[np.float32]
    pixel_mm: float
    gap_mm: float

    def ellipsoid(self, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Mask:
        """Return the voxels within an ellipsoid."""
        terms = zip((self.x, self.y, self.z), centre, radii, strict=True)
        total = sum(((axis - middle) / radius) ** 2 for axis, middle, radius in terms)
        return np.asarray(total <= 1.0)

    def tube(self, start: tuple[float, float, float], end: tuple[float, float, float], radius: float) -> Mask:
        """Return the voxels within a tube that runs, slice by slice, from `start` down to `end`."""
        share = (start[2] - self.z) / (start[2] - end[2])
        middle_x = start[0] + share * (end[0] - start[0])
        middle_y = start[1] + share * (end[1] - start[1])
        within = (self.x - middle_x) ** 2 + (self.y - middle_y) ** 2 <= radius**2
        return np.asarray(within & (share >= 0.0) & (share <= 1.0))

    def box(self, x: tuple[float, float], y: tuple[float, float]) -> Mask:
        """Return the voxels within a box that runs through all slices."""
        is_inside = (self.x >= x[0]) & (self.x <= x[1]) & (self.y >= y[0]) & (self.y <= y[1])
        return np.asarray(is_inside & np.isfinite(self.z))


def make_phantom(
    *,
    patient: SyntheticPatient,
    study: PhantomStudy,
    seed: int = 1,
    slices: int = 72,
    size: int = 256,
    emphysema_share: float = 0.08,
) -> Phantom:
    """Build a chest CT of `slices` × `size` × `size` voxels; the same arguments give the same bytes."""
    grid = _grid(slices, size)
    noise = np.random.default_rng(seed)
    hu, lungs = _chest(grid, noise, emphysema_share)
    truth = _truth(hu[lungs], voxel_ml=grid.pixel_mm**2 * grid.gap_mm / 1000.0)
    stored = hu - np.int16(RESCALE_INTERCEPT)
    stored[np.broadcast_to(_outside_field_of_view(grid), stored.shape)] = PADDING_STORED
    return Phantom(tuple(_datasets(stored, patient, study)), truth)


def make_water(
    *, patient: SyntheticPatient, study: PhantomStudy, seed: int = 1, slices: int = 60, size: int = 128
) -> tuple[FileDataset, ...]:
    """Build the cylinder of water that a CT is checked with: a series like a chest's, and no lung in it."""
    grid = _grid(slices, size)
    hu = np.full((slices, size, size), AIR_HU, dtype=np.float32)
    hu[grid.ellipsoid((0, 0, 0), (100, 100, 1e6))] = 0.0
    hu += np.random.default_rng(seed).standard_normal(hu.shape, dtype=np.float32) * 8
    stored = np.rint(hu).clip(-1024, 3071).astype(np.int16) - np.int16(RESCALE_INTERCEPT)
    return tuple(_datasets(stored, patient, study))


def _grid(slices: int, size: int) -> _Grid:
    pixel_mm, gap_mm = FIELD_OF_VIEW_MM / size, LENGTH_MM / slices
    plane = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * np.float32(pixel_mm)
    height = (np.arange(slices, dtype=np.float32) - (slices - 1) / 2) * np.float32(gap_mm)
    return _Grid(plane[None, None, :], plane[None, :, None], height[:, None, None], pixel_mm, gap_mm)


def _chest(grid: _Grid, noise: np.random.Generator, emphysema_share: float) -> tuple[NDArray[np.int16], Mask]:
    """Place the organs from the outside in; return Hounsfield units and where lung is."""
    shape = (grid.z.size, grid.y.size, grid.x.size)
    hu = np.full(shape, AIR_HU, dtype=np.float32)
    _place_table(hu, grid)
    _place_body(hu, grid)
    airway, walls = _airway(grid)
    lungs = _lungs(grid) & ~(airway | walls)
    hu[lungs] = 0.0
    hu[walls] = SOFT_TISSUE_HU
    hu[airway] = AIR_HU
    hu += noise.standard_normal(shape, dtype=np.float32) * 12
    hu[lungs] = _lung_values(int(lungs.sum()), noise, emphysema_share)
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16), lungs


def _place_table(hu: NDArray[np.float32], grid: _Grid) -> None:
    """Place a hollow table close under the back: its inner air tempts a careless segmentation."""
    hu[grid.box((-130, 130), (119, 147))] = TABLE_HU
    hu[grid.box((-125, 125), (124, 142))] = AIR_HU


def _place_body(hu: NDArray[np.float32], grid: _Grid) -> None:
    hu[grid.ellipsoid((0, 0, 0), (165, 115, 1e6))] = FAT_HU
    hu[grid.ellipsoid((0, 0, 0), (155, 105, 1e6))] = SOFT_TISSUE_HU
    hu[grid.ellipsoid((0, 82, 0), (18, 16, 1e6))] = BONE_HU


def _airway(grid: _Grid) -> tuple[Mask, Mask]:
    """Trachea from the top down to the carina, then both main bronchi; with their walls."""
    top, carina = (0.0, 20.0, 1000.0), (0.0, 20.0, 40.0)
    paths = ((top, carina, 9.0), (carina, (-34.0, 22.0, 8.0), 6.5), (carina, (34.0, 22.0, 8.0), 6.5))
    lumen = np.logical_or.reduce([grid.tube(start, end, radius) for start, end, radius in paths])
    whole = np.logical_or.reduce([grid.tube(start, end, radius + 3.0) for start, end, radius in paths])
    return lumen, whole & ~lumen


def _lungs(grid: _Grid) -> Mask:
    """Two ellipsoids, less the heart and a few vessels."""
    right = grid.ellipsoid((-78, 0, 0), (56, 78, 122))
    left = grid.ellipsoid((78, 0, 0), (54, 76, 118))
    heart = grid.ellipsoid((28, -28, -35), (58, 48, 52))
    ends = ((-70, 30, -90), (-105, -20, -80), (-90, 10, -100), (75, 35, -90), (100, 15, -80), (90, 45, -60))
    vessels = [grid.tube((34.0 * np.sign(x), 22.0, 8.0), (x, y, z), 3.0) for x, y, z in ends]
    return np.asarray((right | left) & ~heart & ~np.logical_or.reduce(vessels))


def _lung_values(count: int, noise: np.random.Generator, emphysema_share: float) -> NDArray[np.float32]:
    """Draw normal lung round -850 HU, a share of it emphysema round -970 HU."""
    healthy = noise.standard_normal(count, dtype=np.float32) * 35 - 850
    emphysema = noise.standard_normal(count, dtype=np.float32) * 10 - 970
    values = np.where(noise.random(count, dtype=np.float32) < emphysema_share, emphysema, healthy)
    return np.asarray(values, dtype=np.float32)


def _truth(lung: NDArray[np.int16], *, voxel_ml: float) -> Truth:
    return Truth(
        lung_volume_ml=lung.size * voxel_ml,
        mean_hu=float(lung.mean(dtype=np.float64)),
        laa_950_percent=float(100.0 * np.count_nonzero(lung < -950) / lung.size),
        perc15_hu=float(np.percentile(lung, 15, method="inverted_cdf")),
    )


def _outside_field_of_view(grid: _Grid) -> Mask:
    return np.asarray(grid.x**2 + grid.y**2 > (FIELD_OF_VIEW_MM / 2) ** 2)


def _datasets(stored: NDArray[np.int16], patient: SyntheticPatient, study: PhantomStudy) -> Iterator[FileDataset]:
    for number, pixels in enumerate(stored, start=1):
        dataset = _header(f"{study.series_instance_uid}.{number}")
        _add_patient(dataset, patient)
        _add_study(dataset, study)
        _add_acquisition(dataset)
        _add_image(dataset, number, pixels, slices=len(stored))
        yield dataset


def _header(sop_instance_uid: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=False, is_little_endian=True)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
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
    dataset.SeriesDescription = "AXIAL SOFT SYNTHETIC"
    dataset.StudyID, dataset.SeriesNumber, dataset.ReferringPhysicianName = "1", 2, ""
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = study.acquired_at.strftime("%Y%m%d")
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = study.acquired_at.strftime("%H%M%S")


def _add_acquisition(dataset: Dataset) -> None:
    dataset.Modality = "CT"
    dataset.Manufacturer = "OVERREAD PHANTOM"
    dataset.ManufacturerModelName = "Chest of shapes"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"
    dataset.ConvolutionKernel = "STANDARD"
    dataset.KVP, dataset.GantryDetectorTilt = "120", "0"
    dataset.BurnedInAnnotation = "NO"
    dataset.QualityControlImage = "YES"
    dataset.PositionReferenceIndicator = ""


def _add_image(dataset: Dataset, number: int, pixels: NDArray[np.int16], *, slices: int) -> None:
    spacing, gap = FIELD_OF_VIEW_MM / pixels.shape[0], LENGTH_MM / slices
    corner = -(pixels.shape[0] - 1) / 2 * spacing
    dataset.InstanceNumber = dataset.AcquisitionNumber = number
    dataset.ImagePositionPatient = [f"{corner:.6f}", f"{corner:.6f}", f"{(number - 1) * gap:.4f}"]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [f"{spacing:.6f}", f"{spacing:.6f}"]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = f"{gap:.4f}"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = RESCALE_INTERCEPT, 1, "HU"
    dataset.PixelPaddingValue = PADDING_STORED
    dataset.WindowCenter, dataset.WindowWidth = -600, 1500
    dataset.PixelData = pixels.astype("<i2").tobytes()


def _write(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path
