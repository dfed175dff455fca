"""Brain extraction on a T1-weighted volume: from voxels to a mask, its volume and its quality flags.

The steps, their order and every constant of them are deepbet 1.0.2's (Fisch et al., 2024), without PyTorch: one network
finds the head's part that holds the brain, a second one outlines it there. Pure functions over arrays; the networks are
arguments. Nothing here knows Triton, DICOM or the patient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Voxels = NDArray[np.float32]
Mask = NDArray[np.bool_]
Box = tuple[slice, slice, slice]
Network = Callable[[Voxels], Voxels]
"""From a cube of normalised voxels to each voxel's probability of being brain."""

SMALL_SIDE, SIDE = 128, 256
QUANTILES = (0.005, 0.995)
NETWORK_MEAN, NETWORK_DEVIATION = 0.449, 0.226
THRESHOLD = 0.5
BOX_MARGIN = 0.1
BOX_SHARE = 0.02  # of a plane, above which it belongs to the box
SMALLEST_SIDE = 64
PLAUSIBLE_ML = (700.0, 2300.0)
CUT_OFF_MM2 = 300.0
UNCERTAIN = (0.1, 0.9)
UNCERTAIN_SHARE = 0.08
PIECE_SHARE = 0.02
TOUCHING = np.ones((3, 3, 3), dtype=bool)


class Refused(Exception):
    """The volume can't be measured; the message says why in plain words."""


@dataclass(frozen=True)
class Brain:
    """What was found: where the brain lies in the grid that was given, and how large it is."""

    volume_ml: float
    mask: NDArray[np.uint8]
    flags: tuple[str, ...]


def measure(voxels: Voxels, spacing_mm: tuple[float, float, float], *, find_box: Network, outline: Network) -> Brain:
    """Outline the brain in `voxels` (axes to the right, to the front, to the head), or raise `Refused`."""
    _check_input(voxels, spacing_mm)
    limits, box = _locate(voxels, find_box)
    small = outline(_normalised(_resized(voxels[box], (SIDE, SIDE, SIDE)), limits))
    probability = _resized(small, voxels[box].shape)
    inside, flags = _one_filled_piece(probability)
    mask = np.zeros(voxels.shape, dtype=np.uint8)
    mask[box] = inside
    volume_ml = _plausible(int(np.count_nonzero(inside)) * float(np.prod(spacing_mm)) / 1000.0)
    _check_is_whole(mask, spacing_mm)
    return Brain(volume_ml, mask, flags)


def _check_input(voxels: Voxels, spacing_mm: tuple[float, float, float]) -> None:
    if voxels.ndim != 3 or min(voxels.shape) < SMALLEST_SIDE:
        raise Refused("the volume has too few slices or pixels")
    if not all(0.0 < side < 5.0 for side in spacing_mm):
        raise Refused("the voxel spacing is not plausible")
    if not np.isfinite(voxels).all() or float(np.ptp(voxels)) == 0.0:
        raise Refused("the volume holds no image")


def _locate(voxels: Voxels, find_box: Network) -> tuple[tuple[float, float], Box]:
    """Return the head's grey limits, and where the brain lies with a tenth of its size round it."""
    small = _resized(voxels, (SMALL_SIDE, SMALL_SIDE, SMALL_SIDE))
    low, high = (float(value) for value in np.quantile(small, QUANTILES))
    if high <= low:
        raise Refused("the volume holds no image")
    found = find_box(_normalised(small, (low, high))) > THRESHOLD
    if not found.any():
        raise Refused("no brain was found in the images")
    return (low, high), _box_round(_largest_piece(found)[0], voxels.shape)


def _box_round(found: Mask, shape: tuple[int, ...]) -> Box:
    sides = []
    for axis, side in enumerate(shape):
        others = tuple(other for other in range(3) if other != axis)
        planes = np.flatnonzero(found.mean(axis=others) > BOX_SHARE)
        if planes.size == 0:
            raise Refused("no brain was found in the images")
        scale = side / found.shape[axis]
        centre = round(scale * (planes[-1] + 1 + planes[0]) / 2)
        size = round((1 + 2 * BOX_MARGIN) * scale * (planes[-1] + 1 - planes[0]))
        sides.append(slice(max(0, int(centre - size / 2)), min(side, int(centre + size / 2))))
    return sides[0], sides[1], sides[2]


def _normalised(cube: Voxels, limits: tuple[float, float]) -> Voxels:
    """Bring the cube to the mean and deviation that the networks were trained with."""
    low, high = limits
    scaled = cube - np.float32(low)
    scaled /= np.float32(high - low)
    np.clip(scaled, 0.0, 1.0, out=scaled)
    scaled -= np.float32(scaled.mean(dtype=np.float64))
    deviation = _deviation(scaled)
    if deviation == 0.0:
        raise Refused("the volume holds no image")
    scaled *= np.float32(NETWORK_DEVIATION / deviation)
    scaled += np.float32(NETWORK_MEAN)
    return scaled


def _deviation(centred: Voxels) -> float:
    """Return the deviation of values round zero; plane by plane, which keeps the sum's digits."""
    squares = sum(float(np.dot(plane, plane)) for plane in centred.reshape(len(centred), -1))
    return math.sqrt(squares / (centred.size - 1))


def _resized(cube: Voxels, shape: tuple[int, ...]) -> Voxels:
    """Take for each new voxel the old one at its middle (nearest neighbour, without the half voxel's shift)."""
    for axis in (2, 1, 0):
        new, old = shape[axis], cube.shape[axis]
        places = np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)
        cube = np.take(cube, places, axis=axis)
    return cube


def _one_filled_piece(probability: Voxels) -> tuple[Mask, tuple[str, ...]]:
    """Keep the largest piece and fill what it encloses; say when much was uncertain or lay apart."""
    found = probability > THRESHOLD
    if not found.any():
        raise Refused("no brain was found in the images")
    piece, share = _largest_piece(found)
    low, high = UNCERTAIN
    uncertain = np.count_nonzero((probability > low) & (probability < high)) / np.count_nonzero(piece)
    flags = {"uncertain_outline": uncertain > UNCERTAIN_SHARE, "separate_pieces": share < 1.0 - PIECE_SHARE}
    return _filled(piece), tuple(flag for flag, is_set in flags.items() if is_set)


def _largest_piece(found: Mask) -> tuple[Mask, float]:
    """Return the largest connected piece, and its share of all that was found."""
    labels, _ = ndimage.label(found, structure=TOUCHING)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = int(np.argmax(sizes))
    return labels == largest, float(sizes[largest] / sizes.sum())


def _filled(piece: Mask) -> Mask:
    """Add what can't be reached from the edge of the grid."""
    labels, count = ndimage.label(~piece)
    is_outside = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        for end in (0, -1):
            is_outside[np.unique(np.take(labels, end, axis=axis))] = True
    is_outside[0] = False
    return ~is_outside[labels]


def _plausible(volume_ml: float) -> float:
    low, high = PLAUSIBLE_ML
    if not low <= volume_ml <= high:
        raise Refused(f"a brain volume of {volume_ml:.0f} ml is outside {low:.0f} to {high:.0f} ml")
    return volume_ml


def _check_is_whole(mask: NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> None:
    for axis in range(3):
        voxel_mm2 = float(np.prod(spacing_mm)) / spacing_mm[axis]
        ends = [int(np.take(mask, end, axis=axis).sum()) * voxel_mm2 for end in (0, -1)]
        if max(ends) > CUT_OFF_MM2:
            raise Refused("the brain reaches beyond the edge of the images")
