"""From a model's answer to findings: each number checked against its bounds and written once, as decimal digits."""

import math
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

from overread.contracts.errors import Malformed
from overread.contracts.events.inference import Finding
from overread.inference.catalog import Model, Output

Answer = Mapping[str, float | str]
"""Each output tensor's single value, by the tensor's name."""

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
        series_instance_uid=series_instance_uid,
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
