"""What every test starts from: a clean environment and a clock that stands still."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog

from overread.embedded.places import MOST_PORT_OFFSET, Ports
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack
from overread.runtime.telemetry import without_values
from tests.builders import events

KEPT = frozenset({"OVERREAD_CORPUS"})
TAKEN_SECONDS = 1.0
LONG_ABSENCE = Path(__file__).with_name("e2e") / "test_long_absence.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the long absence begin before the other end-to-end stories, and be judged last: all others fill its time."""
    absence = [item for item in items if item.path == LONG_ABSENCE]
    judged = [item for item in absence if item.name.startswith("test_after_")]
    begun = [item for item in absence if item not in judged]
    others = [item for item in items if item not in absence]
    place = next((at for at, item in enumerate(others) if LONG_ABSENCE.parent in item.path.parents), len(others))
    items[:] = [*others[:place], *begun, *others[place:], *judged]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with a word, what this machine has no means for."""
    missing = [tool for tool in ("javac", "mvn") if shutil.which(tool) is None]
    if item.get_closest_marker("jdk") and missing:
        pytest.skip(f"needs {' and '.join(missing)} on the path")
    if item.get_closest_marker("corpus") and "OVERREAD_CORPUS" not in os.environ:
        pytest.skip("set OVERREAD_CORPUS to the folder of real data to run this")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear `OVERREAD_*`: a developer's settings must not decide a test."""
    for name in [name for name in os.environ if name.startswith("OVERREAD_") and name not in KEPT]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def _short_logs() -> None:
    """Log as services do, a line an event: drawing every variable of a traceback takes seconds."""
    structlog.configure(processors=[without_values, structlog.processors.JSONRenderer()])


@pytest.fixture(name="NOON")
def _noon() -> datetime:
    """Return the time that it is in every test."""
    return events.NOON


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Return the folder of real data, or skip with a word."""
    named = os.environ.get("OVERREAD_CORPUS")
    if not named or not Path(named).is_dir():
        pytest.skip("set OVERREAD_CORPUS to the folder of real data to run this")
    return Path(named)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackThread]:
    """Yield the embedded servers without any service: one stack for the whole run (mark its users `stack`)."""
    data = tmp_path_factory.mktemp("stack")
    with StackThread(Stack(data, port_offset=_free_offset())) as running:
        yield running


def _free_offset() -> int:
    """Return an offset at which nobody listens, beside a stack that a developer may have running."""
    first = 2_000 + os.getpid() % 400 * 20
    for offset in range(first, MOST_PORT_OFFSET, 20):
        if not any(_is_taken(port) for port in Ports(offset=offset).named().values()):
            return offset
    raise OSError("no free ports for the embedded servers")


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(TAKEN_SECONDS)  # who hangs, and lets nobody in, has the port all the same
        return probe.connect_ex(("127.0.0.1", port)) != errno.ECONNREFUSED
