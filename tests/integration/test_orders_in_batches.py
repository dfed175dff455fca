"""`assembly` on real PostgreSQL: a batch of orders is read and written at once, and ends as if each had come alone."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import matching, order_store, order_taking
from overread.contracts.events.orders import OrderStatus
from overread.contracts.topics import CASES_CHANGED, ORDERS_CHANGED
from tests.builders.events import STUDY
from tests.builders.orders import a_cancellation, a_message, an_order
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

BARE = ("OBR", "IPC", "TQ1")
REPLACED_BY_ANOTHER = an_order(1, "RP", BARE) + (
    b"ORC|RO|TEST-PLACER-2^HIS|||||||20261122090100+0700\rOBR|1|TEST-PLACER-2^HIS||1^A^L||||||||||||||TEST-ACC-1\r"
)


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


BEFORE = [an_order(0, placer="P4^HIS"), an_order(0, placer="P5^HIS")]


def a_day() -> list[bytes]:
    """Return messages about new orders and two that are there, out of the sender's sequence."""
    return [
        an_order(2, control="XO", priority="S"),
        an_order(0),
        an_order(0, placer="P2^HIS", accession="B", study=f"{STUDY}.9"),
        an_order(0, placer="P3^HIS"),
        an_order(4, control="HD", without=BARE),
        an_order(2, control="XO", placer="P4^HIS", priority="S"),
        a_cancellation(3, placer="P5^HIS"),
        a_cancellation(3, placer="P3^HIS"),
        an_order(1, control="XO", clinical="older"),
        an_order(5, control="SC", without=BARE, put={"ORC-5": "IP"}),
        an_order(1, control="XO", placer="P2^HIS", accession="TEST-ACC-1", study=f"{STUDY}.9"),
    ]


async def told_by(stack: Any, folder: Path, batches: Sequence[Sequence[bytes]]) -> list[Any]:
    """Return all that a new site tells of orders and of the study's case, but for ids, when it hears the batches."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), folder) as bench:
        await bench.hears_images(*slices(bench, 1))
        await bench.hears_orders(*BEFORE)
        for batch in batches:
            await bench.hears_orders(*batch)
        orders = [event.data for event in await bench.told(ORDERS_CHANGED)]
        cases = [event.data for event in await bench.told(CASES_CHANGED)]
        return [
            *((body.order.placer_order_number, body.revision, body.order.status, body.patient) for body in orders),
            *(
                (type(body).__name__, body.case.revision, body.case.identity_version, _orders_of(body))
                for body in cases
            ),
            await bench.desk(),
        ]


def _orders_of(body: Any) -> list[str]:
    """Return the orders of a case as its event tells them; their ids are a site's own."""
    return sorted(order.model_dump_json(exclude={"order_id"}) for order in body.case.orders)


async def test_batch_tells_what_its_messages_tell_one_by_one(stack: Any, tmp_path: Path) -> None:
    """REQ-ORD-08: the same orders, in the same revisions, and the same events of the case."""
    alone = await told_by(stack, tmp_path / "alone", [[raw] for raw in a_day()])

    together = await told_by(stack, tmp_path / "together", [a_day()])

    assert together == alone
    assert len(together) == 22


async def test_order_that_is_replaced_hands_its_case_over(bench: AssemblyBench) -> None:
    """REQ-ORD-03: at no moment is every order of the case cancelled, so nothing that was read is withdrawn."""
    await bench.hears_orders(an_order(0))
    await bench.hears_images(*slices(bench, 1))

    await bench.hears_orders(REPLACED_BY_ANOTHER)

    case = await bench.case()
    assert await bench.told_of_cases() == ["OrderLinked", "OrderLinked", "OrderCancelled"]
    assert {order.placer_order_number: order.status for order in case.orders} == {
        "TEST-PLACER-1": OrderStatus.CANCELLED,
        "TEST-PLACER-2": OrderStatus.ACTIVE,
    }


