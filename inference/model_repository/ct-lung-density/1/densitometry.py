"""Quantitative CT of the lungs: from a volume in Hounsfield units to four numbers, their flags and the lungs' mask.

Pure functions over arrays; nothing here knows Triton, DICOM or the patient. Order of work: body, lungs and airway on
a coarse grid in the plane, then the measurement on every voxel of the original grid.

%LAA-950 is the share of lung voxels below -950 HU (Gevenois, 1996); Perc15 the value below which 15 % of them lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.int16]
Mask = NDArray[np.bool_]

PADDING_HU = -2000  # at or below: outside the reconstructed circle, never air
TISSUE_MINIMUM_HU = -320
LUNG_MAXIMUM_HU = -500
EMPHYSEMA_HU = -950
AIRWAY_MAXIMUM_HU = -900
AIRWAY_AREA_MM2 = (25.0, 900.0)
AIRWAY_LENGTH_MM = 40.0
AIRWAY_WALL_MM = 3.0
TRACHEA_DRIFT_MM = 12.0  # between one slice and the next, to the side
BRONCHUS_AREA_MM2 = 450.0
BRONCHUS_REACH_MM = 60.0  # from the trachea's axis
BRONCHI_DEPTH_MM = 40.0
GAS_HU = -975
COARSE_PIXEL_MM = 1.3
PLAUSIBLE_LITRES = (1.0, 9.0)
TRUNCATED_AREA_MM2 = 1500.0
IN_PLANE = np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))], dtype=bool)


class Refused(Exception):
    """The volume can't be measured; the message says why in plain words."""


@dataclass(frozen=True)
class Density:
    """What was measured over both lungs together, airway left out, and on which voxels."""

    lung_volume_ml: float
    mean_hu: float
    laa_950_percent: float
    perc15_hu: float
    flags: tuple[str, ...]
    mask: NDArray[np.uint8]


def measure(volume: Volume, spacing_mm: tuple[float, float, float]) -> Density:
    """Measure both lungs in `volume` ([z, y, x], HU), whose voxels are `spacing_mm` apart, or raise `Refused`."""
    _check_input(volume, spacing_mm)
    step = _coarse_step(volume.shape, spacing_mm)
    coarse = volume[:, ::step, ::step]
    coarse_spacing = (spacing_mm[0], spacing_mm[1] * step, spacing_mm[2] * step)
    lungs, airway = segment(coarse, coarse_spacing)
    mask = _lung_mask(volume, lungs, _with_walls(airway, coarse_spacing), step)
    flags = _quality_flags(lungs, airway, coarse_spacing)
    return _density(volume, mask, float(np.prod(spacing_mm)), flags)


def segment(coarse: Volume, spacing_mm: tuple[float, float, float]) -> tuple[Mask, Mask]:
    """Find the lungs (without airway) and the airway (trachea and main bronchi) inside the body."""
    inside = _inside_of_body(coarse, spacing_mm)
    air = (coarse < LUNG_MAXIMUM_HU) & (coarse > PADDING_HU) & inside
    airway = _airway(air & (coarse < AIRWAY_MAXIMUM_HU), spacing_mm)
    taken = _with_walls(airway, spacing_mm)
    lungs = _lung_components(air & ~taken, coarse, float(np.prod(spacing_mm)))
    return lungs, airway


def _check_input(volume: Volume, spacing_mm: tuple[float, float, float]) -> None:
    if volume.ndim != 3 or min(volume.shape[1:]) < 32 or volume.shape[0] < 8:
        raise Refused("the volume has too few slices or pixels")
    if not all(0.0 < side < 20.0 for side in spacing_mm):
        raise Refused("the voxel spacing is not plausible")


def _coarse_step(shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> int:
    """Choose how many pixels of the plane make one coarse pixel: as coarse as the airway's wall allows."""
    step = max(1, round(COARSE_PIXEL_MM / min(spacing_mm[1:])))
    return max(step, 2) if max(shape[1:]) >= 384 else step


def _inside_of_body(coarse: Volume, spacing_mm: tuple[float, float, float]) -> Mask:
    """Fill the patient's outline slice by slice; the table and what lies under it stay outside."""
    radius = max(1, round(3.0 / spacing_mm[1]))
    tissue = ndimage.binary_opening(coarse > TISSUE_MINIMUM_HU, IN_PLANE, iterations=radius)
    labels, count = ndimage.label(tissue)
    if count == 0:
        raise Refused("no body was found in the images")
    body = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return _fill_slices(body)


def _fill_slices(body: Mask) -> Mask:
    """Add to each slice what can't be reached from its edge."""
    labels, count = ndimage.label(~body, structure=IN_PLANE)
    edges = (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1])
    is_outside = np.zeros(count + 1, dtype=bool)
    is_outside[np.unique(np.concatenate([edge.ravel() for edge in edges]))] = True
    is_outside[0] = False
    return ~is_outside[labels]


