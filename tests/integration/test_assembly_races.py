"""`assembly` on real PostgreSQL: what comes while a study is being completed finds it complete."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import late_survivors
from overread.contracts.envelope import Body, Event
from overread.contracts.identifiers import deterministic_id
from overread.contracts.topics import CASES_CHANGED, HL7_RECEIVED, ORDERS_CHANGED
from tests.builders.events import NOON, an_event, an_intake_restarted
from tests.builders.orders import an_order
from tests.builders.patients import MR, OLD, a_merge, an_adt, an_identifier
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

SECOND = deterministic_id("association", "2")
LONGEST_SECONDS = 30
WAITING_FOR_A_ROW = (
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FROM cases%')"
)

WAITING_FOR_PATIENTS = (
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%patients%')"
)


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def heard_while_it_is_completed(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch, event: Event[Body], *, due_in: float
) -> None:
    """Let `event` come while the timer holds the case and its manifest is on the way to the disk."""
    put, is_writing, may_write = bench.objects.put, asyncio.Event(), asyncio.Event()

    async def slow_put(key: str, parts: Any) -> None:
        is_writing.set()
        await may_write.wait()
        await put(key, parts)

    monkeypatch.setattr(bench.objects, "put", slow_put)
    async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(bench.waits(due_in))
        await is_writing.wait()
        tasks.create_task(bench.hears_images(event))
        while not await bench.service.pool.fetchval(WAITING_FOR_A_ROW):  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
        may_write.set()


async def test_association_that_ends_while_its_study_is_completed_opens_nothing(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-CPL-11: a revision with the same images would be inferred a second time."""
    await bench.hears_images(*slices(bench, 2), bench.closed())

    await heard_while_it_is_completed(bench, monkeypatch, bench.closed(association_id=SECOND), due_in=4)
    due = await bench.due()
    await bench.waits(900)

    assert (due, await bench.told_of_cases()) == (None, ["StudyReady"])


async def test_intake_that_comes_back_while_its_study_is_completed_opens_nothing(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-CPL-11: the study that was held for an association of a dead intake has been completed by its cap."""
    await bench.hears_images(*slices(bench, 2))
    back = an_event(
        an_intake_restarted(restarted_at=NOON + timedelta(seconds=5)), site_id=bench.site_id, own_key=bench.site_id
    )

    await heard_while_it_is_completed(bench, monkeypatch, back, due_in=600)
    due = await bench.due()
    await bench.waits(900)

    assert (due, await bench.told_of_cases()) == (None, ["StudyReady"])


@pytest.mark.parametrize("what", ["note_ordered", "note_imaged"])
async def test_merge_that_comes_while_an_order_or_an_image_is_taken_finds_it(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """REQ-PAT-03: neither sees the other's words before they are committed, so the merge waits for them."""
    await bench.hears(HL7_RECEIVED, bench.order(an_adt("A01"), message_type="ADT"))
    note, is_taken, may_commit = getattr(late_survivors, what), asyncio.Event(), asyncio.Event()

    async def slow_note(*told: Any) -> None:
        await note(*told)
        is_taken.set()
        await may_commit.wait()

    monkeypatch.setattr(late_survivors, what, slow_note)
    image = bench.image(1, attributes={"patient_id": "TEST-0009", "accession_number": None})
    taken = bench.hears_orders(an_order(patient_id=OLD)) if what == "note_ordered" else bench.hears_images(image)
    async with asyncio.timeout(LONGEST_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(taken)
        await is_taken.wait()
        merging = tasks.create_task(bench.hears(HL7_RECEIVED, bench.order(a_merge(1), message_type="ADT")))
        while not (merging.done() or await bench.service.pool.fetchval(WAITING_FOR_PATIENTS)):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
        may_commit.set()

    told = await bench.told(ORDERS_CHANGED if what == "note_ordered" else CASES_CHANGED)
    patient = told[-1].data.patient if what == "note_ordered" else told[-1].data.case.patient
    assert patient.identifiers == (an_identifier(MR),)
