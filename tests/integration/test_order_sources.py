"""Folders and a RIS's worklist, fetched by the service as a process, on the real broker, to the linked case."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.topics import ORDERS_RECEIVED
from overread.order_intake.settings import OrderIntakeSettings
from overread.order_intake.source_watch import SOURCES
from overread.runtime.health import answer_at, readiness_and_warnings_at
from overread.runtime.topic_reader import tail
from tests.builders.order_files import COLUMNS, a_file, a_row
from tests.builders.worklist import a_worklist_item
from tests.fakes.assembly import AssemblyBench, an_assembly_bench
from tests.fakes.worklists import running_ris

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
MAIN = "from overread.order_intake.app import main; main()"
LINKS = """
[[folder]]
link_id = "{name}-csv"
folder = "{folder}/csv"
separator = ";"
charset = "UTF-8"
assigning_authority = "BVX"
placer_namespace = "HIS"
poll_seconds = 0.2
settle_seconds = 0.2
codes.actions = {{ "Hủy" = "cancel" }}
columns = {columns}

[[folder]]
link_id = "{name}-xml"
folder = "{folder}/xml"
pattern = "*.xml"
format = "xml"
row_element = "Orders/Order"
assigning_authority = "BVX"
poll_seconds = 0.2
settle_seconds = 0.2
[folder.columns]
patient_id = "Patient/@id"
patient_name = "Patient/Name"
filler_order_number = "@no"
accession_number = "@no"
service_text = "Service"

[[folder]]
link_id = "{name}-away"
folder = "{folder}/away"
columns = {columns}

[[worklist]]
link_id = "{name}-ris"
host = "127.0.0.1"
port = {port}
called_ae_title = "RIS"
assigning_authority = "BVX"
poll_seconds = 1
"""


class Fetching:
    """The service with a file of links of its own, and what it left on the broker."""

    def __init__(self, stack: Any, folder: Path, port: int) -> None:
        self.endpoints = stack.endpoints
        self.name = f"t{uuid4().hex[:8]}"
        self.folder = folder
        for place in ("csv", "xml"):
            (folder / place).mkdir()
        columns = json.dumps(COLUMNS).replace('": "', '" = "')
        self.file = folder / "orders.toml"
        self.file.write_text(LINKS.format(name=self.name, folder=folder, port=port, columns=columns), encoding="utf-8")

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the service for the time of the block; it is killed."""
        told = {
            **os.environ,
            **self.endpoints.environment_of("order_intake"),
            "OVERREAD_ORDER_LINKS": str(self.file),
        }
        with (self.endpoints.data.logs / "order_intake.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", MAIN], cwd=ROOT, env=told, stderr=log)
            try:
                yield
            finally:
                process.kill()
                process.wait()

    @property
    def health(self) -> Path:
        """Return the service's socket."""
        socket: Path = self.endpoints.health_socket("order_intake")
        return socket

    def links(self) -> Mapping[str, Mapping[str, Any]]:
        """Return how each link is, by its kind's name."""
        view = answer_at(self.health, SOURCES)
        return {link["link"].rpartition("-")[2]: link for link in view["links"]} if view else {}

    async def received(self, kind: str, most: int = 1000) -> Sequence[Event[Any]]:
        """Return what a link's statements became, oldest first."""
        settings = OrderIntakeSettings(
            site_id=self.endpoints.site_id,
            kafka_bootstrap=self.endpoints.kafka_bootstrap,
            kafka_username="order_intake",
            kafka_password=SecretStr(self.endpoints.kafka_password("order_intake")),
        )
        since = datetime.now(UTC) - timedelta(hours=1)
        key = f"{self.name}-{kind}".encode()
        newest_first = tail(settings, ORDERS_RECEIVED.name, key, most=most, since=since)
        return [codec.decode(value, ORDERS_RECEIVED.bodies) async for value in newest_first][::-1]


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path / "objects") as opened:
        yield opened


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await holds():  # noqa: ASYNC110 - told by another process
            await asyncio.sleep(0.1)


