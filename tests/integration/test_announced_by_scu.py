"""MPPS, Instance Availability and Storage Commitment over real sockets, with pynetdicom as the modality."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from overread.dicom_intake.normalized_scp import NormalizedScp
from overread.dicom_intake.server import MOST_REPORTS, DicomServer
from overread.dicom_intake.storage_scp import StorageScp
from overread.protocols.dicom.announced import ReferencedSop
from overread.protocols.dicom.sop_classes import (
    MODALITY_PERFORMED_PROCEDURE_STEP,
    NORMALIZED_SOP_CLASSES,
    STORAGE_COMMITMENT_PUSH_MODEL,
    STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE,
)
from overread.protocols.dicom.upper_layer import AcceptorConfig
from tests.builders import announced
from tests.builders.events import STUDY
from tests.fakes.dicom_intake import FakeAnnouncements, FakeInstanceStore, FakeIntakeEvents

IMAGES = [f"{STUDY}.1", f"{STUDY}.2"]


@asynccontextmanager
async def an_intake(announcements: FakeAnnouncements) -> AsyncIterator[int]:
    """Yield the port of a running server."""
    scp = StorageScp(FakeInstanceStore(), FakeIntakeEvents(), lambda: datetime.now(UTC), fallback_charset="ISO_IR 192")
    normalized = NormalizedScp(announcements, lambda: datetime.now(UTC), peers_with_address=frozenset())
    config = AcceptorConfig(called_ae_titles=frozenset({"OVERREAD"}))
    server = DicomServer(config, scp, new_association_id=uuid4, normalized=normalized)
    await server.start("127.0.0.1", 0)
    try:
        yield server.port
    finally:
        await server.stop(1)


def associated(port: int, on_report: Callable[[Any], Any] | None = None) -> Any:
    entity = AE(ae_title="TESTCT")
    for sop_class in sorted(NORMALIZED_SOP_CLASSES):
        entity.add_requested_context(sop_class)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, on_report)] if on_report else []
    return entity.associate("127.0.0.1", port, ae_title="OVERREAD", evt_handlers=handlers)


async def test_a_modality_reports_its_step() -> None:
    """PS3.4, F.7: N-CREATE, N-SET to the end, and no change after that."""

    def report(port: int) -> list[int]:
        association = associated(port)
        step = (MODALITY_PERFORMED_PROCEDURE_STEP, announced.STEP)
        codes = [
            association.send_n_create(announced.a_begun_step(), *step)[0].Status,
            association.send_n_set(announced.an_ended_step(IMAGES), *step)[0].Status,
            association.send_n_set(announced.an_ended_step(IMAGES), *step)[0].Status,
        ]
        association.release()
        return codes

    announcements = FakeAnnouncements()
    async with an_intake(announcements) as port:
        codes = await asyncio.wait_for(asyncio.to_thread(report, port), 20)

    assert codes == [0x0000, 0x0000, 0x0110]
    assert len(announcements.kept) == 2


async def test_a_commitment_is_reported_on_the_association_that_asked() -> None:
    """PS3.4, J.3.3: the report comes as soon as it is known, and its answer disturbs nothing."""
    reports: list[tuple[int, Dataset]] = []

    def on_report(event: Any) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return 0x0000, None

    def ask(port: int) -> tuple[int, bool]:
        association = associated(port, on_report)
        status, _ = association.send_n_action(
            announced.a_commitment(IMAGES), 1, STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE
        )
        for _ in range(100):
            if reports:
                break
            association.dul.join(0.05)
        association.release()
        return status.Status, association.is_released

    references = tuple(ReferencedSop(announced.CT_IMAGE_STORAGE, uid) for uid in IMAGES)
    announcements = FakeAnnouncements()
    announcements.judgement = announced.a_judgement(references)
    async with an_intake(announcements) as port:
        answer = await asyncio.wait_for(asyncio.to_thread(ask, port), 20)

    ((event_type, report),) = reports
    assert answer == (0x0000, True)
    assert event_type == 1
    assert report.TransactionUID == announced.TRANSACTION
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == IMAGES


async def test_requests_that_wait_on_one_association_are_bounded() -> None:
    """Each would ask archive for a minute; the next is told so, and may come again."""

    def flood(port: int) -> list[int]:
        association = associated(port)
        push = (STORAGE_COMMITMENT_PUSH_MODEL, STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE)
        request = announced.a_commitment(IMAGES)
        codes = [association.send_n_action(request, 1, *push)[0].Status for _ in range(MOST_REPORTS + 1)]
        association.release()
        return codes

    announcements = FakeAnnouncements()
    announcements.is_judging = True
    async with an_intake(announcements) as port:
        codes = await asyncio.wait_for(asyncio.to_thread(flood, port), 20)

    assert codes == [0x0000] * MOST_REPORTS + [0x0110]
    assert len(announcements.kept) == MOST_REPORTS
