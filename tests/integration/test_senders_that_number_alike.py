"""`assembly` on real PostgreSQL: systems that give the same number without saying whose it is stay apart."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.topics import HL7_RECEIVED
from tests.builders.orders import an_order
from tests.builders.results import a_reader_report, a_result, an_appointment, an_obx
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

BARE: dict[str, Any] = {"filler": "1001", "placer": ""}
LATER: dict[str, Any] = {"minute": 20}
BLOOD = {"link_id": "blood", "sending_application": "BLOOD"}
POINT_OF_CARE = {"link_id": "poc", "sending_application": "POC"}
OTHER: dict[str, Any] = {"patient_id": "TEST-0002^^^HIS^PI", "name": "KHÁC^NGƯỜI", "birth_date": "19500101"}


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site with two RIS, and a case that is ready."""
    dsn = stack.endpoints.dsn("assembly")
    async with an_assembly_bench(dsn, tmp_path, report_links=frozenset({"ris", "ris-2"})) as opened:
        await opened.hears_orders(an_order())
        await opened.hears_images(*slices(opened, 2), opened.closed())
        await opened.waits(4)
        yield opened


async def hears(bench: AssemblyBench, raw: bytes, message_type: str = "ORU", **known: str) -> None:
    """Consume one message of a sender."""
    await bench.hears(HL7_RECEIVED, bench.order(raw, message_type=message_type, trigger_event="R01", **known))


async def values(bench: AssemblyBench) -> list[tuple[str, str]]:
    """Return what stands beside the case."""
    return [(one.concept, one.value) for one in (await bench.case()).laboratory]


async def is_from_before(bench: AssemblyBench, table: str, column: str) -> None:
    """Let the site's rows be as they were before senders were kept."""
    await bench.service.pool.execute(
        f"UPDATE {table} SET sender = '', {column} = {column} - 'sender' - 'sending_facility' WHERE site_id = $1",
        bench.site_id,
    )


async def kept(bench: AssemblyBench, table: str) -> int:
    """Return how many rows the site has."""
    count: int = await bench.service.pool.fetchval(
        f"SELECT count(*) FROM {table} WHERE site_id = $1",
        bench.site_id,
    )
    return count


async def test_laboratories_that_number_alike_take_no_value_from_each_other(bench: AssemblyBench) -> None:
    """REQ-LAB-06: the second number 1001 is another laboratory's, about another patient; the first value stays."""
    await hears(bench, a_result(an_obx(value="126"), **BARE), **BLOOD)

    await hears(bench, a_result(an_obx(value="55"), **BARE, **LATER, **OTHER), **POINT_OF_CARE)

    assert await values(bench) == [("creatinine", "126")]
    assert await kept(bench, "observations") == 2


async def test_correction_of_one_laboratory_corrects_its_own_value_over_any_link(bench: AssemblyBench) -> None:
    """REQ-LAB-06: the sender is who MSH-3 and MSH-4 say, whatever link it comes over."""
    await hears(bench, a_result(an_obx(value="126"), **BARE), **BLOOD)

    await hears(bench, a_result(an_obx(value="88", status="C"), **BARE, **LATER), **(BLOOD | {"link_id": "spare"}))

    assert (await values(bench), await kept(bench, "observations")) == ([("creatinine", "88")], 1)


async def test_number_that_says_whose_it_is_is_one_whoever_sends_it(bench: AssemblyBench) -> None:
    """REQ-LAB-06: an interface engine may hand on a correction under its own name."""
    await hears(bench, a_result(an_obx(value="126"), filler="1001^LAB"), **BLOOD)

    await hears(bench, a_result(an_obx(value="88", status="C"), filler="1001^LAB", **LATER), **POINT_OF_CARE)

    assert (await values(bench), await kept(bench, "observations")) == ([("creatinine", "88")], 1)


async def test_value_from_before_senders_were_kept_is_corrected_by_its_sender(bench: AssemblyBench) -> None:
    """An upgrade leaves no value that can't be corrected any more."""
    await hears(bench, a_result(an_obx(value="126"), **BARE), **BLOOD)
    await is_from_before(bench, "observations", "observation")

    await hears(bench, a_result(an_obx(value="55"), **BARE, **LATER, **OTHER), **POINT_OF_CARE)
    untouched = await values(bench)
    await hears(bench, a_result(an_obx(value="88", status="C"), **BARE, **LATER), **BLOOD)

    assert (untouched, await values(bench)) == ([("creatinine", "126")], [("creatinine", "88")])
    assert await kept(bench, "observations") == 2


async def test_readers_of_two_ris_that_number_alike_each_keep_their_report(bench: AssemblyBench) -> None:
    """REQ-ELS-08: another RIS's report under the same bare number, about another order, opens no case again."""
    bare: dict[str, Any] = {"filler": "77", "accession": "TEST-ACC-1", "placer": ""}
    await hears(bench, a_reader_report(**bare), link_id="ris", sending_application="RIS")

    other: dict[str, Any] = bare | {"accession": "TEST-ACC-9"} | OTHER
    await hears(bench, a_reader_report("X", minute=40, **other), link_id="ris-2", sending_application="RIS2")

    assert (await bench.case()).read_elsewhere is not None
    assert await kept(bench, "reader_reports") == 2


async def test_report_from_before_senders_were_kept_is_taken_back_by_its_sender(bench: AssemblyBench) -> None:
    """An upgrade leaves no report that can't be taken back any more, and no other RIS takes it back."""
    bare: dict[str, Any] = {"filler": "77", "accession": "TEST-ACC-1", "placer": ""}
    await hears(bench, a_reader_report(**bare), link_id="ris", sending_application="RIS")
    await is_from_before(bench, "reader_reports", "report")

    await hears(bench, a_reader_report("X", minute=40, **bare), link_id="ris-2", sending_application="RIS2")
    still = (await bench.case()).read_elsewhere
    await hears(bench, a_reader_report("X", minute=40, **bare), link_id="ris", sending_application="RIS")

    assert (still is not None, (await bench.case()).read_elsewhere) == (True, None)


async def test_appointments_that_are_numbered_alike_stay_two(bench: AssemblyBench) -> None:
    """REQ-SIU-03: the second system's cancellation is of its own appointment."""
    bare: dict[str, Any] = {"appointment": "5"}
    await hears(bench, an_appointment("S12", **bare), "SIU", link_id="his", sending_application="SCHED")
    other = an_appointment("S15", 20, placer="OTHER^HIS", **bare)

    await hears(bench, other, "SIU", link_id="clinic", sending_application="CLINIC")

    assert [one.status.value for one in (await bench.case()).appointments] == ["booked"]


async def test_appointment_from_before_senders_were_kept_is_cancelled_by_its_sender(bench: AssemblyBench) -> None:
    """An upgrade leaves no appointment that can't be cancelled any more."""
    bare: dict[str, Any] = {"appointment": "5"}
    await hears(bench, an_appointment("S12", **bare), "SIU", link_id="his", sending_application="SCHED")
    await is_from_before(bench, "appointments", "notice")

    await hears(bench, an_appointment("S15", 30, **bare), "SIU", link_id="his", sending_application="SCHED")

    assert [one.status.value for one in (await bench.case()).appointments] == ["cancelled"]
    assert await kept(bench, "appointments") == 1
