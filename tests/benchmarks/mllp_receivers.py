"""Sixteen receivers in one process that acknowledge every message: `python -m tests.benchmarks.mllp_receivers COUNT`.

Prints their ports as one JSON list and then waits; a line on standard input is answered by how many messages each has.
"""

import asyncio
import json
import sys
from typing import cast

import uvloop

ANSWER = b"\x0bMSH|^~\\&|EMR||||20261122120000||ACK^R01^ACK|A|P|2.5.1\rMSA|AA|%b\r\x1c\r"
END = b"\x1c\r"
CONTROL_ID = 9


class Receiver(asyncio.Protocol):
    """One connection; a plain protocol, so that the receivers take little of the machine from who is measured."""

    def __init__(self, got: list[set[bytes]], number: int) -> None:
        self._got = got[number]
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each message that is whole, with its own control ID."""
        *whole, self._received = (self._received + data).split(END)
        for message in whole:
            control_id = message.split(b"|", CONTROL_ID + 1)[CONTROL_ID]
            self._got.add(control_id)
            self._transport.write(ANSWER % control_id)


async def main(count: int) -> None:
    """Listen, say where, and answer each line with the counts."""
    loop = asyncio.get_running_loop()
    got: list[set[bytes]] = [set() for _ in range(count)]
    servers = [await loop.create_server(lambda n=n: Receiver(got, n), "127.0.0.1", 0) for n in range(count)]  # type: ignore[misc]
    _say([server.sockets[0].getsockname()[1] for server in servers])
    while await asyncio.to_thread(sys.stdin.readline):
        _say([len(each) for each in got])


def _say(what: list[int]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
