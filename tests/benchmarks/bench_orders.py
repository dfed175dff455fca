"""Orders applied in PostgreSQL: assembly's consumption of `hl7.received` beside bare INSERTs of the rows that it wrote.

Ours is all that follows the poll: event decoded, repeats known, message read, orders locked, folded and written, events
in the outbox, committed; first new orders, then a change of each. The limit writes the same rows into tables like them,
in the same batches, each batch one transaction. One server, one process at a time, interleaved rounds. Besides: as many
changes of one single order, and one message about it that comes late.
"""

import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from overread.assembly.settings import AssemblySettings
from overread.contracts.envelope import Body, Event
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import Stack
from tests.benchmarks import bare_rows
from tests.builders.hl7 import an_orm
from tests.fakes.assembly import AssemblyBench, an_assembly_bench

ORDERS = int(os.environ.get("OVERREAD_BENCH_ORDERS", "5000"))
ROUNDS = 3
BATCH: int = AssemblySettings.model_fields["batch_records"].default  # as many as the service takes at a time
DEFAULT_OFFSET = 5_000
OURS, LIMIT, PROCESSOR = "overread", "insert", "processor"
NEW, CHANGED = "new", "changed"
ONE, LATE = "one_order", "late"
Figures = dict[tuple[str, str], float]


def run() -> Mapping[str, object]:
    """Measure, and return the ratios first, then what they are made of (orders a second, medians)."""
    offset = int(os.environ.get("OVERREAD_PORT_OFFSET", DEFAULT_OFFSET))
    with tempfile.TemporaryDirectory(prefix="overread-bench-") as folder:
        stack = Stack(Path(folder), port_offset=offset, services=[], servers=("postgres",), progress=_say)
        with StackThread(stack) as running:
            _say(f"postgres alone is running, on {os.cpu_count()} shared cores; {ORDERS} orders, {BATCH} a batch")
            dsn = running.endpoints.dsn("assembly")
            rounds = [asyncio.run(_round(number, dsn, Path(folder))) for number in range(1, ROUNDS + 1)]
    return {**_ratios(rounds), **_rates(rounds)}


async def _round(number: int, dsn: str, folder: Path) -> Figures:
    measured: Figures = {}
    async with an_assembly_bench(dsn, folder) as bench:
        await bare_rows.make_tables(bench.service.pool)
        for kind in (NEW, CHANGED):
            events = [bench.order(raw) for raw in _messages(number, kind)]
            records = [bench.record(HL7_RECEIVED, event) for event in events]
            since = await bare_rows.end_of_outbox(bench.service.pool)
            _freeze()
            processor = time.process_time()
            measured[OURS, kind] = await _per_second(_take(bench, records))
            measured[PROCESSOR, kind] = (time.process_time() - processor) / ORDERS
            await _check(bench, events)
            ids = [event.id for event in events]
            rows = await bare_rows.written(bench.service.pool, bench.site_id, ids, since, names_orders=kind == NEW)
            measured[LIMIT, kind] = await _per_second(bare_rows.insert(bench.service.pool, rows, BATCH))
            _say(f"round {number}: {kind:>8} {_described(measured, kind)}")
        measured |= await _one_order(bench, number)
    return measured


async def _one_order(bench: AssemblyBench, number: int) -> Figures:
    """Let one order change as often as there were orders, and then hear a message from before all that."""
    name = {"placer": f"ONE{number}^HIS", "accession": f"ONE{number}", "control": "XO"}
    moments = [datetime(2026, 11, 22, tzinfo=UTC) + timedelta(seconds=second) for second in range(ORDERS + 1)]
    sent = [f"{moment:%Y%m%d%H%M%S}+0000" for moment in moments]
    told = [an_orm(clinical=moment, put={"MSH-7": moment}, **name) for moment in sent]
    late, *changes = [bench.record(HL7_RECEIVED, bench.order(raw)) for raw in told]
    _freeze()
    per_second = await _per_second(_take(bench, changes))
    began = time.perf_counter()
    await _take(bench, [late])
    measured = {(ONE, "messages"): per_second, (LATE, "milliseconds"): (time.perf_counter() - began) * 1000}
    _say(f"round {number}: one order {per_second:6.0f} messages/s, a late one {measured[LATE, 'milliseconds']:.0f} ms")
    return measured


def _messages(number: int, kind: str) -> list[bytes]:
    """One message an order; a change is sent a minute later and says another priority."""
    control, minute, priority = ("NW", 50, "R") if kind == NEW else ("XO", 51, "S")
    return [
        an_orm(
            control=control,
            control_id=f"{kind}{number}-{order}",
            placer=f"P{number}-{order}^HIS",
            accession=f"ACC{number}-{order}",
            study=f"1.2.826.0.1.3680043.10.1.{number}.{order}",
            patient_id=f"BN{order:06d}^^^BVX^MR~0010{order:08d}^^^VNBCA^NI",
            priority=priority,
            put={"MSH-7": f"2026112209{minute}00+0700"},
        )
        for order in range(ORDERS)
    ]


async def _take(bench: AssemblyBench, records: Sequence[Any]) -> None:
    for start in range(0, len(records), BATCH):
        await bench.service.consumptions[HL7_RECEIVED.name].on_records(records[start : start + BATCH])


def _freeze() -> None:
    """Spare the collector what was prepared, as the service does at its start."""
    gc.collect()
    gc.freeze()


async def _check(bench: AssemblyBench, events: Sequence[Event[Body]]) -> None:
    """Refuse to tell the speed of messages that were not applied."""
    ids: list[UUID] = [event.id for event in events]
    kept = await bench.service.pool.fetchval("SELECT count(*) FROM order_messages WHERE event_id = ANY($1)", ids)
    orders = await bench.service.pool.fetchval("SELECT count(*) FROM orders WHERE site_id = $1", bench.site_id)
    if (kept, orders) != (ORDERS, ORDERS):
        raise RuntimeError(f"of {ORDERS} messages {kept} were applied, to {orders} orders")


async def _per_second(work: Awaitable[None]) -> float:
    began = time.perf_counter()
    await work
    return ORDERS / (time.perf_counter() - began)


def _described(measured: Figures, kind: str) -> str:
    ours, limit = measured[OURS, kind], measured[LIMIT, kind]
    return f"overread {ours:6.0f} orders/s, bare insert {limit:6.0f}, ratio {ours / limit:.2f}"


def _ratios(rounds: Sequence[Figures]) -> dict[str, float]:
    return {
        f"vs_insert_{kind}": round(statistics.median(one[OURS, kind] / one[LIMIT, kind] for one in rounds), 2)
        for kind in (NEW, CHANGED)
    }


def _rates(rounds: Sequence[Figures]) -> dict[str, int]:
    figures = {
        f"{name}_{kind}_orders_per_second": (name, kind, 1.0) for kind in (NEW, CHANGED) for name in (OURS, LIMIT)
    }
    figures |= {f"processor_us_per_{kind}_order": (PROCESSOR, kind, 1e6) for kind in (NEW, CHANGED)}
    figures |= {"one_order_messages_per_second": (ONE, "messages", 1.0), "late_message_ms": (LATE, "milliseconds", 1.0)}
    return {
        figure: round(scale * statistics.median(one[name, kind] for one in rounds))
        for figure, (name, kind, scale) in figures.items()
    }


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
