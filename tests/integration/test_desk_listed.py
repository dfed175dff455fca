"""`overread desk list`: what waits for its other side is found from the command line."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from overread.cli import app
from overread.contracts.identifiers import case_id_for
from overread.embedded.endpoints import Endpoints
from tests.builders.events import STUDY
from tests.builders.orders import an_order
from tests.fakes.assembly import AssemblyBench, an_assembly_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site, which the command line takes for the stack's."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        of_the_site = replace(stack.endpoints, site_id=opened.site_id)
        monkeypatch.setattr(Endpoints, "of", classmethod(lambda _cls, _data: of_the_site))
        monkeypatch.setattr("overread.cli.desk.utc_now", opened.clock)
        yield opened


async def test_study_and_order_that_miss_each_other_are_listed_with_their_ids(
    bench: AssemblyBench, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-DSK-14: nothing is to decide, and the command says what else lies there and how it is listed."""
    await bench.hears_images(bench.image(1, attributes={"accession_number": "ANOTHER"}))
    await bench.waits(700)
    await bench.hears_orders(an_order(study="1.2.3.4"))
    [order] = await bench.orders()

    said = [await _said(capsys, *words) for words in ((), ("--kind", "no_order"), ("--kind", "no_images"))]

    nothing, studies, orders = said
    assert nothing == (
        "nothing to decide; 1 study without an order (desk list --kind no_order),"
        " 1 order without images (desk list --kind no_images)\n"
    )
    assert studies.startswith(f"no_order  {case_id_for(bench.site_id, STUDY)}  case ")
    assert orders.startswith(f"no_images  {order.order_id}  case -  20")


async def _said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert await asyncio.to_thread(app.main, ["desk", "list", *words]) == 0
    told = capsys.readouterr()
    return "".join(line for line in (told.out + told.err).splitlines(keepends=True) if not line.startswith("{"))
