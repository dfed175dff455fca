"""What only a statement says of an order is kept as what HL7 says is."""

from datetime import timedelta

from overread.assembly import stated_orders
from overread.contracts.events.order_statements import OrderAction
from overread.contracts.events.orders import CodedElement
from tests.builders.events import NOON, an_order_received, an_order_statement
from tests.builders.orders import fully_folded

CHEST = CodedElement(identifier="51185008", text="Thoracic", coding_system="SCT")


def test_a_body_part_stays_until_another_is_said() -> None:
    """Absent is not said."""
    said = an_order_statement(body_part=CHEST)
    later = an_order_statement(action=OrderAction.HOLD, stated_at=NOON + timedelta(minutes=1))

    told = [message for one in (said, later) for message in stated_orders.read(an_order_received(statement=one))]

    assert fully_folded(told).order.body_part == CHEST


def test_the_link_of_a_statement_is_that_of_its_order() -> None:
    """The codes of a link are mapped by the link's own table, whatever the form."""
    told = stated_orders.read(an_order_received(link_id="clinic"))

    assert fully_folded(told).order.link_id == "clinic"
