"""The acknowledgement policy, decided once (DESIGN, Failure)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaConnectionError

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.topics import AUDIT_RECORDED
from overread.runtime.consume import Consumption, Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.inbox import Transaction
from tests.builders.events import a_recorded, an_event
from tests.fakes.units_of_work import FakeConsumer, FakeUnitsOfWork, a_record

Step = Callable[[Delivered], None]


class Ledger:
    """A handler whose effects can be counted; `on` may make a record fail."""

    def __init__(self, on: Step = lambda _: None) -> None:
        self.on = on
        self.calls: list[list[str]] = []
        self.effects: list[str] = []

    async def __call__(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Have one effect a record, all or none."""
        names = [delivered.event.data.object_id for delivered in batch]
        self.calls.append(names)
        for delivered in batch:
            self.on(delivered)
        self.effects += names


def numbered(*numbers: int, **headers: str) -> list["ConsumerRecord[bytes, bytes]"]:
    """Return one record a number; each event's own key is its number."""
    return [
        a_record(an_event(a_recorded(object_id=str(n)), own_key=str(n)), offset=n, headers=headers) for n in numbers
    ]


def failing_on(number: int, error: Exception, *, times: int = 1_000_000) -> Step:
    """Return a step that raises `error` at that record, so many times."""
    left = [times]

    def step(delivered: Delivered) -> None:
        if delivered.event.data.object_id == str(number) and left[0] > 0:
            left[0] -= 1
            raise error

    return step


