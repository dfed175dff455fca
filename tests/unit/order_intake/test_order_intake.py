"""Statements about orders without broker: what is kept, what is answered, and what is refused."""

import asyncio
import base64
from datetime import timedelta

import pytest

from overread.contracts.errors import Unavailable
from overread.contracts.events.order_statements import OrderAction, OrderNumber
from overread.order_intake.checks import NotAnOrder, faults_of
from overread.order_intake.intake import CLAIM_CHECK_BYTES, ReusedMessageId
from tests.builders.events import NOON, a_patient, an_order_received, an_order_statement
from tests.fakes.hl7_intake import FakeClock, FakeObjects
from tests.fakes.order_intake import RAW, OrderBroker, an_order_intake, kept


async def test_a_kept_statement_is_told_with_its_bytes_under_its_links_key() -> None:
    """REQ-NON-01: what came is kept as it came, and a link's order is kept."""
    broker = OrderBroker()

    answer = await kept(an_order_intake(broker))

    (event,) = broker.events
    assert (event.id, event.data.statement) == (answer.event_id, an_order_statement())
    assert base64.b64decode(event.data.raw_base64) == RAW
    assert broker.records[0].key == b"his"
    assert not answer.is_repeat


async def test_nothing_is_answered_before_the_broker_has_it() -> None:
    """REQ-NON-01: acknowledged means kept."""
    broker = OrderBroker(holds=True)
    keeping = asyncio.ensure_future(kept(an_order_intake(broker)))
    await broker.told(1)
    was_answered = keeping.done()

    broker.keep(0)

    assert not was_answered
    assert (await keeping).received_at == NOON


async def test_what_the_broker_did_not_acknowledge_is_not_answered_as_kept_and_may_come_again() -> None:
    """REQ-NON-01: what cannot be kept is refused, and its message id stays free."""
    broker = OrderBroker(holds=True)
    intake = an_order_intake(broker)
    keeping = asyncio.ensure_future(kept(intake))
    await broker.told(1)
    broker.lose(0)
    with pytest.raises(Unavailable):
        await keeping

    again = asyncio.ensure_future(kept(intake))
    await broker.told(2)
    broker.keep(1)

    assert not (await again).is_repeat


async def test_a_repeat_gets_the_first_answer_again_and_is_not_told_twice() -> None:
    """REQ-NON-02: the same message id with the same bytes has one effect."""
    broker, clock = OrderBroker(), FakeClock(NOON)
    intake = an_order_intake(broker, clock=clock)
    first = await kept(intake)
    clock.now += timedelta(hours=1)

    again = await kept(intake)

    assert (again.event_id, again.received_at, again.is_repeat) == (first.event_id, NOON, True)
    assert len(broker.records) == 1


async def test_a_repeat_of_what_is_on_its_way_waits_for_the_same_end() -> None:
    """REQ-NON-02: two answers, one record."""
    broker = OrderBroker(holds=True)
    intake = an_order_intake(broker)
    both = [asyncio.ensure_future(kept(intake)) for _ in range(2)]
    await broker.told(1)
    broker.keep(0)

    first, second = await asyncio.gather(*both)

    assert first.event_id == second.event_id
    assert len(broker.records) == 1


async def test_a_message_id_that_was_used_for_other_bytes_is_refused() -> None:
    """REQ-NON-02: it is the sender's mistake, and nothing is replaced in silence."""
    broker = OrderBroker()
    intake = an_order_intake(broker)
    await kept(intake)

    with pytest.raises(ReusedMessageId):
        await kept(intake, raw=b'{"action":"cancel"}')

    assert len(broker.records) == 1


async def test_a_message_id_is_known_after_a_restart() -> None:
    """REQ-NON-02: what was taken before is read back from the topic."""
    broker = OrderBroker()
    intake = an_order_intake(broker, taken_before=[an_order_received(RAW)])

    answer = await kept(intake)

    assert answer.is_repeat
    assert broker.records == []


async def test_a_message_id_is_free_again_after_its_window() -> None:
    """REQ-NON-02: the window is bounded, so memory is."""
    broker, clock = OrderBroker(), FakeClock(NOON)
    intake = an_order_intake(broker, clock=clock)
    await kept(intake)
    clock.now += timedelta(hours=25)

    await kept(intake, raw=b"{}")

    assert len(broker.records) == 2


async def test_large_bytes_are_stored_before_their_event_names_them() -> None:
    """Claim check: no event exceeds its size, nothing is cut."""
    broker, objects, raw = OrderBroker(), FakeObjects(), b"x" * (CLAIM_CHECK_BYTES + 1)

    await kept(an_order_intake(broker, objects=objects), raw=raw)

    data = broker.events[0].data
    assert objects.kept == {data.object_key: raw}
    assert data.raw_base64 is None


async def test_a_full_disk_refuses_what_is_new_and_still_answers_a_repeat() -> None:
    """REQ-NON-01: no room is said, not hidden."""
    intake = an_order_intake(OrderBroker())
    await kept(intake)
    intake.refuse_all(Unavailable("the disk is full"))

    repeat = await kept(intake)

    assert repeat.is_repeat
    with pytest.raises(Unavailable):
        await kept(intake, message_id="TEST-2")


@pytest.mark.parametrize(
    ("fault", "pointer"),
    [
        ({"placer": None}, "/placer"),
        ({"service": None}, "/service"),
        ({"patient": a_patient(identifiers=())}, "/patient/identifiers"),
        ({"replaces": OrderNumber(number="TEST-PLACER-1", namespace="HIS")}, "/replaces"),
    ],
)
async def test_what_is_no_order_is_refused_with_the_place_of_its_fault(fault: dict[str, object], pointer: str) -> None:
    """REQ-NON-03: the sender is told what to mend."""
    broker = OrderBroker()

    with pytest.raises(NotAnOrder) as refused:
        await kept(an_order_intake(broker), an_order_statement(**fault))

    assert [one.pointer for one in refused.value.faults] == [pointer]
    assert broker.records == []


def test_a_cancellation_need_not_say_what_was_asked_for() -> None:
    """As in HL7: only what asks for something must say what."""
    assert not [*faults_of(an_order_statement(action=OrderAction.CANCEL, service=None))]


async def test_a_statement_about_time_to_come_is_refused_and_a_clock_that_is_ahead_is_not() -> None:
    """REQ-NON-12: a year that was mistyped would stand before every later word; the moment it is to be done is another field."""
    intake = an_order_intake(OrderBroker())
    await kept(intake, an_order_statement(stated_at=NOON + timedelta(minutes=59)))

    with pytest.raises(NotAnOrder) as refused:
        await kept(intake, an_order_statement(stated_at=NOON.replace(year=2062)), message_id="TEST-2")

    assert [fault.pointer for fault in refused.value.faults] == ["/stated_at"]
