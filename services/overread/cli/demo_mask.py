"""The mask that the PACS received, laid on the template's own maps of grey and white matter."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from overread.embedded import t1_template
from overread.embedded.t1_template import T1Truth


@dataclass(frozen=True, kw_only=True)
class MaskOnTemplate:
    """What must hold of any outline of this brain: it is no smaller than its tissue, and leaves none of it out.

    The model's outline takes the fluid spaces in, which these maps do not name: so it is a lower bound, no truth.
    """

    grey_and_white_matter_ml: float
    inside_mask_percent: float


def compare(segmentation: Dataset, truth: T1Truth) -> MaskOnTemplate:
    """Count how much of the template's tissue lies inside the mask; shares are rounded down."""
    tissue = t1_template.tissue_planes()
    inside = np.count_nonzero(_planes(segmentation, tissue.shape) & tissue) / np.count_nonzero(tissue)
    return MaskOnTemplate(
        grey_and_white_matter_ml=round(truth.tissue_ml, 1), inside_mask_percent=math.floor(inside * 10_000) / 100
    )


def _planes(segmentation: Dataset, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask plane by plane; where no frame was sent, nothing is marked (PS3.3, C.8.20.2)."""
    planes = np.zeros(shape, dtype=np.bool_)
    frames = segmentation.pixel_array.reshape(-1, *shape[1:])
    for frame, group in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        (position,) = group.PlanePositionSequence
        planes[t1_template.plane_at(float(position.ImagePositionPatient[2]))] = frame > 0
    return planes
