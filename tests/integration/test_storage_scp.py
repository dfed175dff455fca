"""The DICOM intake over real sockets, with senders written by others: pynetdicom always, DCMTK where it is installed."""

import asyncio
import io
import os
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pydicom
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydicom.dataset import FileMetaDataset
from pynetdicom import AE, build_role
from pynetdicom.dimse_primitives import C_GET, C_STORE

from overread.dicom_intake.server import DicomServer, ServerLimits
from overread.dicom_intake.storage_scp import StorageScp
from overread.protocols.dicom.attributes import part10_header
from overread.protocols.dicom.sop_classes import TRANSFER_SYNTAXES
from overread.protocols.dicom.upper_layer import AcceptorConfig
from tests.builders import dicom
from tests.fakes.dicom_intake import FakeInstanceStore, FakeIntakeEvents

needs_dcmtk = pytest.mark.skipif(shutil.which("dcmsend") is None, reason="DCMTK's dcmsend is not installed")
CONFIG = AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}))


class Intake:
    """A running server with fakes of disk and broker."""

    def __init__(
        self, limits: ServerLimits, store: FakeInstanceStore, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.store = store
        self.events = FakeIntakeEvents()
        scp = StorageScp(store, self.events, lambda: datetime.now(UTC), fallback_charset="ISO_IR 192")
        self.server = DicomServer(CONFIG, scp, new_association_id=uuid4, limits=limits, ssl_context=ssl_context)

    async def hints_told(self) -> None:
        async with asyncio.timeout(5):
            while not self.events.hints or self.server.associations:  # noqa: ASYNC110 - the server offers no such event
                await asyncio.sleep(0.01)


@asynccontextmanager
async def an_intake(
    limits: ServerLimits | None = None,
    store: FakeInstanceStore | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Intake]:
    intake = Intake(limits or ServerLimits(), store or FakeInstanceStore(), ssl_context)
    await intake.server.start("127.0.0.1", 0)
    try:
        yield intake
    finally:
        await intake.server.stop(1)


def an_association(port: int, *contexts: tuple[str, str], called: str = "OVERREAD", **options: Any) -> Any:
    scu = AE(ae_title="TESTSCU")
    for abstract_syntax, transfer_syntax in contexts or ((dicom.VERIFICATION, dicom.IMPLICIT_VR_LITTLE_ENDIAN),):
        scu.add_requested_context(abstract_syntax, transfer_syntax)
    return scu.associate("127.0.0.1", port, ae_title=called, **options)


def sent_raw(association: Any, data: bytes, *, instance: str, sop_class: str = dicom.CT_IMAGE_STORAGE) -> int:
    """Send the very bytes of a data set; pynetdicom's own C-STORE would encode it anew."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, instance
    request.DataSet = io.BytesIO(data)
    context = association.accepted_contexts[0].context_id
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, context)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(response.Status)


async def in_a_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(function, *arguments), 30)


async def the_tool(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, output.decode(errors="replace")


def a_file(folder: Path, dataset: pydicom.Dataset, transfer_syntax: str = dicom.EXPLICIT_VR_LITTLE_ENDIAN) -> Path:
    data = dicom.encoded(dataset, transfer_syntax)
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    path.write_bytes(part10_header(dataset.SOPClassUID, dataset.SOPInstanceUID, transfer_syntax) + data)
    return path


async def test_pynetdicom_echoes() -> None:
    """PS3.4, A: C-ECHO is answered 0x0000 and the association is released."""

    def echo(port: int) -> tuple[int, bool]:
        association = an_association(port)
        status = association.send_c_echo().Status
        association.release()
        return status, association.is_released

    async with an_intake() as intake:
        answer = await in_a_thread(echo, intake.server.port)

    assert answer == (0x0000, True)


@pytest.mark.parametrize("transfer_syntax", sorted(TRANSFER_SYNTAXES))
async def test_every_transfer_syntax_is_kept_bit_for_bit(transfer_syntax: str) -> None:
    """What is behind the Part 10 header equals what was sent, in every transfer syntax."""
    dataset = dicom.a_ct_slice(rows=64)
    data = dicom.encoded(dataset, transfer_syntax)

    def send(port: int) -> int:
        association = an_association(port, (dicom.CT_IMAGE_STORAGE, transfer_syntax))
        status = sent_raw(association, data, instance=dataset.SOPInstanceUID)
        association.release()
        return status

    async with an_intake() as intake:
        status = await in_a_thread(send, intake.server.port)

    (event,) = intake.events.instances
    assert status == 0x0000
    assert event.transfer_syntax_uid == transfer_syntax
    assert intake.store.data_sets[dataset.SOPInstanceUID] == data


async def test_a_study_of_pynetdicom_arrives_with_its_list() -> None:
    """Each instance is told, then the association's end with the list of what it delivered."""
    study = dicom.a_study(series=2, slices=3)
    for dataset in study:
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian

    def send(port: int) -> list[int]:
        association = an_association(port, (dicom.CT_IMAGE_STORAGE, dicom.EXPLICIT_VR_LITTLE_ENDIAN))
        statuses = [association.send_c_store(dataset).Status for dataset in study]
        association.release()
        return statuses

    async with an_intake() as intake:
        statuses = await in_a_thread(send, intake.server.port)
        await intake.hints_told()

    assert statuses == [0x0000] * 6
    assert len(intake.events.instances) == 6
    assert intake.events.told[-1] == intake.events.hints[0]
    assert set(intake.events.hints[0].sop_instance_uids) == {dataset.SOPInstanceUID for dataset in study}
    assert intake.events.hints[0].is_orderly


async def test_an_abort_is_told_as_no_orderly_end() -> None:
    """What an aborted association delivered stays; its end is no promise that it was all."""
    dataset = dicom.a_ct_slice()

    def send(port: int) -> None:
        association = an_association(port, (dicom.CT_IMAGE_STORAGE, dicom.EXPLICIT_VR_LITTLE_ENDIAN))
        sent_raw(association, dicom.encoded(dataset), instance=dataset.SOPInstanceUID)
        association.abort()

    async with an_intake() as intake:
        await in_a_thread(send, intake.server.port)
        await intake.hints_told()

    assert not intake.events.hints[0].is_orderly


async def test_an_unknown_called_ae_is_always_rejected() -> None:
    """PS3.8, 9.3.4: result 1, source 1, reason 7."""

    def refused(port: int) -> tuple[bool, Any]:
        association = an_association(port, called="NOBODY")
        return association.is_rejected, association.acceptor.primitive

    async with an_intake() as intake:
        is_rejected, answer = await in_a_thread(refused, intake.server.port)

    assert is_rejected
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 7)


