"""What others write to `orders.offered`: opened with its place, kept once, or refused with a reason for the dead letter."""

import json
from typing import Any

import pytest

from overread.contracts.errors import Unavailable
from overread.contracts.events.order_statements import Clearable, OrderForm
from overread.order_intake.checks import NotAnOrder
from overread.order_intake.intake import ReusedMessageId
from overread.order_intake.offered import Offers
from overread.runtime.consume import Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.inbox import Transaction
from tests.builders.events import NOON, SITE
from tests.fakes.order_intake import OrderBroker, an_order_as_json, an_order_intake, an_orders_client


def a_record(offset: int = 7, **changed: Any) -> SourceRecord:
    """Return a record as a HIS writes it; `statement` is what `an_order_as_json` makes without an id of its own."""
    said = {
        "type": "OrderOffered.v1",
        "link_id": "his",
        "message_id": "HIS-1",
        "statement": an_order_as_json(message_id="ABSENT"),
    }
    value = json.dumps({name: part for name, part in (said | changed).items() if part is not None}).encode()
    return SourceRecord(topic="orders.offered", partition=3, offset=offset, key=b"", value=value)


def some_offers(broker: OrderBroker) -> Offers:
    """Return the reader of the topic on an intake of its own."""
    return Offers(an_order_intake(broker), SITE, lambda: NOON)


async def take(offers: Offers, *records: SourceRecord) -> None:
    """Take records as one batch."""
    transaction = Transaction(service="order_intake", site_id=SITE, clock=lambda: NOON, connection=None)
    batch = [Delivered(offers.open(record), 0, record.partition, record.offset) for record in records]
    await offers.orders_offered(batch, transaction)


async def test_an_offered_order_is_kept_with_the_bytes_of_its_record() -> None:
    """REQ-NON-10: under the sender's name and message id."""
    broker = OrderBroker()
    record = a_record()

    await take(some_offers(broker), record)

    (event,) = broker.events
    assert (event.data.link_id, event.data.message_id, event.data.form) == ("kafka-his", "HIS-1", OrderForm.KAFKA)
    assert json.loads(record.value)["statement"]["placer"] == event.data.statement.placer.model_dump()


async def test_a_record_that_is_read_again_and_one_that_is_written_again_are_kept_once() -> None:
    """REQ-NON-10: a restart reads from the last commit; a producer that lost its answer writes twice."""
    broker = OrderBroker()
    offers = some_offers(broker)

    await take(offers, a_record(7))
    await take(offers, a_record(7), a_record(8))

    assert len(broker.records) == 1


async def test_without_a_message_id_a_record_is_known_by_its_place() -> None:
    """REQ-NON-10: the same at each reading, so its event is the same."""
    broker = OrderBroker()

    for _ in range(2):
        await take(some_offers(broker), a_record(message_id=None))

    first, again = broker.events
    assert first.data.message_id == "orders.offered/3/7"
    assert first.id == again.id


async def test_null_in_the_statement_asks_to_delete() -> None:
    """The words are those of the JSON that is posted."""
    broker = OrderBroker()

    await take(some_offers(broker), a_record(statement=an_order_as_json(message_id="ABSENT", priority=None)))

    assert broker.events[0].data.statement.cleared == (Clearable.PRIORITY,)


@pytest.mark.parametrize("subject", ["his", "kafka-his"])
async def test_a_record_takes_no_message_id_of_who_speaks_http(subject: str) -> None:
    """REQ-NON-10: who may write the topic can say any name in it, and must not keep out another's own order."""
    broker = OrderBroker()
    intake = an_order_intake(broker)
    await take(
        Offers(intake, SITE, lambda: NOON), a_record(statement=an_order_as_json(message_id="ABSENT", modality="MR"))
    )

    async with an_orders_client(intake, subject=subject) as client:
        answer = await client.post("/api/v1/orders", json=an_order_as_json())

    assert answer.status_code == 202
    assert len(broker.records) == 2


async def test_a_name_that_is_too_long_with_what_is_put_before_it_has_a_digest() -> None:
    """REQ-NON-10: two long names stay two links."""
    broker = OrderBroker()

    await take(some_offers(broker), a_record(7, link_id="h" * 64), a_record(8, link_id="h" * 63 + "i"))

    links = {event.data.link_id for event in broker.events}
    assert len(links) == 2
    assert all(link.startswith("kafka-") for link in links)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"type": "OrderOffered.v9"}, "/type"),
        ({"link_id": "no link"}, "/link_id"),
        ({"statement": None}, "/statement"),
        ({"statement": an_order_as_json(placer="ABSENT")}, "/statement/placer"),
        ({"statement": an_order_as_json(stated_at="yesterday")}, "/statement/stated_at"),
        ({"sender": "his"}, "/sender"),
        ({"statement": an_order_as_json(clinical_information="Ho\0")}, "/statement/clinical_information"),
    ],
)
def test_what_is_no_offer_is_refused_with_its_place(changed: dict[str, Any], pointer: str) -> None:
    """REQ-NON-10: the dead letter says what to mend."""
    with pytest.raises(NotAnOrder) as refused:
        some_offers(OrderBroker()).open(a_record(**changed))

    assert [fault.pointer for fault in refused.value.faults] == [pointer]


@pytest.mark.parametrize("value", [b'{"type": %s}' % (b"9" * 5_000), b'{"type": "\\ud800"}', b'{"\\ud800": 1}'])
def test_what_cannot_be_read_or_written_again_is_refused_with_a_reason(value: bytes) -> None:
    """REQ-NON-10: no defect of ours, so it is not tried five times."""
    record = SourceRecord(topic="orders.offered", partition=3, offset=7, key=b"", value=value)

    with pytest.raises(NotAnOrder) as refused:
        some_offers(OrderBroker()).open(record)

    assert str(refused.value).encode()


def test_a_name_that_a_sender_made_up_is_in_no_reason() -> None:
    """No patient in a log: the name of a field could be one."""
    with pytest.raises(NotAnOrder) as refused:
        some_offers(OrderBroker()).open(a_record(**{"NGUYỄN VĂN": 1}))

    assert "NGUYỄN" not in str(refused.value)


async def test_a_message_id_with_a_control_character_is_refused_and_not_kept() -> None:
    """REQ-NON-10: what no table stores is a dead letter of the sender's record, not of what we made of it."""
    broker = OrderBroker()

    with pytest.raises(NotAnOrder, match="/message_id"):
        await take(some_offers(broker), a_record(message_id="HIS\0"))

    assert broker.records == []


async def test_another_order_under_a_used_message_id_is_refused_and_the_next_is_kept() -> None:
    """REQ-NON-10: it goes to the dead letter alone."""
    broker = OrderBroker()
    offers = some_offers(broker)
    other = a_record(8, statement=an_order_as_json(message_id="ABSENT", modality="MR"))

    with pytest.raises(ReusedMessageId):
        await take(offers, a_record(), other, a_record(9, message_id="HIS-2"))

    assert [event.data.message_id for event in broker.events] == ["HIS-1", "HIS-2"]


async def test_while_the_broker_is_away_nothing_is_set_aside() -> None:
    """REQ-NON-10: the reader waits, even where one of the batch is refused too."""
    broker = OrderBroker()
    offers = some_offers(broker)
    await take(offers, a_record())
    broker.is_away = True
    other = a_record(8, statement=an_order_as_json(message_id="ABSENT", modality="MR"))

    with pytest.raises(Unavailable):
        await take(offers, other, a_record(9, message_id="HIS-2"))
