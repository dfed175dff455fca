"""The MLLP listener: sockets, time-outs and limits around the frame decoder; answers leave in the order of messages."""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable

from overread.hl7_intake.intake import Answer, Intake
from overread.protocols import mllp
from overread.runtime.telemetry import log

READ_BYTES = 64 * 1024
ANSWER_SECONDS = 10.0
"""How long a connection that ends waits for its last answers: longer than the broker is given."""
STOP_SECONDS = 5.0


class Listener:
    """Takes connections of one link; a connection over the limit is closed at once, so its sender tries again."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen on `host`:`port`; returns when senders may connect."""
        server = await asyncio.start_server(self._on_connection, host, port, limit=READ_BYTES, ssl=tls)
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
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_SECONDS)

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self._intake.link.maximum_connections:
            log.warning("connection_refused", link=self._intake.link.link_id, reason="too many connections")
            writer.close()
            return
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.create_task(_Connection(self._intake, reader, writer).run())
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)


class _Patience:
    """Ends the wait for a sender's bytes; one timer a connection, moved seldom, since a time-out for each read costs."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Return the time that deadlines are given in."""
        return self._loop.time()

    def wait_until(self, deadline: float) -> None:
        """Give up at `deadline`, unless told otherwise before."""
        self._deadline = deadline
        if self._timer is None or deadline < self._timer.when():
            self._set_timer(deadline)

    def rest(self) -> None:
        """Wait for nothing."""
        self._deadline = None

    def end(self) -> None:
        """Never give up any more."""
        self.rest()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline > self.now():
            self._set_timer(self._deadline)
            return
        self._give_up()


class _Connection:
    """One sender: messages are taken in order and answered in order, several at a time when it does not wait."""

    def __init__(self, intake: Intake, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._intake = intake
        self._reader = reader
        self._writer = writer
        self._decoder = mllp.FrameDecoder(intake.link.maximum_frame_bytes)
        self._answers: deque[Answer] = deque()
        self._answered = asyncio.Event()
        self._patience = _Patience(self._give_up)
        self._frame_began: float | None = None

    async def run(self) -> None:
        """Serve the connection to its end; every message that was taken is answered before it closes."""
        try:
            await self._read_messages()
        except (TimeoutError, OSError) as error:
            log.info("connection_ended", link=self._intake.link.link_id, reason=type(error).__name__)
        finally:
            self._patience.end()
            self._report_half_frame()
            await self._close()

    async def _read_messages(self) -> None:
        while data := await self._read():
            for event in self._decoder.feed(data):
                await self._on_event(event)
            self._note_frame()

    async def _read(self) -> bytes:
        """Read on once earlier answers have left: a sender that reads none may send none."""
        self._patience.wait_until(self._deadline())
        await self._writer.drain()
        data = await self._reader.read(READ_BYTES)
        self._patience.rest()
        return data

    def _give_up(self) -> None:
        """End the wait: for bytes by an error, for a sender that reads nothing by cutting the line."""
        self._reader.set_exception(TimeoutError())
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()

    def _deadline(self) -> float:
        link = self._intake.link
        if self._frame_began is not None:
            return self._frame_began + link.half_frame_seconds
        return self._patience.now() + link.idle_seconds

    def _note_frame(self) -> None:
        if not self._decoder.is_inside_frame:
            self._frame_began = None
        elif self._frame_began is None:
            self._frame_began = self._patience.now()

    async def _on_event(self, event: mllp.Event) -> None:
        match event:
            case mllp.Frame(payload):
                await self._answer_later(await self._intake.begin(payload))
            case mllp.Oversize(head):
                await self._answer_later(self._intake.refuse_oversize(head))
            case mllp.HalfFrame():
                log.warning("half_frame", link=self._intake.link.link_id, bytes=len(event.content))
            case mllp.Garbage() if not event.is_blank:
                log.warning("garbage_between_frames", link=self._intake.link.link_id, bytes=len(event.content))
        self._frame_began = None

    async def _answer_later(self, answer: Answer) -> None:
        self._answers.append(answer)
        if answer.done():
            self._answer_in_order(answer)
        else:
            answer.add_done_callback(self._answer_in_order)
        while len(self._answers) >= self._intake.link.pipelined_messages:
            await self._one_answered()

    async def _one_answered(self) -> None:
        self._answered.clear()
        await self._answered.wait()

    def _answer_in_order(self, _done: Answer) -> None:
        while self._answers and self._answers[0].done():
            written = self._answers.popleft().result()
            if written is not None and not self._writer.is_closing():
                self._writer.write(mllp.encode(written))
        self._answered.set()

    async def _close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while self._answers:
                    await self._one_answered()
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), STOP_SECONDS)

    def _report_half_frame(self) -> None:
        if (half := self._decoder.close()) is not None:
            log.warning("half_frame", link=self._intake.link.link_id, bytes=len(half.content))
