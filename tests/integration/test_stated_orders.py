"""Orders that did not come as HL7, in assembly with its real tables: the same numbers, sequence, links and desk."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts.envelope import Body, Event
from overread.contracts.events.order_statements import OrderAction, OrderForm, OrderNumber
from overread.contracts.events.orders import OrderStatus
from overread.contracts.topics import HL7_RECEIVED, ORDERS_CHANGED, ORDERS_RECEIVED
from tests.builders.events import NOON, a_patient, an_event, an_order_received, an_order_statement
from tests.builders.orders import an_order
from tests.builders.patients import MR, OLD, a_merge, an_adt, an_identifier
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

OTHERS = {"patient_id": "TEST-0002", "patient_name": "MẪU^TRẦN THỊ"}


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


def said(bench: AssemblyBench, minute: int = 0, **changed: Any) -> Event[Body]:
    """Return the event of a statement, `minute` minutes after noon."""
    statement = an_order_statement(stated_at=NOON + timedelta(minutes=minute), **changed)
    return an_event(an_order_received(statement=statement), site_id=bench.site_id, own_key=str(uuid4()))


async def test_an_order_told_by_hl7_and_cancelled_by_a_statement_is_one_order(bench: AssemblyBench) -> None:
    """REQ-NON-04: the placer's number names it, whoever tells."""
    await bench.hears_orders(an_order())

    await bench.hears(ORDERS_RECEIVED, said(bench, action=OrderAction.CANCEL, service=None))

    (order,) = await bench.orders()
    assert (order.placer_order_number, order.status) == ("TEST-PLACER-1", OrderStatus.CANCELLED)


async def test_an_older_statement_revives_nothing(bench: AssemblyBench) -> None:
    """REQ-NON-04: the sender's sequence counts, not the moment of arrival."""
    await bench.hears(ORDERS_RECEIVED, said(bench, 5, action=OrderAction.CANCEL))

    await bench.hears(ORDERS_RECEIVED, said(bench, 1))

    (order,) = await bench.orders()
    assert order.status is OrderStatus.CANCELLED


async def test_a_statement_heard_twice_has_one_effect(bench: AssemblyBench) -> None:
    """REQ-NON-02: also when the topic holds it twice."""
    once = said(bench)

    await bench.hears(ORDERS_RECEIVED, once, once)
    await bench.hears(ORDERS_RECEIVED, once)

    assert len(await bench.told(ORDERS_CHANGED)) == 1


async def test_an_order_that_replaces_another_ends_it(bench: AssemblyBench) -> None:
    """As RO with RP does in HL7."""
    await bench.hears(ORDERS_RECEIVED, said(bench))
    old, new = (OrderNumber(number=f"TEST-PLACER-{number}", namespace="HIS") for number in (1, 2))

    await bench.hears(ORDERS_RECEIVED, said(bench, 1, placer=new, replaces=old))

    statuses = {order.placer_order_number: order.status for order in await bench.orders()}
    assert statuses == {"TEST-PLACER-1": OrderStatus.CANCELLED, "TEST-PLACER-2": OrderStatus.ACTIVE}


async def test_a_late_statement_finds_its_images_and_those_of_another_patient_go_to_the_desk(
    bench: AssemblyBench,
) -> None:
    """REQ-NON-04: linking asks for number and patient, whatever the form."""
    await bench.hears_images(*slices(bench, 1))
    await bench.hears(ORDERS_RECEIVED, said(bench))
    linked = (await bench.case()).orders
    other = {"study": "1.2.826.0.1.3680043.10.1338.9", "attributes": {**OTHERS, "accession_number": "TEST-ACC-9"}}
    await bench.hears_images(*slices(bench, 1, **other))

    late = said(
        bench,
        placer=OrderNumber(number="TEST-PLACER-9", namespace="HIS"),
        accession_number="TEST-ACC-9",
        study_instance_uid=None,
    )
    await bench.hears(ORDERS_RECEIVED, late)

    assert [order.placer_order_number for order in linked] == ["TEST-PLACER-1"]
    assert len(await bench.desk()) == 1


