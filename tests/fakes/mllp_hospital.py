"""The HL7 intake's links and ports on real sockets, with one broker in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from overread.hl7_intake.intake import Intake
from overread.hl7_intake.reception import Reception
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from tests.builders.hl7 import an_omi
from tests.fakes.hl7_intake import FakeBroker, FakeClock, FakeObjects
from tests.fakes.mllp_lines import Line

CA_OF = b"MSA|CA|%s\r"


class Hospital:
    """A reception with one broker; `lines` are closed with it."""

    def __init__(self, default_port: int) -> None:
        self.broker = FakeBroker()
        self.settings = HL7IntakeSettings(site_id="site", mllp_port=default_port)
        self.reception = Reception(self.settings, self._intake, _nothing_to_warm)
        self.lines: list[Line] = []

    def _intake(self, link: Link) -> Intake:
        return Intake(self.settings, link, self.broker.enqueue, FakeObjects(), FakeClock())

    async def open(self, *links: Link) -> None:
        await self.reception.apply(links)

    async def line(self, port: int, **options: Any) -> Line:
        self.lines.append(await Line.to(port, **options))
        return self.lines[-1]

    def links_of_events(self) -> list[str]:
        return [record.key.decode() for record in self.broker.records]


async def _nothing_to_warm(intake: Intake) -> None:
    del intake


@asynccontextmanager
async def a_hospital(default_port: int = 2575) -> AsyncIterator[Hospital]:
    hospital = Hospital(default_port)
    try:
        yield hospital
    finally:
        for line in hospital.lines:
            line.close()
        await hospital.reception.stop()


def link(link_id: str, port: int | None = None, **told: Any) -> Link:
    return Link.model_validate({"link_id": link_id, "port": port, **told})


async def is_answered(line: Line, control_id: str) -> bool:
    """Send a message of its own, and say whether it is taken."""
    line.send(an_omi(control_id=control_id))
    return CA_OF % control_id.encode() in await line.answer()