def _airway(dark: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Follow trachea and main bronchi down from the highest long column of small dark patches."""
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    patches = _patches_between(dark, AIRWAY_AREA_MM2[0] / pixel_mm2, AIRWAY_AREA_MM2[1] / pixel_mm2)
    airway = np.zeros_like(patches)
    region = _top_of_highest_column(patches, spacing_mm[0])
    if region is None:
        return airway
    top, around = region
    axis, below_carina_mm = _centre(around), 0.0
    for z in range(top, -1, -1):
        branches = _branches(patches[z], around, axis, spacing_mm)
        is_trachea = len(branches) == 1 and abs(_centre(branches[0])[1] - axis[1]) * spacing_mm[2] <= TRACHEA_DRIFT_MM
        below_carina_mm = 0.0 if is_trachea else below_carina_mm + spacing_mm[0]
        if not branches or below_carina_mm > BRONCHI_DEPTH_MM:
            break
        axis = _centre(branches[0]) if is_trachea else axis
        around = np.logical_or.reduce(branches)
        airway[z] = around
    return airway


def _top_of_highest_column(patches: Mask, gap_mm: float) -> tuple[int, Mask] | None:
    """Return the uppermost slice of the highest long column and its largest patch there: lung starts lower, noise ends."""
    labels, _ = ndimage.label(patches)
    boxes = list(enumerate(ndimage.find_objects(labels), start=1))
    columns = [
        (box[0].stop, label) for label, box in boxes if (box[0].stop - box[0].start) * gap_mm >= AIRWAY_LENGTH_MM
    ]
    if not columns:
        return None
    stop, label = max(columns)
    highest = labels[stop - 1] == label
    return stop - 1, _pieces(highest, highest)[0]


def _branches(
    patch: Mask, around: Mask, axis: tuple[float, float], spacing_mm: tuple[float, float, float]
) -> list[Mask]:
    """Return the one or two patches that go on from the slice above; a second one, or one far off, must be a bronchus."""
    reached = _pieces(patch, around)[:2]
    if len(reached) == 1 and abs(_centre(reached[0])[1] - axis[1]) * spacing_mm[2] <= TRACHEA_DRIFT_MM:
        return reached
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    return [
        piece
        for piece in reached
        if piece.sum() * pixel_mm2 <= BRONCHUS_AREA_MM2
        and np.hypot(*np.subtract(_centre(piece), axis)) * spacing_mm[2] <= BRONCHUS_REACH_MM
    ]


def _pieces(patch: Mask, around: Mask) -> list[Mask]:
    """Return the connected pieces of one slice that overlap `around`, the largest first."""
    labels, _ = ndimage.label(patch)
    touched = (labels == label for label in np.unique(labels[around & patch]))
    return sorted(touched, key=np.count_nonzero, reverse=True)


def _centre(patch: Mask) -> tuple[float, float]:
    rows, columns = np.nonzero(patch)
    return float(rows.mean()), float(columns.mean())


def _patches_between(dark: Mask, minimum_pixels: float, maximum_pixels: float) -> Mask:
    """Keep the connected patches of each slice whose size lies between two bounds."""
    labels, _ = ndimage.label(dark, structure=IN_PLANE)
    sizes = np.bincount(labels.ravel())
    is_kept = (sizes >= minimum_pixels) & (sizes <= maximum_pixels)
    is_kept[0] = False
    return is_kept[labels]


def _lung_components(air: Mask, coarse: Volume, voxel_mm3: float) -> Mask:
    """Keep the one or two great pieces of air that hold tissue too; gas in stomach or bowel holds none."""
    labels, count = ndimage.label(air)
    if count == 0:
        raise Refused("no air was found inside the body")
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    order = np.argsort(sizes)[::-1][:4]
    great = [label for label in order if sizes[label] * voxel_mm3 >= max(2e5, 0.1 * sizes[order[0]] * voxel_mm3)]
    lungs = [label for label in great if np.median(coarse[labels == label]) > GAS_HU]
    if not lungs:
        raise Refused("no lung was found inside the body")
    return np.isin(labels, lungs[:2])


def _with_walls(airway: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    return ndimage.binary_dilation(airway, IN_PLANE, iterations=max(1, round(AIRWAY_WALL_MM / spacing_mm[1])))


def _lung_mask(volume: Volume, lungs: Mask, taken: Mask, step: int) -> Mask:
    """Take every full-size voxel in the lungs: the coarse mask, its rim judged again voxel by voxel."""
    wide = ndimage.binary_dilation(lungs, IN_PLANE) & ~taken
    full = np.repeat(np.repeat(wide, step, axis=1), step, axis=2)[:, : volume.shape[1], : volume.shape[2]]
    return full & (volume < LUNG_MAXIMUM_HU) & (volume > PADDING_HU)


def _quality_flags(lungs: Mask, airway: Mask, spacing_mm: tuple[float, float, float]) -> tuple[str, ...]:
    """Refuse lungs that the images cut off; name what else a reader should know."""
    slice_mm2 = spacing_mm[1] * spacing_mm[2]
    if max(lungs[0].sum(), lungs[-1].sum()) * slice_mm2 > TRUNCATED_AREA_MM2:
        raise Refused("the lungs reach beyond the first or last slice")
    return () if airway.any() else ("airway_not_found",)


def _density(volume: Volume, mask: Mask, voxel_mm3: float, flags: tuple[str, ...]) -> Density:
    """Count each value once and read all four numbers from the counts."""
    values = volume[mask]
    volume_ml = values.size * voxel_mm3 / 1000.0
    low, high = PLAUSIBLE_LITRES
    if not low <= volume_ml / 1000.0 <= high:
        raise Refused(f"a lung volume of {volume_ml / 1000.0:.2f} l is outside {low:g} to {high:g} l")
    counts = np.bincount(values.astype(np.int32) - PADDING_HU)
    scale = np.arange(counts.size) + PADDING_HU
    return Density(
        lung_volume_ml=volume_ml,
        mean_hu=float(counts @ scale / values.size),
        laa_950_percent=float(100.0 * counts[scale < EMPHYSEMA_HU].sum() / values.size),
        perc15_hu=float(scale[np.searchsorted(np.cumsum(counts), 0.15 * values.size)]),
        flags=flags,
        mask=mask.view(np.uint8),
    )
