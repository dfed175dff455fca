"""Triton's side of the lung density model: tensors in, tensors out; `densitometry` does the measuring."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import triton_python_backend_utils as pb_utils
from densitometry import Refused, measure

NOT_MEASURED = (math.nan, math.nan, math.nan, math.nan, ())


class TritonPythonModel:
    """Answers each request by itself; a volume that can't be measured gets the reason in `REFUSAL`, not an error."""

    def execute(self, requests):
        return [_answer(request) for request in requests]


def _answer(request):
    volume = pb_utils.get_input_tensor_by_name(request, "VOLUME").as_numpy()
    spacing = pb_utils.get_input_tensor_by_name(request, "SPACING").as_numpy()
    try:
        return _response(astuple(measure(volume, tuple(float(side) for side in spacing))), refusal="")
    except Refused as refused:
        return _response(NOT_MEASURED, refusal=str(refused))


def _response(density, *, refusal):
    *numbers, flags = density
    names = ("LUNG_VOLUME", "MEAN_HU", "LAA_950", "PERC15")
    tensors = [_number(name, value) for name, value in zip(names, numbers, strict=True)]
    tensors += [_text("QC_FLAGS", ",".join(flags)), _text("REFUSAL", refusal)]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _number(name, value):
    return pb_utils.Tensor(name, np.array([value], dtype=np.float64))


def _text(name, value):
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))
