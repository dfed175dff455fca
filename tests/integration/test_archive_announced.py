"""Procedure steps become hints of their studies; commitment is judged and told, on real Kafka and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from overread.archive.queries import ArchiveQueries
from overread.contracts.events.intake import CommitmentRequested, HintKind, ProcedureStepReported, StudyHint
from overread.contracts.topics import ORDERS_CHANGED
from overread.protocols.dicom.sop_classes import STORAGE_COMMITMENT_PUSH_MODEL
from tests.builders import announced
from tests.builders.dicom import a_uid
from tests.builders.events import NOON, STUDY, a_service_request, an_event, an_order_changed
from tests.fakes.archive_bench import ArchiveBench
from tests.fakes.archives import free_port

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ArchiveBench]:
    """Return a running archive that knows where one peer listens."""
    bench = ArchiveBench(stack.endpoints, tmp_path, dicom_peers={"TESTCT": f"127.0.0.1:{free_port()}"})
    async with bench.running() as opened:
        yield opened


async def told(bench: ArchiveBench, body: ProcedureStepReported | CommitmentRequested) -> None:
    await bench.tells(an_event(body, site_id=bench.site_id, own_key=str(uuid4())))


@contextmanager
def listening(address: str, *, status: int = 0x0000) -> Iterator[list[tuple[str, int, Dataset]]]:
    """Be the modality that hears the report, at its address; yield what it hears."""
    heard: list[tuple[str, int, Dataset]] = []

    def on_report(event: Any) -> tuple[int, None]:
        heard.append((event.assoc.requestor.ae_title, event.event_type, event.event_information))
        return status, None

    entity = AE(ae_title="TESTCT")
    entity.add_supported_context(STORAGE_COMMITMENT_PUSH_MODEL, scu_role=False, scp_role=True)
    host, _, port = address.rpartition(":")
    server = entity.start_server((host, int(port)), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
    assert server is not None
    try:
        yield heard
    finally:
        server.shutdown()


async def test_a_step_is_told_to_its_study_from_start_to_list(bench: ArchiveBench) -> None:
    """The N-SET names no study: archive knows it from the N-CREATE. What ended is not changed."""
    images = [f"{STUDY}.1", f"{STUDY}.2"]
    end = {"is_new": False, "study_instance_uids": (), "accession_numbers": ()}
    await told(bench, announced.a_step_report())
    await told(bench, announced.a_step_report(announced.an_ended_step(images), status="COMPLETED", **end))
    await told(bench, announced.a_step_report(announced.an_ended_step([]), status="DISCONTINUED", **end))
    sql = "SELECT count(*) FROM procedure_steps WHERE site_id = $1 AND status = 'COMPLETED'"

    await bench.until(lambda: bench.service.pool.fetchval(sql, bench.site_id), 1)

    start, listed = [event.data for event in await bench.on_topic(StudyHint)]
    assert (start.kind, start.study_instance_uid) == (HintKind.PROCEDURE_STEP_STARTED, STUDY)
    assert (listed.kind, listed.study_instance_uid) == (HintKind.PROCEDURE_STEP_ENDED, STUDY)
    assert listed.sop_instance_uids == tuple(images)
    assert start.list_id == listed.list_id


async def test_a_step_whose_beginning_was_missed_is_of_the_study_that_holds_its_images(bench: ArchiveBench) -> None:
    """A modality that was connected in the middle of an examination loses nothing."""
    stored = (await bench.stores(1, is_told=True)).data
    await bench.holds(1)
    step = announced.an_ended_step([stored.sop_instance_uid])

    await told(bench, announced.a_step_report(step, status="COMPLETED", is_new=False, study_instance_uids=()))
    await bench.until(
        lambda: bench.service.pool.fetchval("SELECT count(*) FROM procedure_steps WHERE site_id = $1", bench.site_id), 1
    )

    (hint,) = [event.data for event in await bench.on_topic(StudyHint)]
    assert (hint.study_instance_uid, hint.kind) == (stored.study_instance_uid, HintKind.PROCEDURE_STEP_ENDED)


async def _asked(bench: ArchiveBench, instances: list[str]) -> None:
    await told(bench, announced.a_commitment_request(instances, received_at=datetime.now(UTC)))
    sql = "SELECT count(*) FROM commitments WHERE site_id = $1"
    await bench.until(lambda: bench.service.pool.fetchval(sql, bench.site_id), 1)


async def _row(bench: ArchiveBench) -> dict[str, Any]:
    row = await bench.service.pool.fetchrow("SELECT * FROM commitments WHERE site_id = $1", bench.site_id)
    assert row is not None
    return dict(row)


async def test_what_is_kept_is_vouched_for_at_the_address_of_who_asked(bench: ArchiveBench) -> None:
    """PS3.4, J.3.3: on an association of our own, where we are the SCP; told until it is heard, and then no more."""
    stored = (await bench.stores(1, is_told=True)).data
    await bench.holds(1)
    await _asked(bench, [stored.sop_instance_uid])

    await bench.committer.tick()
    unheard = await _row(bench)
    await bench.service.pool.execute("UPDATE commitments SET next_at = now() WHERE site_id = $1", bench.site_id)
    with listening(bench.address_of("TESTCT")) as heard:
        await asyncio.wait_for(bench.committer.tick(), 30)
        await bench.committer.tick()

    ((who, event_type, report),) = heard
    assert (unheard["attempts"], unheard["answered_at"], bool(unheard["reason"])) == (1, None, True)
    assert (who, event_type, report.TransactionUID) == ("OVERREAD", 1, announced.TRANSACTION)
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [stored.sop_instance_uid]
    assert (await _row(bench))["answered_at"] is not None
    (hint,) = [event.data for event in await bench.on_topic(StudyHint)]
    assert (hint.kind, hint.sop_instance_uids) == (HintKind.COMMITMENT_REQUESTED, (stored.sop_instance_uid,))


async def test_what_never_comes_is_named_as_failed_after_a_while(bench: ArchiveBench) -> None:
    """PS3.3, C.14.1.1: 0x0112 for what we don't hold; before that it has its time to come."""
    stored = (await bench.stores(1, is_told=True)).data
    await bench.holds(1)
    missing = a_uid("never sent")
    await _asked(bench, [stored.sop_instance_uid, missing])
    await bench.committer.tick()
    early = await _row(bench)
    await bench.service.pool.execute(
        "UPDATE commitments SET next_at = now(), requested_at = now() - interval '1 minute' WHERE site_id = $1",
        bench.site_id,
    )

    with listening(bench.address_of("TESTCT")) as heard:
        await asyncio.wait_for(bench.committer.tick(), 30)

    ((_, event_type, report),) = heard
    (hint,) = [event.data for event in await bench.on_topic(StudyHint)]
    assert set(hint.sop_instance_uids) == {stored.sop_instance_uid, missing}
    assert early["judged_at"] is None
    assert event_type == 2
    assert [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in report.FailedSOPSequence] == [
        (missing, 0x0112)
    ]


