"""The brain volume model on the real inference server: both networks as they are shipped, on a real averaged head."""

import numpy as np
import pytest

from overread.embedded import t1_template
from overread.embedded.stack_thread import StackThread
from overread.inference.client import TritonClient
from overread.inference.deidentify import build_request
from overread.inference.postprocessing import ModelRefused, findings, labels
from overread.inference.preprocessing import Volume, read_series
from tests.builders.imaging import TOKEN, brain_volume_model, file_bytes
from tests.builders.t1 import a_t1_study

pytestmark = pytest.mark.stack

EXPECTED_ML = 1953.6
DIGITS_ML = 1.0
"""By how much another processor's arithmetic may move the shipped networks' volume of the template."""


async def test_template_comes_back_as_the_volume_and_mask_that_the_networks_gave_when_they_were_shipped(
    stack: StackThread,
) -> None:
    """Fixed sample: the volume to 1 ml, every voxel of grey and white matter inside, none far outside the skull's room."""
    study, model = a_t1_study(), brain_volume_model()
    series = read_series((file_bytes(dataset) for dataset in study.datasets), model.volume)

    async with TritonClient(_address(stack)) as triton:
        answer = await triton.infer(model, build_request(model, series.volume, job_token=TOKEN))
    (finding,) = findings(model, answer)
    mask = labels(model.segmentations[0], answer, series.grid.shape)

    assert float(finding.value or "nan") == pytest.approx(EXPECTED_ML, abs=DIGITS_ML)
    assert float(finding.value or "nan") == pytest.approx(study.truth.intracranial_ml, rel=0.05)
    tissue = t1_template.tissue()
    assert np.count_nonzero(mask[tissue]) / np.count_nonzero(tissue) > 0.9999
    assert _dice(mask > 0, series.volume.voxels > 0) > 0.975


async def test_volume_without_an_image_is_refused_in_words(stack: StackThread) -> None:
    """A refusal is an answer, with no mask."""
    model = brain_volume_model()
    empty = Volume(np.zeros((128, 128, 128), dtype=np.float32), (1.0, 1.0, 1.0))

    async with TritonClient(_address(stack)) as triton:
        answer = await triton.infer(model, build_request(model, empty, job_token=TOKEN))

    with pytest.raises(ModelRefused, match="the volume holds no image"):
        findings(model, answer)


def _address(stack: StackThread) -> str:
    return f"127.0.0.1:{stack.endpoints.ports.triton_grpc}"


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))
