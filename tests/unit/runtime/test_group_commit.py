"""Group commit without a broker: order, grouping, bounds, and what a failure tells whom."""

import asyncio
from typing import Any

import pytest

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.group_commit import GroupCommit
from overread.runtime.publisher import MAX_RECORD_BYTES, Outgoing


class FakeBatch:
    """Holds so many records; the headers must be a list, as the real one asks."""

    def __init__(self, room: int) -> None:
        self.values: list[bytes] = []
        self._room = room

    def append(self, *, timestamp: None, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> object | None:
        assert isinstance(headers, list)
        if len(self.values) >= self._room:
            return None
        self.values.append(value)
        return self


class FakeSender:
    """Sends when told to; `failures` names what becomes of each batch, by its number."""

    def __init__(self, room: int = 100, failures: dict[int, OverreadError] | None = None) -> None:
        self.sent: list[tuple[int, list[bytes]]] = []
        self.go = asyncio.Semaphore(0)
        self._room = room
        self._failures = failures or {}

    async def partition_for(self, record: Outgoing) -> int:
        return record.key[0]

    def new_batch(self) -> FakeBatch:
        return FakeBatch(self._room)

    async def send_batch(self, batch: Any, topic: str, partition: int, records: int) -> None:
        number = len(self.sent)
        self.sent.append((partition, list(batch.values)))
        assert records == len(batch.values)
        await self.go.acquire()
        if number in self._failures:
            raise self._failures[number]


def a_record(value: str, key: bytes = b"\x01") -> Outgoing:
    return Outgoing("hl7.received", key, value.encode())


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_arrives_while_one_batch_is_on_its_way_leaves_together_in_order() -> None:
    """One flush for many: the order of arrival is the order on the topic."""
    sender = FakeSender()
    commit = GroupCommit(sender)

    first = await commit.enqueue(a_record("0"))
    await turns()
    others = [await commit.enqueue(a_record(str(number))) for number in range(1, 5)]
    sent_before = len(sender.sent)
    sender.go.release()
    await asyncio.wait_for(first, 1)
    await turns()
    are_waiting = not any(asyncio.ensure_future(other).done() for other in others)
    sender.go.release()
    await asyncio.wait_for(asyncio.gather(*others), 1)

    assert sent_before == 1
    assert are_waiting
    assert [values for _, values in sender.sent] == [[b"0"], [b"1", b"2", b"3", b"4"]]


async def test_a_failed_batch_fails_its_own_records_only() -> None:
    """Promise 1: no record is called kept because another one was."""
    sender = FakeSender(failures={0: Unavailable("the broker is away")})
    commit = GroupCommit(sender)

    lost = await commit.enqueue(a_record("0"))
    await turns()
    kept = await commit.enqueue(a_record("1"))
    sender.go.release()
    sender.go.release()
    results = await asyncio.wait_for(asyncio.gather(lost, kept, return_exceptions=True), 1)

    assert isinstance(results[0], Unavailable)
    assert results[1] is None


async def test_after_a_failure_the_line_goes_on() -> None:
    """A broker that comes back finds the next record sent, not a line that died."""
    sender = FakeSender(failures={0: Unavailable("the broker is away")})
    commit = GroupCommit(sender)
    sender.go.release()
    with pytest.raises(Unavailable):
        await asyncio.wait_for(await commit.enqueue(a_record("0")), 1)

    sender.go.release()
    await asyncio.wait_for(await commit.enqueue(a_record("1")), 1)

    assert len(sender.sent) == 2


async def test_a_full_batch_makes_senders_wait_in_their_order() -> None:
    """DESIGN, Failure: never buffers without bound; a record that finds no room waits for its turn."""
    sender = FakeSender(room=2)
    commit = GroupCommit(sender)
    await commit.enqueue(a_record("0"))
    await turns()

    waiting = [asyncio.create_task(_kept(commit, str(number))) for number in range(1, 8)]
    await turns()
    for _ in range(5):
        sender.go.release()
        await turns(10)
    await asyncio.wait_for(asyncio.gather(*waiting), 1)

    assert b"".join(b"".join(values) for _, values in sender.sent) == b"01234567"
    assert max(len(values) for _, values in sender.sent) == 2


async def _kept(commit: GroupCommit, value: str) -> None:
    await (await commit.enqueue(a_record(value)))


async def test_partitions_do_not_wait_for_each_other() -> None:
    """A link's order is its own."""
    sender = FakeSender()
    commit = GroupCommit(sender)

    await commit.enqueue(a_record("0", key=b"\x01"))
    await commit.enqueue(a_record("1", key=b"\x02"))
    await turns()

    assert sender.sent == [(1, [b"0"]), (2, [b"1"])]


async def test_a_record_larger_than_the_broker_takes_is_refused_alone() -> None:
    """One oversized record must not fail the batch that it would have been part of."""
    commit = GroupCommit(FakeSender())

    with pytest.raises(Malformed):
        await commit.enqueue(Outgoing("hl7.received", b"\x01", b"x" * (MAX_RECORD_BYTES + 1)))