_ORDERS = "SELECT count(*) FROM worklist WHERE site_id = $1"


async def test_an_order_is_on_the_worklist_until_its_step_is_completed(bench: ArchiveBench) -> None:
    """PS3.4, K and F.7: told by the RIS, performed once; so is an order of the same accession number that comes later."""
    asks = ArchiveQueries(bench.reader_dsn, bench.site_id)
    order = a_service_request(study_instance_uid=STUDY, modality="CT", scheduled_at=NOON)
    end = {"is_new": False, "study_instance_uids": (), "accession_numbers": ()}

    async def listed() -> int:
        return len(await asks.scheduled(["CT"], NOON, NOON, limit=10))

    await bench.tells(
        an_event(an_order_changed(order=order), site_id=bench.site_id, own_key=str(uuid4())), ORDERS_CHANGED
    )
    await bench.until(listed, 1)
    of_others = await asks.scheduled(["MR"], None, None, limit=10)
    await told(bench, announced.a_step_report())
    await told(bench, announced.a_step_report(announced.an_ended_step([]), status="COMPLETED", **end))

    await bench.until(listed, 0)
    late = a_service_request(order_id=uuid4(), accession_number="ACC-1", study_instance_uid="1.2.9", scheduled_at=NOON)
    later = an_order_changed(order_id=late.order_id, order=late)
    await bench.tells(an_event(later, site_id=bench.site_id, own_key=str(uuid4())), ORDERS_CHANGED)
    await bench.until(lambda: bench.service.pool.fetchval(_ORDERS, bench.site_id), 2)

    still_listed = await listed()
    await asks.close()
    assert (of_others, still_listed) == ([], 0)
