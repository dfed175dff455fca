"""All links and all ports of the intake: a change reaches the links that it changes, and no other."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence

from overread.contracts.errors import Unavailable
from overread.hl7_intake.connection import Connection
from overread.hl7_intake.intake import Intake
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.listener import Listener, ended
from overread.hl7_intake.open_link import OpenLink
from overread.hl7_intake.ports import Port, contexts_of, ports_of
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.runtime.telemetry import log

WARMED_AT_ONCE = 8
"""How many links read their tails at the same time."""


class Reception:
    """Opens, changes and closes links and ports.

    `make_intake` makes the intake of a link, `warm` lets it learn what the link took before.
    """

    def __init__(
        self,
        settings: HL7IntakeSettings,
        make_intake: Callable[[Link], Intake],
        warm: Callable[[Intake], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._make_intake = make_intake
        self._warm = warm
        self._links: dict[str, OpenLink] = {}
        self._listeners: dict[Port, Listener] = {}
        self._draining: dict[str, OpenLink] = {}
        self._refuses_for: Unavailable | None = None

    @property
    def open_links(self) -> Mapping[str, OpenLink]:
        """Return the links that are open, in the file's order."""
        return self._links

    @property
    def draining(self) -> Mapping[str, OpenLink]:
        """Return the links that are closed, and whose last connections are being ended."""
        return self._draining

    def ports_of(self, link_id: str) -> Sequence[Port]:
        """Return the ports that are listened on for a link."""
        return [port for port, listener in self._listeners.items() if listener.serves(link_id)]

    def refuse_all(self, reason: Unavailable | None) -> None:
        """Refuse on every link what is new for `reason`, None to take it again."""
        self._refuses_for = reason
        for at in self._links.values():
            at.intake.refuse_all(reason)

    async def apply(self, links: Sequence[Link]) -> None:
        """Open, change and close until there are these links; `LinksRefused` when that can't be, and all is as before.

        What can fail comes first. Connections of a changed or removed link are ended in order, and those alone.
        """
        ports = await asyncio.to_thread(ports_of, self._settings, links)
        contexts = await asyncio.to_thread(contexts_of, list(ports))
        opened = {**self._links, **await self._made(links)}
        await self._listen(ports, contexts)
        before, self._links = self._links, {link.link_id: opened[link.link_id] for link in links}
        changed = [link for link in links if link.link_id in before and before[link.link_id].link != link]
        intakes = [self._become(link) for link in changed]
        self._place(ports)
        gone = [before[link_id] for link_id in before.keys() - self._links.keys()]
        for at in gone:
            at.close()
        self._draining = {at.link.link_id: at for at in gone}
        await self._end(gone + [self._links[link.link_id] for link in changed])
        self._draining = {}
        await asyncio.gather(*(self._warm(intake) for intake in intakes if not len(intake.guard)))
        log.info("links_open", links=list(self._links), changed=[link.link_id for link in changed])

    async def stop(self) -> None:
        """Close all ports, let what was begun be answered, then close the connections."""
        listeners, self._listeners = self._listeners, {}
        await asyncio.gather(*(listener.stop() for listener in listeners.values()))

    async def _made(self, links: Sequence[Link]) -> Mapping[str, OpenLink]:
        """Return the links that are not open yet, each knowing what it took before."""
        gate = asyncio.Semaphore(WARMED_AT_ONCE)
        added = [link for link in links if link.link_id not in self._links]
        made = await asyncio.gather(*(self._made_one(link, gate) for link in added))
        return {at.link.link_id: at for at in made}

    async def _made_one(self, link: Link, gate: asyncio.Semaphore) -> OpenLink:
        intake = self._make_intake(link)
        async with gate:
            await self._warm(intake)
        intake.refuse_all(self._refuses_for)
        return OpenLink(intake)

    async def _listen(
        self, ports: Mapping[Port, Sequence[Link]], contexts: Mapping[Port, ssl.SSLContext | None]
    ) -> None:
        """Listen on the ports that are new, or on none of them; their links follow in the same breath."""
        in_use = {port.number: port for port in self._listeners}
        new = [port for port in ports if port.number not in in_use]
        try:
            for port in new:
                self._listeners[port] = Listener()
                await self._listeners[port].start(self._settings.mllp_host, port.number, contexts[port])
        except OSError as error:
            for port in new:
                if listener := self._listeners.pop(port, None):
                    listener.close()
            raise _not_listening(port, ports[port], error) from error
        for port in ports.keys() - self._listeners.keys():
            await self._speak(in_use[port.number], port, contexts[port])

    async def _speak(self, old: Port, port: Port, context: ssl.SSLContext | None) -> None:
        """Speak on an open port with another certificate, or another way; who is connected stays so."""
        listener = self._listeners.pop(old)
        listener.close()
        self._listeners[port] = listener
        await listener.start(self._settings.mllp_host, port.number, context)

    def _become(self, link: Link) -> Intake:
        at = self._links[link.link_id]
        at.become(link)
        return at.intake

    def _place(self, ports: Mapping[Port, Sequence[Link]]) -> None:
        """Tell each listener its links; one without any is closed."""
        for port, listener in tuple(self._listeners.items()):
            listener.use([self._links[link.link_id] for link in ports.get(port, ())])
            if port not in ports:
                listener.close()
                del self._listeners[port]

    async def _end(self, links: Sequence[OpenLink]) -> None:
        connections: set[Connection] = set()
        await ended(connections.union(*(at.connections for at in links)))


def _not_listening(port: Port, links: Sequence[Link], error: OSError) -> LinksRefused:
    reason = error.strerror or type(error).__name__
    return LinksRefused(f"link {links[0].link_id}, port: nobody can listen on {port.number} ({reason}); write another")
