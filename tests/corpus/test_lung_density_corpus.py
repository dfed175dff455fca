"""The lung density model on real scans. The images stay in their folder; only their numbers are known here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from overread.contracts.events.intake import InstanceAttributes
from overread.inference.applicability import Applicable, SeriesSummary, Withheld, judge, judge_study, summarise
from overread.inference.preprocessing import UnreadableSeries
from tests.builders.imaging import densitometry, lung_density_model, read_volume

pytestmark = pytest.mark.corpus


def _folder(name: str) -> Path:
    root = os.environ.get("OVERREAD_CORPUS")
    if not root:
        pytest.skip("OVERREAD_CORPUS names no folder of real data")
    return Path(root) / "imaging" / name


def _headers(folder: Path) -> Iterator[tuple[Path, Dataset]]:
    for path in sorted(folder.rglob("*.dcm")):
        yield path, dcmread(path, stop_before_pixels=True)


def _attributes(header: Dataset) -> tuple[InstanceAttributes, str]:
    age = header.get("PatientAge")
    facts = {
        "series_instance_uid": header.SeriesInstanceUID,
        "modality": header.Modality,
        "body_part_examined": header.get("BodyPartExamined"),
        "study_description": header.get("StudyDescription"),
        "series_description": header.get("SeriesDescription"),
        "image_type": tuple(header.ImageType),
        "convolution_kernel": _many(header.get("ConvolutionKernel")),
        "manufacturer": header.get("Manufacturer"),
        "image_position_patient": _many(header.get("ImagePositionPatient")) or None,
        "image_orientation_patient": _many(header.get("ImageOrientationPatient")) or None,
        "pixel_spacing": _many(header.get("PixelSpacing")) or None,
        "rows": header.Rows,
        "columns": header.Columns,
        "gantry_detector_tilt": header.get("GantryDetectorTilt"),
        "contrast_bolus_agent": header.get("ContrastBolusAgent") or None,
        "patient_age_years": int(age[:3]) if age and age.endswith("Y") else None,
    }
    return InstanceAttributes.model_validate(facts), str(header.file_meta.TransferSyntaxUID)


def _many(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, MultiValue | list) else (value,)


def _series(folder: Path) -> list[SeriesSummary]:
    by_series: dict[str, list[tuple[InstanceAttributes, str]]] = {}
    for _, header in _headers(folder):
        by_series.setdefault(header.SeriesInstanceUID, []).append(_attributes(header))
    return [summarise(instances) for instances in by_series.values()]


def test_soft_kernel_chest_is_measured_within_its_known_range() -> None:
    """ACRIN: 5.5 ± 0.3 l, %LAA-950 about 0.39, Perc15 about -889 HU; the scout of the same study is passed over."""
    folder = _folder("acrin-petct")
    verdict = judge_study(lung_density_model(), _series(folder))
    assert isinstance(verdict, Applicable)

    chosen = [path for path, header in _headers(folder) if header.SeriesInstanceUID == verdict.series_instance_uid]
    volume = read_volume(path.read_bytes() for path in chosen)
    density = densitometry().measure(volume.voxels, volume.spacing_mm)

    assert len(chosen) == 135
    assert density.lung_volume_ml == pytest.approx(5500, abs=300)
    assert density.laa_950_percent == pytest.approx(0.39, abs=0.1)
    assert density.perc15_hu == pytest.approx(-889, abs=3)
    assert density.flags == ()


def test_tilted_head_with_uneven_gaps_has_no_volume() -> None:
    """GE head: gaps of 1.08, 4 and 7 mm and a tilt of 18.5° in one series."""
    folder = _folder("dcm-qa-ct-head")

    with pytest.raises(UnreadableSeries, match="uneven"):
        read_volume(path.read_bytes() for path, _ in _headers(folder))


def test_tilted_head_called_a_chest_is_withheld() -> None:
    """Even under a wrong description the geometry's guards hold."""
    (head,) = _series(_folder("dcm-qa-ct-head"))
    mislabelled = SeriesSummary(**(vars(head) | {"body_part_examined": "CHEST", "patient_age_years": 60}))

    verdict = judge(lung_density_model(), mislabelled)

    assert isinstance(verdict, Withheld)
    assert any("tilted" in reason for reason in verdict.reasons)
    assert any("uneven" in reason for reason in verdict.reasons)


def test_same_scan_under_a_sharp_kernel_is_withheld() -> None:
    """The number depends on the kernel; the list decides before a pixel is read."""
    axial = next(series for series in _series(_folder("acrin-petct")) if series.number_of_instances > 1)
    sharp = SeriesSummary(**(vars(axial) | {"convolution_kernels": ("LUNG",)}))

    verdict = judge(lung_density_model(), sharp)

    assert isinstance(verdict, Withheld)


def test_single_slices_and_other_organs_never_reach_the_model() -> None:
    """Single chest slices are withheld, brains are not applicable: none is a job."""
    summaries = [series for name in ("ny-sbu-ct-slices", "fnndsc-t1") for series in _series(_folder(name))]

    verdicts = [judge(lung_density_model(), series) for series in summaries]

    assert len(verdicts) >= 11
    assert not any(isinstance(verdict, Applicable) for verdict in verdicts)
