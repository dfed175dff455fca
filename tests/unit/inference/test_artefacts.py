"""The stored form of a mask is what the contract says, byte for byte the same for the same mask."""

from io import BytesIO

import numpy as np
import pytest

from overread.inference import artefacts
from overread.inference.postprocessing import Answer, ImplausibleAnswer, labels
from overread.inference.preprocessing import Grid
from tests.builders.imaging import lung_density_model

GRID = Grid(("2.25.1", "2.25.2"), 3, 4, order=(2, 1, 0), is_reversed=(False, True, True))
SEGMENTATION = lung_density_model().segmentations[0]


def _mask() -> np.ndarray:
    return (np.arange(24).reshape(GRID.shape) % 2).astype(np.uint8)


def test_archive_holds_frames_and_their_images_without_pickles() -> None:
    """`contracts.events.inference.Artefact`: labels by frame, row and column, and the image of each frame."""
    with np.load(BytesIO(artefacts.segmentation_bytes(_mask(), GRID)), allow_pickle=False) as archive:
        stored, uids = archive["labels"], archive["sop_instance_uids"]

    assert (stored.dtype, stored.shape) == (np.uint8, (2, 3, 4))
    assert np.array_equal(GRID.lay_out(stored), _mask())
    assert uids.tolist() == ["2.25.1", "2.25.2"]


def test_same_mask_is_the_same_bytes() -> None:
    """A job that runs twice stores one object: no time of day is in it."""
    assert artefacts.segmentation_bytes(_mask(), GRID) == artefacts.segmentation_bytes(_mask(), GRID)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"LUNG_MASK": 1.0},
        {"LUNG_MASK": np.zeros((4, 3, 3), dtype=np.uint8)},
        {"LUNG_MASK": np.zeros(GRID.shape, dtype=np.int16)},
        {"LUNG_MASK": np.full(GRID.shape, 2, dtype=np.uint8)},
    ],
)
def test_mask_that_breaks_its_contract_is_never_stored(answer: Answer) -> None:
    """Missing, of another grid or type, or marking what no segment names."""
    with pytest.raises(ImplausibleAnswer):
        labels(SEGMENTATION, answer, GRID.shape)


def test_mask_that_keeps_its_contract_is_taken_as_it_is() -> None:
    """Nothing is changed on the way."""
    assert labels(SEGMENTATION, {"LUNG_MASK": _mask()}, GRID.shape) is not None
