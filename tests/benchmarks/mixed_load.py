"""So many mixed messages on loopback as fast as they are answered, each connection one at a time.

`python -m tests.benchmarks.mixed_load PORT CONNECTIONS MESSAGES SECONDS` prints, each second, how many were answered
AA or CA, as one JSON object a line; the last line is the end, by number or by time. Any other answer ends the run.
"""

import asyncio
import json
import os
import socket
import sys
import time
from contextlib import suppress
from itertools import count

import uvloop

from tests.benchmarks.mixed_messages import a_message

START, END = b"\x0b", b"\x1c\r"
SAY_SECONDS = 1.0
ANSWER_SECONDS = 60.0


class Load:
    """One run: what is sent next, and how many were kept."""

    def __init__(self, messages: int, seconds: float) -> None:
        self._run = os.urandom(3).hex().upper()
        self._numbers = iter(range(messages))
        self._until = time.monotonic() + seconds
        self.kept = 0

    async def send(self, port: int) -> None:
        """Send message after message over one connection until there is none left, or no time."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in self._numbers:
            control_id, message = a_message(number, self._run)
            writer.write(START + message + END)
            answer = await asyncio.wait_for(reader.readuntil(END), ANSWER_SECONDS)
            if not any(b"MSA|%b|%b\r" % (code, control_id.encode()) in answer for code in (b"AA", b"CA")):
                raise RuntimeError(f"not the positive answer to the message sent: {answer!r}")
            self.kept += 1
            if time.monotonic() > self._until:
                break
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def say(self) -> None:
        """Say every second how many were kept."""
        for _ in count():
            await asyncio.sleep(SAY_SECONDS)
            self.tell()

    def tell(self) -> None:
        """Say how many were kept."""
        sys.stdout.write(json.dumps({"messages": self.kept}) + "\n")
        sys.stdout.flush()


async def main(port: int, connections: int, messages: int, seconds: float) -> None:
    """Send them all."""
    load = Load(messages, seconds)
    saying = asyncio.create_task(load.say())
    async with asyncio.TaskGroup() as senders:
        for _ in range(connections):
            senders.create_task(load.send(port))
    saying.cancel()
    load.tell()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
