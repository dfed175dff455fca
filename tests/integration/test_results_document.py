"""The chapter *Results from LIS and RIS, and appointments* of docs/hl7.md: each message is answered, and does, what it says."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overread.assembly.observation_codes import concepts
from overread.assembly.settings import AssemblySettings
from overread.contracts.events.cases import AppointmentStatus
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.places import CHECKOUT
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from overread.protocols.hl7.tokenise import read_header
from tests.builders.hl7 import STUDY, an_omi
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices
from tests.fakes.hl7_intake import FakeBroker, an_intake

pytestmark = pytest.mark.stack

_TITLE = "\n### Results from LIS and RIS, and appointments\n"
_CHAPTER = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8").partition(_TITLE)[2].partition("\n## ")[0]
_BLOCKS = re.findall(r"^```hl7\n(.*?)^```$", _CHAPTER, re.MULTILINE | re.DOTALL)
MESSAGES = [block.replace("\n", "\r").encode() for block in _BLOCKS]
VALUES, CORRECTED, MONITOR, READ, TAKEN_BACK, BOOKED, NO_SHOW = MESSAGES


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site, set as the chapter says."""
    settings: dict[str, Any] = {
        "report_applications": frozenset({"RIS|BVX"}),
        "local_observation_codes": {"DDIM^99LIS": "d_dimer"},
    }
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path, **settings) as opened:
        header = {"patient_id": "BN000123", "accession_number": "ACC26112200123", "patient_birth_date": None}
        await opened.hears_orders(an_omi())
        await opened.hears_images(*slices(opened, 1, study_instance_uid=STUDY, content=STUDY, attributes=header))
        yield opened


async def hears(bench: AssemblyBench, raw: bytes) -> None:
    """Consume a message as the intake tells of it."""
    header = read_header(raw)
    event = bench.order(
        raw,
        message_type=header.message_code,
        trigger_event=header.trigger_event,
        message_control_id=header.component(10, 1),
        sending_application=header.component(3, 1),
        sending_facility=header.component(4, 1),
        fallback_charset="",
    )
    await bench.hears(HL7_RECEIVED, event)


@pytest.mark.parametrize("raw", MESSAGES)
async def test_every_message_of_the_chapter_is_kept(raw: bytes) -> None:
    """In original mode: `AA`."""
    answer = await asyncio.wait_for(an_intake(FakeBroker()).begin(raw), 1)

    assert answer is not None
    said: Acknowledgment = parse_ack(answer)
    assert said.code == "AA"


async def test_laboratory_and_bedside_do_what_the_chapter_says(bench: AssemblyBench) -> None:
    """A value, its correction, and a monitor's minute that is told with the next thing."""
    await hears(bench, VALUES)
    first = [(one.concept, one.value, one.unit, one.abnormal_flag) for one in (await bench.case(STUDY)).laboratory]
    await hears(bench, MONITOR)
    told = await bench.told_of_cases(STUDY)
    await hears(bench, CORRECTED)
    case = await bench.case(STUDY)

    assert first == [("creatinine", "126", "umol/L", "H"), ("d_dimer", "2100", "ug/L", "HH")]
    assert told[-1] == "ContextChanged"
    assert [one.value for one in case.laboratory] == ["88", "2100"]
    assert [(one.concept, one.value) for one in case.bedside] == [("oxygen_saturation", "91")]


async def test_readers_report_does_what_the_chapter_says(bench: AssemblyBench) -> None:
    """It closes, is taken back, and never carries its text."""
    await hears(bench, READ)
    read = (await bench.case(STUDY)).read_elsewhere
    await hears(bench, TAKEN_BACK)

    assert read is not None
    assert (read.reporter, read.status, read.sending_application) == ("MẪU MINH CHÂU", "F", "RIS")
    assert (await bench.case(STUDY)).read_elsewhere is None
    assert (await bench.told_of_cases(STUDY))[-2:] == ["ReadElsewhere", "ReadElsewhere"]


async def test_appointment_does_what_the_chapter_says(bench: AssemblyBench) -> None:
    """Booked, then a patient who did not come; the order stays as it was."""
    before = (await bench.case(STUDY)).orders
    await hears(bench, BOOKED)
    booked = (await bench.case(STUDY)).appointments
    await hears(bench, NO_SHOW)
    case = await bench.case(STUDY)

    assert [one.status for one in (*booked, *case.appointments)] == [
        AppointmentStatus.BOOKED,
        AppointmentStatus.NO_SHOW,
    ]
    assert booked[0].scheduled_at is not None
    assert case.orders == before


def test_settings_and_list_are_those_of_the_chapter() -> None:
    """Each setting by its name and default; the number of concepts."""
    for name in re.findall(r"^\| `OVERREAD_(\w+)` \|", _CHAPTER, re.MULTILINE):
        assert name.lower() in AssemblySettings.model_fields
    assert ("twenty-one concepts" in _CHAPTER) == (len(concepts()) == 21)
