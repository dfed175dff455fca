"""Triton's side of the lung density model: tensors in, tensors out; `densitometry` does the measuring."""

from __future__ import annotations

import math

import numpy as np
import triton_python_backend_utils as pb_utils
from densitometry import Density, Refused, measure

NOT_MEASURED = Density(math.nan, math.nan, math.nan, math.nan, (), np.zeros((0, 0, 0), dtype=np.uint8))


class TritonPythonModel:
    """Answers each request by itself; a volume that can't be measured gets the reason in `REFUSAL`, not an error."""

    def execute(self, requests):
        return [_answer(request) for request in requests]


def _answer(request):
    volume = pb_utils.get_input_tensor_by_name(request, "VOLUME").as_numpy()
    spacing = pb_utils.get_input_tensor_by_name(request, "SPACING").as_numpy()
    try:
        return _response(measure(volume, tuple(float(side) for side in spacing)), refusal="")
    except Refused as refused:
        return _response(NOT_MEASURED, refusal=str(refused))


def _response(density, *, refusal):
    tensors = [
        _number("LUNG_VOLUME", density.lung_volume_ml),
        _number("MEAN_HU", density.mean_hu),
        _number("LAA_950", density.laa_950_percent),
        _number("PERC15", density.perc15_hu),
        pb_utils.Tensor("LUNG_MASK", density.mask),
        _text("QC_FLAGS", ",".join(density.flags)),
        _text("REFUSAL", refusal),
    ]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _number(name, value):
    return pb_utils.Tensor(name, np.array([value], dtype=np.float64))


def _text(name, value):
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))
