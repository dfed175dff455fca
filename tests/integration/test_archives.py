"""Our DICOM sender into archives that other people wrote: DCMTK's storescp, and Orthanc, asked over its REST API."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider

from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.dicom_sender import DicomChannel
from overread.delivery.sending import NoAnswer, NotTaken, Patience, Sender, Taken
from overread.delivery.store import OutboundRow
from overread.protocols.dicom.part10 import split
from tests.builders.delivery import Rows, a_dicom_destination, an_outbound_row
from tests.builders.dicom_results import changed
from tests.builders.reported_results import delivered
from tests.builders.reported_study import STUDY_UID
from tests.fakes.archives import Orthanc, Storescp, running_orthanc, running_storescp

CALM = Patience(
    connect_seconds=5.0,
    acknowledgment_seconds=10.0,
    first_retry_seconds=0.05,
    longest_retry_seconds=0.2,
    longest_refusal_seconds=0.2,
)
"""Time enough for any answer, and soon again after a refusal."""
ALL_SECONDS = 60.0
QUICK_STORES = 20
KINDS = {"SR", "SEG", "OT", "KO"}
BUSY = 0xA700
REPORTS_ONLY = """
[[TransferSyntaxes]]
[Uncompressed]
TransferSyntax1 = LittleEndianExplicit
[[PresentationContexts]]
[Reports]
PresentationContext1 = 1.2.840.10008.5.1.4.1.1.88.34\\Uncompressed
[[Profiles]]
[ReportsOnly]
PresentationContexts = Reports
"""
"""What an archive's administrator tells DCMTK to accept."""


def some_rows() -> list[OutboundRow]:
    """Return all that a report leads to, in the order in which it is sent."""
    return [a_row(name, number) for number, name in enumerate(delivered(), 1)]


def a_row(name: str, number: int = 1) -> OutboundRow:
    """Return a stored object by its name in `delivered()`."""
    content = delivered()[name]
    form, _, _ = name.partition("_")
    return an_outbound_row(number, form=form, message=content, message_digest=codec.sha256(content), destination="pacs")


def a_row_without_study(number: int) -> OutboundRow:
    """Return a report that names no study: nothing that we make, and nothing that an index has a place for."""

    def forget(document: Dataset) -> None:
        del document.StudyInstanceUID

    content = changed(delivered()["sr_of_draft"], forget)
    return an_outbound_row(number, form="sr", message=content, message_digest=codec.sha256(content), destination="pacs")


def a_channel(archive: Storescp | Orthanc, called: str = "") -> DicomChannel:
    """Return a way to the archive."""
    url = f"dicom://{called or archive.called_ae_title}@127.0.0.1:{archive.port}"
    return DicomChannel(a_dicom_destination(url=url), CALM)


@contextlib.asynccontextmanager
async def connected(archive: Storescp | Orthanc) -> AsyncIterator[DicomChannel]:
    """Yield a channel with an association."""
    channel = a_channel(archive)
    await channel.connect()
    try:
        yield channel
    finally:
        await channel.close()


