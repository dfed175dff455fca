"""The chapter *Patients and merges* of docs/hl7.md: each of its messages is answered, and does, what it says."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overread.assembly.patient_records import CIRCLE, OLD_NUMBER, WAITS, said_in
from overread.assembly.store import on_the_desk
from overread.contracts.events.orders import Patient
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.places import CHECKOUT
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from tests.builders.orders import an_order
from tests.builders.patients import an_identifier
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices
from tests.fakes.hl7_intake import FakeBroker, an_intake

pytestmark = pytest.mark.stack

_CHAPTER = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8").partition("\n### Patients and merges\n")[2]
_BLOCKS = re.findall(r"^```hl7\n(.*?)^```$", _CHAPTER.partition("\n### ")[0], re.MULTILINE | re.DOTALL)
COMES, CORRECTED, MERGED, KNOWN, OLD, CIRCULAR, SELF = (block.replace("\n", "\r").encode() for block in _BLOCKS)

SURVIVOR, CITIZEN = an_identifier("BN000123^^^BVX^MR"), an_identifier("001099012345^^^VNBCA^NI")
PRIOR = "BN000999^^^BVX^MR"


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def _answer(raw: bytes) -> Acknowledgment:
    answer = await asyncio.wait_for(an_intake(FakeBroker()).begin(raw), 1)
    assert answer is not None
    return parse_ack(answer)


async def _hears(bench: AssemblyBench, raw: bytes) -> None:
    await bench.hears(HL7_RECEIVED, bench.order(raw, message_type="ADT", fallback_charset=""))


async def _desk(bench: AssemblyBench) -> list[str]:
    async with bench.service.pool.acquire() as connection:
        return [entry.reason for entry in await on_the_desk(connection, bench.site_id)]


async def _patient(bench: AssemblyBench) -> Patient:
    return (await bench.case()).patient


async def test_messages_of_the_chapter_do_what_it_says(bench: AssemblyBench) -> None:
    """One patient's morning, in the chapter's order."""
    await bench.hears_orders(an_order(patient_id=PRIOR, put={"PID-7": "19990512"}))
    await bench.hears_images(*slices(bench, 1, attributes={"patient_id": "BN000999", "patient_birth_date": None}))

    await _hears(bench, COMES)
    numbers = len((await _patient(bench)).identifiers)
    await _hears(bench, CORRECTED)
    corrected = await _patient(bench)
    await _hears(bench, MERGED)
    waiting = (await _desk(bench), await bench.told_of_cases())
    await _hears(bench, KNOWN)
    merged = (await _patient(bench), await _desk(bench))
    await _hears(bench, OLD)
    await _hears(bench, CIRCULAR)

    assert (numbers, corrected.given_name) == (3, "TRẦN VĂN")
    assert corrected.identifiers == (an_identifier(PRIOR), CITIZEN)
    assert waiting == ([said_in(WAITS, "DOC0003")], ["OrderLinked", "PatientCorrected", "PatientCorrected"])
    assert (merged[0].identifiers, merged[1]) == ((SURVIVOR, CITIZEN), [])
    assert (await bench.told_of_cases())[3:] == ["PatientsMerged", "PatientCorrected"]
    assert ((await _patient(bench)).given_name, await _desk(bench)) == (
        "TRẦN VĂN AN",
        [said_in(OLD_NUMBER, "DOC0005")],
    )
    dead = await bench.service.pool.fetch("SELECT value, headers FROM outbox WHERE topic = 'hl7.received.dead'")
    reasons = [str(row["headers"]) for row in dead if bench.site_id.encode() in bytes(row["value"])]
    assert [CIRCLE in reason for reason in reasons] == [True]


async def test_messages_of_the_chapter_are_answered_as_it_says() -> None:
    """All are kept but the one that merges a patient into themselves."""
    taken = [(await _answer(raw)).code for raw in (COMES, CORRECTED, MERGED, KNOWN, OLD, CIRCULAR)]

    refused = await _answer(SELF)

    assert taken == ["AA"] * 6
    assert (refused.code, refused.error_condition, refused.error_location) == ("AE", "205", "MRG^1^1")
