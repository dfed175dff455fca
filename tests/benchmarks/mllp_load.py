"""A bounded MLLP load on loopback: every connection sends a message, waits for its answer, and sends the next.

`python -m tests.benchmarks.mllp_load PORT CONNECTIONS SECONDS` prints one JSON object. A control ID is never sent
twice, so a duplicate guard has nothing to skip; an answer that is not AA or CA for the message sent ends the run.
"""

import asyncio
import json
import os
import socket
import sys
import time
from typing import TypedDict, cast

import uvloop

WARM_SECONDS = 2.0
ANSWER_SECONDS = 60.0

TEMPLATE = (
    "\x0bMSH|^~\\&|HIS|BVX|OVERREAD|BVX|20261122120000||ORM^O01^ORM_O01|{id}|P|2.5.1|||AL|NE||UNICODE UTF-8\r"
    "PID|1||001099{number:06d}^^^VNBCA^NI~BN{number:06d}^^^BVX^MR||THỬ NGHIỆM^NGUYỄN VĂN||19700101|M"
    "|||Tổ 5^^Điện Biên Phủ^Điện Biên^^VN\r"
    "PV1|1|I|KHOA^101^1||||BS001^MẪU^BÁC SĨ|||||||||||V{number:06d}\r"
    "ORC|NW|ORD{id}|||||^^^20261122120000^^R||20261122120000|||BS001^MẪU^BÁC SĨ\r"
    "OBR|1|ORD{id}||36643-5^XR Chest 2 Views^LN|||20261122120000||||||ho khan, sốt||||||ACC{number:06d}"
    "||||||CR|||^^^^^R\r\x1c\r"
)


class Measured(TypedDict):
    """What one run came to."""

    messages: int
    per_second: float
    p50_ms: float
    p99_ms: float


class _Sender(asyncio.Protocol):
    """One connection; a plain protocol, so that the client takes little of the machine from the servers."""

    def __init__(self, prefix: str, until: float, done: "asyncio.Future[None]") -> None:
        self._prefix = prefix
        self._until = until
        self._done = done
        self._sent = 0
        self._sent_at = 0.0
        self._received = b""
        self.seconds: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first message."""
        self._transport = cast("asyncio.Transport", transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Judge the answer once it is whole, and send the next message until the time is over."""
        self._received += data
        if not self._received.endswith(b"\x1c\r"):
            return
        answer, self._received = self._received, b""
        now = time.perf_counter()
        self.seconds.append(now - self._sent_at)
        if b"MSA|AA|" + self._id + b"\r" not in answer and b"MSA|CA|" + self._id + b"\r" not in answer:
            self._end(RuntimeError(f"not the positive answer to the message sent: {answer!r}"))
        elif now < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the run when the receiver hangs up."""
        self._end(exc or ConnectionResetError("the receiver closed the connection"))

    def _send(self) -> None:
        identifier = f"{self._prefix}{self._sent:07d}"
        self._id = identifier.encode()
        message = TEMPLATE.format(id=identifier, number=self._sent % 1_000_000).encode()
        self._sent += 1
        self._sent_at = time.perf_counter()
        self._transport.write(message)

    def _end(self, failure: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(failure) if failure else self._done.set_result(None)
            self._transport.close()


async def load(port: int, connections: int, seconds: float) -> Measured:
    """Send for `seconds` over `connections` connections and return what came back how fast."""
    loop = asyncio.get_running_loop()
    run = os.urandom(3).hex().upper()
    began = time.perf_counter()
    senders: list[_Sender] = []
    ends: list[asyncio.Future[None]] = []
    for number in range(connections):
        end: asyncio.Future[None] = loop.create_future()
        sender = _Sender(f"M{run}{number:03d}", began + seconds, end)
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", port)  # type: ignore[misc]
        senders.append(sender)
        ends.append(end)
    await asyncio.wait_for(asyncio.gather(*ends), seconds + ANSWER_SECONDS)
    elapsed = time.perf_counter() - began
    took = sorted(second for sender in senders for second in sender.seconds)
    return {
        "messages": len(took),
        "per_second": len(took) / elapsed,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
    }


async def main(port: int, connections: int, seconds: float) -> None:
    """Warm the receiver up, then measure."""
    await load(port, connections, WARM_SECONDS)
    sys.stdout.write(json.dumps(await load(port, connections, seconds)) + "\n")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