@contextlib.asynccontextmanager
async def sending(rows: Rows, channel: DicomChannel) -> AsyncIterator[None]:
    """Run delivery's sending loop beside what is done inside."""
    running = asyncio.create_task(Sender(channel, rows, CALM, jitter=lambda: 1.0).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def send_all(rows: Rows, archive: Storescp | Orthanc) -> None:
    """Run the sending loop until every row has ended."""
    async with sending(rows, a_channel(archive)):
        await asyncio.wait_for(rows.done.wait(), ALL_SECONDS)


def by_uid(files: Iterable[bytes]) -> dict[str, Dataset]:
    """Return data sets by their SOP Instance UID."""
    return {str(data_set.SOPInstanceUID): data_set for data_set in (dcmread(BytesIO(raw)) for raw in files)}


async def test_storescp_keeps_every_object_bit_for_bit(tmp_path: Path) -> None:
    """Draft, signed report and what takes it back: what DCMTK wrote is what the gate let out."""
    rows = Rows(*some_rows())

    with running_storescp(tmp_path) as archive:
        await send_all(rows, archive)

    assert {outcome for _, outcome, _ in rows.ended} == {DeliveryOutcome.ACKNOWLEDGED}
    assert rows.postponed == []
    assert {split(raw).data_set for raw in archive.kept()} == {split(raw).data_set for raw in delivered().values()}


async def test_orthanc_holds_every_object_as_it_was_sent(tmp_path: Path) -> None:
    """Each element of each data set, read back over its REST API."""
    rows = Rows(*some_rows())

    with running_orthanc(tmp_path) as archive:
        await send_all(rows, archive)
        kept = by_uid(archive.kept())

    assert {outcome for _, outcome, _ in rows.ended} == {DeliveryOutcome.ACKNOWLEDGED}
    assert kept == by_uid(delivered().values())


async def test_orthanc_files_the_results_under_the_patient_and_study(tmp_path: Path) -> None:
    """Its index has them where a reader looks: one study, the accession number, the name with its marks, a series a kind."""
    with running_orthanc(tmp_path) as archive:
        await send_all(Rows(*some_rows()), archive)
        [study] = archive.ask("/studies?expand")
        series = archive.ask("/series?expand")

    sent = dcmread(BytesIO(delivered()["sr_of_final"]))
    assert study["MainDicomTags"]["StudyInstanceUID"] == STUDY_UID
    assert study["MainDicomTags"]["AccessionNumber"] == sent.AccessionNumber
    assert study["PatientMainDicomTags"]["PatientName"] == str(sent.PatientName)
    assert study["PatientMainDicomTags"]["PatientID"] == sent.PatientID
    assert {one["MainDicomTags"]["Modality"] for one in series} == KINDS


async def test_orthanc_tells_who_stands_behind_a_report(tmp_path: Path) -> None:
    """An archive's user asks for what is verified, and gets what was signed and nothing else (PS3.3, C.17.2)."""
    with running_orthanc(tmp_path) as archive:
        await send_all(Rows(a_row("sr_of_draft", 1), a_row("sr_of_final", 2)), archive)
        told = [archive.ask(f"/instances/{instance}/simplified-tags") for instance in archive.ask("/instances")]

    flags = {tags["SOPInstanceUID"]: tags["VerificationFlag"] for tags in told}
    signers = [tags["VerifyingObserverSequence"] for tags in told if "VerifyingObserverSequence" in tags]
    draft, final = (str(dcmread(BytesIO(delivered()[name])).SOPInstanceUID) for name in ("sr_of_draft", "sr_of_final"))
    assert flags == {draft: "UNVERIFIED", final: "VERIFIED"}
    assert len(signers) == 1


async def test_resent_object_is_stored_once_in_orthanc(tmp_path: Path) -> None:
    """An answer that was lost costs a second sending, never a second object: the UID is the same (promise 4)."""
    row = a_row("sr_of_final")

    with running_orthanc(tmp_path) as archive:
        for _ in range(2):
            async with connected(archive) as channel:
                assert await channel.exchange(row) == Taken()
        statistics = archive.ask("/statistics")
        kept = by_uid(archive.kept())

    assert statistics["CountInstances"] == 1
    assert kept == by_uid([row.message])


async def test_no_answer_of_a_quick_archive_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """storescp answers within a millisecond: pynetdicom's own thread, which may look first, takes no answer away."""
    row = a_row("sr_of_final")
    look = DIMSEServiceProvider.get_msg

    def late_look(provider: DIMSEServiceProvider, block: bool = False) -> Any:  # noqa: FBT001, FBT002 - pynetdicom's
        time.sleep(0.01 if block else 0.0)
        return look(provider, block)

    monkeypatch.setattr(DIMSEServiceProvider, "get_msg", late_look)
    monkeypatch.setattr(Association, "_reactor_checkpoint", property(lambda _: Uncleared(), ignored), raising=False)
    monkeypatch.setattr(Association, "_is_paused", property(lambda _: True, ignored), raising=False)

    with running_storescp(tmp_path, "--ignore") as archive:
        async with connected(archive) as channel:
            answers = [await channel.exchange(row) for _ in range(QUICK_STORES)]

    assert answers == [Taken()] * QUICK_STORES


class Uncleared(threading.Event):
    """What should halt pynetdicom's thread while a sender waits, and comes too late: the thread goes on looking."""

    def __init__(self) -> None:
        super().__init__()
        self.set()

    def clear(self) -> None:
        """Come too late."""


def ignored(_association: Association, _value: object) -> None:
    """Let pynetdicom set what it has no say in here."""


async def test_orthanc_that_is_called_by_another_name_is_away(tmp_path: Path) -> None:
    """A rejected association is no word about the object: it waits, and goes when the list has been mended (PS3.8, 9.3.4)."""
    rows = Rows(a_row("sr_of_final"))

    with running_orthanc(tmp_path) as archive:
        with pytest.raises(Unavailable, match="the association was rejected"):
            await a_channel(archive, called="OTHER").connect()
        async with sending(rows, a_channel(archive, called="OTHER")):
            await asyncio.sleep(0.5)
        assert (rows.ended, archive.kept()) == ([], [])
        await send_all(rows, archive)

    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_storescp_that_refuses_every_association_is_away(tmp_path: Path) -> None:
    """The same of DCMTK."""
    with (
        running_storescp(tmp_path, "--refuse") as archive,
        pytest.raises(Unavailable, match="the association was rejected"),
    ):
        await a_channel(archive).connect()

    assert archive.kept() == []


async def test_object_that_orthanc_can_not_file_waits_and_the_next_goes_on(tmp_path: Path) -> None:
    """A failure status is a word about the object, on an association that stands; Orthanc's is one that passes."""
    rows = Rows(a_row_without_study(1), a_row("sr_of_final", 2))

    with running_orthanc(tmp_path) as archive:
        async with sending(rows, a_channel(archive)):
            await _ended(rows, 1)
        kept = by_uid(archive.kept())

    assert rows.ended == [("TEST-2", DeliveryOutcome.ACKNOWLEDGED, "")]
    assert set(rows.postponed) == {f"0x{BUSY:04X}"}
    assert [row.message_control_id for row in rows.waiting] == ["TEST-1"]
    assert kept == by_uid([delivered()["sr_of_final"]])


async def test_form_that_storescp_does_not_accept_is_given_up_and_the_next_goes_on(tmp_path: Path) -> None:
    """No presentation context for it (PS3.8, 9.3.3.2): the same bytes would be refused again."""
    profile = tmp_path / "accepted.cfg"
    profile.write_text(REPORTS_ONLY)
    rows = Rows(a_row("seg_of_final", 1), a_row("sr_of_final", 2))

    with running_storescp(tmp_path, "--config-file", str(profile), "ReportsOnly") as archive:
        await send_all(rows, archive)

    assert rows.ended == [
        ("TEST-1", DeliveryOutcome.GIVEN_UP, "the archive takes no Segmentation"),
        ("TEST-2", DeliveryOutcome.ACKNOWLEDGED, ""),
    ]
    assert [split(raw).data_set for raw in archive.kept()] == [split(delivered()["sr_of_final"]).data_set]


async def test_storescp_without_room_gets_the_same_object_again(tmp_path: Path) -> None:
    """0xA700, out of resources, passes: what waited is stored when there is room."""
    row = a_row("sr_of_final")
    rows = Rows(row)

    with running_storescp(tmp_path) as archive:
        archive.folder.rmdir()
        async with connected(archive) as channel:
            answer = await channel.exchange(row)
        async with sending(rows, a_channel(archive)):
            await _postponed(rows)
            archive.folder.mkdir()
            await asyncio.wait_for(rows.done.wait(), ALL_SECONDS)

    assert isinstance(answer, NotTaken)
    assert (answer.why.reason, answer.is_content_fault) == (f"0x{BUSY:04X}", False)
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]
    assert [split(raw).data_set for raw in archive.kept()] == [split(row.message).data_set]


@pytest.mark.parametrize("when", ["--abort-after", "--abort-during"])
async def test_storescp_that_aborts_has_said_nothing(when: str, tmp_path: Path) -> None:
    """Neither taken nor refused: the object is sent again (PS3.8, 7.3)."""
    with running_storescp(tmp_path, when) as archive:
        async with connected(archive) as channel:
            with pytest.raises(NoAnswer):
                await channel.exchange(a_row("sr_of_final"))


async def _postponed(rows: Rows) -> None:
    """Return when the archive's refusal has been kept."""
    async with asyncio.timeout(ALL_SECONDS):
        while not rows.postponed:  # noqa: ASYNC110 - rows in memory tell nobody
            await asyncio.sleep(0.01)


async def _ended(rows: Rows, number: int) -> None:
    """Return when so many rows have ended."""
    async with asyncio.timeout(ALL_SECONDS):
        while len(rows.ended) < number:  # noqa: ASYNC110 - rows in memory tell nobody
            await asyncio.sleep(0.01)
