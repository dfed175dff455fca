"""The MLLP listener: sockets, time-outs and limits around the frame decoder; answers leave in the order of messages."""

import asyncio
import socket
import ssl
from collections import deque
from typing import cast

from overread.hl7_intake.answer import Answer
from overread.hl7_intake.intake import CLAIM_CHECK_BYTES, Intake
from overread.hl7_intake.patience import Patience
from overread.protocols import mllp
from overread.runtime.telemetry import log

ANSWER_SECONDS = 10.0
"""How long a connection that ends waits for its last answers: longer than the broker is given."""
STOP_SECONDS = 5.0


class Listener:
    """Takes connections of one link; a connection over the limit is closed at once, so its sender tries again."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._servers: list[asyncio.Server] = []
        self._connections: set[_Connection] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen on `host`:`port`; returns when senders may connect."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Connection(self._intake, self._connections, is_tls=tls is not None), host, port, ssl=tls
        )
        self._servers.append(server)
        log.info("listening", port=port, tls=tls is not None)

    @property
    def ports(self) -> list[int]:
        """Return the ports that are listened on."""
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    async def stop(self) -> None:
        """Take no more connections, let what was begun be answered, then close."""
        for server in self._servers:
            server.close()
        ends = [connection.end() for connection in self._connections]
        if ends:
            await asyncio.wait(ends, timeout=STOP_SECONDS)


class _Connection(asyncio.Protocol):
    """One sender: messages are taken in order and answered in order, several at a time when it does not wait."""

    def __init__(self, intake: Intake, connections: "set[_Connection]", *, is_tls: bool) -> None:
        self._intake = intake
        self._connections = connections
        self._is_tls = is_tls
        self._decoder = mllp.FrameDecoder(intake.link.maximum_frame_bytes)
        self._events: deque[mllp.Event] = deque()
        self._answers: deque[Answer] = deque()
        self._large: Answer | None = None
        self._loop = asyncio.get_running_loop()
        self._lost = self._loop.create_future()
        self._patience = Patience(self._loop, self._on_silence)
        self._frame_began: float | None = None
        self._may_write = True
        self._is_reading = True
        self._is_ending = False
        self._is_taking = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the link has all the connections that it takes."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._connections) >= self._intake.link.maximum_connections:
            log.warning("connection_refused", link=self._intake.link.link_id, reason="too many connections")
            self._transport.close()
            return
        self._connections.add(self)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience.wait(self._intake.link.idle_seconds)

    def data_received(self, data: bytes) -> None:
        """Take what the bytes complete, and no more than may wait for its answer."""
        events = self._decoder.feed(data)
        self._note(is_progress=bool(events))
        self._events.extend(events)
        self._take()

    def eof_received(self) -> bool:
        """Keep the line open for the answers to what was taken; over TLS that is not possible."""
        self._end_when_answered()
        return not self._is_tls

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go; the answers that come now have nobody to go to."""
        self._patience.end()
        self._events.clear()
        self._answers.clear()
        self._connections.discard(self)
        if exc is not None:
            log.info("connection_ended", link=self._intake.link.link_id, reason=type(exc).__name__)
        if (half := self._decoder.close()) is not None:
            log.warning("half_frame", link=self._intake.link.link_id, bytes=len(half.content))
        if not self._lost.done():
            self._lost.set_result(None)

    def pause_writing(self) -> None:
        """Read no more from a sender that reads no answers."""
        self._may_write = False
        self._set_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self._may_write = True
        self._take()

    def end(self) -> "asyncio.Future[None]":
        """Take no more; the result is there once what was taken is answered and the line is closed."""
        self._events.clear()
        self._end_when_answered()
        return self._lost

    def _end_when_answered(self) -> None:
        self._is_ending = True
        self._loop.call_later(ANSWER_SECONDS, self._transport.abort)
        self._take()

    def _take(self) -> None:
        """Begin what there is room for; then read on, stop reading, or close."""
        self._is_taking = True
        try:
            while self._events and self._has_room():
                self._on_event(self._events.popleft())
        finally:
            self._is_taking = False
        self._set_reading()
        if self._is_ending and not self._events and not self._answers:
            self._transport.close()

    def _has_room(self) -> bool:
        # A large message takes its place in the order only when it is stored.
        is_placed = self._large is None or self._large.done()
        return is_placed and self._may_write and len(self._answers) < self._intake.link.pipelined_messages

    def _set_reading(self) -> None:
        """Read on once earlier messages have found their place: a sender that reads none may send none."""
        is_reading = self._may_write and not self._events and not self._is_ending
        if is_reading is self._is_reading or self._transport.is_closing():
            return
        self._is_reading = is_reading
        self._transport.resume_reading() if is_reading else self._transport.pause_reading()

    def _note(self, *, is_progress: bool) -> None:
        """Note how long the sender may be silent now, or take to end the message that it has begun."""
        link = self._intake.link
        if is_progress:
            self._frame_began = None
        if not self._decoder.is_inside_frame:
            self._patience.wait(link.idle_seconds)
        elif self._frame_began is None:
            self._frame_began = self._loop.time()
            self._patience.wait(link.half_frame_seconds)

    def _on_silence(self) -> None:
        """Give up: on a sender that reads nothing by cutting the line; one that waits for answers is not silent."""
        if self._answers and not self._transport.get_write_buffer_size():
            self._patience.wait(self._intake.link.idle_seconds)
            return
        log.info("connection_ended", link=self._intake.link.link_id, reason="TimeoutError")
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        self._transport.close()

    def _on_event(self, event: mllp.Event) -> None:
        match event:
            case mllp.Frame(payload):
                answer = self._intake.begin(payload)
                self._large = answer if len(payload) > CLAIM_CHECK_BYTES else None
                self._answer_later(answer)
            case mllp.Oversize(head):
                self._answer_later(self._intake.refuse_oversize(head))
            case mllp.HalfFrame():
                log.warning("half_frame", link=self._intake.link.link_id, bytes=len(event.content))
            case mllp.Garbage() if not event.is_blank:
                log.warning("garbage_between_frames", link=self._intake.link.link_id, bytes=len(event.content))

    def _answer_later(self, answer: Answer) -> None:
        self._answers.append(answer)
        answer.when_done(self._answer_in_order)

    def _answer_in_order(self) -> None:
        while self._answers and self._answers[0].done():
            self._write(self._answers.popleft())
        if (self._events or self._is_ending) and not self._is_taking:
            self._take()

    def _write(self, answer: Answer) -> None:
        if answer.failure is not None:
            # A bug of ours ends this connection, and no other: its sender sees it close, and sends again.
            self._loop.call_exception_handler({"message": "a message failed", "exception": answer.failure})
            self._transport.abort()
        elif (written := answer.result()) is not None and not self._transport.is_closing():
            self._transport.write(mllp.encode(written))