def consumption(
    handler: Callable[[Sequence[Delivered], Transaction], Awaitable[None]], units: FakeUnitsOfWork | None = None
) -> tuple[Consumption, FakeUnitsOfWork, FakeConsumer]:
    """Return a consumption with its fakes."""
    units, consumer = units or FakeUnitsOfWork(), FakeConsumer()
    subject = Consumption(units, AUDIT_RECORDED, handler)
    any_consumer: Any = consumer
    subject.consumer_now = lambda: any_consumer
    return subject, units, consumer


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watch and the five tries run without waiting."""
    sleep = asyncio.sleep
    monkeypatch.setattr("overread.runtime.consume.asyncio.sleep", lambda _: sleep(0))


def reasons(units: FakeUnitsOfWork) -> list[tuple[str, str, str]]:
    """Return (kind, reason, attempts) of each dead letter."""
    headers = [dict(outgoing.headers) for outgoing in units.published if outgoing.topic == AUDIT_RECORDED.dead_name]
    return [(h["kind"].decode(), h["reason"].decode(), h["attempts"].decode()) for h in headers]


async def test_a_batch_is_one_transaction_and_is_committed_after_it() -> None:
    """The offset is committed after the effects, never before."""
    ledger = Ledger()
    subject, units, consumer = consumption(ledger)

    await subject.on_records(numbered(0, 1, 2))

    assert ledger.calls == [["0", "1", "2"]]
    assert (units.commits, consumer.committed_offsets) == (1, {0: 3})


async def test_a_repeat_has_one_effect() -> None:
    """Messages repeat; effects do not (promise 4): in one batch, across batches, and after a restart."""
    ledger = Ledger()
    subject, units, _ = consumption(ledger)

    await subject.on_records([*numbered(1), *numbered(1)])
    await subject.on_records(numbered(1))
    restarted, _, _ = consumption(ledger, units)
    await restarted.on_records(numbered(1))

    assert ledger.effects == ["1"]


async def test_malformed_bytes_are_set_aside_at_once_with_their_bytes_unchanged() -> None:
    """`Malformed` can never work; nothing vanishes."""
    subject, units, consumer = consumption(Ledger())

    await subject.on_records([a_record(b"\x00 no event", offset=7)])

    assert reasons(units) == [("Malformed", "not JSON", "1")]
    assert units.published[0].value == b"\x00 no event"
    assert consumer.committed_offsets == {0: 8}


async def test_undecodable_record_is_set_aside_once_however_often_it_is_polled() -> None:
    """Its place is its identity: dead letter and inbox row commit together."""
    subject, units, _ = consumption(Ledger())

    await subject.on_records([a_record(b"no event", offset=7)])
    await subject.on_records([a_record(b"no event", offset=7)])

    assert len(reasons(units)) == 1


async def test_whoever_set_a_record_aside_may_keep_that_it_did() -> None:
    """In the transaction of the dead letter, and once: its offset counts as read from then on."""
    units, kept = FakeUnitsOfWork(), list[SourceRecord]()

    async def keep(source: SourceRecord, tx: Transaction) -> None:
        assert [outgoing.topic for outgoing in tx.outgoing] == [AUDIT_RECORDED.dead_name]
        kept.append(source)

    subject = Consumption(units, AUDIT_RECORDED, Ledger(failing_on(1, Malformed("no order number"))), set_aside=keep)
    for _ in range(2):
        await subject.on_records([*numbered(0, 1, 2), a_record(b"no event", offset=7)])

    assert [source.offset for source in kept] == [1, 7]


async def test_a_handler_that_finds_it_malformed_is_not_asked_again() -> None:
    """Whoever recognises the fault, the answer is the same."""
    ledger = Ledger(failing_on(1, Malformed("no order number")))
    subject, units, consumer = consumption(ledger)

    await subject.on_records(numbered(0, 1, 2))

    assert reasons(units) == [("Malformed", "no order number", "1")]
    assert ledger.calls == [["0", "1", "2"], ["0"], ["1"], ["2"]]
    assert consumer.committed_offsets == {0: 3}


async def test_a_bad_record_does_not_take_its_batch_down() -> None:
    """The batch rolls back and runs record by record: the others have their effect once."""
    ledger = Ledger(failing_on(1, KeyError("a bug")))
    subject, units, consumer = consumption(ledger)

    await subject.on_records(numbered(0, 1, 2))

    assert ledger.effects == ["0", "2"]
    assert reasons(units) == [("Defect", "KeyError in governance", "5")]
    assert consumer.committed_offsets == {0: 3}


async def test_a_defect_is_tried_five_times() -> None:
    """A record that fails for any other reason five times is our bug, and the partition moves on."""
    ledger = Ledger(failing_on(0, ValueError("a bug")))
    subject, _, _ = consumption(ledger)

    await subject.on_records(numbered(0))

    assert ledger.calls == [["0"]] * 6  # once in the batch, then five times alone


async def test_a_passing_fault_leaves_no_dead_letter() -> None:
    """A deadlock or a lost race is gone at the next try."""
    ledger = Ledger(failing_on(1, RuntimeError("deadlock"), times=3))
    subject, units, _ = consumption(ledger)

    await subject.on_records(numbered(0, 1))

    assert sorted(ledger.effects) == ["0", "1"]
    assert reasons(units) == []


async def test_a_dead_letters_reason_never_repeats_what_the_error_says() -> None:
    """The text of a stranger's error may hold a patient's name."""
    ledger = Ledger(failing_on(0, ValueError("THỬ NGHIỆM^NGUYỄN")))
    subject, units, _ = consumption(ledger)

    await subject.on_records(numbered(0))

    assert not [value for outgoing in units.published for _, value in outgoing.headers if "NGHIỆM" in value.decode()]


async def test_away_is_rewound_paused_and_never_dead_lettered() -> None:
    """`Unavailable`: partitions pause, polling goes on, readiness is red, nothing is set aside."""
    subject, units, consumer = consumption(Ledger())
    units.is_away = True

    await subject.on_records([*numbered(4, 5), a_record(an_event(a_recorded(), own_key="x"), offset=9, partition=1)])

    assert consumer.sought == {0: 4, 1: 9}
    assert consumer.paused_partitions == consumer.assigned
    assert subject.why_it_waits() == "the database does not answer"
    assert (consumer.committed_offsets, reasons(units)) == ({}, [])
    subject._watch.cancel()  # type: ignore[union-attr]


async def test_consumption_resumes_when_the_dependencies_answer() -> None:
    """It goes on by itself, and every record then has its effect once."""
    ledger = Ledger()
    subject, units, consumer = consumption(ledger)
    units.is_away = True
    await subject.on_records(numbered(4, 5))

    units.is_away = False
    await asyncio.wait_for(subject._watch, 5)  # type: ignore[arg-type]
    await subject.on_records(numbered(4, 5))

    assert (consumer.paused_partitions, subject.why_it_waits()) == (set(), None)
    assert ledger.effects == ["4", "5"]


async def test_away_in_the_middle_repeats_no_effect() -> None:
    """What was committed record by record before the dependency went is recognised afterwards."""
    ledger = Ledger(failing_on(1, Unavailable("the object store does not answer"), times=2))
    subject, units, _ = consumption(ledger)
    await subject.on_records([*numbered(0), a_record(b"no event", offset=3), *numbered(1, 2)])
    assert ledger.effects == ["0"]

    for _ in range(2):
        await subject.on_records([*numbered(0), a_record(b"no event", offset=3), *numbered(1, 2)])

    assert ledger.effects == ["0", "1", "2"]
    assert len(reasons(units)) == 1


async def test_a_dead_letter_that_can_not_be_written_passes_no_record_over() -> None:
    """Not even a fault of the policy itself loses a record: it pauses, loudly, and tries again."""
    subject, units, consumer = consumption(Ledger())
    units.commit_fails = RuntimeError("the outbox is broken")

    await subject.on_records([a_record(b"no event", offset=7)])

    assert consumer.committed_offsets == {}
    assert consumer.sought == {0: 7}
    assert "RuntimeError" in str(subject.why_it_waits())
    subject._watch.cancel()  # type: ignore[union-attr]


def a_source(number: int, *, replay_attempt: int) -> SourceRecord:
    """Return record `number` as a dead letter gives it back."""
    [record] = numbered(number)
    assert record.value is not None
    return SourceRecord(
        topic=AUDIT_RECORDED.name,
        partition=0,
        offset=number,
        key=b"site",
        value=record.value,
        replay_attempt=replay_attempt,
    )


async def test_a_record_taken_again_has_its_effect_though_its_id_was_seen() -> None:
    """Replay keeps the id; `replay_attempt` makes it new, once; no offset moves."""
    ledger = Ledger()
    subject, _, consumer = consumption(ledger)
    await subject.on_records(numbered(3))

    for _ in range(2):
        await subject.take_again(a_source(3, replay_attempt=1), broker_milliseconds=7)

    assert ledger.effects == ["3", "3"]
    assert consumer.committed_offsets == {0: 4}


async def test_a_record_that_fails_again_is_set_aside_one_replay_further() -> None:
    """The second fall is a dead letter of its own, which says how often it was given back."""
    subject, units, _ = consumption(Ledger(failing_on(3, KeyError("a bug"))))

    await subject.take_again(a_source(3, replay_attempt=2), broker_milliseconds=7)

    [letter] = units.published
    assert dict(letter.headers)["replay_attempt"] == b"2"
    assert reasons(units)[0][0] == "Defect"


async def test_a_record_taken_again_while_a_dependency_is_away_is_asked_for_again() -> None:
    """`Unavailable` sets nothing aside: the request itself waits."""
    units = FakeUnitsOfWork()
    subject, _, _ = consumption(Ledger(), units)
    units.is_away = True

    with pytest.raises(Unavailable):
        await subject.take_again(a_source(3, replay_attempt=1), broker_milliseconds=7)

    assert units.published == []


@pytest.mark.parametrize("name", ["replay_attempt", "replay_for"])
async def test_a_strangers_header_makes_nothing_new(name: str) -> None:
    """Headers come from anybody: only a service's own dead letter counts replays."""
    ledger = Ledger()
    subject, _, _ = consumption(ledger)

    await subject.on_records(numbered(3))
    await subject.on_records(numbered(3, **{name: "1"}))

    assert ledger.effects == ["3"]