async def test_a_merge_reaches_who_was_named_by_a_statement(bench: AssemblyBench) -> None:
    """ADT speaks of patients, whoever ordered for them."""
    await bench.hears(ORDERS_RECEIVED, said(bench, patient=a_patient(identifiers=(an_identifier(OLD),))))

    for raw in (an_adt("A01"), a_merge()):
        await bench.hears(HL7_RECEIVED, bench.order(raw, message_type="ADT"))

    changed = (await bench.told(ORDERS_CHANGED))[-1].data
    assert an_identifier(MR) in changed.patient.identifiers


UNTIMED: dict[str, Any] = {"stated_at": None, "action": OrderAction.CANCEL, "service": None}


def arriving(bench: AssemblyBench, minute: int, form: OrderForm = OrderForm.JSON, **said: Any) -> Event[Body]:
    """Return the event of a statement that arrives `minute` minutes after noon."""
    received = an_order_received(
        statement=an_order_statement(**said), received_at=NOON + timedelta(minutes=minute), form=form
    )
    return an_event(received, site_id=bench.site_id, own_key=str(uuid4()))


@pytest.mark.parametrize("ahead", [timedelta(minutes=3), timedelta(days=13_000)])
async def test_a_cancellation_without_a_time_holds_against_a_clock_that_is_ahead(
    bench: AssemblyBench, ahead: timedelta
) -> None:
    """REQ-NON-12: a worklist says no time; a word counts at the latest from when it came."""
    await bench.hears(ORDERS_RECEIVED, arriving(bench, 0, stated_at=NOON + ahead))

    await bench.hears(ORDERS_RECEIVED, arriving(bench, 1, **UNTIMED))

    assert [order.status for order in await bench.orders()] == [OrderStatus.CANCELLED]


async def test_a_cancellation_without_a_time_holds_against_hl7_whose_clock_is_ahead(bench: AssemblyBench) -> None:
    """REQ-NON-12: MSH-7 and ORC-9 three minutes after it came."""
    ahead = "20261122190300+0700"
    await bench.hears_orders(an_order(put={"MSH-7": ahead, "ORC-9": ahead}))

    await bench.hears(ORDERS_RECEIVED, arriving(bench, 1, **UNTIMED))

    assert [order.status for order in await bench.orders()] == [OrderStatus.CANCELLED]


@pytest.mark.parametrize("form", [OrderForm.CSV, OrderForm.XML])
async def test_a_row_that_comes_again_with_its_mended_file_revives_nothing(
    bench: AssemblyBench, form: OrderForm
) -> None:
    """REQ-NON-24: the whole file is dropped again, and meanwhile one of its good rows was cancelled."""
    await bench.hears(ORDERS_RECEIVED, arriving(bench, 0, form, stated_at=None))
    await bench.hears(ORDERS_RECEIVED, arriving(bench, 1, **UNTIMED))

    await bench.hears(ORDERS_RECEIVED, arriving(bench, 2, form, stated_at=None))

    assert [order.status for order in await bench.orders()] == [OrderStatus.CANCELLED]


async def test_a_row_with_its_time_opens_again_what_was_cancelled(bench: AssemblyBench) -> None:
    """REQ-NON-24: its sender says that it is a later word."""
    await bench.hears(ORDERS_RECEIVED, arriving(bench, 0, OrderForm.CSV, stated_at=None))
    await bench.hears(ORDERS_RECEIVED, arriving(bench, 1, **UNTIMED))

    again = arriving(bench, 3, OrderForm.CSV, stated_at=NOON + timedelta(minutes=2))
    await bench.hears(ORDERS_RECEIVED, again)

    assert [order.status for order in await bench.orders()] == [OrderStatus.ACTIVE]
