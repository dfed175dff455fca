"""The index of messages forgets in its own time, and never at the cost of the service."""

import asyncio
from datetime import datetime
from typing import Any

import pytest

from overread.assembly import message_taking
from overread.assembly.message_taking import Forgetting
from overread.contracts.errors import Unavailable
from tests.builders.events import NOON


class AwayService:
    """A service whose database is away; `asked` is set at the second look."""

    def __init__(self) -> None:
        self.looks = 0
        self.asked = asyncio.Event()

    def clock(self) -> datetime:
        self.looks += 1
        if self.looks > 1:
            self.asked.set()
        return NOON

    def transaction(self) -> Any:
        raise Unavailable("the database does not answer")


async def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-FAI-10: ten minutes without PostgreSQL restart nothing; a task that ended would end its service."""
    monkeypatch.setattr(message_taking, "AWAY_SECONDS", 0.0)
    service: Any = AwayService()

    forgetting = asyncio.create_task(Forgetting(service).run())
    await asyncio.wait_for(service.asked.wait(), 5)

    assert not forgetting.done()
    forgetting.cancel()
