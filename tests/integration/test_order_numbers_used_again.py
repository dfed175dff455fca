"""`assembly` on real PostgreSQL: an order's number that comes with another patient melts no two patients into one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import matching
from overread.assembly.patient_store import ANOTHER_PATIENT
from overread.contracts.topics import HL7_RECEIVED, ORDERS_CHANGED
from tests.builders.orders import a_cancellation, an_order
from tests.builders.patients import MR, OLD, a_merge, an_adt
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

ANOTHER = {"patient_id": "TEST-9999^^^HIS^PI", "name": "KHÁC^NGƯỜI", "birth_date": "19500101"}


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def renamed(bench: AssemblyBench) -> list[str]:
    """Return what the desk says about orders whose number came with another patient."""
    rows = await bench.service.pool.fetch(
        "SELECT reason FROM patient_desk WHERE site_id = $1 AND kind = 'order' ORDER BY reason", bench.site_id
    )
    return [row["reason"] for row in rows]


async def test_new_order_under_another_patients_number_takes_nothing_of_it(bench: AssemblyBench) -> None:
    """REQ-ORD-10: no worklist shows the second patient with the first one's accession and study; its study is on the desk."""
    await bench.hears_orders(an_order(put={"OBR-13": "ho"}))
    await bench.hears_images(*slices(bench, 1))

    await bench.hears_orders(an_order(30, accession="", study="", put={"OBR-13": "", "PID-7": "19500101"}, **ANOTHER))

    told = (await bench.told(ORDERS_CHANGED))[-1].data
    assert (told.order.accession_number, told.order.study_instance_uid) == (None, None)
    assert (told.order.clinical_information, told.patient.family_name) == ("", "KHÁC")
    assert (await bench.links(), await bench.desk()) == (set(), [matching.MOVED_AWAY])


async def test_new_order_under_another_patients_number_without_images_lies_on_the_desk(bench: AssemblyBench) -> None:
    """REQ-ORD-10: the first patient's order is gone, and a person is told."""
    await bench.hears_orders(an_order())

    await bench.hears_orders(an_order(30, put={"PID-7": "19500101"}, **ANOTHER))

    assert await renamed(bench) == [f"{ANOTHER_PATIENT}: HIS30"]


async def test_cancellation_that_names_another_patient_lies_on_the_desk(bench: AssemblyBench) -> None:
    """REQ-ORD-10: also where no image is there, and the next word about the order does not take it away."""
    await bench.hears_orders(an_order())

    await bench.hears_orders(a_cancellation(5, **ANOTHER))
    await bench.hears_orders(an_order(6, "XO", priority="S"))

    assert f"{ANOTHER_PATIENT}: HIS5" in await renamed(bench)


async def test_number_of_a_merged_patient_is_no_other_patient(bench: AssemblyBench) -> None:
    """REQ-ORD-10: after A40 the HIS speaks of the surviving number."""
    for raw in (an_adt("A01"), a_merge()):
        await bench.hears(HL7_RECEIVED, bench.order(raw, message_type="ADT"))
    await bench.hears_orders(an_order(patient_id=OLD))

    await bench.hears_orders(an_order(5, "XO", patient_id=MR, priority="S"))

    assert await renamed(bench) == []
