"""The MLLP listener: sockets, time-outs and limits around the frame decoder; answers leave in the order of messages."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable

from overread.hl7_intake.intake import Intake
from overread.protocols import mllp
from overread.runtime.telemetry import log

READ_BYTES = 64 * 1024
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


class _Connection:
    """One sender: messages are taken in order and answered in order, several at a time when it does not wait."""

    def __init__(self, intake: Intake, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._intake = intake
        self._reader = reader
        self._writer = writer
        self._decoder = mllp.FrameDecoder(intake.link.maximum_frame_bytes)
        self._answers: asyncio.Queue[Awaitable[bytes | None] | None] = asyncio.Queue(intake.link.pipelined_messages)

    async def run(self) -> None:
        """Serve the connection to its end; every message that was taken is answered before it closes."""
        answering = asyncio.create_task(self._answer_in_order())
        try:
            await self._read_messages()
        except (TimeoutError, ConnectionError) as error:
            log.info("connection_ended", link=self._intake.link.link_id, reason=type(error).__name__)
        finally:
            self._report_half_frame()
            await self._finish(answering)

    async def _finish(self, answering: "asyncio.Task[None]") -> None:
        ending = asyncio.create_task(self._answers.put(None))
        await asyncio.wait((answering, ending), timeout=STOP_SECONDS, return_when=asyncio.ALL_COMPLETED)
        for task in (answering, ending):
            task.cancel()
        self._writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), STOP_SECONDS)

    async def _read_messages(self) -> None:
        while data := await asyncio.wait_for(self._reader.read(READ_BYTES), self._patience()):
            for event in self._decoder.feed(data):
                await self._on_event(event)

    def _patience(self) -> float:
        link = self._intake.link
        return link.half_frame_seconds if self._decoder.is_inside_frame else link.idle_seconds

    async def _on_event(self, event: mllp.Event) -> None:
        match event:
            case mllp.Frame(payload):
                await self._answers.put(await self._intake.begin(payload))
            case mllp.Oversize(head):
                await self._answers.put(_known(self._intake.refuse_oversize(head)))
            case mllp.HalfFrame():
                log.warning("half_frame", link=self._intake.link.link_id, bytes=len(event.content))
            case mllp.Garbage() if not event.is_blank:
                log.warning("garbage_between_frames", link=self._intake.link.link_id, bytes=len(event.content))

    async def _answer_in_order(self) -> None:
        while (answer := await self._answers.get()) is not None:
            written = await answer
            if written is not None:
                self._writer.write(mllp.encode(written))
                if self._answers.empty():
                    with contextlib.suppress(ConnectionError):
                        await self._writer.drain()

    def _report_half_frame(self) -> None:
        if (half := self._decoder.close()) is not None:
            log.warning("half_frame", link=self._intake.link.link_id, bytes=len(half.content))


async def _known(answer: bytes | None) -> bytes | None:
    return answer
