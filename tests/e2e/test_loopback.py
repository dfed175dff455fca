"""Nothing of a running installation is reached from outside the machine: what each of its processes listens on."""

import contextlib
import socket
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest

from overread.embedded.processes import marked
from overread.embedded.profile import DICOM_PORT, HTTP_PORT, MLLP_PORT, SERVICES
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import SERVERS

Door = tuple[IPv4Address | IPv6Address, int]

TCP_LISTEN, UDP_UNCONNECTED = "0A", "07"
WAITS = {"tcp": TCP_LISTEN, "tcp6": TCP_LISTEN, "udp": UDP_UNCONNECTED, "udp6": UDP_UNCONNECTED}


@pytest.mark.stack
def test_every_process_of_the_stack_listens_on_loopback_only(servers: StackThread) -> None:
    """REQ-PRI-06: servers and services, and whatever they started themselves."""
    offset = servers.endpoints.ports.offset
    doors = doors_of_all(marked(servers.endpoints.data.mark))

    by_service = {name: {port for _, port in doors[servers.pid(name)]} for name in SERVICES}
    beyond = {(pid, str(address)) for pid, found in doors.items() for address, _ in found if not is_loopback(address)}

    wanted = {"hl7_intake": {MLLP_PORT + offset}, "dicom_intake": {DICOM_PORT + offset}, "review": {HTTP_PORT + offset}}
    assert by_service == {name: wanted.get(name, set()) for name in SERVICES}
    assert {servers.pid(name) for name in SERVERS} <= doors.keys()
    assert {port for found in doors.values() for _, port in found} >= set(servers.endpoints.ports.named().values())
    assert beyond == set()


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, "0.0.0.0"),
        (socket.AF_INET6, socket.SOCK_STREAM, "::"),
        (socket.AF_INET, socket.SOCK_DGRAM, "0.0.0.0"),
    ],
)
def test_scan_finds_a_door_that_is_open_to_all(family: int, kind: int, address: str) -> None:
    """A scan that finds nothing anywhere proves nothing."""
    with socket.socket(family, kind) as opened:
        opened.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            opened.listen()
        port = opened.getsockname()[1]

        found = [door for door in doors_of("self") if door[1] == port]

    assert [(str(where), is_loopback(where)) for where, _ in found] == [(address, False)]


def doors_of_all(pids: Iterable[int]) -> Mapping[int, set[Door]]:
    """Return where each process waits for others; a database connection's own process may have ended meanwhile."""
    doors = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            doors[pid] = set(doors_of(pid))
    return doors


def doors_of(pid: int | str) -> Iterator[Door]:
    """Yield where a process waits for others: proc(5), /proc/PID/net."""
    folder = Path("/proc") / str(pid)
    inodes = {target[8:-1] for target in _opened(folder) if target.startswith("socket:[")}
    for table, state in WAITS.items():
        for line in (folder / "net" / table).read_text().splitlines()[1:]:
            row = line.split()
            if row[3] == state and row[9] in inodes:
                yield _door(row[1])


def _opened(folder: Path) -> Iterator[str]:
    for handle in (folder / "fd").iterdir():
        try:
            yield str(handle.readlink())
        except OSError:
            continue  # it was closed meanwhile


def _door(local: str) -> Door:
    """Return address and port; an address is written in words of the machine's own order."""
    address, _, port = local.partition(":")
    words = [bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8)]
    return ip_address(b"".join(words)), int(port, 16)


def is_loopback(address: IPv4Address | IPv6Address) -> bool:
    """Say whether only this machine reaches it; Java writes 127.0.0.1 as an IPv6 address (RFC 4291, 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback
