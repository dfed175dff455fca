"""The file of links while the service runs: what it says is done within seconds, and what it can't mean is not."""

import asyncio

from overread.hl7_intake import links
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.ports import Port, ports_of
from overread.hl7_intake.reception import Reception
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.runtime.telemetry import log

POLL_SECONDS = 1.0
"""How often the file is looked at; it is used once it has stayed the same for one look more, and so is never half."""

LOOKS_BEFORE_RETRY = 10
"""What could not be done, for instance since a port was taken, is tried again after so many looks."""

_Look = tuple[str | None, tuple[Port, ...]]
"""The file's text, and the ports with the stamps of their certificates."""


class LinkFile:
    """Keeps the reception at what the file says; `fault` is why it can't, for log and readiness."""

    def __init__(self, settings: HL7IntakeSettings, reception: Reception) -> None:
        self._settings = settings
        self._reception = reception
        self._links: tuple[Link, ...] = ()
        self._seen: _Look | None = None
        self._done: _Look | None = None
        self._looks = 0
        self.fault: str | None = None

    async def open(self) -> None:
        """Open the links; with a file that can't be used none, until it can. Without a file a fault is raised."""
        await self._follow()
        if self.fault and self._settings.hl7_links is None:
            raise LinksRefused(self.fault)

    async def watch(self) -> None:
        """Follow the file for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Follow the file, if it says something new and has said so before; a fault is looked at again in a while."""
        seen = await asyncio.to_thread(self._looked)
        has_settled, self._seen = seen == self._seen, seen
        self._looks += 1
        is_due = self.fault is not None and self._looks >= LOOKS_BEFORE_RETRY
        if has_settled and (seen != self._done or is_due):
            await self._follow()

    async def _follow(self) -> None:
        self._looks = 0
        try:
            wanted = await asyncio.to_thread(links.load, self._settings)
            await self._reception.apply(wanted)
        except LinksRefused as refused:
            self._refuse(str(refused))
        else:
            self._links, self.fault = wanted, None
        self._done = await asyncio.to_thread(self._looked)

    def _refuse(self, fault: str) -> None:
        if fault != self.fault:
            log.error("links_refused", reason=fault, remain=[link.link_id for link in self._links])
        self.fault = fault

    def _looked(self) -> _Look:
        try:
            text = self._settings.hl7_links.read_text(encoding="utf-8") if self._settings.hl7_links else ""
        except (OSError, UnicodeDecodeError):
            text = None
        return text, tuple(ports_of(self._settings, self._links))