async def test_a_header_without_a_value_and_a_record_without_one_do_no_harm() -> None:
    """Kafka knows null headers and tombstones."""
    subject, units, consumer = consumption(Ledger())

    await subject.on_records([a_record(None, offset=0, headers={"note": None})])

    assert reasons(units) == [("Malformed", "not JSON", "1")]
    assert consumer.committed_offsets == {0: 1}


@pytest.mark.parametrize("error", [CommitFailedError(), IllegalStateError(), KafkaConnectionError()])
async def test_a_commit_that_fails_is_no_failure_of_the_records(error: Exception) -> None:
    """The effects are there; after a rebalance the next reader recognises the repeats."""
    ledger = Ledger()
    subject, _, consumer = consumption(ledger)
    consumer.commit = _raising(error)  # type: ignore[method-assign, assignment]

    await subject.on_records(numbered(0))

    assert ledger.effects == ["0"]
    assert subject.why_it_waits() is None


def _raising(error: Exception) -> Callable[..., Awaitable[None]]:
    async def commit(*_: object) -> None:
        raise error

    return commit


async def test_a_service_without_a_database_hands_on_every_record() -> None:
    """Stateless services publish deterministic ids; whoever reads those recognises the repeat."""
    ledger = Ledger()
    subject, _, _ = consumption(ledger, FakeUnitsOfWork(has_database=False))

    await subject.on_records(numbered(0, 1))
    await subject.on_records(numbered(1))

    assert ledger.effects == ["0", "1", "1"]


