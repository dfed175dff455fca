"""What runs in the one process that judges and sends: it ends with the right to send, and begins anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from overread.contracts.errors import Unavailable
from overread.delivery import dispatch as module
from overread.delivery.dispatch import Dispatch
from overread.delivery.settings import DeliverySettings
from overread.runtime.service import Service


class AwayPool:
    """The connections of a database that is away."""

    async def fetch(self, *_: object) -> None:
        """Fail as a refused connection does."""
        raise ConnectionError


class LostRight:
    """A right to send whose connection is lost at once."""

    async def require(self) -> None:
        """Say so."""
        raise Unavailable("the database connection was lost")


@pytest.mark.timeout(10)
async def test_a_lost_right_leaves_no_mark_on_the_task_that_asks_for_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a left-over mark of cancellation, CPython 3.11.2 turns a later timeout into the end of all sending."""
    marks: list[int] = []
    went_thrice = asyncio.Event()

    @asynccontextmanager
    async def dispatcher(*_: object) -> AsyncIterator[Any]:
        try:
            yield LostRight()
        finally:
            task = asyncio.current_task()
            assert task is not None
            marks.append(task.cancelling())
            if len(marks) == 3:
                went_thrice.set()

    monkeypatch.setattr(module, "sole_dispatcher", dispatcher)
    monkeypatch.setattr(module, "AWAY_SECONDS", 0.01)
    monkeypatch.setattr(Service, "pool", AwayPool())
    settings = DeliverySettings(kafka_security="PLAINTEXT")
    running = asyncio.create_task(Dispatch(Service("delivery", settings), settings, ()).run())

    await went_thrice.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert marks[:3] == [0, 0, 0]
