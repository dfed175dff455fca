"""Who may use a link: by the network that a connection comes from, and by the names in MSH-3 and MSH-4. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from overread.hl7_intake.settings import Link, Network
from overread.protocols.hl7.tokenise import Header

Address = IPv4Address | IPv6Address


def address_of(peer: object) -> Address | None:
    """Return the address of a socket's peer; one of IPv4 that came over IPv6 is itself."""
    if not isinstance(peer, tuple) or not peer:
        return None
    try:
        address = ip_address(str(peer[0]).partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def allows_peer(link: Link, address: Address | None) -> bool:
    """Say whether a connection from `address` may use the link; one without an address only where all may."""
    if not link.allowed_peers:
        return True
    return address is not None and any(address in network for network in link.allowed_peers)


def allows_application(link: Link, header: Header) -> bool:
    """Say whether the message's sender (MSH-3.1, MSH-4.1) may use the link."""
    if not link.allowed_applications:
        return True
    application, facility = header.component(3, 1), header.component(4, 1)
    return any(_fits(pattern, application, facility) for pattern in link.allowed_applications)


def covers(link: Link, later: Link) -> bool:
    """Say whether `link` takes everything that `later`, which stands behind it on the same port, would take."""
    return _covers_peers(link, later) and _covers_applications(link, later)


def _covers_peers(link: Link, later: Link) -> bool:
    if not link.allowed_peers:
        return True
    return bool(later.allowed_peers) and all(_is_within(network, link.allowed_peers) for network in later.allowed_peers)


def _is_within(network: Network, networks: Sequence[Network]) -> bool:
    return any(network.version == wide.version and network.subnet_of(wide) for wide in networks)  # type: ignore[arg-type]  # mypy doesn't join the two


def _covers_applications(link: Link, later: Link) -> bool:
    if not link.allowed_applications:
        return True
    named = (pattern.partition("|") for pattern in later.allowed_applications)
    return bool(later.allowed_applications) and all(
        any(_fits(wide, application, facility) for wide in link.allowed_applications)
        for application, _, facility in named
    )


def _fits(pattern: str, application: str, facility: str) -> bool:
    """Say whether the pattern names this sender; asked of a narrower pattern, whether it names all of that one's."""
    wanted_application, _, wanted_facility = pattern.partition("|")
    return wanted_application in ("", application) and wanted_facility in ("", facility)
