"""Triton's side of brain extraction: tensors in, tensors out; `brain_volume` does the measuring, onnxruntime the networks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from brain_volume import Brain, Refused, measure

THREADS = 2
FOLDER = Path(__file__).parent


class TritonPythonModel:
    """Answers each request by itself; a volume that can't be measured gets the reason in `REFUSAL`, not an error."""

    def initialize(self, _arguments):
        self._find_box, self._outline = _network("box.onnx"), _network("mask.onnx")

    def execute(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        voxels = pb_utils.get_input_tensor_by_name(request, "VOLUME").as_numpy()
        spacing = pb_utils.get_input_tensor_by_name(request, "SPACING").as_numpy()
        sides = tuple(float(side) for side in spacing)
        try:
            return _response(measure(voxels, sides, find_box=self._find_box, outline=self._outline), refusal="")
        except Refused as refused:
            return _response(Brain(math.nan, np.zeros((0, 0, 0), dtype=np.uint8), ()), refusal=str(refused))


def _network(name):
    """Load one network: few threads, and no arena, which would hold the largest volume's memory for good."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(FOLDER / name), options, providers=["CPUExecutionProvider"])

    def run(cube):
        (probability,) = session.run(None, {"volume": cube[None, None]})
        return probability[0, 1]

    return run


def _response(brain, *, refusal):
    tensors = [
        pb_utils.Tensor("BRAIN_VOLUME", np.array([brain.volume_ml], dtype=np.float64)),
        pb_utils.Tensor("BRAIN_MASK", brain.mask),
        _text("QC_FLAGS", ",".join(brain.flags)),
        _text("REFUSAL", refusal),
    ]
    return pb_utils.InferenceResponse(output_tensors=tensors)


def _text(name, value):
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))