async def test_handler_is_told_when_and_where_the_broker_had_it() -> None:
    """Time is the broker's."""
    seen: list[Delivered] = []
    subject, _, _ = consumption(Ledger(seen.append))

    await subject.on_records(numbered(5))

    assert (seen[0].broker_milliseconds, seen[0].partition, seen[0].offset) == (1_795_348_800_000, 0, 5)
    assert isinstance(seen[0].event.id, UUID)


async def test_the_end_is_reached_when_all_that_the_broker_holds_has_had_its_effects() -> None:
    """The gate releases only when its projection has reached the end offset read at that moment."""
    subject, _, consumer = consumption(Ledger())
    consumer.ends = {0: 3, 1: 0}

    before = await subject.has_read_to_the_end([0, 1])
    await subject.on_records(numbered(0, 1, 2))

    assert (before, await subject.has_read_to_the_end([0, 1])) == (False, True)


async def test_a_consumption_that_has_not_started_has_read_nothing() -> None:
    """Otherwise the gate would open on an empty projection just after a restart."""
    subject = Consumption(FakeUnitsOfWork(), AUDIT_RECORDED, Ledger())

    assert not await subject.has_read_to_the_end([0])


async def test_the_end_counts_what_an_earlier_process_committed() -> None:
    """After a restart nothing needs to be read again."""
    subject, _, consumer = consumption(Ledger())
    consumer.ends, consumer.committed_offsets = {0: 3, 1: 0}, {0: 3}

    assert await subject.has_read_to_the_end([0])


async def test_while_paused_the_end_is_not_reached() -> None:
    """What was polled and rewound does not count as read."""
    subject, units, consumer = consumption(Ledger())
    consumer.ends, units.is_away = {0: 1, 1: 0}, True

    await subject.on_records(numbered(0))

    assert not await subject.has_read_to_the_end([0])
    subject._watch.cancel()  # type: ignore[union-attr]


async def test_partition_that_comes_back_is_asked_for_its_committed_offset() -> None:
    """After a rebalance another process may have read on, or less: what we once read there is no longer true."""
    subject, _, consumer = consumption(Ledger())
    consumer.ends = {0: 3, 1: 0}
    await subject.on_records(numbered(0, 1, 2))
    consumer.committed_offsets = {0: 1}

    await subject.on_partitions_assigned([TopicPartition(AUDIT_RECORDED.name, 0)])

    assert not await subject.has_read_to_the_end([0])


async def test_partition_lost_in_mid_batch_is_neither_committed_nor_counted_as_read() -> None:
    """Its new reader goes on from the offset it found; ours would jump over what it has not had."""
    subject, _, consumer = consumption(Ledger())
    consumer.ends = {0: 1, 1: 1}
    consumer.assigned = {TopicPartition(AUDIT_RECORDED.name, 1)}
    lost = numbered(0)
    kept = [a_record(an_event(a_recorded(object_id="kept"), own_key="kept"), offset=0, partition=1)]

    await subject.on_records([*lost, *kept])

    assert consumer.committed_offsets == {1: 1}
    assert await subject.has_read_to_the_end([1])
    assert not await subject.has_read_to_the_end([0])