async def test_orders_of_folders_and_of_a_ris_reach_their_cases(
    stack: Any, tmp_path: Path, bench: AssemblyBench
) -> None:
    """REQ-NON-20, REQ-NON-30: from a file or an item to the linked case, and its cancellation to `OrderCancelled`."""
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}"
    item = a_worklist_item(1, AccessionNumber="MWL1", step={"ScheduledProcedureStepStartDate": tomorrow})
    with running_ris([item]) as ris:
        fetching = Fetching(stack, tmp_path, ris.port)
        dropped = tmp_path / "csv"
        (dropped / "a.csv").write_bytes(a_file(a_row(SoPhieu="CSV1")))
        (tmp_path / "xml" / "a.xml").write_text(
            '<Orders><Order no="XML1"><Patient id="BN7"><Name>THỬ NGHIỆM</Name></Patient><Service>CT</Service></Order>'
            "</Orders>",
            encoding="utf-8",
        )
        with fetching.running():
            await until(lambda: _is_done(dropped / "done" / "a.csv", tmp_path / "xml" / "done" / "a.xml"))
            await until(lambda: _has_asked(fetching))
            (dropped / "b.csv").write_bytes(a_file(a_row(SoPhieu="CSV1", TrangThai="Hủy")))
            await until(lambda: _is_done(dropped / "done" / "b.csv"))
            told_of_health = await asyncio.to_thread(lambda: readiness_and_warnings_at(fetching.health))
        asked = len(ris.asked)
        with fetching.running():  # killed above: what it said is known again
            await until(lambda: _asked_again(ris.asked, asked))
    events = {kind: await fetching.received(kind) for kind in ("csv", "xml", "ris")}
    for number, (accession, patient) in enumerate((("CSV1", "BN999001"), ("XML1", "BN7"), ("MWL1", "BN000001")), 1):
        image = {"patient_id": patient, "patient_birth_date": None, "accession_number": accession}
        study = "2.25.1001" if accession == "MWL1" else f"1.2.3.{number}"
        await bench.hears_images(bench.image(number, study=study, attributes=image))
    for told in events.values():
        again = [event.model_copy(update={"site_id": bench.site_id}) for event in told]
        await bench.hears(ORDERS_RECEIVED, *again)
        await bench.hears(ORDERS_RECEIVED, *again)

    assert {kind: len(told) for kind, told in events.items()} == {"csv": 2, "xml": 1, "ris": 1}
    assert [await bench.told_of_cases(study) for study in ("1.2.3.1", "1.2.3.2", "2.25.1001")] == [
        ["OrderLinked", "OrderCancelled"],
        ["OrderLinked"],
        ["OrderLinked"],
    ]
    assert told_of_health is not None
    failing, warnings = told_of_health
    assert failing == {}
    assert [(name.rpartition("-")[2], "can't be used" in why) for name, why in warnings.items()] == [("away", True)]


async def test_what_a_file_says_is_an_order_once_through_kills(
    stack: Any, tmp_path: Path, bench: AssemblyBench
) -> None:
    """REQ-NON-25: kill -9 while a file's rows are kept, twice; then it is let finish."""
    rows, dropped = 3000, tmp_path / "csv"
    with running_ris() as ris:
        fetching = Fetching(stack, tmp_path, ris.port)
    (dropped / "a.csv").write_bytes(a_file(*(a_row(SoPhieu=f"K{number}") for number in range(rows))))

    interrupted = []
    for least in (1, 1000):
        with fetching.running():
            await until(lambda: _has_kept(fetching, least))  # noqa: B023 - waited for at once
        interrupted.append(len(await fetching.received("csv", most=5 * rows)))
    with fetching.running():
        await until(lambda: _is_done(dropped / "done" / "a.csv"))

    received = await fetching.received("csv", most=5 * rows)
    again = [event.model_copy(update={"site_id": bench.site_id}) for event in received]
    for part in range(0, len(again), 500):
        await bench.hears(ORDERS_RECEIVED, *again[part : part + 500])
    applied = [order.placer_order_number for order in await bench.orders()]
    assert any(kept < rows for kept in interrupted)
    assert sorted(applied) == sorted(f"K{number}" for number in range(rows))
    assert len({event.id for event in received}) == rows


async def _has_kept(fetching: Fetching, least: int) -> bool:
    return len(await fetching.received("csv", most=least)) >= least


async def _is_done(*files: Path) -> bool:
    return all(await asyncio.to_thread(lambda: [file.exists() for file in files]))


async def _has_asked(fetching: Fetching) -> bool:
    links = await asyncio.to_thread(fetching.links)
    return bool(links) and links["ris"]["last_round_at"] is not None and links["away"]["warning"] is not None


async def _asked_again(asked: Sequence[object], before: int) -> bool:
    return len(asked) > before + 1
