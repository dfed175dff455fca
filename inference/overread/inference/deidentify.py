"""The boundary: the only place that builds what a model is sent, and it takes nothing that names a patient.

A model gets pixels, their spacing, and of attributes only what its contract declares, under a random token. There is
no parameter for a UID, a date, a name or an accession number, so none can slip through (promise 5 of the design).
"""

from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from overread.contracts.errors import OverreadError
from overread.inference.catalog import MAXIMUM_AGE_YEARS, Attribute, Model, Voxels
from overread.inference.preprocessing import Pixels, Volume

VOXEL_TYPES = {Voxels.HOUNSFIELD: np.dtype(np.int16), Voxels.INTENSITY: np.dtype(np.float32)}


class NotAnonymous(OverreadError):
    """What was to be sent to a model might tell who the patient is."""


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """Everything that crosses to a model, and nothing else does."""

    job_token: str
    pixels: NDArray[np.int16] | NDArray[np.float32]
    spacing_mm: tuple[float, float, float]
    age_years: int | None
    sex: str | None


def build_request(
    model: Model, volume: Volume, *, job_token: UUID, age_years: int | None = None, sex: str | None = None
) -> ModelRequest:
    """Return what `model` may be told: undeclared attributes are left out, ages above 89 become 89.

    `job_token` must be random (RFC 9562, 5.4): a derived ID could be traced back to the study.
    """
    if job_token.version != 4:
        raise NotAnonymous("the token of a model request must be a random UUID")
    return ModelRequest(
        job_token=str(job_token),
        pixels=_bare(model, volume.voxels),
        spacing_mm=volume.spacing_mm,
        age_years=_age(age_years) if Attribute.AGE_YEARS in model.attributes else None,
        sex=_sex(sex) if Attribute.SEX in model.attributes else None,
    )


def _bare(model: Model, voxels: Pixels) -> Pixels:
    """Return plain numbers in three dimensions: no subclass or structured type that could carry more."""
    wanted = VOXEL_TYPES[model.volume.voxels]
    if type(voxels) is not np.ndarray or voxels.dtype != wanted or voxels.ndim != 3:
        raise NotAnonymous(
            "the pixels of a model request must be a plain volume of the numbers that its contract names"
        )
    return np.ascontiguousarray(voxels)


def _age(age_years: int | None) -> int | None:
    return None if age_years is None else max(0, min(int(age_years), MAXIMUM_AGE_YEARS))


def _sex(sex: str | None) -> str | None:
    return sex if sex in ("M", "F", "O") else None
