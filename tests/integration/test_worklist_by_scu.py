"""The Modality Worklist over real sockets, asked by pynetdicom and by DCMTK's findscu (PS3.4, K)."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE

from overread.archive.queries import ScheduledOrder
from overread.contracts.errors import Unavailable
from overread.dicom_intake.find_scp import MOST_ITEMS, FindScp
from overread.dicom_intake.server import DicomServer
from overread.dicom_intake.storage_scp import Peer, StorageScp
from overread.protocols.dicom.sop_classes import MODALITY_WORKLIST_FIND
from overread.protocols.dicom.upper_layer import AcceptorConfig
from tests.builders.announced import an_item
from tests.builders.events import NOON, a_service_request, an_order_changed
from tests.fakes.dicom_intake import FakeInstanceStore, FakeIntakeEvents

FINDSCU = shutil.which("findscu")


class FakeWorklist:
    """Orders in memory; `failure` is raised instead."""

    def __init__(self, orders: Sequence[ScheduledOrder], failure: Exception | None = None) -> None:
        self.orders = orders
        self.failure = failure
        self.told: list[tuple[str, int]] = []

    async def scheduled(
        self, modalities: Sequence[str], first: datetime | None, last: datetime | None, *, limit: int
    ) -> Sequence[ScheduledOrder]:
        if self.failure is not None:
            raise self.failure
        return [one for one in self.orders if (not first or one.at >= first) and (not last or one.at <= last)][:limit]

    async def worklist_asked(self, peer: Peer, items: int) -> None:
        self.told.append((peer.calling_ae_title, items))


@asynccontextmanager
async def an_intake(worklist: FakeWorklist) -> AsyncIterator[int]:
    """Yield the port of a running server."""
    scp = StorageScp(FakeInstanceStore(), FakeIntakeEvents(), lambda: datetime.now(UTC), fallback_charset="ISO_IR 192")
    finds = FindScp(worklist, worklist, ZoneInfo("Asia/Ho_Chi_Minh"), ascii_peers=frozenset({"OLDCT"}))
    config = AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}))
    server = DicomServer(config, scp, new_association_id=uuid4, finds=finds)
    await server.start("127.0.0.1", 0)
    try:
        yield server.port
    finally:
        await server.stop(1)


def some_orders(*accessions: str, days: int = 0) -> list[ScheduledOrder]:
    """Return an order of a CT for each accession number, of that many days later."""
    at = NOON + timedelta(days=days)
    return [
        ScheduledOrder(an_order_changed(order=a_service_request(accession_number=number, modality="CT")), at)
        for number in accessions
    ]


def a_question(modality: str = "CT", date: str = "20261122", name: str = "") -> Dataset:
    """Return what a CT asks in the morning."""
    step = an_item(Modality=modality, ScheduledStationAETitle="CT1", ScheduledProcedureStepStartDate=date)
    return an_item(
        SpecificCharacterSet="ISO_IR 192",
        PatientName=name,
        PatientID="",
        AccessionNumber="",
        StudyInstanceUID="",
        ScheduledProcedureStepSequence=[step],
    )


def asked(port: int, question: Dataset, ae_title: str = "CT1") -> tuple[int, list[Dataset]]:
    entity = AE(ae_title=ae_title)
    entity.add_requested_context(MODALITY_WORKLIST_FIND)
    association: Any = entity.associate("127.0.0.1", port, ae_title="OVERREAD")
    answers = list(association.send_c_find(question, MODALITY_WORKLIST_FIND))
    association.release()
    return int(answers[-1][0].Status), [item for _, item in answers[:-1]]


async def in_a_thread(function: Any, *arguments: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(function, *arguments), 30)


async def test_a_modality_is_told_what_is_scheduled_for_it_today() -> None:
    """The day, the modality, the Vietnamese name; nothing of tomorrow."""
    worklist = FakeWorklist([*some_orders("ACC-1", "ACC-2"), *some_orders("ACC-3", days=1)])

    async with an_intake(worklist) as port:
        status, items = await in_a_thread(asked, port, a_question())
        _, none = await in_a_thread(asked, port, a_question(modality="MR"))
        _, by_name = await in_a_thread(asked, port, a_question(name="thu nghiem*"))

    assert status == 0x0000
    assert [item.AccessionNumber for item in items] == ["ACC-1", "ACC-2"]
    assert str(items[0].PatientName) == "THỬ NGHIỆM^NGUYỄN VĂN"
    assert items[0].ScheduledProcedureStepSequence[0].ScheduledStationAETitle == "CT1"
    assert (len(none), len(by_name)) == (0, 2)
    assert worklist.told == [("CT1", 2), ("CT1", 0), ("CT1", 2)]


async def test_an_old_modality_is_told_names_that_it_can_show() -> None:
    """Without diacritics and without a character set, for the peers that are so configured."""
    async with an_intake(FakeWorklist(some_orders("ACC-1"))) as port:
        _, (item,) = await in_a_thread(asked, port, a_question(), "OLDCT")

    assert str(item.PatientName) == "THU NGHIEM^NGUYEN VAN"
    assert "SpecificCharacterSet" not in item


async def test_a_question_that_can_t_be_answered_is_told_why() -> None:
    """Archive away: 0xC001; a date that is none: 0xA900; more than a modality shows: what fits, then 0xA700."""
    many = FakeWorklist(some_orders(*(f"ACC-{number}" for number in range(MOST_ITEMS + 1))))

    async with an_intake(FakeWorklist([], Unavailable("the database does not answer"))) as port:
        away, _ = await in_a_thread(asked, port, a_question())
    async with an_intake(many) as port:
        no_date, _ = await in_a_thread(asked, port, a_question(date="20261322"))
        too_many, items = await in_a_thread(asked, port, a_question())

    assert (away, no_date, too_many) == (0xC001, 0xA900, 0xA700)
    assert len(items) == MOST_ITEMS


async def test_a_question_of_another_form_gets_a_status() -> None:
    """A text where the step's sequence is due, and the last day that there is: no association is lost over it."""
    as_text = a_question()
    as_text.add_new("ScheduledProcedureStepSequence", "LO", "CT")

    async with an_intake(FakeWorklist(some_orders("ACC-1"))) as port:
        no_sequence, _ = await in_a_thread(asked, port, as_text)
        last_day, items = await in_a_thread(asked, port, a_question(date="99991231"))

    assert (no_sequence, last_day, items) == (0xA900, 0x0000, [])


@pytest.mark.skipif(FINDSCU is None, reason="DCMTK's findscu is not installed (Debian: apt-get install dcmtk)")
async def test_findscu_reads_the_worklist() -> None:
    """Another maker's modality gets the same."""
    keys = ["PatientName", "AccessionNumber", "ScheduledProcedureStepSequence[0].Modality=CT"]
    words = [str(FINDSCU), "-W", "-aet", "CT1", "-aec", "OVERREAD", *(word for key in keys for word in ("-k", key))]

    async with an_intake(FakeWorklist(some_orders("ACC-1"))) as port:
        told = await in_a_thread(
            lambda: subprocess.run(  # DCMTK's own tool
                [*words, "127.0.0.1", str(port)], capture_output=True, text=True, timeout=20, check=False
            )
        )

    assert told.returncode == 0, told.stderr
    assert "ACC-1" in told.stdout + told.stderr
