"""What only real servers can show: crashes, outages, order, and the end of a partition."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.topics import AUDIT_RECORDED
from overread.embedded.stack_thread import StackThread
from overread.runtime.consume import Delivered
from overread.runtime.database import MigrationChangedError, migrate, open_pool
from overread.runtime.dead_letters import letter_at, letters, record_at
from overread.runtime.outbox import OutboxRelay
from overread.runtime.publisher import KafkaPublisher, Outgoing
from overread.runtime.service import Service
from tests.fakes.brokers import SERVICE, RealBench, an_act, ended, has_effects, settings_of, until

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PARTITION_OF_SITE = 24


@pytest.fixture
async def bench(stack: StackThread) -> AsyncIterator[RealBench]:
    """Yield a running service on real servers."""
    async with RealBench(stack.endpoints).running() as running:
        yield running


@contextmanager
def a_process(stack: StackThread, run: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the service in a process of its own."""
    command = [sys.executable, "-m", "tests.fakes.service_process", str(stack.endpoints.data.root), run]
    with (stack.endpoints.data.logs / f"{run}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


async def test_order_within_a_key_survives_pause_and_rewind(bench: RealBench) -> None:
    """Seek and pause drop what was fetched ahead: afterwards every record comes once, in its order."""
    names = [f"{number:03}" for number in range(300)]
    refusals = iter(range(3))

    def away_at_some(delivered: Delivered) -> None:
        if delivered.event.data.object_id in {"050", "051", "210"} and next(refusals, None) is not None:
            raise Unavailable("a dependency of the handler is away")

    bench.on = away_at_some
    for name in names:
        await bench.send(an_act(bench, name))

    assert await has_effects(bench, names[-1]) == names
    assert await bench.dead_letters() == []


async def test_the_end_of_a_partition_is_known_before_and_after_reading_it(bench: RealBench) -> None:
    """The gate asks for the end offset at that moment."""
    partitions = list(range(PARTITION_OF_SITE))
    service = bench.service
    await until(lambda: service.has_read_to_the_end(AUDIT_RECORDED, partitions))
    await bench.go_away()
    await bench.send(an_act(bench, "a"))
    assert not await service.has_read_to_the_end(AUDIT_RECORDED, partitions)

    await bench.come_back()

    assert await until(lambda: service.has_read_to_the_end(AUDIT_RECORDED, partitions))
    assert await bench.effects() == ["a"]


async def test_a_killed_service_goes_on_at_once_and_repeats_no_effect(stack: StackThread, bench: RealBench) -> None:
    """kill -9 loses and doubles nothing; static membership spares the ten seconds of a session's timeout."""
    names = [f"{number:04}" for number in range(400)]
    await bench.service.broker.stop()  # the processes below take its place in the group
    with a_process(stack, bench.run) as first:
        await bench.send(an_act(bench, "warm"))
        await has_effects(bench, "warm")
        for name in names[:200]:
            await bench.send(an_act(bench, name))
        first.kill()
    for name in names[200:]:
        await bench.send(an_act(bench, name))

    with a_process(stack, bench.run) as second:
        found = await has_effects(bench, *names)
        second.send_signal(signal.SIGTERM)
        exit_code = await asyncio.to_thread(second.wait, 15)

    assert found == ["warm", *names]
    assert exit_code == 0


async def test_a_database_that_dies_is_waited_for(stack: StackThread, bench: RealBench) -> None:
    """A real outage: nothing is set aside, readiness names it, and every effect happens once."""
    await bench.send(an_act(bench, "before"))
    await has_effects(bench, "before")

    await asyncio.to_thread(stack.kill, "postgres")
    for name in ("a", "b", "c"):
        await bench.send(an_act(bench, name))
    await asyncio.to_thread(stack.wait_ready, "postgres")

    assert await has_effects(bench, "a", "b", "c") == ["before", "a", "b", "c"]
    assert await bench.dead_letters() == []


async def test_a_broker_that_dies_is_waited_for(stack: StackThread, bench: RealBench) -> None:
    """Consumers, publisher and relay find their broker again by themselves."""
    await bench.send(an_act(bench, "before"))
    await has_effects(bench, "before")

    await asyncio.to_thread(stack.kill, "kafka")
    assert "kafka" in await bench.service.health.dependencies_failing()
    await asyncio.to_thread(stack.wait_ready, "kafka")
    await bench.send(an_act(bench, "question", action="ask"))

    assert await has_effects(bench, "question", "answer to question") == ["before", "question", "answer to question"]


async def test_without_the_right_to_a_topic_publishing_is_refused(stack: StackThread) -> None:
    """The third guard of the signature: only `review` may write signed reports (broker ACL)."""
    publisher = KafkaPublisher(settings_of(stack.endpoints))
    await publisher.start()

    try:
        with pytest.raises(Unavailable, match="TopicAuthorizationFailed"):
            await publisher.publish([Outgoing("reports.signed", b"k", b"v")])
    finally:
        await publisher.stop()


async def test_service_waits_for_a_broker_that_is_not_there_yet(stack: StackThread) -> None:
    """Services and servers start in any order."""
    settings = settings_of(stack.endpoints).model_copy(update={"kafka_bootstrap": "127.0.0.1:1"})
    service = Service(SERVICE, settings, owns="overread.runtime")

    async with AsyncExitStack() as undo:
        starting = asyncio.create_task(service.start(undo))
        await asyncio.sleep(1.5)
        assert not starting.done()
        await ended(starting)


async def test_a_migration_that_was_edited_is_refused(stack: StackThread) -> None:
    """What was applied stands: ship a new migration."""
    pool = await open_pool(stack.endpoints.dsn("assembly"))
    try:
        await migrate(pool, [("9001_tests.sql", "CREATE TABLE IF NOT EXISTS tests (a int)")])
        await migrate(pool, [("9001_tests.sql", "CREATE TABLE IF NOT EXISTS tests (a int)")])

        with pytest.raises(MigrationChangedError, match=r"9001_tests\.sql"):
            await migrate(pool, [("9001_tests.sql", "CREATE TABLE IF NOT EXISTS tests (b int)")])
    finally:
        await pool.close()


async def test_migrations_of_two_processes_wait_for_each_other(stack: StackThread) -> None:
    """Two processes of one service may start at once; each migration is applied once, whole or not at all."""
    first, second = [await open_pool(stack.endpoints.dsn("inference_worker")) for _ in range(2)]
    slow = [("9002_tests.sql", "SELECT pg_sleep(0.3); CREATE TABLE tests (a int)")]
    try:
        await asyncio.gather(migrate(first, slow), migrate(second, slow))
        with pytest.raises(Exception, match="does not exist"):
            await migrate(first, [*slow, ("9003_tests.sql", "CREATE TABLE half (a int); SELECT * FROM nothing")])

        assert await first.fetchval("SELECT to_regclass('half')") is None
        assert await first.fetchval("SELECT count(*) FROM schema_migrations WHERE name = '9002_tests.sql'") == 1
    finally:
        await first.close()
        await second.close()


class Recording:
    """A publisher that may be away, and remembers."""

    def __init__(self) -> None:
        self.published: list[bytes] = []
        self.is_away = False
        self.crashes_after = False

    async def start(self) -> None:
        """Connect."""

    async def stop(self) -> None:
        """Disconnect."""

    async def ping(self) -> None:
        """Answer."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Keep the values, or refuse; or keep them and fail before the acknowledgement is seen."""
        if self.is_away:
            raise Unavailable("the event broker does not answer")
        self.published += [record.value for record in records]
        if self.crashes_after:
            self.crashes_after = False
            raise RuntimeError("a bug after the broker had it")


async def test_two_relays_send_each_row_once_in_order_and_wait_out_an_outage(stack: StackThread) -> None:
    """One relay a schema: the second takes over when the first is gone; a crash repeats, never skips or reorders."""
    pool = await open_pool(stack.endpoints.dsn("review"))
    await migrate(pool, [])
    await pool.execute("DELETE FROM outbox")
    first, second = Recording(), Recording()
    leading = asyncio.create_task(OutboxRelay(pool, first).run())
    await _written(pool, b"0", b"1")
    await until(lambda: first.published == [b"0", b"1"])
    first.is_away = True
    await _written(pool, b"2")
    await asyncio.sleep(0.3)
    first.is_away, first.crashes_after = False, True
    await until(lambda: first.published == [b"0", b"1", b"2", b"2"])
    await until(lambda: pool.fetchval("SELECT count(*) = 0 FROM outbox"))
    waiting = asyncio.create_task(OutboxRelay(pool, second).run())

    try:
        await ended(leading)
        await _written(pool, b"3")
        await until(lambda: second.published == [b"3"])
    finally:
        await ended(waiting)
        await ended(leading)
        await pool.close()


class TooSmall(Recording):
    """A publisher whose broker never takes some records."""

    async def publish(self, records: Sequence[Outgoing]) -> None:
        """Keep what comes before the first that is too large, and refuse."""
        for record in records:
            if b"large" in record.value:
                raise Malformed("the record is larger than the broker takes")
            self.published.append(record.value)


async def test_a_row_that_the_broker_never_takes_holds_no_other_back(stack: StackThread) -> None:
    """It stays, marked with the reason; all the others leave, in order."""
    pool = await open_pool(stack.endpoints.dsn("delivery"))
    await migrate(pool, [])
    await pool.execute("DELETE FROM outbox")
    publisher = TooSmall()
    await _written(pool, b"0", b"1", b"large 2", b"3", b"large 4", b"5")
    relay = asyncio.create_task(OutboxRelay(pool, publisher).run())

    try:
        await until(lambda: b"5" in publisher.published)
        await until(lambda: pool.fetchval("SELECT count(*) = 2 FROM outbox"))

        kept = await pool.fetch("SELECT value, refused_because FROM outbox ORDER BY id")
        assert list(dict.fromkeys(publisher.published)) == [b"0", b"1", b"3", b"5"]
        assert [row["value"] for row in kept] == [b"large 2", b"large 4"]
        assert {row["refused_because"] for row in kept} == {"the record is larger than the broker takes"}
    finally:
        await ended(relay)
        await pool.execute("DELETE FROM outbox")
        await pool.close()


async def test_database_that_dies_while_it_is_migrated_is_waited_for(
    stack: StackThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start is no different from any other moment: what is away is waited for."""
    tries: list[int] = []

    async def dies_once(*given: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable("the database does not answer")
        await migrate(*given)

    monkeypatch.setattr("overread.runtime.service.migrate", dies_once)
    async with RealBench(stack.endpoints).running():
        assert len(tries) == 2


async def test_dead_letter_is_read_from_exactly_its_place(stack: StackThread) -> None:
    """A replay costs one record, however many were set aside; a place that holds none is no letter."""
    dead = AUDIT_RECORDED.dead_name
    as_service, as_ops = settings_of(stack.endpoints), settings_of(stack.endpoints, user="ops")
    publisher = KafkaPublisher(as_service)
    await publisher.start()
    await publisher.publish([Outgoing(dead, b"site", value, (("kind", b"Malformed"),)) for value in (b"one", b"two")])
    await publisher.stop()
    newest = [letter async for letter in letters(as_ops, [dead])][-1]

    found = await letter_at(as_ops, dead, 0, newest.record.offset)

    assert (newest.record.value, newest.kind) == (b"two", "Malformed")
    assert found == newest
    assert await letter_at(as_ops, dead, 0, newest.record.offset + 1) is None
    assert await letter_at(as_ops, dead, 7, 0) is None
    assert await record_at(as_ops, dead, 0, newest.record.offset) == newest.record
    assert await record_at(as_ops, dead, 0, newest.record.offset + 1) is None


async def _written(pool: object, *values: bytes) -> None:
    for value in values:
        await pool.execute(  # type: ignore[attr-defined]
            "INSERT INTO outbox (topic, key, value, headers) VALUES ('audit.recorded', 'k', $1, '[]')", value
        )


async def test_an_event_reaches_the_broker_within_a_fraction_of_a_second_of_its_commit(bench: RealBench) -> None:
    """The relay is woken by NOTIFY, not by its idle poll."""
    await bench.send(an_act(bench, "warm", action="ask"))
    await has_effects(bench, "answer to warm")

    began = time.monotonic()
    await bench.send(an_act(bench, "question", action="ask"))
    await has_effects(bench, "answer to question")

    assert time.monotonic() - began < 0.9
