"""`assembly` on real PostgreSQL: a number without a namespace is its sender's, and one order may still be told by several."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts.envelope import Body, Event
from overread.contracts.events.order_statements import OrderAction, OrderNumber
from overread.contracts.events.orders import OrderStatus
from overread.contracts.topics import HL7_RECEIVED, ORDERS_CHANGED, ORDERS_RECEIVED
from tests.builders.events import a_patient, an_event, an_order_received, an_order_statement
from tests.builders.orders import a_cancellation, an_order
from tests.builders.patients import an_identifier
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

ELSEWHERE: dict[str, Any] = {"accession": "", "study": "", "patient_id": "TEST-9999^^^CLINIC^PI"}
OTHER = a_patient(identifiers=(an_identifier("TEST-9999^^^CLINIC^PI"),), family_name="KHÁC", given_name="NGƯỜI")


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def hears(bench: AssemblyBench, raw: bytes, link_id: str = "his", application: str = "HIS") -> None:
    """Consume one message of a sender."""
    await bench.hears(HL7_RECEIVED, bench.order(raw, link_id=link_id, sending_application=application))


def said(bench: AssemblyBench, link_id: str, **changed: Any) -> Event[Body]:
    """Return the event of a statement that names its order by a bare 1001."""
    statement = an_order_statement(placer=OrderNumber(number="1001"), **({"study_instance_uid": None} | changed))
    received = an_order_received(statement=statement, link_id=link_id)
    return an_event(received, site_id=bench.site_id, own_key=str(uuid4()))


async def is_from_before(bench: AssemblyBench) -> None:
    """Let the site's numbers be as they were before senders were kept."""
    await bench.service.pool.execute("UPDATE order_numbers SET sender = '' WHERE site_id = $1", bench.site_id)


async def statuses(bench: AssemblyBench) -> list[OrderStatus]:
    """Return how each order of the site reads."""
    return [order.status for order in await bench.orders()]


async def test_two_links_that_number_alike_have_two_orders(bench: AssemblyBench) -> None:
    """REQ-ORD-11: by HL7; the first one's study keeps its order."""
    await hears(bench, an_order(placer="1001"))
    await bench.hears_images(*slices(bench, 1))

    await hears(bench, an_order(5, placer="1001", **ELSEWHERE), "clinic")

    assert (await bench.told_of_cases(), len(await bench.orders())) == (["OrderLinked"], 2)


async def test_two_clients_that_number_alike_have_two_orders(bench: AssemblyBench) -> None:
    """REQ-ORD-11: by statements."""
    await bench.hears(ORDERS_RECEIVED, said(bench, "his"))

    await bench.hears(ORDERS_RECEIVED, said(bench, "clinic", accession_number=None, patient=OTHER))

    told = [event.data for event in await bench.told(ORDERS_CHANGED)]
    assert [(one.patient.family_name, one.order.accession_number) for one in told][1] == ("KHÁC", None)
    assert len({one.order_id for one in told}) == 2


async def test_cancellation_of_another_sender_cancels_nothing_of_ours(bench: AssemblyBench) -> None:
    """REQ-ORD-11: two systems behind one engine are told apart by MSH-3 and MSH-4."""
    await hears(bench, an_order(placer="1001"))

    await hears(bench, a_cancellation(5, placer="1001", **ELSEWHERE), application="CLINIC")

    assert await statuses(bench) == [OrderStatus.ACTIVE, OrderStatus.CANCELLED]


async def test_number_that_another_hands_back_means_its_order(bench: AssemblyBench) -> None:
    """REQ-ORD-11: a RIS says the HIS's number as it got it, of two patients; each word is about its own order."""
    await hears(bench, an_order(placer="1001"))
    await hears(bench, an_order(1, placer="1001", **ELSEWHERE), "clinic", "CLINIC")

    unsaid: dict[str, Any] = {}
    for minute, known in ((5, unsaid), (6, ELSEWHERE)):
        await hears(bench, an_order(minute, "SC", placer="1001", put={"ORC-5": "CM"}, **known), "ris", "RIS")

    assert await statuses(bench) == [OrderStatus.COMPLETED, OrderStatus.COMPLETED]


@pytest.mark.parametrize("link_id", ["his", "his-json"])
async def test_bare_number_told_by_hl7_and_by_a_statement_is_one_order(bench: AssemblyBench, link_id: str) -> None:
    """REQ-NON-04: a client of another name too, since number and patient agree."""
    await hears(bench, an_order(placer="1001"))

    await bench.hears(ORDERS_RECEIVED, said(bench, link_id, action=OrderAction.CANCEL, service=None))

    assert await statuses(bench) == [OrderStatus.CANCELLED]


async def test_one_number_and_patient_under_two_accession_numbers_is_two_orders(bench: AssemblyBench) -> None:
    """REQ-ORD-11: what both say of the study speaks against it."""
    await hears(bench, an_order(placer="1001"))

    await hears(bench, an_order(5, placer="1001", accession="OTHER", study=""), "clinic", "CLINIC")

    assert len(await bench.orders()) == 2


async def test_order_from_before_senders_were_kept_is_found_by_its_sender_alone(bench: AssemblyBench) -> None:
    """REQ-ORD-11: an upgrade leaves no order that can't be changed or cancelled any more, whoever it is about now."""
    await hears(bench, an_order(placer="1001"))
    await is_from_before(bench)

    await hears(bench, a_cancellation(5, placer="1001", **ELSEWHERE), "clinic", "CLINIC")
    untouched = (await statuses(bench))[0]
    await hears(bench, an_order(6, "XO", placer="1001", patient_id="TEST-0002^^^HIS^PI"))
    await hears(bench, a_cancellation(7, placer="1001", patient_id="TEST-0002^^^HIS^PI"))

    assert (untouched, (await statuses(bench))[0]) == (OrderStatus.ACTIVE, OrderStatus.CANCELLED)
    assert len(await bench.orders()) == 2