async def test_one_association_too_many_is_rejected_for_now() -> None:
    """PS3.8, 9.3.4: transient, presentation provider, local limit exceeded; the place is free after a release."""

    def associate(port: int) -> list[bool]:
        first = an_association(port)
        second = an_association(port)
        first.release()
        third = an_association(port)
        third.release()
        return [first.is_released, second.is_rejected, third.is_released]

    async with an_intake(ServerLimits(maximum_associations=1)) as intake:
        answer = await in_a_thread(associate, intake.server.port)

    assert answer == [True, True, True]


async def test_a_refused_instance_leaves_the_association_usable() -> None:
    """PS3.4, B.2.3: 0xA900 for a mismatch, and the next instance is kept."""
    dataset = dicom.a_ct_slice()

    def send(port: int) -> list[int]:
        association = an_association(port, (dicom.CT_IMAGE_STORAGE, dicom.EXPLICIT_VR_LITTLE_ENDIAN))
        data = dicom.encoded(dataset)
        statuses = [sent_raw(association, data, instance=uid) for uid in ("1.2.3", dataset.SOPInstanceUID)]
        association.release()
        return statuses

    async with an_intake() as intake:
        statuses = await in_a_thread(send, intake.server.port)

    assert statuses == [0xA900, 0x0000]


async def test_an_unknown_operation_is_answered() -> None:
    """PS3.7, C.5.19: 0x0211, and the association goes on."""

    def unknown(port: int) -> int:
        association = an_association(port, ("1.2.840.10008.1.1", dicom.IMPLICIT_VR_LITTLE_ENDIAN))
        request = C_GET()
        request.MessageID, request.Priority, request.AffectedSOPClassUID = 5, 2, dicom.VERIFICATION
        request.Identifier = io.BytesIO(bytes(8))
        association._reactor_checkpoint.clear()
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
        _, response = association.dimse.get_msg(block=True)
        association._reactor_checkpoint.set()
        association.release()
        return int(response.Status)

    async with an_intake() as intake:
        status = await in_a_thread(unknown, intake.server.port)

    assert status == 0x0211


async def test_a_proposed_role_is_answered() -> None:
    """PS3.7, D.3.3.4: a peer stays SCU."""

    def send(port: int) -> int:
        role = build_role(dicom.CT_IMAGE_STORAGE, scu_role=True, scp_role=True)
        association = an_association(port, (dicom.CT_IMAGE_STORAGE, dicom.EXPLICIT_VR_LITTLE_ENDIAN), ext_neg=[role])
        dataset = dicom.a_ct_slice()
        status = sent_raw(association, dicom.encoded(dataset), instance=dataset.SOPInstanceUID)
        association.release()
        return status

    async with an_intake() as intake:
        status = await in_a_thread(send, intake.server.port)

    assert status == 0x0000


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate of localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


