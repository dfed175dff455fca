"""Group commit without a broker: order, grouping, bounds, and what a failure tells whom."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.runtime.group_commit import MOST_EXPECTED, GroupCommit
from overread.runtime.publisher import MAX_RECORD_BYTES, OnSent, Outgoing


class FakeBatch:
    """Holds so many records; the headers must be a list, as the real one asks."""

    def __init__(self, room: int) -> None:
        self.values: list[bytes] = []
        self._room = room

    def append(
        self, offset: int, *, timestamp: None, key: bytes, value: bytes, headers: list[tuple[str, bytes]]
    ) -> object | None:
        assert isinstance(headers, list)
        assert offset == len(self.values)
        if len(self.values) >= self._room:
            return None
        self.values.append(value)
        return self


class FakeSender:
    """Answers a batch when told to; `failures` names what becomes of each batch, by its number."""

    def __init__(self, room: int = 100, failures: dict[int, OverreadError] | None = None) -> None:
        self.sent: list[tuple[int, list[bytes]]] = []
        self._room = room
        self._failures = failures or {}
        self._open: list[Callable[[], None]] = []
        self._allowed = 0

    def new_batch(self) -> FakeBatch:
        return FakeBatch(self._room)

    def send_batch(self, batch: Any, line: tuple[str, bytes], records: int, on_sent: OnSent) -> None:
        assert records == len(batch.values)
        failure = self._failures.get(len(self.sent))
        self.sent.append((line[1][0], list(batch.values)))
        self._open.append(lambda: on_sent(failure))
        self._answer()

    def release(self) -> None:
        """Answer one more batch, now or as soon as it is sent."""
        self._allowed += 1
        self._answer()

    def _answer(self) -> None:
        if self._open and self._allowed:
            self._allowed -= 1
            asyncio.get_running_loop().call_soon(self._open.pop(0))


def a_record(value: str, key: bytes = b"\x01") -> Outgoing:
    return Outgoing("hl7.received", key, value.encode())


def placed(commit: GroupCommit, record: Outgoing) -> "asyncio.Future[OverreadError | None]":
    """Enqueue, and return what the record is told in the end."""
    told: asyncio.Future[OverreadError | None] = asyncio.get_running_loop().create_future()
    commit.enqueue(record, told.set_result)
    return told


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_arrives_while_one_batch_is_on_its_way_leaves_together_in_order() -> None:
    """One flush for many: the order of arrival is the order on the topic."""
    sender = FakeSender()
    commit = GroupCommit(sender)

    first = placed(commit, a_record("0"))
    await turns()
    others = [placed(commit, a_record(str(number))) for number in range(1, 5)]
    sent_before = len(sender.sent)
    sender.release()
    await asyncio.wait_for(first, 1)
    await turns()
    are_waiting = not any(other.done() for other in others)
    sender.release()
    await asyncio.wait_for(asyncio.gather(*others), 1)

    assert sent_before == 1
    assert are_waiting
    assert [values for _, values in sender.sent] == [[b"0"], [b"1", b"2", b"3", b"4"]]


async def test_a_batch_waits_for_the_senders_that_were_just_answered() -> None:
    """Who waits for its answer sends again at once: the next flush is shared with it, not taken in turns."""
    sender = FakeSender()
    commit = GroupCommit(sender)
    first = placed(commit, a_record("0"))
    others = [placed(commit, a_record(str(number))) for number in (1, 2)]
    sender.release()
    await asyncio.wait_for(first, 1)
    sent_early = len(sender.sent)

    placed(commit, a_record("0 again"))

    assert sent_early == 1
    assert [values for _, values in sender.sent] == [[b"0"], [b"1", b"2", b"0 again"]]
    assert not any(other.done() for other in others)


async def test_a_batch_waits_a_moment_and_no_longer() -> None:
    """A sender that has nothing more to say holds nobody up."""
    sender = FakeSender()
    commit = GroupCommit(sender)
    waiting = [placed(commit, a_record(str(number))) for number in range(3)]

    sender.release()
    sender.release()

    assert await asyncio.wait_for(asyncio.gather(*waiting), 1) == [None] * 3
    assert [values for _, values in sender.sent] == [[b"0"], [b"1", b"2"]]


async def test_a_batch_of_many_waits_for_nobody() -> None:
    """With enough to share the flush the broker is not left idle."""
    sender = FakeSender()
    commit = GroupCommit(sender)
    first = placed(commit, a_record("first"))
    for number in range(MOST_EXPECTED):
        placed(commit, a_record(str(number)))

    sender.release()
    await asyncio.wait_for(first, 1)

    assert [len(values) for _, values in sender.sent] == [1, MOST_EXPECTED]


async def test_a_record_that_no_batch_takes_is_answered_and_the_line_goes_on() -> None:
    """A bug of ours: its sender hears that it was not kept, and sends again; nobody waits for ever."""
    faults = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    sender = FakeSender()
    commit = GroupCommit(sender)
    wrong: Any = Outgoing("hl7.received", b"\x01", b"0", headers=((1,),))  # type: ignore[arg-type]
    sender.new_batch = lambda: _BatchThatFails(100)  # type: ignore[method-assign]

    lost = await asyncio.wait_for(placed(commit, wrong), 1)
    sender.new_batch = lambda: FakeBatch(100)  # type: ignore[method-assign]
    sender.release()
    kept = await asyncio.wait_for(placed(commit, a_record("1")), 1)

    assert (type(lost), kept, [type(fault) for fault in faults]) == (Unavailable, None, [TypeError])


class _BatchThatFails(FakeBatch):
    """Cannot write what it is given."""

    def append(self, *_: object, **__: object) -> object | None:
        raise TypeError("a header that is none")


async def test_a_failed_batch_fails_its_own_records_only() -> None:
    """Promise 1: no record is called kept because another one was."""
    sender = FakeSender(failures={0: Unavailable("the broker is away")})
    commit = GroupCommit(sender)

    lost = placed(commit, a_record("0"))
    await turns()
    kept = placed(commit, a_record("1"))
    sender.release()
    sender.release()
    results = await asyncio.wait_for(asyncio.gather(lost, kept), 1)

    assert isinstance(results[0], Unavailable)
    assert results[1] is None


async def test_after_a_failure_the_line_goes_on() -> None:
    """A broker that comes back finds the next record sent, not a line that died."""
    sender = FakeSender(failures={0: Unavailable("the broker is away")})
    commit = GroupCommit(sender)
    sender.release()
    lost = await asyncio.wait_for(placed(commit, a_record("0")), 1)

    sender.release()
    kept = await asyncio.wait_for(placed(commit, a_record("1")), 1)

    assert (type(lost), kept) == (Unavailable, None)
    assert len(sender.sent) == 2


async def test_records_that_find_no_room_in_a_batch_leave_in_the_next_in_their_order() -> None:
    """A full batch takes nothing away from the order of arrival."""
    sender = FakeSender(room=2)
    commit = GroupCommit(sender)

    waiting = [placed(commit, a_record(str(number))) for number in range(8)]
    for _ in range(5):
        sender.release()
    told = await asyncio.wait_for(asyncio.gather(*waiting), 1)

    assert [values for _, values in sender.sent] == [[b"0"], [b"1", b"2"], [b"3", b"4"], [b"5", b"6"], [b"7"]]
    assert told == [None] * 8


async def test_what_waits_is_bounded_and_the_rest_is_refused() -> None:
    """DESIGN, Failure: never buffers without bound; once the broker has answered there is room again."""
    sender = FakeSender()
    commit = GroupCommit(sender, most_waiting_bytes=12)
    first, second = placed(commit, a_record("12345")), placed(commit, a_record("12345"))

    with pytest.raises(Unavailable, match="waiting"):
        commit.enqueue(a_record("1"), lambda _: None)
    sender.release()
    sender.release()
    await asyncio.wait_for(asyncio.gather(first, second), 1)
    sender.release()

    assert await asyncio.wait_for(placed(commit, a_record("1")), 1) is None


async def test_one_who_fails_when_told_harms_nobody_else() -> None:
    """A bug met by one record must not leave the others without an answer, or the line without a task."""
    sender, faults = FakeSender(), list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    commit = GroupCommit(sender)
    placed(commit, a_record("first"))
    commit.enqueue(a_record("0"), _fail)
    other = placed(commit, a_record("1"))

    sender.release()
    sender.release()

    assert await asyncio.wait_for(other, 1) is None
    assert [type(fault) for fault in faults] == [RuntimeError]


def _fail(_failure: OverreadError | None) -> None:
    raise RuntimeError("a bug")


async def test_partitions_do_not_wait_for_each_other() -> None:
    """A link's order is its own."""
    sender = FakeSender()
    commit = GroupCommit(sender)

    placed(commit, a_record("0", key=b"\x01"))
    placed(commit, a_record("1", key=b"\x02"))
    await turns()

    assert sender.sent == [(1, [b"0"]), (2, [b"1"])]


async def test_a_record_larger_than_the_broker_takes_is_refused_alone() -> None:
    """One oversized record must not fail the batch that it would have been part of."""
    commit = GroupCommit(FakeSender())

    with pytest.raises(Malformed):
        commit.enqueue(Outgoing("hl7.received", b"\x01", b"x" * (MAX_RECORD_BYTES + 1)), lambda _: None)
