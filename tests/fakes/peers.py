"""Peers of the hospital as end-to-end stories need them: plain sockets and pynetdicom, none of our own protocol code."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self, TypeVar

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association

START, END = b"\x0b", b"\x1c\r"
RETRY_SECONDS, LOOK_SECONDS = 0.2, 0.2
ANSWER_SECONDS = 15.0
REACTOR_SECONDS = 0.05

T = TypeVar("T")


class PeerGaveUp(AssertionError):
    """The gateway did not keep within the time what a peer sent again and again."""


@dataclass(frozen=True)
class Received:
    """One message as the EMR got it, byte for byte, and when."""

    raw: bytes
    at: float
    number: int

    @cached_property
    def segments(self) -> list[list[str]]:
        """Return the fields of each segment."""
        return [line.split("|") for line in self.raw.decode("utf-8").split("\r") if line]

    def field(self, segment: str, number: int) -> str:
        """Return a field of the first segment called so, empty when it is not there."""
        fields = next((fields for fields in self.segments if fields[0] == segment), [])
        index = number - 1 if segment == "MSH" else number
        return fields[index] if index < len(fields) else ""

    @property
    def control_id(self) -> str:
        """Return MSH-10."""
        return self.field("MSH", 10)

    @property
    def status(self) -> str:
        """Return OBR-25."""
        return self.field("OBR", 25)

    @property
    def accession_number(self) -> str:
        """Return OBR-18."""
        return self.field("OBR", 18)

    @cached_property
    def study_instance_uid(self) -> str:
        """Return what the observation 113014^DICOM Study^DCM says."""
        said = (fields[5] for fields in self.segments if fields[0] == "OBX" and fields[3].startswith("113014^"))
        return next(said, "")

    @property
    def findings(self) -> dict[str, str]:
        """Return each numeric observation by its code."""
        numeric = (fields for fields in self.segments if fields[0] == "OBX" and fields[2] == "NM")
        return {fields[3].split("^")[0]: fields[5] for fields in numeric}


@dataclass
class Emr:
    """An EMR on a loopback port: keeps every message that comes, then answers AA (HL7 v2.5.1, 2.9.2)."""

    received: list[Received] = field(default_factory=list)
    _server: socketserver.ThreadingTCPServer | None = None
    _port: int = 0
    _connections: set[socket.socket] = field(default_factory=set)
    _news: threading.Lock = field(default_factory=threading.Lock)
    _instead: list[Callable[[], None]] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        emr = self

        class Conversation(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                emr._connections.add(self.request)
                try:
                    emr.converse(self.request)
                finally:
                    emr._connections.discard(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", self._port), Conversation)
        self._port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, name="EMR", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Be away inside the block: connections are cut, new ones refused; the port stays ours."""
        self.__exit__()
        with socket.socket() as ours:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ours.bind(("127.0.0.1", self._port))
            for connection in tuple(self._connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            try:
                yield
            finally:
                self.__enter__()

    @property
    def url(self) -> str:
        """Return where results go."""
        if self._server is None:
            raise RuntimeError("the EMR does not listen yet")
        return f"mllp://127.0.0.1:{self._port}"

    def lose_next_answer(self, act: Callable[[], None] = lambda: None) -> None:
        """Keep the next message, do `act`, and break the connection instead of answering."""
        with self._news:
            self._instead.append(act)

    def converse(self, connection: socket.socket) -> None:
        """Take messages on one connection until the sender leaves."""
        buffer = b""
        while chunk := _receive(connection):
            *frames, buffer = (buffer + chunk).split(END)
            for frame in frames:
                instead = self._keep(frame.lstrip(START))
                if instead is not None:
                    instead()
                    return
                connection.sendall(START + _ack(frame.lstrip(START)) + END)

    def _keep(self, raw: bytes) -> Callable[[], None] | None:
        """Keep a message; return what happens instead of its answer, if anything."""
        with self._news:
            self.received.append(Received(raw, time.monotonic(), len(self.received)))
            return self._instead.pop(0) if self._instead else None

    def about(self, study_instance_uid: str, status: str = "") -> list[Received]:
        """Return the messages about one study, of one status if named, in their order."""
        with self._news:
            everything = list(self.received)
        return [m for m in everything if m.study_instance_uid == study_instance_uid and status in ("", m.status)]

    def wait_for(self, study_instance_uid: str, status: str, *, seconds: float) -> Received:
        """Return the newest message about a study with this OBR-25, once there is one."""
        found = wait_until(lambda: self.about(study_instance_uid, status), f"an ORU {status} at the EMR", seconds)
        return found[-1]


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _ack(raw: bytes) -> bytes:
    header = raw.split(b"\r")[0].split(b"|")
    sender, receiver, control_id = header[2:4], header[4:6], header[9]
    msh = b"|".join([b"MSH|^~\\&", *receiver, *sender, b"20261122120000", b"", b"ACK^R01^ACK", b"A" + control_id])
    return msh + b"|T|2.5.1\rMSA|AA|" + control_id + b"\r"


def send_hl7(port: int, message: bytes) -> str:
    """Send one message on a connection of its own; return MSA-1 of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(START + message + END)
        answer = b""
        while END not in answer:
            chunk = connection.recv(65536)
            if not chunk:
                raise ConnectionError("the connection ended before the answer")
            answer += chunk
    segments = answer.strip(START + END).split(b"\r")
    return next(line.split(b"|")[1].decode() for line in segments if line.startswith(b"MSA"))


def send_hl7_until_kept(port: int, message: bytes, *, seconds: float = 60) -> int:
    """Send one message again, the same bytes, until it is accepted; return how often it was sent."""
    deadline, tries = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        tries += 1
        try:
            if send_hl7(port, message) in {"AA", "CA"}:
                return tries
        except OSError:
            pass
        time.sleep(RETRY_SECONDS)
    raise PeerGaveUp(f"no AA or CA in {tries} tries")


def store_until_kept(
    port: int, datasets: Sequence[Dataset], *, seconds: float = 90, on_kept: Callable[[Dataset], None] | None = None
) -> int:
    """Send instances by C-STORE; what was not answered 0x0000 goes again on a new association, as a scanner does.

    Return how many associations it took; `on_kept` hears of each instance at once when it was answered 0x0000.
    """
    deadline, tries, rest = time.monotonic() + seconds, 0, list(datasets)
    while rest and time.monotonic() < deadline:
        tries += 1
        rest = _store(port, rest, on_kept or _nobody)
        if rest:
            time.sleep(RETRY_SECONDS)
    if rest:
        raise PeerGaveUp(f"{len(rest)} instances were not kept on {tries} associations")
    return tries


def _nobody(_dataset: Dataset) -> None:
    """Hear of a kept instance, and do nothing."""


def _store(port: int, datasets: Sequence[Dataset], on_kept: Callable[[Dataset], None]) -> list[Dataset]:
    """Send instances on one association until it fails; return those without a 0x0000."""
    scanner = AE(ae_title="CT01")
    scanner.acse_timeout, scanner.dimse_timeout, scanner.network_timeout = 10, 15, 20
    for sop_class, syntax in sorted({(str(d.SOPClassUID), str(d.file_meta.TransferSyntaxUID)) for d in datasets}):
        scanner.add_requested_context(sop_class, syntax)
    association = scanner.associate("127.0.0.1", port, ae_title="OVERREAD")
    if not association.is_established:
        return list(datasets)
    _without_delay(association)
    with reactor_held(association):
        stored, is_answering = _stored(association, datasets, on_kept)
    if is_answering:
        association.release()
    else:
        association.abort()
    return [dataset for number, dataset in enumerate(datasets) if number not in stored]


def _stored(
    association: Association, datasets: Iterable[Dataset], on_kept: Callable[[Dataset], None]
) -> tuple[set[int], bool]:
    """Return which instances were answered 0x0000, and whether the receiver still answers."""
    stored: set[int] = set()
    for number, dataset in enumerate(datasets):
        status = association.send_c_store(dataset).get("Status")
        if status is None:
            return stored, False
        if status == 0:
            stored.add(number)
            on_kept(dataset)
    return stored, True


@contextmanager
def reactor_held(association: Association) -> Iterator[None]:
    """Let only the sender take answers: pynetdicom's own thread may take a quick one off the queue and drop it.

    In 3.0.4 it can pass its checkpoint just before `send_c_store` closes it; DCMTK's storescp loses answers likewise.
    """
    checkpoint = association._reactor_checkpoint  # there is no other way to hold it
    checkpoint.clear()
    time.sleep(REACTOR_SECONDS)
    association._reactor_checkpoint = threading.Event()  # what the sender opens and closes meanwhile
    try:
        yield
    finally:
        association._reactor_checkpoint = checkpoint  # as it was
        checkpoint.set()


def _without_delay(association: Association) -> None:
    """Switch Nagle's algorithm off: with it a store waits 40 ms for the peer's delayed acknowledgement."""
    connection = association.dul.socket.socket if association.dul.socket else None
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def wait_until(look: Callable[[], T], what: str, seconds: float) -> T:
    """Return the first true answer of `look`, or fail naming `what` did not come."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)
    return found
