"""From a model's answer to findings and masks: each number in its bounds and written once, each mask in its grid."""

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from numpy.typing import NDArray

from overread.contracts.errors import Malformed
from overread.contracts.events.inference import Finding
from overread.inference.catalog import Model, Output, Segmentation

Labels = NDArray[np.uint8]
Answer = Mapping[str, float | str | Labels]
"""Each output tensor by its name: its single value, or the whole of it where the contract calls it a segmentation."""

QUALITY_SCHEME = "99OVERREAD"


class ModelRefused(Malformed):
    """The model looked at the images and declined to answer; the message is its reason."""


class ImplausibleAnswer(Malformed):
    """The model's answer breaks its own contract, so nothing of it is shown."""


def findings(model: Model, answer: Answer, *, series_instance_uid: str = "") -> tuple[Finding, ...]:
    """Turn `answer` into findings in the order of the catalogue, quality flags last.

    Raises `ModelRefused` with the model's reason, or `ImplausibleAnswer` when an output is missing or out of bounds.
    """
    if refusal := str(answer.get(model.refusal_output, "")).strip():
        raise ModelRefused(refusal)
    measured = [_measurement(output, answer, series_instance_uid) for output in model.outputs]
    flags = [flag for flag in str(answer.get(model.flags_output, "")).split(",") if flag]
    return (*measured, *(_flag(flag, series_instance_uid) for flag in flags))


def labels(segmentation: Segmentation, answer: Answer, shape: tuple[int, ...]) -> Labels:
    """Return the mask that belongs to `segmentation`, in the grid of the volume that was sent.

    Raises `ImplausibleAnswer` when it is missing, in another grid, or marks what the catalogue has no word for.
    """
    mask = answer.get(segmentation.tensor)
    if not isinstance(mask, np.ndarray) or mask.dtype != np.uint8 or mask.shape != shape:
        raise ImplausibleAnswer(f"the model gave no mask of the volume's size for {segmentation.name}")
    if int(mask.max(initial=0)) > len(segmentation.segments):
        raise ImplausibleAnswer(f"the model's mask for {segmentation.name} marks what its contract does not name")
    return mask


def as_decimal_digits(value: float, decimals: int) -> str:
    """Write `value` with `decimals` places, half to even, without exponent or negative zero."""
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_EVEN)
    return f"{abs(rounded) if rounded.is_zero() else rounded:f}"


def _measurement(output: Output, answer: Answer, series_instance_uid: str) -> Finding:
    value = answer.get(output.tensor)
    if not isinstance(value, float) or not math.isfinite(value):
        raise ImplausibleAnswer(f"the model gave no number for {output.display}")
    if value not in output.bounds:
        raise ImplausibleAnswer(f"the model's number for {output.display} is outside its bounds")
    return Finding(
        code=output.code,
        scheme=output.scheme,
        display=output.display,
        value=as_decimal_digits(value, output.decimals),
        unit=output.unit,
        unit_display=output.unit_display,
        observation_sub_id=output.observation_sub_id,
        series_instance_uid=series_instance_uid,
        finding_site=output.finding_site.concept if output.finding_site else None,
        property=output.property.concept if output.property else None,
    )


def _flag(flag: str, series_instance_uid: str) -> Finding:
    return Finding(
        code="quality-flag",
        scheme=QUALITY_SCHEME,
        display="Quality flag",
        coded_value=flag.replace("_", "-"),
        coded_value_scheme=QUALITY_SCHEME,
        coded_value_display=flag.replace("_", " "),
        series_instance_uid=series_instance_uid,
    )