async def test_linked_order_on_hold_is_read_and_lies_on_the_desk_until_it_is_released(bench: AssemblyBench) -> None:
    """REQ-ORD-09: what was taken is read; a person is told that the placer asked to wait."""
    await bench.hears_orders(an_order(0), an_order(1, "HD", BARE))
    await bench.hears_images(*slices(bench, 1), bench.closed())
    await bench.waits(4)
    on_hold = await bench.desk()

    await bench.hears_orders(an_order(2, "RL", BARE))

    assert (on_hold, await bench.desk()) == ([matching.ON_HOLD], [])
    assert await bench.told_of_cases() == ["OrderLinked", "StudyReady", "OrderChangedOnCase"]


async def test_order_on_hold_once_linked_moves_no_identity(bench: AssemblyBench) -> None:
    """A hold is progress: a report that was signed is not held for it."""
    await bench.hears_orders(an_order(0))
    await bench.hears_images(*slices(bench, 1))
    before = await bench.case()

    await bench.hears_orders(an_order(1, "HD", BARE))

    case = await bench.case()
    assert (case.identity_version, case.orders[0].status) == (before.identity_version, OrderStatus.HELD)
    assert await bench.desk() == [matching.ON_HOLD]


async def test_message_in_sequence_reads_none_of_the_older_ones(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-ORD-08: an order that thousands of messages change costs no more than a new one."""

    async def not_wanted(*_: Any) -> Any:
        raise AssertionError("older messages were read")

    monkeypatch.setattr(order_store, "messages_about", not_wanted)
    await bench.hears_orders(an_order(0))

    await bench.hears_orders(*(an_order(minute, "XO", clinical=f"{minute}") for minute in range(1, 60)))

    (order,) = await bench.orders()
    assert order.clinical_information == "59"


async def test_late_messages_of_a_batch_read_the_older_ones_once(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-ORD-08: a flood of late messages must not read thousands of others for each of them."""
    calls: list[Any] = []
    messages_about = order_store.messages_about

    async def counted(*place: Any) -> Any:
        calls.append(place)
        return await messages_about(*place)

    monkeypatch.setattr(order_store, "messages_about", counted)
    await bench.hears_orders(an_order(0), an_order(59, "XO", clinical="last"))

    await bench.hears_orders(*(an_order(minute, "XO", priority="S", clinical=f"{minute}") for minute in range(1, 50)))

    (order,) = await bench.orders()
    assert (len(calls), order.clinical_information, order.priority) == (1, "last", "R")


async def test_order_from_before_an_upgrade_is_folded_anew_and_then_noted(bench: AssemblyBench) -> None:
    """Its row does not say up to which message it is folded: an older one must not be taken for a newer."""
    await bench.hears_orders(an_order(0), an_order(5, "XO", clinical="newer"))
    await bench.service.pool.execute(
        "UPDATE orders SET newest_sent_at = NULL, newest_said_at = NULL, newest_rank = NULL WHERE site_id = $1",
        bench.site_id,
    )

    await bench.hears_orders(an_order(3, "XO", clinical="older"))

    (order,) = await bench.orders()
    noted = await bench.service.pool.fetchval(
        "SELECT count(newest_sent_at) FROM orders WHERE site_id = $1", bench.site_id
    )
    assert (order.clinical_information, noted) == ("newer", 1)


async def test_event_that_was_taken_before_is_not_folded_again(bench: AssemblyBench) -> None:
    """REQ-ORD-08: a replay has its event's id; of two changes of one second the later to come still counts."""
    raw = [an_order(1, "XO", control_id=name, clinical=name) for name in ("A", "B")]
    told: list[Any] = [(bench.order(one), a_message(one)) for one in raw]

    for batch in (told, told[:1]):
        async with bench.service.transaction() as tx:
            await order_taking.take(tx, batch)

    (order,) = await bench.orders()
    assert order.clinical_information == "B"
