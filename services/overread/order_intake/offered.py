"""Orders that a system of others writes to `orders.offered`: opened, kept as any other, or set aside with the reason."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from overread.contracts.envelope import Body, Event, event_of
from overread.contracts.errors import Unavailable
from overread.contracts.events.order_statements import LinkId, MessageId, OrderForm, OrderOffered
from overread.contracts.identifiers import deterministic_id
from overread.order_intake import json_orders
from overread.order_intake.checks import Fault, NotAnOrder
from overread.order_intake.intake import Intake
from overread.order_intake.link_names import kafka_link
from overread.order_intake.plain_words import faults_in, unknown_fields
from overread.runtime.clock import Clock
from overread.runtime.consume import Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.inbox import Transaction
from overread.runtime.telemetry import new_traceparent

MEDIA_TYPE = "application/json"


class Offer(Body):
    """A record that was read: what it offers, its bytes, and what it says of the order, written one way."""

    offered: OrderOffered
    message_id: str
    raw: bytes
    said: bytes

    @property
    def link_id(self) -> str:
        """Return the link of who wrote the record."""
        return kafka_link(self.offered.link_id)


@dataclass(frozen=True, slots=True)
class Offers:
    """Reads the topic of others for one site."""

    intake: Intake
    site_id: str
    clock: Clock

    def open(self, record: SourceRecord) -> Event[Offer]:
        """Return what a record offers under our envelope, or raise `NotAnOrder` with every fault and its place.

        A record that does not say its own message id has its place as one: the same at each reading, also of a replay.
        """
        place = f"{record.topic}/{record.partition}/{record.offset}"
        offer = _offer(json_orders.parse(record.value), record.value, place)
        return event_of(
            offer,
            source=offer.link_id,
            time=self.clock(),
            subject=offer.link_id,
            site_id=self.site_id,
            traceparent=new_traceparent(),
            own_key=place,
            event_id=deterministic_id("order offered", self.site_id, place),
        )

    async def orders_offered(self, batch: Sequence[Delivered], _tx: Transaction) -> None:
        """Keep each in its order; what was kept before a failure is a repeat when the batch comes again."""
        ends = await asyncio.gather(*[self._keep(each.event.data) for each in batch], return_exceptions=True)
        failures = [end for end in ends if isinstance(end, BaseException)]
        for failure in sorted(failures, key=lambda failure: not isinstance(failure, Unavailable)):
            raise failure

    async def _keep(self, offer: Offer) -> None:
        await self.intake.keep(
            offer.offered.statement,
            offer.raw,
            form=OrderForm.KAFKA,
            media_type=MEDIA_TYPE,
            link_id=offer.link_id,
            message_id=offer.message_id,
            said=offer.said,
        )


class _Header(BaseModel):
    """What stands around the statement."""

    model_config = ConfigDict(extra="ignore")

    type: Literal["OrderOffered.v1"]
    link_id: LinkId
    statement: dict[str, Any]
    message_id: MessageId | None = None


def _offer(value: Any, raw: bytes, place: str) -> Offer:
    if not isinstance(value, dict):
        raise NotAnOrder((Fault("", "A record's value is a JSON object."),))
    faults = unknown_fields(_Header, value)
    try:
        header = _Header.model_validate(value)
    except ValidationError as error:
        raise NotAnOrder((*faults, *faults_in(error))) from None
    if faults:
        raise NotAnOrder(faults)
    order = json_orders.read(header.statement, at="/statement")
    offered = OrderOffered(type=header.type, link_id=header.link_id, statement=order.statement)
    message_id = header.message_id or order.message_id or place
    return Offer(offered=offered, message_id=message_id, raw=raw, said=order.said)
