"""Brain extraction round its networks: what they say becomes one whole piece in the grid that was given, or a refusal."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.builders.imaging import brain_volume

Cube = NDArray[np.float32]
SIDE = 64
SPACING = (2.0, 1.6, 2.5)
HEAD, BRAIN = 0.3, 1.0


@pytest.fixture(autouse=True)
def _small_cubes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small cubes: the networks' real sides take seconds and change nothing that is said here."""
    monkeypatch.setattr(brain_volume(), "SIDE", SIDE)
    monkeypatch.setattr(brain_volume(), "SMALL_SIDE", SIDE)


def _grid(shape: tuple[int, int, int] = (80, 100, 64)) -> list[NDArray[np.float64]]:
    """Return millimetres from the middle along each axis."""
    sides = zip(shape, SPACING, strict=True)
    axes = [(np.arange(count) - (count - 1) / 2) * side for count, side in sides]
    return list(np.meshgrid(*axes, indexing="ij"))


def _ellipsoid(radii: tuple[float, float, float], centre: tuple[float, float, float] = (0, 0, 0)) -> Cube:
    terms = zip(_grid(), centre, radii, strict=True)
    distance = sum(((axis - middle) / radius) ** 2 for axis, middle, radius in terms)
    return np.asarray(distance <= 1.0, dtype=np.float32)


def _head(**changes: Any) -> Cube:
    """Return a head of two greys: the brain is the brighter one."""
    brain = _ellipsoid((62, 72, 68), **changes)
    return np.asarray(HEAD * _ellipsoid((72, 78, 79)) + (BRAIN - HEAD) * brain, dtype=np.float32)


def _bright(certainty: float = 1.0) -> Callable[[Cube], Cube]:
    """Return a network for which the brighter half of the greys is brain."""

    def network(cube: Cube) -> Cube:
        middle = (float(cube.min()) + float(cube.max())) / 2
        return np.where(cube > middle, np.float32(certainty), np.float32(0.0))

    return network


def _measure(voxels: Cube, *, outline: Callable[[Cube], Cube] | None = None, **known: Any) -> Any:
    return brain_volume().measure(voxels, SPACING, find_box=_bright(), outline=outline or _bright(), **known)


def _refusal(voxels: Cube, **known: Any) -> str:
    with pytest.raises(brain_volume().Refused) as refused:
        _measure(voxels, **known)
    return str(refused.value)


def test_volume_is_the_masks_and_the_mask_lies_where_the_brain_does() -> None:
    """Millilitres of the given spacing; the way through the networks' cube and back costs two percent at most."""
    voxels = _head()

    brain = _measure(voxels)

    truth = voxels > (HEAD + BRAIN) / 2
    assert brain.volume_ml == pytest.approx(truth.sum() * np.prod(SPACING) / 1000, rel=0.02)
    assert brain.volume_ml == pytest.approx(int(brain.mask.sum()) * np.prod(SPACING) / 1000)
    assert (brain.mask.shape, brain.mask.dtype, brain.flags) == (voxels.shape, np.uint8, ())
    assert 2 * (truth & (brain.mask > 0)).sum() / (truth.sum() + brain.mask.sum()) > 0.98


def test_same_volume_gives_the_same_mask() -> None:
    """A repeat can be compared voxel by voxel."""
    first, second = (_measure(_head()).mask for _ in range(2))

    assert np.array_equal(first, second)


def test_ventricles_that_a_network_leaves_out_are_filled() -> None:
    """What lies wholly within the brain belongs to it."""
    hollow = _head() - (BRAIN - HEAD) * _ellipsoid((15, 15, 15))

    mask = _measure(hollow.astype(np.float32)).mask

    assert mask[40, 50, 32] == 1


def test_piece_apart_is_dropped_and_named() -> None:
    """Only the largest piece is brain; a reader hears that there was another."""
    voxels = _head()

    brain = _measure(voxels, outline=_with_a_piece_apart)

    assert brain.flags == ("separate_pieces",)
    assert np.array_equal(brain.mask, _measure(voxels).mask)


def _with_a_piece_apart(cube: Cube) -> Cube:
    found = _bright()(cube)
    found[:14, :14, :14] = 1.0
    return found


def test_uncertain_outline_is_named() -> None:
    """Probabilities near the threshold all over are no outline to rely on."""
    brain = _measure(_head(), outline=_bright(certainty=0.6))

    assert brain.flags == ("uncertain_outline",)


@pytest.mark.parametrize(
    ("voxels", "reason"),
    [
        (lambda: np.ones((80, 100, 64), dtype=np.float32), "the volume holds no image"),
        (lambda: np.full((80, 100, 64), np.nan, dtype=np.float32), "the volume holds no image"),
        (lambda: _head()[:40], "too few slices"),
        (lambda: _head()[14:], "reaches beyond the edge"),
        (
            lambda: np.asarray(HEAD * _ellipsoid((72, 78, 79)) + _ellipsoid((30, 30, 30)), np.float32),
            "113 ml is outside",
        ),
    ],
)
def test_volume_that_can_not_be_measured_is_refused_in_words(voxels: Callable[[], Cube], reason: str) -> None:
    """No number rather than a wrong one."""
    assert reason in _refusal(voxels())


@pytest.mark.parametrize("blind", ["find_box", "outline"])
def test_images_in_which_a_network_sees_no_brain_are_refused(blind: str) -> None:
    """Another organ, or nothing."""
    networks = {"find_box": _bright(), "outline": _bright()} | {blind: np.zeros_like}

    with pytest.raises(brain_volume().Refused, match="no brain was found"):
        brain_volume().measure(_head(), SPACING, **networks)


def test_spacing_that_no_scanner_has_is_refused() -> None:
    """A volume in millilitres is only as good as its spacing."""
    with pytest.raises(brain_volume().Refused, match="spacing"):
        brain_volume().measure(_head(), (0.0, 1.0, 1.0), find_box=_bright(), outline=_bright())
