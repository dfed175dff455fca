"""The ports that a set of links needs, and what each of them speaks."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.runtime.tls import server_context

Stamp = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Port:
    """A port and what it speaks; `stamps` change when a certificate is renewed."""

    number: int
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    stamps: tuple[Stamp, ...] = ()

    def context(self) -> ssl.SSLContext | None:
        """Return what the port needs to speak TLS, None when it is plain; `LinksRefused` when a file is no good."""
        try:
            return server_context(self.certificate, self.key, self.client_ca)
        except OSError as error:  # ssl.SSLError is one
            raise LinksRefused(f"port {self.number}, {self._fault(error)}") from error

    def _fault(self, error: OSError) -> str:
        files = [path for path in (self.certificate, self.key, self.client_ca) if path]
        if missing := next((path for path in files if not path.exists()), None):
            return f"{missing}: there is no such file; write the path of a PEM file that is there"
        named = ", ".join(map(str, files))
        if isinstance(error, PermissionError):
            return f"{named}: one of them may not be read; let the intake's user read it"
        return f"{named}: they are no certificate and key in PEM that belong together; write those that do"


def ports_of(settings: HL7IntakeSettings, links: Sequence[Link]) -> Mapping[Port, tuple[Link, ...]]:
    """Return each port with its links in their order; a link without a port of its own is at the default ones."""
    found: dict[Port, tuple[Link, ...]] = {}
    for link in links:
        for port in _ports_of(settings, link):
            found[port] = (*found.get(port, ()), link)
    return found


def contexts_of(ports: Sequence[Port]) -> Mapping[Port, ssl.SSLContext | None]:
    """Return what each port needs to speak TLS; blocking."""
    return {port: port.context() for port in ports}


def _ports_of(settings: HL7IntakeSettings, link: Link) -> Sequence[Port]:
    offset = settings.port_offset
    if link.port is not None:
        return [_port(link.port + offset, link.tls_certificate, link.tls_key, link.tls_client_ca)]
    plain = _port(settings.mllp_port + offset, None, None, None)
    if settings.mllp_tls_certificate is None:
        return [plain]
    files = (settings.mllp_tls_certificate, settings.mllp_tls_key, settings.mllp_tls_client_ca)
    return [plain, _port(settings.mllp_tls_port + offset, *files)]


def _port(number: int, certificate: Path | None, key: Path | None, client_ca: Path | None) -> Port:
    return Port(number, certificate, key, client_ca, tuple(_stamp(path) for path in (certificate, key, client_ca)))


def _stamp(path: Path | None) -> Stamp:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found else None
