"""What befalls the processes of a stack: killed without a word, or stopped for a while and then let go on."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from overread.embedded.profile import SERVICES
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import SERVERS

EVERYBODY: tuple[str, ...] = (*SERVICES, *SERVERS)
PAUSE_SECONDS, LONG_PAUSE_SECONDS = (1.0, 3.0), (5.0, 8.0)
LONG_PAUSED = frozenset({"inference_worker", "kafka", "postgres"})
"""Who stands still for longer than a job's lease (`tests.e2e.conftest.FAST`): the lease ends, and its holder comes back."""
BACK_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True)
class Blow:
    """What befalls one process: killed when `pause_seconds` is zero, otherwise stopped for so long."""

    victim: str
    pause_seconds: float = 0.0

    def __str__(self) -> str:
        """Say it as a log does."""
        return f"{self.victim} paused {self.pause_seconds:.1f} s" if self.pause_seconds else f"{self.victim} killed"


def rounds_of(seed: int, number: int) -> list[list[Blow]]:
    """Return the blows of each round, in a seeded order: every process is killed once and paused once.

    No process is struck twice in one round.
    """
    order = Random(seed)
    kills = [Blow(victim=victim) for victim in order.sample(EVERYBODY, k=len(EVERYBODY))]
    pauses = [Blow(victim=v, pause_seconds=order.uniform(*_span(v))) for v in order.sample(EVERYBODY, k=len(kills))]
    rounds: list[list[Blow]] = [[] for _ in range(number)]
    for place, blow in enumerate([*kills, *pauses]):
        turn = (place + step for step in range(number))
        chosen = next(t % number for t in turn if blow.victim not in {b.victim for b in rounds[t % number]})
        rounds[chosen].append(blow)
    return rounds


def _span(victim: str) -> tuple[float, float]:
    return LONG_PAUSE_SECONDS if victim in LONG_PAUSED else PAUSE_SECONDS


def strike(servers: StackThread, blows: Sequence[Blow]) -> None:
    """Let all blows of a round fall at the same time, and return when every victim works again."""
    paused = [blow for blow in blows if blow.pause_seconds]
    killed = {blow.victim: servers.starts(blow.victim) for blow in blows if not blow.pause_seconds}
    stopped = {blow.victim: family(servers.pid(blow.victim)) for blow in paused}
    with contextlib.ExitStack() as let_go:
        for blow in paused:
            _signal(stopped[blow.victim], signal.SIGSTOP)
            let_go.callback(_signal, stopped[blow.victim], signal.SIGCONT)
        for victim in killed:
            servers.kill(victim)
        began = time.monotonic()
        for blow in sorted(paused, key=lambda blow: blow.pause_seconds):
            time.sleep(max(0.0, began + blow.pause_seconds - time.monotonic()))
            _signal(stopped[blow.victim], signal.SIGCONT)
    for victim, starts in killed.items():
        servers.wait_ready(victim, timeout_seconds=BACK_SECONDS)
        assert servers.starts(victim) > starts, f"{victim} was not started again"


@contextlib.contextmanager
def stopped(servers: StackThread, victim: str) -> Iterator[None]:
    """Let a process and its children stand still inside the block."""
    pids = family(servers.pid(victim))
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def family(pid: int) -> list[int]:
    """Return a process and all that came of it, parents first."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            found += [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return found


def _signal(pids: Sequence[int], how: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
