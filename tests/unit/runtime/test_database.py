"""What counts as a database that is away, and is waited for (REQ-FAI-01)."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import uvloop

from overread.contracts.errors import Unavailable
from overread.runtime.database import open_pool

MOST_WAITING = 10


def dsn(folder: Path) -> str:
    """Return the address of a server whose socket lies in `folder`."""
    return f"postgresql://role:secret@/overread?host={folder}"


@contextmanager
def full_queue(path: Path) -> Iterator[None]:
    """Listen at `path` as a hung server does: nobody is let in, and the queue before the door is full."""
    with ExitStack() as open_sockets:
        server = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
        server.bind(str(path))
        server.listen(0)
        for _ in range(MOST_WAITING):
            client = open_sockets.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            try:
                client.connect(str(path))
            except BlockingIOError:
                yield
                return
        raise AssertionError("the queue is never full")


async def test_server_that_has_ended_in_order_is_away(tmp_path: Path) -> None:
    """It took its socket with it: the file is not found, which is no `ConnectionError`."""
    with pytest.raises(Unavailable):
        await open_pool(dsn(tmp_path))


def test_server_that_hangs_with_a_full_queue_is_away(tmp_path: Path) -> None:
    """The kernel says EAGAIN to whoever comes then (connect(2)), which is no `ConnectionError` either."""
    with full_queue(tmp_path / ".s.PGSQL.5432"), pytest.raises(Unavailable):
        uvloop.run(open_pool(dsn(tmp_path)))
