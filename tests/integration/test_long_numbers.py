"""Numbers that are longer than a number may be: refused at the line, and set aside with their place where they come by."""

from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path
from random import Random
from string import ascii_uppercase, digits
from typing import Any

import pytest

from overread.contracts.topics import HL7_RECEIVED
from overread.protocols.hl7.contents import check_content
from overread.protocols.hl7.delimiters import STANDARD
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.tokenise import tokenise
from overread.protocols.hl7.usual_order import is_usual_order
from tests.builders.hl7 import an_orm
from tests.builders.orders import an_order
from tests.builders.patients import a_merge, an_adt
from tests.builders.results import a_reader_report, a_result, an_appointment, an_obx
from tests.fakes.assembly import AssemblyBench, an_assembly_bench


def a_number(characters: int) -> str:
    """Return a number that no compression makes fit."""
    return "".join(Random(7).choices(ascii_uppercase + digits, k=characters))


LONG = a_number(4000)
MESSAGES: list[tuple[str, str, bytes]] = [
    ("ORC-2", "OMI", an_order(placer=f"{LONG}^HIS")),
    ("ORC-3", "OMI", an_order(filler=f"{LONG}^RIS")),
    ("OBR-2", "OMI", an_order(put={"OBR-2": f"{LONG}^HIS"})),
    ("PID-3", "OMI", an_order(patient_id=f"1^^^HIS^PI~{LONG}^^^BHXH^HC")),
    ("PID-3", "ORM", an_orm(patient_id=f"1^^^{LONG}^PI")),
    ("PID-3", "ADT", an_adt(patient_id=f"{LONG}^^^HIS^MR")),
    ("MRG-1", "ADT", a_merge(1, ("1^^^HIS^MR", f"{LONG}^^^HIS^MR"))),
    ("OBR-3", "ORU", a_result(filler=f"{LONG}^LIS")),
    ("OBX-4", "ORU", a_result(an_obx(sub_id=LONG))),
    ("PID-3", "ORU", a_result(patient_id=f"{LONG}^^^HIS^PI")),
    ("OBR-18", "ORU", a_reader_report(accession=LONG)),
    ("SCH-2", "SIU", an_appointment(appointment=f"{LONG}^SCHED")),
    ("SCH-26", "SIU", an_appointment(placer=f"{LONG}^HIS")),
]
each_message = pytest.mark.parametrize(
    ("place", "message_type", "raw"), MESSAGES, ids=[f"{kind} {place}" for place, kind, _ in MESSAGES]
)


@each_message
def test_number_that_is_too_long_is_refused_at_the_line(place: str, message_type: str, raw: bytes) -> None:
    """REQ-FAI-11: with its place, and before anything is kept; the quick way says nothing of such a message."""
    with pytest.raises(HL7Error) as refused:
        check_content(tokenise(raw), time_zone=UTC)

    assert refused.value.location is not None
    assert refused.value.location.spoken == place
    assert not is_usual_order(raw, STANDARD)


@pytest.mark.parametrize("characters", [199, 200])
def test_number_of_the_standards_length_is_taken(characters: int) -> None:
    """EI.1 holds 199 characters (HL7 v2.5.1, 2.A.28), of whatever alphabet."""
    raw = an_orm(placer=f"{'Ế' * characters}^HIS")
    is_refused = False

    try:
        check_content(tokenise(raw), time_zone=UTC)
    except HL7Error:
        is_refused = True

    assert is_refused is (characters == 200)


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


@pytest.mark.stack
@each_message
async def test_number_that_is_too_long_is_set_aside_with_its_place(
    bench: AssemblyBench, place: str, message_type: str, raw: bytes
) -> None:
    """REQ-FAI-11: one that was taken before the line knew better is no defect of ours."""
    await bench.hears(HL7_RECEIVED, bench.order(raw, message_type=message_type, trigger_event="R01"))

    rows = await bench.service.pool.fetch("SELECT value, headers FROM outbox WHERE topic = 'hl7.received.dead'")
    [headers] = [str(row["headers"]) for row in rows if bench.site_id.encode() in bytes(row["value"])]
    assert f"A number in {place} is longer than 199 characters" in headers


@pytest.mark.stack
@pytest.mark.parametrize(
    ("message_type", "raw"),
    [
        ("OMI", an_order(placer=f"{a_number(199)}^{a_number(198)}", filler=f"{a_number(197)}^{a_number(196)}")),
        ("OMI", an_order(patient_id=f"{a_number(199)}^^^{a_number(198)}^MR")),
        ("ADT", an_adt(patient_id=f"{a_number(199)}^^^{a_number(198)}^MR")),
        ("ORU", a_result(an_obx(f"{a_number(250)}^x^{a_number(250)}", sub_id=a_number(199)), filler=a_number(199))),
        ("SIU", an_appointment(appointment=f"{a_number(199)}^{a_number(198)}")),
    ],
    ids=["OMI numbers", "OMI patient", "ADT", "ORU", "SIU"],
)
async def test_longest_number_is_taken_and_kept(bench: AssemblyBench, message_type: str, raw: bytes) -> None:
    """What the line takes every table and index can hold."""
    await bench.hears(HL7_RECEIVED, bench.order(raw, message_type=message_type, trigger_event="R01"))

    rows = await bench.service.pool.fetch("SELECT value FROM outbox WHERE topic = 'hl7.received.dead'")
    assert [row for row in rows if bench.site_id.encode() in bytes(row["value"])] == []
