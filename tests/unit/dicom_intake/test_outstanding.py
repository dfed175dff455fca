"""Events on their way to a broker that may be away."""

import asyncio
from collections.abc import Sequence

from overread.contracts.errors import Unavailable
from overread.dicom_intake.outstanding import OutstandingEvents


class Broker:
    """Fails as often as it is told, then remembers."""

    def __init__(self, *, failures: int = 0) -> None:
        self.failures = failures
        self.received: list[int] = []

    async def publish(self, events: Sequence[int]) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("the event broker does not answer")
        self.received.extend(events)


async def published(outstanding: OutstandingEvents[int]) -> None:
    task = asyncio.create_task(outstanding.run())
    await asyncio.wait_for(outstanding.flushed(), 5)
    task.cancel()


async def test_events_go_out_in_order_whatever_the_broker_does() -> None:
    """A broker that is away delays, it never loses or reorders."""
    broker = Broker(failures=3)
    outstanding = OutstandingEvents(broker.publish, bound=2_000, retry_seconds=0)
    for number in range(1_200):
        outstanding.put(number)

    await published(outstanding)

    assert broker.received == list(range(1_200))


async def test_room_ends_at_the_bound_and_comes_back() -> None:
    """Beyond the bound new instances are refused; once published there is room again."""
    broker = Broker()
    outstanding = OutstandingEvents(broker.publish, bound=2)
    outstanding.put(1)
    rooms = [outstanding.has_room]
    outstanding.put(2)
    rooms.append(outstanding.has_room)

    await published(outstanding)

    assert [*rooms, outstanding.has_room] == [True, False, True]
