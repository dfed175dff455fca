"""One port of the intake: which links a connection there may use, and which of them a message is for."""

import asyncio
import ssl
from collections.abc import Sequence

from overread.hl7_intake.admission import Address, allows_application, allows_peer
from overread.hl7_intake.bursts import Bursts
from overread.hl7_intake.connection import Connection
from overread.hl7_intake.open_link import OpenLink
from overread.protocols.hl7.tokenise import read_header
from overread.runtime.telemetry import log

STOP_SECONDS = 5.0
HANDSHAKE_SECONDS = 10.0
"""How long a connection may take for its TLS handshake."""

MOST_SENDERS = 1024
"""Of so many senders the listener knows which link they use."""

_NAMES_WITHIN = 1024


class Listener:
    """Takes the connections of one port; its links may change while it listens."""

    def __init__(self, links: Sequence[OpenLink] = ()) -> None:
        self.bursts = Bursts()
        self._links = tuple(links)
        self._known: dict[tuple[object, ...], OpenLink] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._unidentified: dict[Connection, None] = {}  # the oldest first

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen on `host`:`port`; returns when senders may connect."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self, is_tls=tls is not None),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else HANDSHAKE_SECONDS,
        )
        log.info("listening", port=port, tls=tls is not None)

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        if self._server is None:
            raise RuntimeError("the listener has not been started")
        return int(self._server.sockets[0].getsockname()[1])

    def serves(self, link_id: str) -> bool:
        """Say whether the link is one of this port's."""
        return any(at.link.link_id == link_id for at in self._links)

    def use(self, links: Sequence[OpenLink]) -> None:
        """Serve these links from now on; connections of those that stay notice nothing."""
        self._links = tuple(links)
        self._known.clear()
        for connection in tuple(self._connections):
            connection.reconsider()

    def close(self) -> None:
        """Take no more connections; those that are there live on."""
        if self._server is not None:
            self._server.close()

    async def stop(self) -> None:
        """Take no more connections, let what was begun be answered, then close."""
        self.close()
        await ended(self._connections)

    def links_for(self, address: Address | None) -> tuple[OpenLink, ...]:
        """Return the links that a connection from `address` may use, in the file's order."""
        return tuple(at for at in self._links if allows_peer(at.link, address))

    def link_of(self, links: tuple[OpenLink, ...], payload: bytes) -> OpenLink:
        """Return which of several links the message is for; one that is for none goes to the first, which refuses it."""
        start = payload[:_NAMES_WITHIN].split(b"|", 4)
        if len(start) < 5 or start[0] != b"MSH":
            return _choose(links, payload)
        sender = (links, *start[1:4])
        at = self._known.get(sender)
        if at is None:
            if len(self._known) >= MOST_SENDERS:
                self._known.clear()
            at = self._known[sender] = _choose(links, payload)
        return at

    def enter(self, connection: Connection, *, is_known: bool) -> None:
        """Let a connection in; of too many that have said nothing yet, the oldest gives way.

        Who comes to send does so at once: silent connections so keep nobody of another link out.
        """
        self._connections.add(connection)
        if is_known:
            return
        if len(self._unidentified) >= max(at.link.maximum_connections for at in connection.links):
            oldest = next(iter(self._unidentified))
            self.identify(oldest)
            oldest.end()
        self._unidentified[connection] = None

    def identify(self, connection: Connection) -> None:
        """Hear that the connection has said which link it uses."""
        self._unidentified.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Let go of a connection that has ended."""
        self._connections.discard(connection)
        self.identify(connection)


async def ended(connections: "set[Connection]") -> None:
    """End the connections in order: what was taken on them is answered, as far as it is known in time."""
    ends = [connection.end() for connection in tuple(connections)]
    if ends:
        await asyncio.wait(ends, timeout=STOP_SECONDS)


def _choose(links: tuple[OpenLink, ...], payload: bytes) -> OpenLink:
    header = read_header(payload)
    return next((at for at in links if allows_application(at.link, header)), links[0])
