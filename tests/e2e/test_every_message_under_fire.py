"""Every kind of HL7 message while listener, broker, database and assembly are killed: acknowledged is applied, once.

Orders through their life, patients with merges, results of LIS and RIS, appointments: senders write down what was
acknowledged to them, send the rest again, and what became of it is counted in assembly's tables. Two rounds here;
`OVERREAD_FIRE_ROUNDS=10` asks for ten.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Event, Lock

import asyncpg
import pytest

from overread.embedded.profile import MLLP_PORT
from overread.embedded.stack_thread import StackThread
from tests.benchmarks.bench_mllp_memory import hl7_stack
from tests.benchmarks.mixed_messages import KINDS, a_message
from tests.e2e.hospital import FIRST_OFFSET, free_offset
from tests.fakes.peers import send_hl7_until_kept, wait_until

SEED = 20261126
ROUNDS = int(os.environ.get("OVERREAD_FIRE_ROUNDS", "2"))
VICTIMS = ("hl7_intake", "kafka", "postgres", "assembly")
SENDERS, PAUSE_SECONDS = 8, 0.05
CALM_SECONDS = (1.0, 3.0)
"""How long each round is left in peace, so that much is in mid-flow when it begins."""
BACK_SECONDS, KEPT_SECONDS, APPLIED_SECONDS = 120.0, 180.0, 240.0

pytestmark = [pytest.mark.stack, pytest.mark.timeout(420 + 90 * ROUNDS)]

APPLIED = {
    "orders": "SELECT message -> 'request' ->> 'message_control_id' FROM order_messages",
    "patients": "SELECT statement ->> 'message_control_id' FROM patient_statements",
}
"""Where each message is kept once, under its control ID."""
KEPT_BY_NAME = {
    "ORU^R01 LIS": ("SELECT DISTINCT report_key FROM observations", "L{exam:08d}^"),
    "ORU^R01 RIS": ("SELECT DISTINCT report_key FROM observations", "R{exam:08d}^RIS"),
    "SIU^S12": ("SELECT appointment_key FROM appointments", "APP{exam:08d}^SCHED"),
}
"""What is kept by the name that the message gives it."""
ENDS = "SELECT message_control_id, outcome FROM messages"
"""How each message ended, as an operator finds it: used or set aside."""


class Senders:
    """Send message after message, each until it is acknowledged, and write down which were."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._next = iter(range(10**8))
        self._lock = Lock()
        self.over = Event()
        self.acknowledged: list[int] = []
        self.repeats = 0

    def send(self) -> None:
        """Send until it is over; what was begun is seen through."""
        while not self.over.wait(PAUSE_SECONDS):
            with self._lock:
                number = next(self._next)
            tries = send_hl7_until_kept(self._port, a_message(number, "FIRE")[1], seconds=KEPT_SECONDS)
            with self._lock:
                self.acknowledged.append(number)
                self.repeats += tries - 1


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[StackThread]:
    """Yield a stack whose processes the test kills."""
    with hl7_stack(tmp_path, free_offset(FIRST_OFFSET)) as running:
        yield running


def test_every_acknowledged_message_is_applied_once_whoever_is_killed(servers: StackThread) -> None:
    """REQ-ACK-12: kill -9 of listener, broker, database and assembly, in every round, under load."""
    senders, moments, began = Senders(servers.endpoints.ports.offset + MLLP_PORT), Random(SEED), time.monotonic()
    with ThreadPoolExecutor(SENDERS) as people:
        ways = [people.submit(senders.send) for _ in range(SENDERS)]
        try:
            for _ in range(ROUNDS):
                _strike(servers, moments)
        finally:
            senders.over.set()
        for way in ways:
            way.result()

    numbers = senders.acknowledged
    wait_until(lambda: not _missing(_found(servers), numbers), "all that was acknowledged", APPLIED_SECONDS)

    found = _found(servers)
    said = f"{len(numbers)} acknowledged, {senders.repeats} sent again, {ROUNDS} rounds"
    print(f"{said}, {time.monotonic() - began:.0f} s")  # noqa: T201 - the figure of a run
    assert len(numbers) > 10 * ROUNDS
    assert {KINDS[number % len(KINDS)] for number in numbers} == set(KINDS)
    assert [control_id for control_id, times in found["controls"].items() if times > 1] == []
    assert {end: times for end, times in found["ends"].items() if end.startswith("set_aside") or times > 1} == {}
    assert found["orders"] == dict.fromkeys(_ordered(numbers), 1)


def _strike(servers: StackThread, moments: Random) -> None:
    """Kill everybody once, in an order and at moments of their own, and wait until all are back.

    The supervisor waits longer each time before it starts anew what dies again and again: so they wait together.
    """
    time.sleep(moments.uniform(*CALM_SECONDS))
    starts = {victim: servers.starts(victim) for victim in VICTIMS}
    for victim in moments.sample(VICTIMS, k=len(VICTIMS)):
        time.sleep(moments.uniform(0.2, 1.5))
        servers.kill(victim)
    for victim, before in starts.items():
        wait_until(lambda victim=victim, before=before: servers.starts(victim) > before, victim, BACK_SECONDS)  # type: ignore[misc]
        servers.wait_ready(victim, BACK_SECONDS)


def _missing(found: Mapping[str, Mapping[str, int]], numbers: Iterable[int]) -> list[str]:
    """Return the control IDs of acknowledged messages that are nowhere."""
    return [a_message(number, "FIRE")[0] for number in numbers if not _is_applied(found, number)]


def _is_applied(found: Mapping[str, Mapping[str, int]], number: int) -> bool:
    exam, kind = divmod(number, len(KINDS))
    named = KEPT_BY_NAME.get(KINDS[kind])
    if named is not None:
        return named[1].format(exam=exam) in found[KINDS[kind]]
    return a_message(number, "FIRE")[0] in found["controls"]


def _ordered(numbers: Iterable[int]) -> set[str]:
    """Return the numbers of the orders that the messages name."""
    letters = {"ORM": "A", "OMI": "B"}
    exams = ((exam, KINDS[kind][:3]) for exam, kind in (divmod(number, len(KINDS)) for number in numbers))
    return {f"{letters[code]}{exam:08d}" for exam, code in exams if code in letters}


def _found(servers: StackThread) -> Mapping[str, Mapping[str, int]]:
    """Return how often each message was kept by its control ID, what is kept by name, orders, and how each ended."""
    return asyncio.run(_ask(servers.endpoints.dsn("assembly")))


async def _ask(dsn: str) -> Mapping[str, Mapping[str, int]]:
    connection = await asyncpg.connect(dsn)
    try:
        controls = [row[0] for question in APPLIED.values() for row in await connection.fetch(question)]
        by_name = {
            kind: Counter(row[0] for row in await connection.fetch(question))
            for kind, (question, _) in KEPT_BY_NAME.items()
        }
        orders = await connection.fetch("SELECT service_request ->> 'placer_order_number' FROM orders")
        ends = [f"{row['outcome']} {row['message_control_id']}" for row in await connection.fetch(ENDS)]
    finally:
        await connection.close()
    ordered = Counter(row[0] for row in orders)
    return {**by_name, "controls": Counter(controls), "orders": ordered, "ends": Counter(ends)}
