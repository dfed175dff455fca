"""Flat memory: half a million mixed messages over sixteen connections at full speed, and what the services hold meanwhile.

The listener takes them, assembly applies them beside it into PostgreSQL, and goes on for a while after the last one. Each
second the resident memory of both is noted with how far they are. Given are the medians of the first and the last quarter
of the messages as a ratio, and the slope of a straight line from the second tenth on. Nothing is asserted.

`OVERREAD_BENCH_MESSAGES` (500000) says how many, `OVERREAD_BENCH_SECONDS` (900) how long all of it may take.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import asyncpg

from overread.embedded.places import CHECKOUT
from overread.embedded.profile import MLLP_PORT, Profile
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack

CONNECTIONS = 16
DEFAULT_OFFSET = 5_000
SENDING_SHARE = 0.8
"""Of all the time: the rest is for what assembly has not applied yet."""
SERVICES = ("hl7_intake", "assembly")


class Sample(NamedTuple):
    """What a service had done when it held so much."""

    messages: int
    rss_kib: int


@dataclass(frozen=True)
class Ran:
    """A whole run; `seconds` is how long the sending took, `applied` what assembly came to."""

    listener: Sequence[Sample]
    assembly: Sequence[Sample]
    messages: int
    applied: int
    seconds: float


def run() -> Mapping[str, object]:
    """Measure, and return how flat memory is."""
    messages = int(os.environ.get("OVERREAD_BENCH_MESSAGES", "500000"))
    seconds = float(os.environ.get("OVERREAD_BENCH_SECONDS", "900"))
    offset = int(os.environ.get("OVERREAD_PORT_OFFSET", DEFAULT_OFFSET))
    sending = seconds * SENDING_SHARE
    return figures(measured(messages, sending, offset=offset, catch_up_seconds=seconds - sending))


def figures(ran: Ran) -> Mapping[str, object]:
    """Return ratio, slope and bounds of both services, and how far they came."""
    return {
        "mllp_memory_messages": ran.messages,
        "mllp_memory_per_second": round(ran.messages / ran.seconds),
        "mllp_memory_applied": ran.applied,
        **_flatness("listener", ran.listener),
        **_flatness("assembly", ran.assembly),
    }


def measured(messages: int, seconds: float, *, offset: int, catch_up_seconds: float) -> Ran:
    """Send `messages`, for `seconds` at most, to a stack of its own and return what its services held meanwhile."""
    with (
        tempfile.TemporaryDirectory(prefix="overread-bench-") as folder,
        hl7_stack(Path(folder), offset) as running,
        asyncio.Runner() as runner,
        _Applied(runner, running) as applied,
    ):
        return _Watch(running, applied).over(messages, seconds, catch_up_seconds)


@contextmanager
def hl7_stack(folder: Path, offset: int) -> Iterator[StackThread]:
    """Yield a broker, a database, the listener and assembly, and nothing else."""
    profile = Profile(data_dir=folder, port_offset=offset)
    whole = profile.stack()
    services = [spec for spec in profile.services(whole.endpoints) if spec.name in SERVICES]
    stack = Stack(folder, port_offset=offset, services=services, servers=("kafka", "postgres"), progress=_say)
    with StackThread(stack) as running:
        yield running


class _Applied:
    """Asks PostgreSQL how many messages assembly has consumed."""

    def __init__(self, runner: asyncio.Runner, running: StackThread) -> None:
        self._runner = runner
        self._dsn = running.endpoints.dsn("assembly")

    def __enter__(self) -> Self:
        self._connection = self._runner.run(asyncpg.connect(self._dsn))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._connection.close())

    def __call__(self) -> int:
        """Return how many."""
        question = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'inbox' AND schemaname = current_schema()"
        return int(self._runner.run(self._connection.fetchval(question)) or 0)


class _Watch:
    """Notes what both services hold."""

    def __init__(self, running: StackThread, applied: Callable[[], int]) -> None:
        self._running = running
        self._applied = applied
        self._listener: list[Sample] = []
        self._assembly: list[Sample] = []

    def over(self, messages: int, seconds: float, catch_up_seconds: float) -> Ran:
        """Let the load run, and then assembly catch up as far as there is time."""
        began = time.monotonic()
        kept = 0
        for kept in _kept(self._running.endpoints.ports.offset + MLLP_PORT, messages, seconds):
            self._note(kept)
        sent = time.monotonic()
        while self._applied() < kept and time.monotonic() - sent < catch_up_seconds:
            time.sleep(1.0)
            self._note(None)
        return Ran(self._listener, self._assembly, kept, self._applied(), sent - began)

    def _note(self, kept: int | None) -> None:
        applied = self._applied()
        self._assembly.append(Sample(applied, _rss_kib(self._running.pid("assembly"))))
        if kept is not None:
            self._listener.append(Sample(kept, _rss_kib(self._running.pid("hl7_intake"))))
        if len(self._assembly) % 10 == 0:
            held = f"listener {self._listener[-1].rss_kib} KiB, assembly {self._assembly[-1].rss_kib} KiB"
            _say(f"{self._listener[-1].messages} kept, {applied} applied; {held}")


def _kept(port: int, messages: int, seconds: float) -> Iterator[int]:
    """Run the load; yield, every second, how many messages were kept so far."""
    words = (str(port), str(CONNECTIONS), str(messages), str(seconds))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.mixed_load", *words], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as client:
        for line in client.stdout or ():
            yield int(json.loads(line)["messages"])
    if client.returncode:
        raise RuntimeError("the load ended before its time")


def _rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


def _flatness(name: str, samples: Sequence[Sample]) -> Mapping[str, object]:
    """Return how the last quarter compares with the first, and what each further 100,000 messages cost."""
    end = max(sample.messages for sample in samples)
    first = [sample.rss_kib for sample in samples if sample.messages <= end / 4]
    last = [sample.rss_kib for sample in samples if sample.messages >= end * 3 / 4]
    settled = [sample for sample in samples if sample.messages >= end / 10]
    return {
        f"{name}_rss_last_to_first_quarter": round(statistics.median(last) / statistics.median(first or last), 3),
        f"{name}_rss_kib_per_100k": round(_slope(settled) * 100_000),
        f"{name}_rss_first_kib": round(statistics.median(first or last)),
        f"{name}_rss_last_kib": round(statistics.median(last)),
        f"{name}_rss_most_kib": max(sample.rss_kib for sample in samples),
    }


def _slope(samples: Sequence[Sample]) -> float:
    if len({sample.messages for sample in samples}) < 2:
        return 0.0
    return statistics.linear_regression([s.messages for s in samples], [s.rss_kib for s in samples]).slope


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
