"""What runs beside a service's consumers ends the service when it ends, however it ends."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from overread.runtime import service as module
from overread.runtime.publisher import Outgoing
from overread.runtime.service import Service
from overread.runtime.settings import ServiceSettings

LONG_SECONDS = 2.0
"""Long after a service has ended that ends at all."""


class NoPublisher:
    """A broker that is always there and is sent nothing."""

    async def start(self) -> None:
        """Be there."""

    async def stop(self) -> None:
        """Go."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Take nothing."""

    async def ping(self) -> None:
        """Answer."""


async def _returns() -> None:
    await asyncio.sleep(0)


async def _is_cancelled_by_nobody() -> None:
    await asyncio.sleep(0)
    raise asyncio.CancelledError


async def _fails() -> None:
    raise OSError("gone")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    """Return a service without dependencies, which leaves this process's logs as they are."""
    for name in ("configure_logging", "configure_tracing"):
        monkeypatch.setattr(module, name, lambda *_: None)
    return Service("tests", ServiceSettings(kafka_security="PLAINTEXT"), publisher=NoPublisher())


@pytest.mark.parametrize("task", [_returns, _is_cancelled_by_nobody, _fails])
def test_a_task_that_ends_ends_its_service(service: Service, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """It is started again by its supervisor; a service that lives on without its sender would fail in silence."""
    lived_on: list[bool] = []

    async def in_any_case() -> None:
        await asyncio.sleep(LONG_SECONDS)
        lived_on.append(True)
        raise TimeoutError

    service.runs(task)
    service.runs(in_any_case)

    with pytest.raises(SystemExit, match="1"):
        service.run()

    assert lived_on == []


def test_what_is_only_prepared_may_end(service: Service) -> None:
    """The service goes on, until something else ends it."""
    done: list[str] = []

    async def prepare() -> None:
        done.append("prepared")

    async def goes_on() -> None:
        await asyncio.sleep(0.1)
        done.append("went on")

    service.prepares(prepare)
    service.runs(goes_on)

    with pytest.raises(SystemExit):
        service.run()

    assert done == ["prepared", "went on"]
