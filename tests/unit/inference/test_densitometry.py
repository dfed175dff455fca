"""The lung density model against a phantom whose answer is known voxel by voxel."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from overread.inference.preprocessing import Volume
from tests.builders.imaging import a_phantom, densitometry, file_bytes, read_volume


def _volume(**facts: Any) -> Volume:
    return read_volume(file_bytes(dataset) for dataset in a_phantom(**facts).datasets)


def _refusal(voxels: NDArray[np.int16], spacing_mm: tuple[float, float, float]) -> str:
    with pytest.raises(densitometry().Refused) as refused:
        densitometry().measure(voxels, spacing_mm)
    return str(refused.value)


@pytest.mark.parametrize("emphysema_share", [0.0, 0.08, 0.3])
@pytest.mark.parametrize("size", [128, 256])
def test_phantom_is_measured_as_it_was_built(emphysema_share: float, size: int) -> None:
    """Volume within 1 %, %LAA-950 within one point, Perc15 within 3 HU of what was placed."""
    truth = a_phantom(emphysema_share=emphysema_share, size=size).truth
    volume = _volume(emphysema_share=emphysema_share, size=size)

    density = densitometry().measure(volume.voxels, volume.spacing_mm)

    assert density.lung_volume_ml == pytest.approx(truth.lung_volume_ml, rel=0.01)
    assert density.laa_950_percent == pytest.approx(truth.laa_950_percent, abs=1.0)
    assert density.perc15_hu == pytest.approx(truth.perc15_hu, abs=3)
    assert density.mean_hu == pytest.approx(truth.mean_hu, abs=2)
    assert density.flags == ()


@pytest.mark.parametrize("slices", [40, 48, 72])
def test_airway_does_not_leak_into_emphysema(slices: int) -> None:
    """Dark lung beside a bronchus stays lung: half a litre was once lost to a leak."""
    truth = a_phantom(slices=slices, emphysema_share=0.5).truth
    volume = _volume(slices=slices, emphysema_share=0.5)

    density = densitometry().measure(volume.voxels, volume.spacing_mm)

    assert density.lung_volume_ml == pytest.approx(truth.lung_volume_ml, rel=0.01)
    assert density.laa_950_percent == pytest.approx(truth.laa_950_percent, abs=1.0)


def test_same_volume_gives_the_same_numbers() -> None:
    """The model is deterministic: a repeat can be compared digit by digit."""
    volume = _volume()

    first, second = (densitometry().measure(volume.voxels, volume.spacing_mm) for _ in range(2))

    assert (first.mask == second.mask).all()
    assert replace(first, mask=None) == replace(second, mask=None)


def test_mask_marks_the_very_voxels_that_were_measured() -> None:
    """Volume, mean and %LAA-950 can be recomputed from images and mask alone."""
    volume = _volume()

    density = densitometry().measure(volume.voxels, volume.spacing_mm)

    lung = volume.voxels[density.mask == 1]
    assert density.mask.shape == volume.voxels.shape
    assert lung.size * np.prod(volume.spacing_mm) / 1000 == pytest.approx(density.lung_volume_ml)
    assert float(lung.mean(dtype=np.float64)) == pytest.approx(density.mean_hu)
    assert 100 * np.count_nonzero(lung < -950) / lung.size == pytest.approx(density.laa_950_percent)


def test_air_in_the_table_and_round_the_body_is_not_lung() -> None:
    """Thresholding alone once took the hollow table for a lung: 9.63 l instead of 5.56 l."""
    volume = _volume()
    without_lungs = volume.voxels.copy()
    half = without_lungs.shape[1] // 2
    without_lungs[:, half - 26 : half + 26, half - 44 : half + 44] = 40

    reason = _refusal(without_lungs, volume.spacing_mm)

    assert reason in {"no lung was found inside the body", "no air was found inside the body"}


def test_trachea_is_not_lung() -> None:
    """Trachea and main bronchi are left out; they are nearly pure air and would read as emphysema."""
    volume = _volume(emphysema_share=0.0)
    truth = a_phantom(emphysema_share=0.0).truth

    density = densitometry().measure(volume.voxels, volume.spacing_mm)

    assert density.laa_950_percent < truth.laa_950_percent + 0.1
    assert density.lung_volume_ml <= truth.lung_volume_ml * 1.002


def test_missing_trachea_is_flagged() -> None:
    """Without an airway the numbers may hold some of it, and the reader is told."""
    volume = _volume()
    filled = volume.voxels.copy()
    half = filled.shape[1] // 2
    filled[:, half - 1 : half + 14, half - 11 : half + 11] = 40

    density = densitometry().measure(filled, volume.spacing_mm)

    assert density.flags == ("airway_not_found",)


def test_lungs_cut_off_by_the_scan_are_refused() -> None:
    """A volume of part of the lungs is no lung volume."""
    volume = _volume()

    reason = _refusal(volume.voxels[:36], volume.spacing_mm)

    assert reason == "the lungs reach beyond the first or last slice"


@pytest.mark.parametrize(("factor", "litres"), [(0.5, "0.5"), (1.5, "13.")])
def test_implausible_volume_is_refused(factor: float, litres: str) -> None:
    """Outside 1 to 9 l the segmentation, or the subject, is not what the model is for."""
    volume = _volume()
    z, y, x = (side * factor for side in volume.spacing_mm)

    reason = _refusal(volume.voxels, (z, y, x))

    assert "is outside 1 to 9 l" in reason
    assert litres in reason


@pytest.mark.parametrize("value", [-2048, -1000, 0, 400])
def test_volume_without_a_chest_is_refused_not_crashed(value: int) -> None:
    """Any array of the right type gets an answer in words."""
    reason = _refusal(np.full((20, 64, 64), value, dtype=np.int16), (3.0, 1.0, 1.0))

    assert reason


@pytest.mark.parametrize("spacing_mm", [(0.0, 1.0, 1.0), (3.0, float("nan"), 1.0), (3.0, 1.0, 50.0)])
def test_implausible_spacing_is_refused(spacing_mm: tuple[float, float, float]) -> None:
    """A voxel without a size has no volume."""
    reason = _refusal(np.zeros((20, 64, 64), dtype=np.int16), spacing_mm)

    assert reason == "the voxel spacing is not plausible"


def test_too_few_slices_are_refused() -> None:
    """A handful of slices is no volume."""
    reason = _refusal(np.zeros((4, 64, 64), dtype=np.int16), (3.0, 1.0, 1.0))

    assert reason == "the volume has too few slices or pixels"