async def test_an_instance_comes_over_tls(tmp_path: Path) -> None:
    """PS3.15, B: the same conversation inside TLS; a peer without TLS gets nowhere."""
    pem, private = a_certificate(tmp_path)
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(pem, private)
    theirs = ssl.create_default_context(cafile=str(pem))
    dataset = dicom.a_ct_slice(rows=512)

    def send(port: int) -> tuple[int, bool]:
        context = (dicom.CT_IMAGE_STORAGE, dicom.EXPLICIT_VR_LITTLE_ENDIAN)
        association = an_association(port, context, tls_args=(theirs, "localhost"))
        status = sent_raw(association, dicom.encoded(dataset), instance=dataset.SOPInstanceUID)
        association.release()
        return status, bool(an_association(port, context).is_established)

    async with an_intake(ServerLimits(artim_seconds=2), ssl_context=ours) as intake:
        answer = await in_a_thread(send, intake.server.port)

    assert answer == (0x0000, False)
    assert intake.store.data_sets[dataset.SOPInstanceUID] == dicom.encoded(dataset)


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(dicom.an_associate_request())
    header = await reader.readexactly(6)
    await reader.readexactly(int.from_bytes(header[2:6], "big"))
    assert header[0] == 0x02
    return reader, writer


async def test_a_silent_connection_is_closed_after_artim() -> None:
    """PS3.8, 9.1.5: a peer that asks for nothing holds nothing, even when it trickles bytes."""
    async with an_intake(ServerLimits(artim_seconds=0.2)) as intake:
        reader, writer = await asyncio.open_connection("127.0.0.1", intake.server.port)
        for byte in dicom.an_associate_request()[:4]:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.05)

        last = await asyncio.wait_for(reader.read(), 5)

        writer.close()
    assert last in {b"", dicom.a_pdu(0x07, bytes(4))}


async def test_an_idle_association_is_aborted() -> None:
    """An association that falls silent gives its place back."""
    async with an_intake(ServerLimits(idle_seconds=0.2)) as intake:
        reader, writer = await connected(intake.server.port)

        last = await asyncio.wait_for(reader.read(), 5)

        writer.close()
    assert last == dicom.a_pdu(0x07, bytes(4))


async def test_a_lost_connection_tells_what_it_delivered() -> None:
    """A cable that is pulled in the middle of the second instance: the first was kept and is told."""
    data = dicom.encoded(dicom.a_ct_slice())
    async with an_intake() as intake:
        reader, writer = await connected(intake.server.port)
        writer.write(dicom.a_store(data))
        await reader.readexactly(6)
        writer.write(dicom.a_store(data)[:500])
        await writer.drain()
        writer.transport.abort()

        await intake.hints_told()

    assert len(intake.events.instances) == 1
    assert intake.events.hints[0].sop_instance_uids == (dicom.a_uid("study/series/1"),)
    assert not intake.events.hints[0].is_orderly


async def test_a_store_under_way_ends_before_the_server_does() -> None:
    """SIGTERM: what has begun is kept and answered, then the association is aborted."""
    gate = asyncio.Event()
    async with an_intake(store=FakeInstanceStore(gate=gate)) as intake:
        reader, writer = await connected(intake.server.port)
        writer.write(dicom.a_store(dicom.encoded(dicom.a_ct_slice())))
        await intake.store.begun.wait()

        stopping = asyncio.create_task(intake.server.stop(5))
        await asyncio.sleep(0.05)
        gate.set()
        answer = await asyncio.wait_for(reader.read(), 5)
        await stopping
        writer.close()

    assert answer[0] == 0x04
    assert answer.endswith(dicom.a_pdu(0x07, bytes(4)))
    assert len(intake.events.instances) == 1
    assert len(intake.events.hints) == 1


async def test_a_store_that_outlasts_the_grace_is_aborted_unanswered() -> None:
    """No success leaves for what is not on disk, however long it takes."""
    async with an_intake(store=FakeInstanceStore(gate=asyncio.Event())) as intake:
        reader, writer = await connected(intake.server.port)
        writer.write(dicom.a_store(dicom.encoded(dicom.a_ct_slice())))
        await intake.store.begun.wait()

        await intake.server.stop(0.1)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()

    assert answer == dicom.a_pdu(0x07, bytes(4))
    assert intake.events.told == []


async def test_more_than_may_be_held_is_refused() -> None:
    """A data set beyond the memory is answered 0xA700, the association lives on."""
    limits = ServerLimits(maximum_held_bytes=50_000)
    large, small = dicom.a_ct_slice(rows=512), dicom.a_ct_slice()

    def send(port: int) -> list[int]:
        association = an_association(port, (dicom.CT_IMAGE_STORAGE, dicom.EXPLICIT_VR_LITTLE_ENDIAN))
        statuses = [sent_raw(association, dicom.encoded(one), instance=one.SOPInstanceUID) for one in (large, small)]
        association.release()
        return statuses

    async with an_intake(limits) as intake:
        statuses = await in_a_thread(send, intake.server.port)

    assert statuses == [0xA700, 0x0000]


