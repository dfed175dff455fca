"""What is asked of Triton, and how its failures are told apart."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from overread.contracts.errors import Malformed, Unavailable
from overread.inference import client
from overread.inference.catalog import Attribute, Model
from overread.inference.client import RequestRejected, TritonClient
from overread.inference.deidentify import ModelRequest, build_request
from overread.inference.preprocessing import Volume
from tests.builders.imaging import brain_volume_model, lung_density_model

TOKEN = UUID("6d0d1d3c-6f0e-4b8f-9d5e-0d6b1f2a3c4d")


class FakeServer:
    """Stands for the gRPC client of Triton's maker."""

    def __init__(self, failure: str = "") -> None:
        self.failure = failure
        self.calls: list[dict[str, Any]] = []
        self.values: dict[str, Any] = {"PERC15": np.array([-889.0]), "REFUSAL": np.array([b""], dtype=np.object_)}

    async def infer(self, model_name: str, inputs: list[Any], **options: Any) -> Any:
        self.calls.append(
            {"model_name": model_name, "inputs": {each.name(): each.datatype() for each in inputs}, **options}
        )
        if self.failure:
            raise InferenceServerException("secret payload", status=self.failure)
        outputs = [SimpleNamespace(name=name) for name in self.values]
        return SimpleNamespace(as_numpy=self.values.get, get_response=lambda: SimpleNamespace(outputs=outputs))

    async def is_model_ready(self, _name: str, _version: str) -> bool:
        if self.failure:
            raise InferenceServerException("away", status=self.failure)
        return True

    async def close(self) -> None:
        self.calls.append({})


def _client(monkeypatch: pytest.MonkeyPatch, server: FakeServer) -> TritonClient:
    monkeypatch.setattr(client, "InferenceServerClient", lambda *_args, **_options: server)
    return TritonClient("localhost:1")


def _request(model: Model) -> ModelRequest:
    return build_request(
        model, Volume(np.zeros((2, 3, 4), dtype=np.int16), (1.0, 1.0, 1.0)), job_token=TOKEN, age_years=50
    )


async def test_request_names_model_version_and_random_token_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 5, on the wire: pixels, spacing, token; nothing else is sent."""
    server, model = FakeServer(), lung_density_model()

    answer = await _client(monkeypatch, server).infer(model, _request(model), timeout_seconds=5)

    assert server.calls == [
        {
            "model_name": "ct-lung-density",
            "inputs": {"VOLUME": "INT16", "SPACING": "FP32"},
            "model_version": "1",
            "request_id": str(TOKEN),
            "client_timeout": 5,
        }
    ]
    assert answer == {"PERC15": -889.0, "REFUSAL": ""}


async def test_mask_comes_back_whole_and_a_number_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the contract calls a segmentation is an array; intensities go as they are."""
    server, model = FakeServer(), brain_volume_model()
    server.values = {"BRAIN_VOLUME": np.array([1500.0]), "BRAIN_MASK": np.ones((2, 3, 4), dtype=np.uint8)}
    volume = Volume(np.zeros((2, 3, 4), dtype=np.float32), (1.0, 1.0, 1.0))

    answer = await _client(monkeypatch, server).infer(model, build_request(model, volume, job_token=TOKEN))

    assert server.calls[0]["inputs"] == {"VOLUME": "FP32", "SPACING": "FP32"}
    assert answer["BRAIN_VOLUME"] == 1500.0
    assert np.array_equal(answer["BRAIN_MASK"], np.ones((2, 3, 4)))


async def test_declared_attributes_are_sent_as_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that declares age and sex gets them, and by no other way."""
    server = FakeServer()
    model = lung_density_model().model_copy(update={"attributes": frozenset(Attribute)})

    await _client(monkeypatch, server).infer(model, _request(model))

    assert server.calls[0]["inputs"] == {"VOLUME": "INT16", "SPACING": "FP32", "AGE_YEARS": "INT32", "SEX": "BYTES"}
    assert server.calls[0]["client_timeout"] == model.time_limit_seconds


@pytest.mark.parametrize("status", ["StatusCode.UNAVAILABLE", "StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED"])
async def test_server_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """The job waits and is tried again; it is never given up for this."""
    model = lung_density_model()

    with pytest.raises(Unavailable):
        await _client(monkeypatch, FakeServer(status)).infer(model, _request(model))


@pytest.mark.parametrize("status", ["StatusCode.INVALID_ARGUMENT", "StatusCode.INTERNAL", "StatusCode.NOT_FOUND"])
async def test_rejected_request_is_malformed_and_repeats_no_payload(
    monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Sending it again changes nothing; the server's own words may hold data, so they are not repeated."""
    model = lung_density_model()

    with pytest.raises(RequestRejected) as rejected:
        await _client(monkeypatch, FakeServer(status)).infer(model, _request(model))

    assert isinstance(rejected.value, Malformed)
    assert "secret" not in str(rejected.value)


@pytest.mark.parametrize(("failure", "is_ready"), [("", True), ("StatusCode.UNAVAILABLE", False)])
async def test_ready_is_a_plain_yes_or_no(monkeypatch: pytest.MonkeyPatch, failure: str, *, is_ready: bool) -> None:
    """Readiness asks; it doesn't raise."""
    async with _client(monkeypatch, FakeServer(failure)) as triton:
        assert await triton.ready(lung_density_model()) is is_ready


def test_server_that_is_back_after_hours_is_seen_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left alone gRPC tries again after 1, 2, 3, 4, 7, 11 … up to 120 seconds, however often it is asked meanwhile."""
    told: list[Any] = []
    monkeypatch.setattr(client, "InferenceServerClient", lambda *_args, **options: told.append(options))

    TritonClient("localhost:1")

    [options] = told
    assert dict(options["channel_args"])["grpc.max_reconnect_backoff_ms"] <= 5_000
