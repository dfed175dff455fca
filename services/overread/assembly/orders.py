"""From order messages to orders: what one message asks for, and which orders it is about. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple
from uuid import UUID

from overread.contracts.events.orders import Patient
from overread.contracts.identifiers import deterministic_id
from overread.protocols.hl7 import data_types
from overread.protocols.hl7.lengths import check_numbers
from overread.protocols.hl7.order import OrderRequest, read_orders
from overread.protocols.hl7.order_controls import CONTROLS, Effect, rank_in_one_second
from overread.protocols.hl7.tokenise import tokenise

Place = tuple[datetime, datetime, int]
"""Where a message stands among those about its order."""

CLOCKS_DIFFER = timedelta(seconds=5)
"""So much a sender's clock may be ahead of ours before the moment of arrival counts; enough for clocks that are kept."""


@dataclass(frozen=True, kw_only=True)
class NamedOrder:
    """An order that a message's number names; `suffix` tells it from others under the same number.

    `sender` is whose number it is, where that does not say so itself; `link_id` and `patient` are the order's as it reads.
    """

    order_id: UUID
    suffix: str
    accession_number: str | None
    study_instance_uid: str | None
    sender: str = ""
    link_id: str = ""
    patient: Patient | None = None


@dataclass(frozen=True, kw_only=True)
class Addressed:
    """An order that a message is about, and its suffix."""

    order_id: UUID
    suffix: str


class Number(NamedTuple):
    """A number of an order, the placer's or the filler's by `kind`; `sender` is whose, where it does not say so itself."""

    kind: str
    number: str
    sender: str


@dataclass(frozen=True, kw_only=True)
class OrderMessage:
    """One order as one message says it, and the numbers that name it.

    `suffix` tells apart the orders of a message that asks for several studies under one number. `link_id` is where it
    came in, and `sender` who sent it, by link, MSH-3 and MSH-4; empty in what was kept before that was noted. Where it
    `may_be_old`, being without a time and in a file that may be dropped again, it opens nothing that was cancelled.
    """

    request: OrderRequest
    is_synthetic: bool
    received_at: datetime
    suffix: str = ""
    link_id: str = ""
    sender: str = ""
    may_be_old: bool = False

    @property
    def numbers(self) -> tuple[Number, ...]:
        """Return the numbers that name the order, the placer's first."""
        said = (("placer", self.placer), ("filler", self.filler))
        return tuple(
            Number(kind, number, self.sender if number.endswith("^") else "") for kind, number in said if number
        )

    @property
    def placer(self) -> str:
        """Return ORC-2 with its namespace, empty when the message has none, or only that of its parent."""
        return "" if self.request.inherits_number else _number(self.request.placer_order_number)

    @property
    def filler(self) -> str:
        """Return ORC-3 with its namespace, empty when the message has none."""
        return _number(self.request.filler_order_number)

    @property
    def accession_numbers(self) -> frozenset[str]:
        """Return the accession number, if the message has one."""
        return frozenset({self.request.accession_number} - {None})  # type: ignore[arg-type]  # None is taken out

    @property
    def study_instance_uids(self) -> frozenset[str]:
        """Return the StudyInstanceUID, if the message has one."""
        return frozenset({self.request.study_instance_uid} - {None})  # type: ignore[arg-type]  # None is taken out

    @property
    def place(self) -> Place:
        """Return the message's place among those about its order: MSH-7, then ORC-9, each standing in for the other.

        Within one second a new order comes before a change, and a change before a cancellation. A message without
        any time counts from when it came, and so does one that says a time after that: the sender's clock is ahead.
        """
        said, sent = self.request.ordered_at, self.request.message_datetime
        moments = [moment.utc for moment in (sent or said, said or sent) if moment] or [self.received_at] * 2
        latest = self.received_at + CLOCKS_DIFFER
        return min(moments[0], latest), min(moments[1], latest), rank_in_one_second(self.request.order_control)

    def own_id(self, site_id: str) -> UUID:
        """Return the id of the order that the message makes when its numbers name none."""
        number = self.numbers[0]
        return deterministic_id("order", site_id, number.number + number.sender + self.suffix)


def read(
    raw: bytes,
    fallback_charset: str,
    time_zone: tzinfo,
    *,
    received_at: datetime,
    accession_places: tuple[str, ...] = (),
    link_id: str = "",
    sender: str = "",
) -> list[OrderMessage]:
    """Return the orders of a message, or raise `Malformed` with the first field without which it is none.

    What it cancels comes last, so that an order that replaces another is linked before that one ends.
    """
    message = tokenise(raw, fallback_charset or None)
    check_numbers(message)
    is_synthetic = message.header.processing_id in ("T", "D")
    requests = read_orders(message, time_zone=time_zone, accession_places=accession_places)
    told = [
        OrderMessage(
            request=request,
            is_synthetic=is_synthetic,
            received_at=received_at,
            suffix=suffix,
            link_id=link_id,
            sender=sender,
        )
        for request, suffix in zip(requests, _suffixes(requests), strict=True)
    ]
    return sorted(told, key=_cancels)


def _cancels(message: OrderMessage) -> bool:
    return CONTROLS[message.request.order_control].effect is Effect.CANCELS


def addressed(message: OrderMessage, known: Sequence[NamedOrder], site_id: str) -> tuple[Addressed, ...]:
    """Return the orders that `message` is about, out of those that its numbers name (the placer's first).

    A message that names no study, as a plain cancellation, is about every order under its number.
    """
    for order in known:
        if order.suffix == message.suffix:
            return (Addressed(order_id=order.order_id, suffix=order.suffix),)
    for order in known:
        if {order.accession_number, order.study_instance_uid} & (
            message.accession_numbers | message.study_instance_uids
        ):
            return (Addressed(order_id=order.order_id, suffix=order.suffix),)
    if known and not (message.accession_numbers or message.study_instance_uids):
        return tuple(dict.fromkeys(Addressed(order_id=order.order_id, suffix=order.suffix) for order in known))
    return (Addressed(order_id=message.own_id(site_id), suffix=message.suffix),)


def _number(identifier: data_types.EntityIdentifier | None) -> str:
    return f"{identifier.entity_identifier}^{identifier.namespace_id}" if identifier else ""


def _suffixes(requests: Sequence[OrderRequest]) -> list[str]:
    if len(requests) == 1:
        return [""]
    shared = Counter(_own_number(request) for request in requests)
    names = [request.accession_number or request.study_instance_uid for request in requests]
    return [
        f"#{name}" if name and shared[_own_number(request)] > 1 else ""
        for request, name in zip(requests, names, strict=True)
    ]


def _own_number(request: OrderRequest) -> data_types.EntityIdentifier | None:
    placer = None if request.inherits_number else request.placer_order_number
    return placer or request.filler_order_number
