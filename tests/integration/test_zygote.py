"""The process that services are forked from may die too: one comes back, and every service with it, once."""

import os
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overread.embedded.processes import marked
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import ServiceSpec, Stack

CHECKOUT = Path(__file__).parents[2]
NAMES = ("assembly", "routing", "review", "delivery", "governance")


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StackThread]:
    """Yield a stack of small services without any server."""
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    services = [ServiceSpec(name=name, target="tests.integration.echo_service:main") for name in NAMES]
    with StackThread(Stack(tmp_path, servers=(), services=services)) as running:
        yield running


def parent_of(pid: int) -> int:
    """Return who forked this process."""
    return int(said_of(pid)["PPid"])


def said_of(pid: int) -> dict[str, str]:
    """Return what the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def wait_until_started_again(stack: StackThread, name: str) -> None:
    """Wait until the supervisor has seen the service die, and the next one is healthy."""
    deadline = time.monotonic() + 30
    while stack.starts(name) < 2:
        assert time.monotonic() < deadline, f"{name} did not come back"
        time.sleep(0.05)
    stack.wait_ready(name)


def test_death_of_the_zygote_brings_every_service_back_once(stack: StackThread) -> None:
    """All services ask at once; one zygote is started, and the stop that follows raises nothing."""
    before = {name: stack.pid(name) for name in NAMES}
    zygote = parent_of(before["assembly"])

    os.kill(zygote, signal.SIGKILL)
    for name in NAMES:
        wait_until_started_again(stack, name)

    after = {name: stack.pid(name) for name in NAMES}
    new = {parent_of(pid) for pid in after.values()}
    assert len(new) == 1
    assert zygote not in new
    assert {stack.starts(name) for name in NAMES} == {2}
    assert set(before.values()).isdisjoint(after.values())
    assert sorted(marked(stack.endpoints.data.mark)) == sorted([*after.values(), *new])


def test_stop_after_the_zygote_died_ends_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop never raises, also while services are on their way back."""
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    services = [ServiceSpec(name=name, target="tests.integration.echo_service:main") for name in NAMES]
    running = Stack(tmp_path, servers=(), services=services)

    with StackThread(running) as stack:
        os.kill(parent_of(stack.pid("assembly")), signal.SIGKILL)

    assert marked(running.data.mark) == []


def test_what_services_write_is_their_owners_alone(stack: StackThread) -> None:
    """Images, messages and logs: the services' umask leaves others nothing."""
    pid = stack.pid("assembly")

    assert said_of(pid)["Umask"] == "0077"
    assert stat.S_IMODE(stack.log_of("assembly").stat().st_mode) == 0o600
