"""Health gates: what has come up, and which ports are free."""

import asyncio
import socket
from pathlib import Path

from overread.embedded.places import StackError

_PATIENCE_SECONDS = 2.0
_OK = 200


async def answers(address: Path | int, route: str) -> bool:
    """Tell whether HTTP GET `route` on a Unix socket or a loopback port answers 200 now."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await _get(address, route) == _OK
    except (OSError, EOFError, ValueError, IndexError, TimeoutError):
        return False


async def accepts(port: int) -> bool:
    """Tell whether something listens on this loopback port now."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def require_free(ports: dict[str, int], offset: int) -> None:
    """Refuse to start while somebody else listens where we shall; name the port and the way out."""
    for owner, port in ports.items():
        if not _is_free(port):
            raise StackError(
                f"port {port} ({owner}) is in use on this machine: stop what uses it, or move all ports of Overread,"
                f" for example OVERREAD_PORT_OFFSET={_offset_with_room(ports, offset)}"
            )


def _offset_with_room(ports: dict[str, int], offset: int) -> int:
    bare = [port - offset for port in ports.values()]
    tries = [candidate for candidate in range(100, 13_000, 100) if candidate != offset]
    return next((shift for shift in tries if all(_is_free(port + shift) for port in bare)), 0)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _get(address: Path | int, route: str) -> int:
    reader, writer = await _connect(address)
    try:
        writer.write(f"GET {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        status_line = await reader.readline()
        return int(status_line.split()[1])
    finally:
        writer.close()


async def _connect(address: Path | int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(address, int):
        return await asyncio.open_connection("127.0.0.1", address)
    return await asyncio.open_unix_connection(str(address))