async def test_two_messages_mixed_are_aborted() -> None:
    """A data fragment where a command was due: A-ABORT, nothing is kept."""
    async with an_intake() as intake:
        reader, writer = await connected(intake.server.port)
        writer.write(dicom.data_pdus(b"ab", is_command=False))

        answer = await asyncio.wait_for(reader.readexactly(10), 5)

        writer.close()
    assert answer == dicom.a_pdu(0x07, bytes(4))
    assert intake.events.told == []


@needs_dcmtk
async def test_dcmtk_echoes() -> None:
    """echoscu, the echo of most modalities."""
    async with an_intake() as intake:
        code, output = await the_tool("echoscu", "-aec", "OVERREAD", "127.0.0.1", str(intake.server.port))

    assert code == 0, output


@needs_dcmtk
@pytest.mark.parametrize(
    ("in_the_file", "on_the_line"),
    [
        (dicom.IMPLICIT_VR_LITTLE_ENDIAN, dicom.EXPLICIT_VR_LITTLE_ENDIAN),
        (dicom.EXPLICIT_VR_LITTLE_ENDIAN, dicom.EXPLICIT_VR_LITTLE_ENDIAN),
        (dicom.EXPLICIT_VR_BIG_ENDIAN, dicom.EXPLICIT_VR_LITTLE_ENDIAN),
        (dicom.JPEG_BASELINE, dicom.JPEG_BASELINE),
        (dicom.JPEG_2000_LOSSLESS, dicom.JPEG_2000_LOSSLESS),
        (dicom.RLE_LOSSLESS, dicom.RLE_LOSSLESS),
    ],
)
async def test_dcmtk_sends_a_study(tmp_path: Path, in_the_file: str, on_the_line: str) -> None:
    """dcmsend, decompressing nothing: every instance is kept and told, then the list."""
    study = dicom.a_study(series=2, slices=5, rows=128)
    files = [str(a_file(tmp_path, dataset, in_the_file)) for dataset in study]

    async with an_intake() as intake:
        address = ("127.0.0.1", str(intake.server.port))
        code, output = await the_tool("dcmsend", "--decompress-never", "-aec", "OVERREAD", *address, *files)
        await intake.hints_told()

    assert code == 0, output
    assert set(intake.store.data_sets) == {dataset.SOPInstanceUID for dataset in study}
    assert {event.transfer_syntax_uid for event in intake.events.instances} == {on_the_line}
    assert intake.events.hints[0].is_orderly


@needs_dcmtk
async def test_storescu_with_many_contexts_is_taken(tmp_path: Path) -> None:
    """storescu proposes as many contexts as a request may have."""
    path = a_file(tmp_path, dicom.a_ct_slice(rows=128))

    async with an_intake() as intake:
        address = ("127.0.0.1", str(intake.server.port))
        code, output = await the_tool("storescu", "-aec", "OVERREAD", *address, str(path))

    assert code == 0, output
    assert len(intake.events.instances) == 1


@pytest.mark.corpus
async def test_every_object_of_the_corpus_is_kept_bit_for_bit_or_refused_with_a_reason(corpus: Path) -> None:
    """Real objects of many makers, in many transfer syntaxes and character sets; some have no study, or two UIDs."""
    paths = await in_a_thread(lambda: sorted((corpus / "dicom").rglob("*.dcm")))

    statuses = []
    async with an_intake() as intake:
        for path in paths:
            answer = await in_a_thread(_send_file, intake.server.port, path)
            if answer is not None:
                status, uid, data = answer
                statuses.append(status if status or intake.store.data_sets[uid] == data else None)

    assert set(statuses) <= {0x0000, 0xA900, 0xC000}
    assert statuses.count(0x0000) > 3 * (len(statuses) - statuses.count(0x0000))


def _send_file(port: int, path: Path) -> tuple[int, str, bytes] | None:
    whole = path.read_bytes()
    if whole[128:132] != b"DICM":
        return None
    meta = pydicom.filereader.read_file_meta_info(path)
    begin = 132 + 12 + int(meta.get("FileMetaInformationGroupLength", 0))
    if not {"MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"} <= set(meta.dir()):
        return None
    association = an_association(port, (meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID))
    if not association.accepted_contexts:
        association.abort()
        return None
    instance = str(meta.MediaStorageSOPInstanceUID)
    status = sent_raw(association, whole[begin:], instance=instance, sop_class=str(meta.MediaStorageSOPClassUID))
    association.release()
    return status, instance, whole[begin:]
