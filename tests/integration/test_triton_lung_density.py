"""The lung density model on the real inference server, asked as a job would ask it."""

from collections.abc import Iterator
from uuid import UUID

import numpy as np
import pytest

from overread.contracts.errors import Unavailable
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack
from overread.inference.client import TritonClient
from overread.inference.deidentify import ModelRequest, build_request
from overread.inference.postprocessing import ModelRefused, findings, labels
from overread.inference.preprocessing import Volume
from tests.builders.imaging import a_phantom, file_bytes, lung_density_model, read_volume

pytestmark = pytest.mark.stack

OFFSET = 720
TOKEN = UUID("6d0d1d3c-6f0e-4b8f-9d5e-0d6b1f2a3c4d")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    stack = Stack(tmp_path_factory.mktemp("triton"), port_offset=OFFSET, servers=("triton",))
    with StackThread(stack) as running:
        yield f"127.0.0.1:{running.endpoints.ports.triton_grpc}"


def _request(volume: Volume) -> ModelRequest:
    return build_request(lung_density_model(), volume, job_token=TOKEN)


def _a_large_volume() -> Volume:
    return Volume(np.zeros((324, 512, 512), dtype=np.int16), (1.0, 0.7, 0.7))


async def test_phantom_goes_through_the_server_and_comes_back_as_its_truth(address: str) -> None:
    """From files to findings over gRPC: volume within 1 %, %LAA-950 within a point, Perc15 within 3 HU."""
    phantom = a_phantom()
    volume = read_volume(file_bytes(dataset) for dataset in phantom.datasets)

    async with TritonClient(address) as triton:
        answer = await triton.infer(lung_density_model(), _request(volume))
    found = {finding.code: float(finding.value or "nan") for finding in findings(lung_density_model(), answer)}

    assert found["lung-volume-ct"] == pytest.approx(phantom.truth.lung_volume_ml, rel=0.01)
    assert found["lung-laa-950"] == pytest.approx(phantom.truth.laa_950_percent, abs=1.0)
    assert found["lung-perc15"] == pytest.approx(phantom.truth.perc15_hu, abs=3)
    assert found["lung-mean-attenuation"] == pytest.approx(phantom.truth.mean_hu, abs=2)
    mask = labels(lung_density_model().segmentations[0], answer, volume.voxels.shape)
    marked_ml = int(mask.sum()) * float(np.prod(volume.spacing_mm)) / 1000
    assert marked_ml == pytest.approx(found["lung-volume-ct"], abs=0.5)


async def test_large_series_fits_and_a_refusal_is_an_answer(address: str) -> None:
    """324 slices of 512 x 512 are 170 MB in one message; a volume without a body is refused in words."""
    async with TritonClient(address) as triton:
        answer = await triton.infer(lung_density_model(), _request(_a_large_volume()))

    with pytest.raises(ModelRefused, match="no air was found inside the body"):
        findings(lung_density_model(), answer)


async def test_slow_answer_and_absent_server_are_unavailable(address: str) -> None:
    """Neither is the study's fault, so neither ends it."""
    model, request = lung_density_model(), _request(_a_large_volume())

    async with TritonClient(address) as slow, TritonClient("127.0.0.1:9") as absent:
        with pytest.raises(Unavailable):
            await slow.infer(model, request, timeout_seconds=0.2)
        with pytest.raises(Unavailable):
            await absent.infer(model, request)
        is_ready = (await slow.ready(model), await absent.ready(model))

    assert is_ready == (True, False)
