"""The demo's hospital: EMR and HIS of python-hl7, scanner and PACS of pynetdicom, a FHIR server on HAPI's frame.

What speaks HL7, DICOM and FHIR here is other people's code. Ours is what stands behind it: what the EMR and the PACS do
with what they were sent, and the FHIR server's store and transactions (`overread.embedded.fhir_emr`).
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
from hl7.mllp import HL7StreamReader, HL7StreamWriter, open_hl7_connection, start_hl7_server
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pynetdicom import AE, AllStoragePresentationContexts, evt

from overread.contracts.errors import OverreadError
from overread.embedded.fhir_emr import FhirEmr

VERIFICATION = "1.2.840.10008.1.1"
SENDING_TRIES = 5
LOOK_SECONDS = 0.05
SR = "1.2.840.10008.5.1.4.1.1.88.34"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


class PeerFailed(OverreadError):
    """A peer of the demo did not get the answer that it needs."""


@dataclass
class Emr:
    """An EMR: takes ORU^R01 by python-hl7's MLLP server, answers AA, and keeps each message as a file."""

    folder: Path
    port: int = 0
    received: list[tuple[str, str, Path, float]] = field(default_factory=list)
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
                study, status = str(message.segment("OBX")[5]), str(message.segment("OBR")[25])
                await self._keep(study, status, str(message))
                writer.writemessage(message.create_ack("AA"))
                await writer.drain()

    async def _keep(self, study_instance_uid: str, status: str, text: str) -> None:
        path = self.folder / f"{len(self.received) + 1:02d}-emr-received-oru-{status}.hl7"
        await asyncio.to_thread(path.write_text, text, encoding="utf-8", newline="")
        async with self._news:
            self.received.append((study_instance_uid, status, path, monotonic()))
            self._news.notify_all()

    async def wait_for(self, study_instance_uid: str, status: str, timeout_seconds: float) -> tuple[Path, float]:
        """Return the first message about the study with that OBR-25, and when it came; the first OBX names the study."""
        async with asyncio.timeout(timeout_seconds), self._news:
            while True:
                for about, seen, path, at in self.received:
                    if (about, seen) == (study_instance_uid, status):
                        return path, at
                await self._news.wait()


@dataclass
class Pacs:
    """A PACS: takes every storage class by pynetdicom's SCP, and keeps each object as a file."""

    folder: Path
    port: int = 0
    received: list[tuple[Dataset, Path, float]] = field(default_factory=list)
    _server: Any = None

    def start(self, port: int = 0) -> None:
        """Listen on a port of loopback, 0 for a free one."""
        entity = AE(ae_title="DEMO_PACS")
        entity.supported_contexts = AllStoragePresentationContexts
        entity.require_called_aet = True
        handlers: Any = [(evt.EVT_C_STORE, self._keep)]
        self._server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        self.port = int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()

    def _keep(self, event: Any) -> int:
        path = self.folder / f"pacs-received-{len(self.received) + 1:02d}.dcm"
        path.write_bytes(event.encoded_dataset())
        stored = dcmread(path, stop_before_pixels=True)
        kept = path.rename(path.with_name(f"{path.stem}-{stored.Modality.lower()}.dcm"))
        self.received.append((stored, kept, monotonic()))
        return 0

    def segmentation_of(self, study_instance_uid: str) -> Dataset | None:
        """Return the first segmentation of the study, whole; it comes before the report that names it."""
        for stored, path, _ in tuple(self.received):
            if (stored.SOPClassUID, stored.StudyInstanceUID) == (SEG, study_instance_uid):
                return dcmread(path)
        return None

    async def wait_for_report(
        self, study_instance_uid: str, verification_flag: str, timeout_seconds: float
    ) -> tuple[Path, float]:
        """Return the first structured report about the study with that Verification Flag (0040,A493)."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                for stored, path, at in tuple(self.received):
                    said = (stored.SOPClassUID, stored.StudyInstanceUID, stored.get("VerificationFlag"))
                    if said == (SR, study_instance_uid, verification_flag):
                        return path, at
                await asyncio.sleep(LOOK_SECONDS)


@dataclass
class FhirReceiver:
    """An EMR that speaks FHIR, on HAPI's server and parser; what it holds about a report is kept as a file."""

    folder: Path
    server: FhirEmr

    async def wait_for_report(self, report_id: str, status: str, timeout_seconds: float) -> tuple[Path, float]:
        """Return the report with that status and all that it refers to, as the server holds them."""
        async with asyncio.timeout(timeout_seconds):
            while not (found := await self._reports(report_id, status)):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(LOOK_SECONDS)
        at = monotonic()
        path = self.folder / f"fhir-{found['resourceType']}-{status}-{report_id[:8]}.json"
        bundle = await self._with_what_it_refers_to(found)
        await asyncio.to_thread(path.write_text, json.dumps(bundle, ensure_ascii=False, indent=2), encoding="utf-8")
        return path, at

    async def _reports(self, report_id: str, status: str) -> Mapping[str, Any]:
        identifier = f"urn:ietf:rfc:3986|urn:uuid:{report_id}"
        with suppress(httpx.HTTPError):
            found = await self.server.received("DiagnosticReport", identifier=identifier)
            return next((report for report in found if report["status"] == status), {})
        return {}

    async def _with_what_it_refers_to(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a collection; the references in it are those that the server gave."""
        resources: dict[str, Mapping[str, Any]] = {f"DiagnosticReport/{report['id']}": report}
        waiting = list(_references(report))
        async with self.server.client() as client:
            while waiting:
                name = waiting.pop()
                if name not in resources:
                    resources[name] = (await client.get(f"{self.server.url}/{name}")).raise_for_status().json()
                    waiting += _references(resources[name])
        entries = [{"fullUrl": f"{self.server.url}/{name}", "resource": each} for name, each in resources.items()]
        return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _references(value: Any) -> Iterator[str]:
    """Yield what a resource refers to on its own server."""
    match value:
        case {"reference": str(name)} if "/" in name and ":" not in name:
            yield name.split("/_history")[0]
        case dict():
            for child in value.values():
                yield from _references(child)
        case list():
            for child in value:
                yield from _references(child)
        case _:
            return


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
