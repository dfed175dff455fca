"""The order intake without broker, disk and topic to read back."""

import asyncio
from collections.abc import Sequence
from typing import Any

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.events.order_statements import OrderForm, OrderReceived, OrderStatement
from overread.contracts.topics import ORDERS_RECEIVED
from overread.order_intake.intake import Answer, Intake
from overread.order_intake.settings import OrderIntakeSettings
from tests.builders.events import NOON, an_order_statement
from tests.fakes.hl7_intake import FakeBroker, FakeClock, FakeObjects

RAW = b'{"action":"new"}'


class OrderBroker(FakeBroker):
    """Takes records of orders."""

    @property
    def events(self) -> list[Event[Any]]:
        return [codec.decode(record.value, ORDERS_RECEIVED.bodies) for record in self.records]

    async def told(self, records: int) -> None:
        """Wait until so many records have come."""
        while len(self.records) < records:  # noqa: ASYNC110 - a turn of the loop, no time passes
            await asyncio.sleep(0)


def an_order_intake(
    broker: FakeBroker,
    *,
    objects: FakeObjects | None = None,
    clock: FakeClock | None = None,
    taken_before: Sequence[OrderReceived] = (),
    **told: Any,
) -> Intake:
    """Return an intake; `taken_before` is what the topic's tail holds, newest first."""

    async def recall(intake: Intake, link_id: str) -> None:
        for received in taken_before:
            if received.link_id == link_id:
                intake.recall(received)

    return Intake(
        OrderIntakeSettings.model_validate(told),
        broker.enqueue,
        objects or FakeObjects(),
        clock or FakeClock(NOON),
        recall,
    )


async def kept(intake: Intake, statement: OrderStatement | None = None, raw: bytes = RAW, **said: Any) -> Answer:
    """Let the intake keep a statement as the link `his` posts it."""
    told = {"form": OrderForm.JSON, "media_type": "application/json", "link_id": "his", "message_id": "TEST-1"} | said
    return await intake.keep(statement or an_order_statement(), raw, **told)
