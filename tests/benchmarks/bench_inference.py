"""Jobs from Kafka to Kafka beside a bare loop of tritonclient on the same server, model and volume, interleaved rounds.

Ours is the full path of a job: request in Kafka, job table, images read from the object store and decoded, the model's
request, findings in their bounds, the mask stored and synced, the end told through Kafka. The bare loop keeps as many
requests in flight as the worker has slots, from tensors that were made before.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.embedded.phantom import make_phantom
from overread.embedded.profile import Profile
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack
from overread.inference.catalog import Model
from tests.benchmarks.inference_load import Study, bare_seconds, job_seconds, kept_study
from tests.builders.imaging import A_PATIENT, A_STUDY, brain_volume_model, lung_density_model
from tests.builders.t1 import a_t1_study

ROUNDS = 3
JOBS = {"mr": 6, "ct": 12}
CT_SLICES, CT_SIZE = 120, 512
DEFAULT_OFFSET = 5_200


@dataclass(frozen=True)
class Measured:
    """Seconds for all jobs of one model: by us, and by the bare loop."""

    ours: float
    bare: float

    @property
    def ratio(self) -> float:
        """Return our throughput as a share of the bare one."""
        return self.bare / self.ours


def run() -> Mapping[str, object]:
    """Measure, and return the ratios first, then what they are made of (jobs a second, medians)."""
    with tempfile.TemporaryDirectory(prefix="overread-bench-") as folder:
        offset = int(os.environ.get("OVERREAD_PORT_OFFSET", DEFAULT_OFFSET))
        with StackThread(_stack(Path(folder), offset)) as running:
            _say(f"kafka, postgres, triton and inference_worker are running, on {os.cpu_count()} cores")
            measured = asyncio.run(_measured(running))
    return _figures(measured)


def _stack(folder: Path, offset: int) -> Stack:
    profile = Profile(data_dir=folder, port_offset=offset)
    services = [spec for spec in profile.services(profile.stack().endpoints) if spec.name == "inference_worker"]
    return Stack(folder, port_offset=offset, services=services, progress=_say)


async def _measured(running: StackThread) -> Mapping[str, list[Measured]]:
    studies = [await _mr(running), await _ct(running)]
    for study in studies:
        await bare_seconds(running, study, 1)
        await job_seconds(running, study, 1)
    return {study.name: [await _round(running, study, n) for n in range(1, ROUNDS + 1)] for study in studies}


async def _mr(running: StackThread) -> Study:
    return await kept_study(running, "mr", brain_volume_model(), a_t1_study().datasets)


async def _ct(running: StackThread) -> Study:
    model: Model = lung_density_model()
    phantom = make_phantom(patient=A_PATIENT, study=A_STUDY, slices=CT_SLICES, size=CT_SIZE)
    return await kept_study(running, "ct", model, phantom.datasets)


async def _round(running: StackThread, study: Study, number: int) -> Measured:
    # Who goes first alternates, so that neither always meets the quieter machine.
    jobs = JOBS[study.name]
    if number % 2:
        bare = await bare_seconds(running, study, jobs)
        ours = await job_seconds(running, study, jobs)
    else:
        ours = await job_seconds(running, study, jobs)
        bare = await bare_seconds(running, study, jobs)
    measured = Measured(ours, bare)
    _say(f"round {number}: {study.name}, {jobs} jobs: ours {ours:.2f} s, bare {bare:.2f} s, ratio {measured.ratio:.2f}")
    return measured


def _figures(measured: Mapping[str, Sequence[Measured]]) -> dict[str, float]:
    ratios = {f"vs_bare_{name}": round(statistics.median(m.ratio for m in all_), 3) for name, all_ in measured.items()}
    rates: dict[str, float] = {}
    for name, all_ in measured.items():
        rates[f"overread_{name}_per_second"] = round(JOBS[name] / statistics.median(m.ours for m in all_), 3)
        rates[f"bare_{name}_per_second"] = round(JOBS[name] / statistics.median(m.bare for m in all_), 3)
    return {**ratios, **rates}


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()
