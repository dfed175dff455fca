"""Who is told to end does end, at whatever moment: a sender that went on would hold the dispatch up for ever."""

import asyncio
from typing import Any

import pytest

from overread.delivery.sending import Patience, Sender


class NothingToSend:
    """An outbox without a row, and the way to a destination that is not needed."""

    destination = "emr"

    async def next_row(self) -> None:
        """Return None: there is no message."""

    async def idle(self) -> None:
        """Hold nothing."""

    async def close(self) -> None:
        """Leave."""


@pytest.mark.parametrize("turns", range(5))
async def test_sender_that_is_cancelled_while_it_is_woken_ends(turns: int) -> None:
    """PostgreSQL comes back, word of new rows wakes the sender, and its group is ended: all in one moment."""
    nothing: Any = NothingToSend()
    patience = Patience(
        connect_seconds=1,
        acknowledgment_seconds=1,
        first_retry_seconds=1,
        longest_retry_seconds=1,
        longest_refusal_seconds=1,
        idle_seconds=60,
    )
    sender = Sender(nothing, nothing, patience, jitter=lambda: 0.0)
    running = asyncio.create_task(sender.run())
    for _ in range(5):
        await asyncio.sleep(0)

    sender.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()

    done, _ = await asyncio.wait([running], timeout=5)
    running.cancel()
    assert running in done
    assert running.cancelled()
