"""The demo's hospital: an EMR and an order sender of python-hl7, a scanner of pynetdicom; none of it is Overread's."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from hl7.mllp import HL7StreamReader, HL7StreamWriter, open_hl7_connection, start_hl7_server
from pydicom.dataset import Dataset, FileDataset
from pynetdicom import AE

from overread.contracts.errors import OverreadError

VERIFICATION = "1.2.840.10008.1.1"
SENDING_TRIES = 5


class PeerFailed(OverreadError):
    """A peer of the demo did not get the answer that it needs."""


@dataclass
class Emr:
    """An EMR: takes ORU^R01 by python-hl7's MLLP server, answers AA, and keeps each message as a file."""

    folder: Path
    port: int = 0
    received: list[tuple[str, Path, float]] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._server = await start_hl7_server(self._converse, host="127.0.0.1", port=0, encoding="utf-8")
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _converse(self, reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                message = await reader.readmessage()
                status = str(message.segment("OBR")[25])
                await self._keep(status, str(message))
                writer.writemessage(message.create_ack("AA"))
                await writer.drain()

    async def _keep(self, status: str, text: str) -> None:
        path = self.folder / f"{len(self.received) + 1:02d}-emr-received-oru-{status}.hl7"
        await asyncio.to_thread(path.write_text, text, encoding="utf-8", newline="")
        async with self._news:
            self.received.append((status, path, monotonic()))
            self._news.notify_all()

    async def wait_for(self, status: str, timeout_seconds: float) -> tuple[Path, float]:
        """Return the first message with that OBR-25, and when it came."""
        async with asyncio.timeout(timeout_seconds), self._news:
            while True:
                for seen, path, at in self.received:
                    if seen == status:
                        return path, at
                await self._news.wait()


async def send_order(port: int, message: str) -> str:
    """Send an order by python-hl7's client; return MSA-1 of the answer."""
    reader, writer = await open_hl7_connection("127.0.0.1", port, encoding="utf-8")
    try:
        writer.writemessage(_Text(message))
        await writer.drain()
        answer = await asyncio.wait_for(reader.readmessage(), 20)
    finally:
        writer.close()
        await writer.wait_closed()
    return str(answer.segment("MSA")[1])


class _Text:
    """A message as python-hl7's writer takes it: something whose str is the message."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text


def send_images(port: int, datasets: Sequence[Dataset | FileDataset]) -> None:
    """Ask by C-ECHO and send every instance by C-STORE; raise on the first that is refused.

    What was not answered is sent again on a new association, as scanners do: pynetdicom 3.0.4 now and then loses a
    quick answer.
    """
    waiting = list(datasets)
    for _ in range(SENDING_TRIES):
        waiting = _send_on_one_association(port, waiting)
        if not waiting:
            return
    raise PeerFailed(f"{len(waiting)} images were not answered in {SENDING_TRIES} tries")


def _send_on_one_association(port: int, datasets: Sequence[Dataset | FileDataset]) -> list[Dataset | FileDataset]:
    """Return what was not answered."""
    scanner = AE(ae_title="DEMO_CT")
    scanner.add_requested_context(VERIFICATION)
    wanted = {(str(d.SOPClassUID), str(d.file_meta.TransferSyntaxUID)) for d in datasets}
    for sop_class_uid, transfer_syntax_uid in sorted(wanted):
        scanner.add_requested_context(sop_class_uid, transfer_syntax_uid)
    association = scanner.associate("127.0.0.1", port, ae_title="OVERREAD")
    if not association.is_established:
        raise PeerFailed("the DICOM association was not accepted")
    try:
        if association.send_c_echo().get("Status") != 0:
            raise PeerFailed("C-ECHO was not answered with success")
        for number, dataset in enumerate(datasets):
            status = association.send_c_store(dataset).get("Status")
            if status is None:
                return list(datasets[number:])
            if status != 0:
                raise PeerFailed(f"C-STORE was answered with 0x{status:04X}")
    finally:
        association.release()
    return []
