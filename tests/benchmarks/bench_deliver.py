"""How fast delivery sends: rows of a real PostgreSQL over MLLP to sixteen destinations, by the service as it runs.

Nothing is left out between the row and its end: the right to send, each message marked before it leaves, its own
acknowledgment awaited, its end and the event that says so in one transaction, the event published on a flushed broker.
The messages are drafts (`R`), each of a case of its own: a final needs a signature that no benchmark has. The receivers
are one process; servers, service and receivers share the machine.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg

from overread.contracts import codec
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Status
from overread.embedded.places import CHECKOUT
from overread.embedded.profile import Profile
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack
from tests.builders.delivery import a_telling
from tests.builders.events import TRACEPARENT

DESTINATIONS = 16
ROUNDS = 3
SECONDS_AT_MOST = 60.0
MESSAGES = int(os.environ.get("BENCH_DELIVER_MESSAGES", "1000"))
"""To each destination, in each round."""
DEFAULT_OFFSET = 5_000
SITE = "bench"

COLUMNS = (
    *("site_id", "delivery_id", "destination", "form", "case_id", "report_id", "report_revision", "status", "message"),
    *("message_digest", "message_control_id", "document", "caused_by", "traceparent", "next_attempt_at", "created_at"),
)


def run() -> Mapping[str, object]:
    """Measure, and return how many messages a second all destinations had together: the median round."""
    with tempfile.TemporaryDirectory(prefix="overread-bench-") as folder, _receivers() as (receivers, ports):
        with StackThread(_stack(Path(folder), ports)) as running:
            _say(f"kafka, postgres and delivery alone are running, on {os.cpu_count()} cores shared with the receivers")
            rates = sorted(asyncio.run(_round(running, number)) for number in range(1, ROUNDS + 1))
        got = _ask(receivers)
    each = ROUNDS * MESSAGES
    if got != [each] * DESTINATIONS:
        raise RuntimeError(f"not every receiver has {each} messages: {got}")
    return {"oru_per_second_d16": round(rates[len(rates) // 2]), "oru_per_second_d16_rounds": [round(r) for r in rates]}


@contextmanager
def _receivers() -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    words = [sys.executable, "-m", "tests.benchmarks.mllp_receivers", str(DESTINATIONS)]
    with subprocess.Popen(words, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.terminate()


def _ask(process: "subprocess.Popen[str]") -> list[int]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("how many\n")
    process.stdin.flush()
    counts: list[int] = json.loads(process.stdout.readline())
    return counts


def _stack(folder: Path, ports: list[int]) -> Stack:
    listed = folder / "bench-destinations.toml"
    listed.write_text("".join(_destination(*each) for each in enumerate(ports)), encoding="utf-8")
    offset = int(os.environ.get("OVERREAD_PORT_OFFSET", DEFAULT_OFFSET))
    profile = Profile(data_dir=folder, port_offset=offset, settings={"OVERREAD_DESTINATIONS": str(listed)})
    services = [spec for spec in profile.services(profile.stack().endpoints) if spec.name == "delivery"]
    servers = ("postgres", "kafka")
    return Stack(folder, port_offset=offset, services=services, servers=servers, site_id=SITE, progress=_say)


def _destination(number: int, port: int) -> str:
    return f'[[destination]]\nname = "emr-{number}"\nkind = "hl7"\nurl = "mllp://127.0.0.1:{port}"\n'


async def _round(running: StackThread, number: int) -> float:
    """Put every message into the outbox at once, and return how many a second ended until none was left."""
    connection = await asyncpg.connect(running.endpoints.dsn("delivery"))
    try:
        await connection.copy_records_to_table("outbound", records=_rows(number), columns=COLUMNS)
        began = time.perf_counter()
        await asyncio.wait_for(_until_none_is_open(connection), SECONDS_AT_MOST)
        seconds = time.perf_counter() - began
    finally:
        await connection.close()
    _say(f"round {number}: {DESTINATIONS * MESSAGES / seconds:8.0f} messages/s to {DESTINATIONS} destinations")
    return DESTINATIONS * MESSAGES / seconds


async def _until_none_is_open(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    still = "SELECT EXISTS (SELECT FROM outbound WHERE state IN ('waiting', 'sending'))"
    while await connection.fetchval(still):  # noqa: ASYNC110 - the database says when
        await asyncio.sleep(0.1)


def _rows(round_number: int) -> Iterator[tuple[object, ...]]:
    [draft] = messages_for(a_telling(status=Status.UNVERIFIED))
    now = datetime.now(UTC)
    for number in range(MESSAGES):
        for destination in range(DESTINATIONS):
            control_id = f"B{round_number:02d}{destination:02d}{number:08d}"
            message = draft.message.replace(draft.message_control_id.encode(), control_id.encode())
            yield (
                SITE,
                uuid4(),
                f"emr-{destination}",
                "oru",
                uuid4(),
                uuid4(),
                1,
                "R",
                message,
                codec.sha256(message),
                control_id,
                draft.document,
                uuid4(),
                TRACEPARENT,
                now,
                now,
            )


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
