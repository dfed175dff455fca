"""Our MLLP intake beside Camel's: same broker (SCRAM, every batch flushed), same client, interleaved rounds.

Ours is the full path: frame, character set, acceptance and order checks, duplicate guard, event, Kafka's acknowledgement
after its flush, answer. Each is alone with the broker and the client while it is measured.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from overread.embedded.places import CHECKOUT
from overread.embedded.profile import MLLP_PORT, Profile
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack
from tests.benchmarks import camel_peer
from tests.benchmarks.mllp_load import Measured

CONNECTIONS = (1, 16, 64)
ROUNDS = 3
SECONDS = 4.0
DEFAULT_OFFSET = 5_000
OURS, CAMEL = "overread", "camel"


def run() -> Mapping[str, object]:
    """Measure, and return the ratios first, then what they are made of (messages a second, medians)."""
    with tempfile.TemporaryDirectory(prefix="overread-bench-") as folder, ExitStack() as stack:
        ports = stack.enter_context(_receivers(Path(folder)))
        _say(f"kafka and hl7_intake alone are running, on {os.cpu_count()} cores shared with the client")
        rounds = [_round(number, ports) for number in range(1, ROUNDS + 1)]
    return {**_ratios(rounds), **_rates(rounds)}


@contextmanager
def _receivers(folder: Path) -> Iterator[Mapping[str, int]]:
    """Run one broker and both receivers; without the rival ours alone."""
    offset = int(os.environ.get("OVERREAD_PORT_OFFSET", DEFAULT_OFFSET))
    with ExitStack() as opened:
        running = opened.enter_context(StackThread(_stack(folder, offset)))
        ports = {OURS: MLLP_PORT + offset}
        try:
            classpath = camel_peer.build()
            port = MLLP_PORT + 5 + offset
            properties = folder / "kafka" / "admin.properties"
            bootstrap = running.endpoints.kafka_bootstrap
            log = folder / "logs" / "camel.log"
            opened.enter_context(camel_peer.running(classpath, port, bootstrap, properties, log))
            ports[CAMEL] = port
        except camel_peer.NoPeer as reason:
            _say(f"Camel is not measured: {reason}")
        yield ports


def _stack(folder: Path, offset: int) -> Stack:
    profile = Profile(data_dir=folder, port_offset=offset)
    services = [spec for spec in profile.services(profile.stack().endpoints) if spec.name == "hl7_intake"]
    return Stack(folder, port_offset=offset, services=services, servers=("kafka",), progress=_say)


def _round(number: int, ports: Mapping[str, int]) -> dict[tuple[str, int], Measured]:
    measured: dict[tuple[str, int], Measured] = {}
    for connections in CONNECTIONS:
        # Who goes first alternates, so that neither always meets the warmer broker.
        for name in sorted(ports, reverse=number % 2 == 1):
            measured[name, connections] = _load(ports[name], connections)
            _say(f"round {number}: {name:>8} c={connections:<3} {_described(measured[name, connections])}")
    return measured


def _load(port: int, connections: int) -> Measured:
    words = [sys.executable, "-m", "tests.benchmarks.mllp_load", str(port), str(connections), str(SECONDS)]
    done = subprocess.run(words, cwd=CHECKOUT, stdout=subprocess.PIPE, check=True, timeout=SECONDS * 4 + 120)
    measured: Measured = json.loads(done.stdout)
    return measured


def _described(measured: Measured) -> str:
    latency = f"p50 {measured['p50_ms']:.2f} ms, p99 {measured['p99_ms']:.2f} ms"
    return f"{measured['per_second']:8.0f} messages/s  {latency}"


def _ratios(rounds: list[dict[tuple[str, int], Measured]]) -> dict[str, float]:
    return {
        f"vs_camel_c{connections}": round(statistics.median(_ratio(one, connections) for one in rounds), 2)
        for connections in CONNECTIONS
        if (CAMEL, connections) in rounds[0]
    }


def _ratio(one: dict[tuple[str, int], Measured], connections: int) -> float:
    return one[OURS, connections]["per_second"] / one[CAMEL, connections]["per_second"]


def _rates(rounds: list[dict[tuple[str, int], Measured]]) -> dict[str, int]:
    return {
        f"{name}_c{connections}_per_second": round(
            statistics.median(one[name, connections]["per_second"] for one in rounds)
        )
        for name, connections in rounds[0]
    }


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
