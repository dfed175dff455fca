import pytest

from overread.assembly import orders
from overread.contracts.events.orders import OrderStatus
from overread.protocols.hl7.order_controls import CONTROLS
from tests.builders.events import NOON, SITE
from tests.builders.orders import HANOI, an_order, folded

ACTIVE, HELD, CANCELLED, COMPLETED = OrderStatus.ACTIVE, OrderStatus.HELD, OrderStatus.CANCELLED, OrderStatus.COMPLETED
BARE = ("OBR", "IPC", "TQ1")

REPLACEMENT = an_order(1, "RP", put={"IPC-1": "", "IPC-3": ""}) + (
    b"ORC|RO|TEST-PLACER-2^HIS|||||||20261122090100+0700\rOBR|1|TEST-PLACER-2^HIS||1^A^L||||||||||||||TEST-ACC-2\r"
)


def status_after(*told: str) -> OrderStatus:
    """Return an order's status after its controls, a minute apart; `SC:CM` is SC with CM in ORC-5."""
    messages = []
    for minute, word in enumerate(told):
        control, _, status = word.partition(":")
        without = () if CONTROLS[control].needs_detail else BARE
        messages.append(an_order(minute, control, without, {"ORC-5": status}))
    return folded(*messages).order.status


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (("NW",), ACTIVE),
        (("SN",), ACTIVE),
        (("RO",), ACTIVE),
        (("CH",), ACTIVE),
        (("NW", "NA"), ACTIVE),
        (("NW", "OK"), ACTIVE),
        (("NW", "XO"), ACTIVE),
        (("NW", "PA"), ACTIVE),
        (("NW", "CA"), CANCELLED),
        (("NW", "OC"), CANCELLED),
        (("NW", "CA", "CR"), CANCELLED),
        (("NW", "DC"), CANCELLED),
        (("NW", "OD"), CANCELLED),
        (("NW", "DC", "DR"), CANCELLED),
        (("NW", "UA"), CANCELLED),
        (("NW", "RP"), CANCELLED),
        (("NW", "RU"), CANCELLED),
        (("NW", "RP", "RQ"), CANCELLED),
        (("NW", "SC:RP"), CANCELLED),
        (("NW", "CA", "UC"), ACTIVE),
        (("NW", "DC", "UD"), ACTIVE),
        (("NW", "RP", "UM"), ACTIVE),
        (("NW", "SC:CM", "UC"), COMPLETED),
        (("NW", "CA", "XO"), CANCELLED),
        (("NW", "CA", "SC:IP"), CANCELLED),
        (("NW", "CA", "NW"), ACTIVE),
        (("NW", "HD"), HELD),
        (("NW", "OH"), HELD),
        (("NW", "HD", "HR"), HELD),
        (("NW", "HD", "UH"), ACTIVE),
        (("NW", "HD", "XO"), HELD),
        (("NW", "HD", "RL"), ACTIVE),
        (("NW", "HD", "OE"), ACTIVE),
        (("NW", "HD", "RL", "OR"), ACTIVE),
        (("NW", "HD", "RL", "UR"), HELD),
        (("NW", "HD", "SC:IP"), ACTIVE),
        (("NW", "HD", "CA"), CANCELLED),
        (("NW", "CA", "HD"), CANCELLED),
        (("NW", "CA", "RL"), CANCELLED),
        (("NW", "SC:CM", "HD"), COMPLETED),
        (("NW", "SC:CM", "XO"), COMPLETED),
    ],
)
def test_controls_lead_to_the_status(told: tuple[str, ...], status: OrderStatus) -> None:
    """REQ-ORD-01: table HL70119, and HL70038 where ORC-1 only tells of a state."""
    assert status_after(*told) is status


def test_what_is_replaced_is_told_after_what_takes_its_place() -> None:
    """REQ-ORD-03: the case goes over to the new order; were the old one's end heard first, its report would be withdrawn."""
    messages = orders.read(REPLACEMENT, "UNICODE UTF-8", HANOI, received_at=NOON)

    assert [(message.request.order_control, message.placer) for message in messages] == [
        ("RO", "TEST-PLACER-2^HIS"),
        ("RP", "TEST-PLACER-1^HIS"),
    ]


def test_child_that_inherits_the_placer_number_is_an_order_of_its_own() -> None:
    """Otherwise the exam of one child would be the exam of all, and of the parent."""
    raw = an_order(without=BARE, control="PA", filler="F1^RIS") + (
        b"ORC|CH|TEST-PLACER-1^HIS|F2^RIS\rOBR|1|TEST-PLACER-1^HIS|F2^RIS|1^A^L\r"
        b"ORC|CH|TEST-PLACER-1^HIS|F3^RIS\rOBR|2|TEST-PLACER-1^HIS|F3^RIS|2^B^L\r"
    )

    messages = orders.read(raw, "UNICODE UTF-8", HANOI, received_at=NOON)

    assert len({message.own_id(SITE) for message in messages}) == 3
    assert [(message.placer, message.filler, message.suffix) for message in messages[1:]] == [
        ("", "F2^RIS", ""),
        ("", "F3^RIS", ""),
    ]


def test_child_says_whose_child_it_is() -> None:
    """ORC-8; the number of its parent is no number of its own."""
    child = folded(an_order(control="CH", put={"ORC-8": "P1&HIS^F1&RIS"})).order

    assert (child.parent_order_number, child.placer_order_number) == ("P1", "TEST-PLACER-1")


@pytest.mark.parametrize(("request_", "reply"), [("CA", "UC"), ("DC", "UD"), ("RP", "UM")])
def test_within_one_second_a_refusal_comes_after_what_it_refuses(request_: str, reply: str) -> None:
    """MSH-7 often has no fraction: the filler's answer can't be older than the question."""
    refused = an_order(1, reply, BARE, control_id="B")

    stored = folded(an_order(0), refused, an_order(1, request_, BARE, control_id="A"))

    assert stored.order.status is ACTIVE
