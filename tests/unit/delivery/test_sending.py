"""The sender of one destination, whatever its kind: what it does with a row that can't leave, or must not any more."""

import asyncio
from collections.abc import Callable

from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.sending import Answer, Sender, Taken
from overread.delivery.store import OutboundRow, Why
from tests.builders.delivery import HASTE, Rows, an_outbound_row


class Receiver:
    """A destination that takes everything; `on_connect` is what happens while the connection is made."""

    destination = "emr"

    def __init__(self, on_connect: Callable[[], None] = lambda: None) -> None:
        self._on_connect = on_connect
        self.got: list[str] = []

    async def connect(self) -> None:
        self._on_connect()

    async def exchange(self, row: OutboundRow) -> Answer:
        self.got.append(row.message_control_id)
        return Taken()

    async def idle(self) -> None:
        """Hold nothing."""

    async def close(self) -> None:
        """Leave."""


async def send_all(receiver: Receiver, rows: Rows) -> None:
    """Run a sender until every row has ended."""
    running = asyncio.create_task(Sender(receiver, rows, HASTE, jitter=lambda: 1.0).run())
    try:
        await asyncio.wait_for(rows.done.wait(), timeout=5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_message_that_another_process_ended_does_not_leave() -> None:
    """Who had the right to send in between may have sent a later one since: an F never follows its C."""
    final, correction = an_outbound_row(1), an_outbound_row(2)
    rows = Rows(final, correction)

    def the_other_process() -> None:
        if final in rows.waiting:
            rows.waiting.remove(final)
            rows.ended.append(("TEST-1", DeliveryOutcome.ACKNOWLEDGED, Why().reason))

    receiver = Receiver(the_other_process)
    await send_all(receiver, rows)

    assert receiver.got == ["TEST-2"]


async def test_a_message_whose_bytes_can_not_be_read_lets_the_others_pass() -> None:
    """The object store is away for one large message; the destination is not, and neither is the database."""
    rows, receiver = Rows(an_outbound_row(1), an_outbound_row(2)), Receiver()
    rows.not_at_hand = ["TEST-1"]

    await send_all(receiver, rows)

    assert receiver.got == ["TEST-2", "TEST-1"]
    assert rows.postponed == ["the disk is at its watermark"]
