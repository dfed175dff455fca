"""The whole way, study by study, against the clock: last image to draft, and a clinician's signature to the EMR's answer.

What the model took (its job from claim to result) and the quiet time that says that no more images come are taken off:
what is left is ours. The signature's time runs from the clinician's request until the EMR, which answers at once, has the
final: the API's own answer is inside it. Every study goes alone, so that nothing queues.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from overread.embedded.profile import Profile
from overread.embedded.stack_thread import StackThread
from tests.e2e.hospital import Clinician, Hospital, Visit
from tests.fakes.peers import Emr

STUDIES, WARMING = 30, 3
QUIET_SECONDS = 0.5
DEFAULT_OFFSET = 5_000
LIMITS = {"draft": 1.0, "sign_to_ack": 0.3}
"""Seconds that 95 of 100 studies may take."""

LOOK_SECONDS = 0.02
LONGEST_SECONDS = 90.0
STARTED = "SELECT started_at FROM jobs WHERE case_id = $1::uuid ORDER BY study_revision DESC LIMIT 1"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one study took, in seconds; `draft` is without the model's and the quiet time."""

    draft: float
    model: float
    sign: float
    sign_to_ack: float


def run() -> Mapping[str, object]:
    """Measure, and return how far each p95 is from its limit first (1 is the limit, less is quicker), then the times."""
    with tempfile.TemporaryDirectory(prefix="overread-bench-") as folder, ExitStack() as opened:
        emr = opened.enter_context(Emr())
        stack = opened.enter_context(StackThread(_profile(Path(folder), emr).stack(_say)))
        hospital = opened.enter_context(closing(Hospital(stack.endpoints, emr)))
        _say(f"the whole stack is running, on {os.cpu_count()} cores shared with its peers")
        for _ in range(WARMING):
            _one(hospital)
        taken = [_told(number, _one(hospital)) for number in range(1, STUDIES + 1)]
    return {**_ratios(taken), **_times(taken)}


def _profile(folder: Path, emr: Emr) -> Profile:
    return Profile(
        data_dir=folder,
        port_offset=int(os.environ.get("OVERREAD_PORT_OFFSET", DEFAULT_OFFSET)),
        emr=emr.url,
        settings={"OVERREAD_QUIET_AFTER_ASSOCIATION_SECONDS": str(QUIET_SECONDS)},
    )


def _one(hospital: Hospital) -> Taken:
    """Send an order and images, wait for the draft, sign it, and wait until the EMR has the final."""
    visit, clinician = hospital.admit(), hospital.user()
    hospital.order(visit)
    hospital.scan(visit)
    last_image = time.time()
    report = _draft(clinician, visit)
    drafted = time.time()
    model = _model_seconds(hospital, report)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=LONGEST_SECONDS)
    path = f"/reports/{report['report_id']}"
    claimed = clinician.ask("POST", f"{path}/claim").raise_for_status().json()
    asked = time.monotonic()
    body = {"digest": claimed["digest"], "verdict": "accepted"}
    clinician.ask("POST", f"{path}/sign", json=body).raise_for_status()
    answered = time.monotonic()
    final = hospital.emr.wait_for(visit.study_instance_uid, "F", seconds=LONGEST_SECONDS)
    return Taken(
        draft=drafted - last_image - QUIET_SECONDS - model,
        model=model,
        sign=answered - asked,
        sign_to_ack=final.at - asked,
    )


def _draft(clinician: Clinician, visit: Visit) -> dict[str, Any]:
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline:
        report = clinician.report(visit)
        if report is not None and report["state"] == "drafted" and report["document"]["orders"]:
            return report
        time.sleep(LOOK_SECONDS)
    raise TimeoutError(f"no draft of {visit.accession_number}")


def _model_seconds(hospital: Hospital, report: Mapping[str, Any]) -> float:
    """Return how long the study's job took, from its claim to its result."""
    started_at = asyncio.run(_started_at(hospital.endpoints.dsn("inference_worker"), str(report["case_id"])))
    ended = (result["ended_at"] for result in report["document"]["ai_results"] if result["ended_at"])
    return (datetime.fromisoformat(next(ended)) - started_at).total_seconds()


async def _started_at(dsn: str, case_id: str) -> datetime:
    connection = await asyncpg.connect(dsn)
    try:
        started_at: datetime = await connection.fetchval(STARTED, case_id)
    finally:
        await connection.close()
    return started_at


def _told(number: int, taken: Taken) -> Taken:
    _say(
        f"study {number:2}: draft {taken.draft * 1000:6.0f} ms (+ model {taken.model * 1000:5.0f} ms, quiet "
        f"{QUIET_SECONDS * 1000:.0f} ms), sign {taken.sign * 1000:4.0f} ms, to ack {taken.sign_to_ack * 1000:4.0f} ms"
    )
    return taken


def _ratios(taken: Sequence[Taken]) -> dict[str, float]:
    return {
        f"e2e_{name}_p95_vs_limit": round(_p95([getattr(one, name) for one in taken]) / limit, 2)
        for name, limit in LIMITS.items()
    }


def _times(taken: Sequence[Taken]) -> dict[str, int]:
    times: dict[str, int] = {"e2e_studies": len(taken)}
    for name in ("draft", "sign", "sign_to_ack", "model"):
        measured = [getattr(one, name) for one in taken]
        times[f"e2e_{name}_p50_ms"] = round(statistics.median(measured) * 1000)
        times[f"e2e_{name}_p95_ms"] = round(_p95(measured) * 1000)
    return times


def _p95(measured: Sequence[float]) -> float:
    """Return the time that 95 of 100 studies stay within."""
    return statistics.quantiles(measured, n=20, method="inclusive")[-1]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
