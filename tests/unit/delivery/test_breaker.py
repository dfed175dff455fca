"""A destination that fails again and again is left alone, and disturbs no other; one success closes its breaker."""

import asyncio
from itertools import product

import pytest

from overread.contracts.errors import Unavailable
from overread.delivery.breaker import TRANSITIONS, Breaker, BreakerState, Happening
from overread.delivery.sending import Answer, Sender, Taken
from overread.delivery.store import OutboundRow
from overread.runtime.telemetry import DESTINATION_BREAKER
from tests.builders.delivery import HASTE, Rows, an_outbound_row
from tests.builders.events import NOON


class Receiver:
    """A destination that is away for its first `away` connections, and then takes everything."""

    def __init__(self, name: str = "emr", away: float = 0) -> None:
        self.destination = name
        self.away = away
        self.knocks = 0
        self.got: list[str] = []

    async def connect(self) -> None:
        self.knocks += 1
        if self.knocks <= self.away:
            raise Unavailable("no connection: ConnectionRefusedError")

    async def exchange(self, row: OutboundRow) -> Answer:
        self.got.append(row.message_control_id)
        return Taken()

    async def idle(self) -> None:
        """Hold nothing."""

    async def close(self) -> None:
        """Leave."""


def test_the_table_of_states_is_full() -> None:
    """REQ-OUT-18: a missing row would be an error in the night."""
    assert set(TRANSITIONS) == set(product(BreakerState, Happening))


def test_it_opens_after_failures_in_a_row_and_closes_at_the_first_answer() -> None:
    """REQ-OUT-18: what came between two failures begins the count anew."""
    breaker = Breaker(failures_to_open=3).failed("away", NOON).failed("away", NOON).answered(NOON)

    counted = breaker.failed("away", NOON).failed("away", NOON)
    opened = counted.failed("no acknowledgment", NOON)

    assert (counted.state, opened.state, opened.reason) == (
        BreakerState.CLOSED,
        BreakerState.OPEN,
        "no acknowledgment",
    )
    assert opened.probing(NOON).state is BreakerState.HALF_OPEN
    assert opened.probing(NOON).failed("away", NOON).state is BreakerState.OPEN
    closed = opened.probing(NOON).answered(NOON)
    assert (closed.state, closed.failures) == (BreakerState.CLOSED, 0)


async def run_until(done: asyncio.Event, *senders: Sender) -> None:
    """Run senders until `done`."""
    running = [asyncio.create_task(sender.run()) for sender in senders]
    try:
        await asyncio.wait_for(done.wait(), timeout=5)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_operators_see_it_open_probe_and_close() -> None:
    """REQ-OUT-18: said once for each change, to the metric and to who keeps it; the message leaves in the end."""
    rows, receiver, seen = Rows(an_outbound_row()), Receiver(away=4), list[BreakerState]()

    async def keep(breaker: Breaker) -> None:
        seen.append(breaker.state)

    breaker = Breaker(failures_to_open=3, probe_seconds=0.01)
    await run_until(rows.done, Sender(receiver, rows, HASTE, jitter=lambda: 1.0, breaker=breaker, keep=keep))

    closed, open_, half_open = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
    assert seen == [closed, open_, half_open, open_, half_open, closed]
    assert DESTINATION_BREAKER.labels("emr")._value.get() == 0
    assert receiver.got == ["TEST-1"]


async def test_an_open_destination_is_asked_once_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-OUT-18: between two probes nothing knocks, whatever waits and whoever wakes the sender."""
    rows, receiver, pauses = Rows(*map(an_outbound_row, range(1, 6))), Receiver(away=6), list[float]()
    sender = Sender(receiver, rows, HASTE, jitter=lambda: 1.0, breaker=Breaker(failures_to_open=2, probe_seconds=77.0))
    sleep = asyncio.sleep

    async def asleep(seconds: float) -> None:
        pauses.append(seconds)
        sender.wake()
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", asleep)
    await run_until(rows.done, sender)

    assert pauses == [0.01, *[77.0] * 5]
    assert receiver.knocks == 6 + 5


async def test_one_dead_destination_of_sixteen_leaves_the_others_their_pace() -> None:
    """REQ-OUT-18: each has its own sender, breaker and pause; fifteen send all they have while one is left alone."""
    dead, alive = Receiver("dead", away=float("inf")), [Receiver(f"emr-{number}") for number in range(15)]
    outboxes = [Rows(*map(an_outbound_row, range(1, 21))) for _ in alive]
    waiting = Rows(*map(an_outbound_row, range(1, 21)))
    everybody = [(dead, waiting), *zip(alive, outboxes, strict=True)]
    breaker = Breaker(failures_to_open=1, probe_seconds=3600.0)
    senders = [Sender(to, rows, HASTE, jitter=lambda: 1.0, breaker=breaker) for to, rows in everybody]
    all_done = asyncio.Event()

    async def others() -> None:
        for rows in outboxes:
            await rows.done.wait()
        all_done.set()

    watching = asyncio.create_task(others())
    await run_until(all_done, *senders)
    await watching

    assert [len(receiver.got) for receiver in alive] == [20] * 15
    assert (dead.knocks, len(waiting.waiting)) == (1, 20)
