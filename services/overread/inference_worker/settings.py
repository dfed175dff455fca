"""What an inference worker may be told."""

from pathlib import Path

from pydantic import Field

from overread.runtime.settings import ServiceSettings


class InferenceWorkerSettings(ServiceSettings):
    """Where the models are served, and how much this worker does at a time."""

    models_file: Path = Field(description="The catalogue of models, with the model repository beside it.")
    triton_grpc: str = Field(default="127.0.0.1:18001", description="Triton's gRPC address.")
    slots: int = Field(
        default=2, ge=1, le=64, description="Jobs that run at a time; one more a model is kept for STAT."
    )
    infer_read_elsewhere: bool = Field(
        default=False, description="Ask the models also about a case that a reader of another system has reported."
    )
    lease_seconds: float = Field(default=20.0, gt=1, description="A job not heard of for so long is free again.")
    ageing_seconds: float = Field(default=600.0, gt=0, description="A routine job that waited so long counts as STAT.")
