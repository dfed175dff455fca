"""Triton Inference Server out of the nvidia-pytriton wheel, in a Python environment of its own, loopback only."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from overread.embedded import health
from overread.embedded.boot import Interpreter, python_for_triton
from overread.embedded.places import CACHE, CHECKOUT, DataFolder, Ports, StackError
from overread.embedded.processes import Command

MODEL_REPOSITORY = CHECKOUT / "inference" / "model_repository"

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where Triton's python backend keeps its regions


@dataclass(frozen=True, kw_only=True)
class Triton:
    """One inference server, its model repository and ports."""

    data: DataFolder
    ports: Ports
    model_repository: Path = MODEL_REPOSITORY
    name: str = "triton"
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 15

    async def prepare(self) -> None:
        """Remove the shared memory that a killed server of this very stack left behind."""
        self._forget_shared_memory()

    def _forget_shared_memory(self) -> None:
        for region in _SHARED_MEMORY.glob(f"{self._shared_memory_prefix}*"):
            with contextlib.suppress(OSError):
                region.unlink()

    def command(self) -> Command:
        """Return the command that runs the server."""
        return Command(argv=self._words(), environment=self._environment(), folder=self.data.root)

    async def is_healthy(self) -> bool:
        """Tell whether every model is loaded (`/v2/health/ready`, strict readiness)."""
        return await health.answers(self.ports.triton_http, "/v2/health/ready")

    async def configure(self) -> None:
        """Do nothing: the model repository says all."""

    @property
    def _shared_memory_prefix(self) -> str:
        return f"overread_{self.data.mark}_"

    def _words(self) -> list[str]:
        loopback = [f"--{what}-address=127.0.0.1" for what in ("http", "grpc", "metrics")]
        return [
            str(server_folder() / "bin" / "tritonserver"),
            f"--model-repository={self.model_repository}",
            f"--backend-directory={backends()}",
            f"--backend-config=python,shm-region-prefix-name={self._shared_memory_prefix}",
            *loopback,
            f"--http-port={self.ports.triton_http}",
            f"--grpc-port={self.ports.triton_grpc}",
            f"--metrics-port={self.ports.triton_metrics}",
            "--strict-readiness=true",
            "--exit-timeout-secs=10",
            "--log-verbose=0",
            "--disable-auto-complete-config",
        ]

    def _environment(self) -> dict[str, str]:
        libraries = [str(site_packages() / "nvidia_pytriton.libs"), *python().libraries]
        return {
            "PATH": f"{environment() / 'bin'}{os.pathsep}{os.defpath}",
            "LD_LIBRARY_PATH": os.pathsep.join(libraries),
            "LANG": "C.UTF-8",
            "HOME": str(self.data.root),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONNOUSERSITE": "1",
            **{name: os.environ[name] for name in ("OPENBLAS_CORETYPE", "CUDA_VISIBLE_DEVICES") if name in os.environ},
        }


def python() -> Interpreter:
    """Return the Python that the models run in."""
    found = python_for_triton()
    if found is None:
        raise StackError("Triton's models need Python 3.11 or 3.12; ./run says more")
    return found


def environment() -> Path:
    """Return Triton's own environment: its models need numpy < 2 and must not meet ours."""
    return CACHE / "triton" / f"python{python().version}"


def site_packages() -> Path:
    """Return the packages of Triton's own environment."""
    return environment() / "lib" / f"python{python().version}" / "site-packages"


def server_folder() -> Path:
    """Return the folder of the server inside its wheel."""
    return site_packages() / "pytriton" / "tritonserver"


def backends() -> Path:
    """Return the backend folder that set-up lays out: the wheel's python backend beside the stub of this Python."""
    return environment() / "backends"
