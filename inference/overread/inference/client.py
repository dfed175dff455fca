"""The only caller of Triton: one request of a model, answered or explained (KServe v2 protocol over gRPC)."""

import asyncio
from types import TracebackType
from typing import Any, Self

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from overread.contracts.errors import Malformed, Unavailable
from overread.inference.catalog import Attribute, Model
from overread.inference.deidentify import ModelRequest
from overread.inference.postprocessing import Answer

MAXIMUM_MESSAGE_BYTES = 2**31 - 1
LONGEST_BACKOFF_MILLISECONDS = 5_000
"""Left alone gRPC waits up to two minutes between two tries, and so long a server that is back would go unnoticed."""

CHANNEL_OPTIONS = [
    ("grpc.max_send_message_length", MAXIMUM_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAXIMUM_MESSAGE_BYTES),
    ("grpc.max_reconnect_backoff_ms", LONGEST_BACKOFF_MILLISECONDS),
]
_IS_AWAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "RESOURCE_EXHAUSTED", "UNKNOWN"})


class RequestRejected(Malformed):
    """Triton takes the request for malformed, or its model failed on it; sending it again changes nothing."""


class TritonClient:
    """A connection to one Triton server; opened in the running loop, closed by `close` or `async with`."""

    def __init__(self, address: str) -> None:
        self._client = InferenceServerClient(address, channel_args=CHANNEL_OPTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the connection go."""
        await self._client.close()

    async def ready(self, model: Model, *, timeout_seconds: float = 2.0) -> bool:
        """Say whether Triton would answer for `model` now; an unreachable server is a plain no."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return bool(await self._client.is_model_ready(model.name, model.served_version))
        except (InferenceServerException, grpc.RpcError, TimeoutError):
            return False

    async def infer(self, model: Model, request: ModelRequest, *, timeout_seconds: float | None = None) -> Answer:
        """Ask `model` and return its outputs by name.

        Raises `Unavailable` when the server is away or too slow, `RequestRejected` when it can't use the request.
        Cancelling the awaiting task cancels the request at the server.
        """
        limit = timeout_seconds or model.time_limit_seconds
        try:
            result = await self._client.infer(
                model.name,
                inputs(model, request),
                model_version=model.served_version,
                request_id=request.job_token,
                client_timeout=limit,
            )
        except InferenceServerException as error:
            raise _explained(error) from error
        masks = {segmentation.tensor for segmentation in model.segmentations}
        answered = {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}
        return {name: values if name in masks else _value(values) for name, values in answered.items()}


def inputs(model: Model, request: ModelRequest) -> list[InferInput]:
    """Return the tensors of a request: the volume, its spacing, and the attributes that the model declares."""
    tensors = [
        _tensor("VOLUME", request.pixels, np_to_triton_dtype(request.pixels.dtype)),
        _tensor("SPACING", np.array(request.spacing_mm, dtype=np.float32), "FP32"),
    ]
    if Attribute.AGE_YEARS in model.attributes:
        age = -1 if request.age_years is None else request.age_years
        tensors.append(_tensor("AGE_YEARS", np.array([age], dtype=np.int32), "INT32"))
    if Attribute.SEX in model.attributes:
        tensors.append(_tensor("SEX", np.array([(request.sex or "").encode()], dtype=np.object_), "BYTES"))
    return tensors


def _tensor(name: str, values: NDArray[Any], datatype: str) -> InferInput:
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def _value(values: NDArray[Any]) -> float | str:
    value = values.reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else float(value)


def _explained(error: InferenceServerException) -> Unavailable | RequestRejected:
    """Tell a server that is away from a request that can't work; only the status is repeated, never the payload."""
    status = str(error.status() or "UNKNOWN").removeprefix("StatusCode.")
    if status in _IS_AWAY:
        return Unavailable(f"Triton did not answer ({status})")
    return RequestRejected(f"Triton rejected the request ({status})")
