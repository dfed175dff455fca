"""One hospital for all end-to-end stories; what holds for each story is looked at once more when all are told."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from overread.embedded.keeper import Progress
from overread.embedded.profile import Profile
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import ServiceSpec, Stack, on_screen
from tests.e2e.demo_run import DemoRun
from tests.e2e.hospital import FIRST_OFFSET, Hospital, assert_told_once, free_offset, unsigned_finals
from tests.e2e.listeners import TraceCollector, TritonTap
from tests.fakes.peers import Emr

FAST = {
    "OVERREAD_QUIET_AFTER_ASSOCIATION_SECONDS": "1",
    "OVERREAD_LEASE_SECONDS": "3",  # a killed worker's job is free again after this
    "OVERREAD_LONGEST_RETRY_SECONDS": "2",
    "OVERREAD_REPORT_APPLICATIONS": '["RIS"]',  # whose final reports close ours
}
UP_LOG = "up.log"
"""What the supervisor says, beside the logs of its children."""


@pytest.fixture(scope="session")
def emr() -> Iterator[Emr]:
    """Yield the EMR of the session."""
    with Emr() as listening:
        yield listening


@pytest.fixture(scope="session")
def triton_tap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonTap]:
    """Yield what stands between worker and Triton, and sees every request."""
    with TritonTap(tmp_path_factory.mktemp("tap") / "requests") as tap:
        yield tap


@pytest.fixture(scope="session")
def traces() -> Iterator[TraceCollector]:
    """Yield the collector to which every service exports its spans."""
    with TraceCollector() as collector:
        yield collector


@pytest.fixture(scope="session")
def servers(
    emr: Emr, triton_tap: TritonTap, traces: TraceCollector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StackThread]:
    """Yield the whole stack, servers and services, whose processes a story may kill (mark its users `stack`)."""
    profile = Profile(
        data_dir=tmp_path_factory.mktemp("hospital"),
        port_offset=free_offset(FIRST_OFFSET + os.getpid() % 150 * 20),
        emr=emr.url,
        settings={**FAST, "OVERREAD_OTLP_ENDPOINT": traces.url},
    )
    with StackThread(_tapped(profile.stack(_kept_in(profile.data_dir / "logs" / UP_LOG)), triton_tap)) as running:
        yield running


def _kept_in(log: Path) -> Progress:
    """Return what shows progress as `./run up` does, and keeps it as an operator's redirection of stderr would."""

    def say(line: str) -> None:
        on_screen(line)
        with log.open("a", encoding="utf-8") as kept:
            kept.write(f"{line}\n")

    return say


def _tapped(stack: Stack, tap: TritonTap) -> Stack:
    """Return the stack with its worker talking to the tap, and the tap to its Triton."""
    tap.target = stack.endpoints.triton_grpc
    told = stack.environment_of

    def environment_of(spec: ServiceSpec) -> dict[str, str]:
        return {**told(spec), "OVERREAD_TRITON_GRPC": tap.address}

    any_stack: Any = stack
    any_stack.environment_of = environment_of
    return stack


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    """Yield the one demo of the session, started with --keep; a story may end it (mark its users `stack`)."""
    first = FIRST_OFFSET + 3_100 + os.getpid() % 20 * 20
    run = DemoRun(tmp_path_factory.mktemp("demo"), free_offset(first))
    run.start()
    yield run
    run.end()


@pytest.fixture(scope="session")
def hospital(servers: StackThread, emr: Emr) -> Iterator[Hospital]:
    """Yield the one hospital of all stories; its EMR takes unverified results too (mark its users `stack`)."""
    with closing(Hospital(servers.endpoints, emr)) as running:
        yield running
        _look_once_more(running)


def _look_once_more(hospital: Hospital) -> None:
    """Nothing that came late doubled a final, and none came unsigned, in the whole session."""
    finals = {message.study_instance_uid for message in hospital.emr.received if message.status == "F"}
    for visit in hospital.visits:
        if visit.study_instance_uid in finals:
            assert_told_once(hospital.emr, visit)
    assert not unsigned_finals(hospital)
