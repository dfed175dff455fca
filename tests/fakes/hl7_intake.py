"""The broker and the object store of the HL7 intake, in memory, and a link that uses them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Unavailable
from overread.contracts.events.intake import HL7Received
from overread.hl7_intake.intake import Intake
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.runtime.group_commit import OnKept
from overread.runtime.publisher import Outgoing
from tests.builders.events import NOON


class FakeBroker:
    """Takes records in order; with `holds` each is kept only when `keep` says so."""

    def __init__(self, *, holds: bool = False) -> None:
        self.records: list[Outgoing] = []
        self.is_away = False
        self._holds = holds
        self._waiting: list[OnKept] = []

    @property
    def events(self) -> list[Event[Any]]:
        return [codec.decode(record.value, (HL7Received,)) for record in self.records]

    def enqueue(self, record: Outgoing, on_kept: OnKept) -> None:
        if self.is_away:
            raise Unavailable("the event broker is away")
        self.records.append(record)
        self._waiting.append(on_kept)
        if not self._holds:
            self.keep(-1)

    def keep(self, number: int) -> None:
        """Acknowledge the record that came as `number`, from 0."""
        asyncio.get_running_loop().call_soon(self._waiting[number], None)

    def lose(self, number: int) -> None:
        """Say that the record that came as `number` was not kept."""
        lost = Unavailable("the event broker did not acknowledge")
        asyncio.get_running_loop().call_soon(self._waiting[number], lost)


class FakeObjects:
    """Keeps objects in memory; `failure` is raised instead."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.kept: dict[str, bytes] = {}
        self.failure = failure

    async def put(self, key: str, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        if self.failure is not None:
            raise self.failure
        self.kept[key] = b"".join(parts)


class FakeClock:
    """Says the time that a test has set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def an_intake(
    broker: FakeBroker, *, objects: FakeObjects | None = None, clock: FakeClock | None = None, **told: Any
) -> Intake:
    """An intake of one link; `told` are the link's settings."""
    link = Link(link_id="his", **told)
    settings = HL7IntakeSettings(site_id="site", mllp_link=link)
    return Intake(settings, link, broker.enqueue, objects or FakeObjects(), clock or FakeClock())
