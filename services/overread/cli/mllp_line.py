"""The two ends of an MLLP line as the command line's tools need them: who sends and waits, and who takes and answers."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

from overread.contracts.errors import Malformed, OverreadError
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import Acknowledgment, AcknowledgmentCode, parse_ack
from overread.protocols.hl7.acknowledgement import wants_accept_acknowledgment as is_answered
from overread.protocols.hl7.tokenise import read_header

READ_BYTES = 64 * 1024
MOST_FRAME_BYTES = 64 * 1024 * 1024
CONNECT_SECONDS = 10.0
REFUSAL_SECONDS = 2.0
"""How long a refusal is waited for where the sender asks for no positive answer (MSH-15 is ER)."""


class LineError(OverreadError):
    """The line could not be used."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener is, and whether it speaks TLS."""

    host: str
    port: int
    uses_tls: bool = False

    def __str__(self) -> str:
        return f"{'mllps' if self.uses_tls else 'mllp'}://{self.host}:{self.port}"


def address(text: str) -> Address:
    """Read ``mllp://HOST:PORT``, ``mllps://HOST:PORT`` for TLS, or ``HOST:PORT``."""
    parts = urlsplit(text if "://" in text else f"mllp://{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in ("mllp", "mllps") or not parts.hostname or not port or parts.path.strip("/"):
        raise LineError(f"{text} is no address of a listener: write mllp://HOST:PORT, or mllps://HOST:PORT for TLS")
    return Address(parts.hostname, port, parts.scheme == "mllps")


def client_tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return TLS 1.2 or newer for a sender (RFC 9325), with its own certificate where the listener wants one."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back for one message after `seconds`: the answer, or `silence`, said in words.

    `is_owed` when the sender asks to be told that a message was taken (MSH-15): then silence says that it was not.
    """

    answer: Acknowledgment | None
    seconds: float
    silence: str = ""
    is_owed: bool = True

    @property
    def is_taken(self) -> bool:
        """True when the receiver took the message, as far as the sender asks to be told."""
        return self.answer.code.is_positive if self.answer else not self.is_owed


class Line:
    """A sender's connection: one message, its answer, the next message."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait_seconds: float) -> None:
        self._reader = reader
        self._writer = writer
        self._wait_seconds = wait_seconds
        self._is_tls = writer.get_extra_info("ssl_object") is not None
        self._decoder = mllp.FrameDecoder(MOST_FRAME_BYTES)
        self._events: list[mllp.Event] = []

    async def exchange(self, raw: bytes) -> Heard:
        """Send one message and wait for what its MSH-15 asks for; the answer's MSA-2 must be the message's MSH-10."""
        began = monotonic()
        header = read_header(raw)
        self._writer.write(mllp.encode(raw))
        await self._writer.drain()
        is_owed = is_answered(header, AcknowledgmentCode.CA)
        if not is_owed and not is_answered(header, AcknowledgmentCode.CE):
            return Heard(None, monotonic() - began, "no answer is asked for (MSH-15 is NE)", is_owed)
        wait_seconds = self._wait_seconds if is_owed else REFUSAL_SECONDS
        try:
            async with asyncio.timeout(wait_seconds):
                answer = await self._answer_to(header.message_control_id)
        except TimeoutError:
            silence = "no answer came" if is_owed else "no refusal came, and MSH-15 asks for nothing else"
            return Heard(None, monotonic() - began, f"{silence} within {wait_seconds:g} s", is_owed)
        return Heard(answer, monotonic() - began)

    async def _answer_to(self, control_id: str) -> Acknowledgment:
        while True:
            while self._events:
                answer = _read(self._events.pop(0))
                if answer is not None and answer.message_control_id == control_id:
                    return answer
            chunk = await self._reader.read(READ_BYTES)
            if not chunk:
                may_want = "; it may want a certificate (--certificate)" if self._is_tls else ""
                raise LineError(f"the listener closed the line instead of answering: its log says why{may_want}")
            self._events.extend(self._decoder.feed(chunk))


def _read(event: mllp.Event) -> Acknowledgment | None:
    """Read an answer; what is none, as a release 2 commit block, is passed over."""
    if not isinstance(event, mllp.Frame):
        return None
    try:
        return parse_ack(event.payload)
    except Malformed:
        return None


@asynccontextmanager
async def connected(to: Address, *, tls: ssl.SSLContext | None = None, wait_seconds: float) -> AsyncIterator[Line]:
    """Have a line to a listener for the time of the block."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(to.host, to.port, ssl=tls)
    except TimeoutError:
        raise LineError(
            f"{to} does not answer within {CONNECT_SECONDS:g} s: is the address right, a firewall between?"
        ) from None
    except ssl.SSLError as error:
        raise LineError(_refused_tls(to, error)) from None
    except OSError as error:
        raise LineError(f"no connection to {to}: {error.strerror or error}; does a listener run there?") from None
    try:
        yield Line(reader, writer, wait_seconds)
    except ssl.SSLError as error:  # TLS 1.3 refuses a certificate only after the handshake
        raise LineError(_refused_tls(to, error)) from None
    except ConnectionError as error:
        raise LineError(f"the line to {to} broke ({type(error).__name__}): the listener's log says why") from None
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1.0)


def _refused_tls(to: Address, error: ssl.SSLError) -> str:
    return f"{to} refused TLS ({error.reason}): check --ca, --certificate and --key"


Takes = Callable[[bytes, int], Awaitable[bytes | None]]
"""What a receiver does with a message that came on its connection number N; it returns the answer, None for silence."""


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What is done with one connection; its end closes the connection."""


@asynccontextmanager
async def listening(host: str, port: int, takes: Takes) -> AsyncIterator[int]:
    """Listen for the time of the block, and give each message to `takes`; yields the port."""
    numbers = iter(range(1, 1 << 30))

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await _converse(reader, writer, takes, next(numbers))

    async with accepting(host, port, converse) as open_port:
        yield open_port


@asynccontextmanager
async def accepting(host: str, port: int, talk: Talk, *, last_seconds: float = 0.0) -> AsyncIterator[int]:
    """Accept connections for the time of the block; yields the port. At its end they have `last_seconds` to finish."""
    connections: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            connections.add(task)
            task.add_done_callback(connections.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await talk(reader, writer)
        writer.close()

    try:
        server = await asyncio.start_server(converse, host, port)
    except OSError as error:
        raise LineError(
            f"port {port} can't be listened on: {error.strerror or error}; take another by --port"
        ) from None
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        if connections and last_seconds:
            await asyncio.wait(tuple(connections), timeout=last_seconds)
        for task in tuple(connections):
            task.cancel()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, takes: Takes, number: int) -> None:
    decoder = mllp.FrameDecoder(MOST_FRAME_BYTES)
    while chunk := await reader.read(READ_BYTES):
        for event in decoder.feed(chunk):
            if isinstance(event, mllp.Frame) and (answer := await takes(event.payload, number)) is not None:
                writer.write(mllp.encode(answer))
                await writer.drain()
