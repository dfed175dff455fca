"""The chapter *Orders* of docs/hl7.md: each of its messages is answered, and does, what it says."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import matching
from overread.contracts.events.orders import OrderStatus
from overread.contracts.topics import HL7_RECEIVED
from overread.embedded.places import CHECKOUT
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from overread.protocols.hl7.order_controls import CONTROLS, Effect
from tests.fakes.assembly import AssemblyBench, an_assembly_bench
from tests.fakes.hl7_intake import FakeBroker, an_intake

_CHAPTER = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8").partition("\n### Orders\n")[2]
_CHAPTER = _CHAPTER.partition("\n### ")[0]
_BLOCKS = re.findall(r"^```hl7\n(.*?)^```$", _CHAPTER, re.MULTILINE | re.DOTALL)
MESSAGES = [block.replace("\n", "\r").encode() for block in _BLOCKS]
NEW, ACCEPTED, HELD, RELEASED, CANCELLED, NOT_CANCELLED, REPLACED, CHILDREN, REFILL = MESSAGES
STUDY = "1.2.826.0.1.3680043.10.1.77"
_ROW = re.compile(r"^\| (`[A-Z]{2}`(?:, `[A-Z]{2}`)*) \| ([^|]+) \|$", re.MULTILINE)
_SAID = {
    "wanted, also": Effect.OPENS,
    "as ORC-5": Effect.TELLS,
    "cancelled": Effect.CANCELS,
    "wanted after": Effect.STANDS,
    "on hold": Effect.HOLDS,
    "no longer": Effect.RELEASES,
}


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
    await bench.hears(HL7_RECEIVED, bench.order(raw, fallback_charset="", accession_places=("ZPA-2", "IPC-1")))


async def _orders(bench: AssemblyBench) -> dict[tuple[str, str], OrderStatus]:
    return {(o.placer_order_number, o.filler_order_number): o.status for o in await bench.orders()}


@pytest.mark.stack
async def test_messages_of_the_chapter_do_what_it_says(bench: AssemblyBench) -> None:
    """One order's way, in the chapter's order."""
    image = {"patient_id": "BN000123", "patient_birth_date": None, "accession_number": "DOC-ACC-1"}
    await bench.hears_images(bench.image(1, study=STUDY, attributes=image))

    await _hears(bench, NEW)
    (new,) = await bench.orders()
    await _hears(bench, ACCEPTED)
    await _hears(bench, HELD)
    held = (await _orders(bench), await bench.desk())
    await _hears(bench, RELEASED)
    released = (await _orders(bench), await bench.desk())
    for raw in (CANCELLED, NOT_CANCELLED):
        await _hears(bench, raw)
    stands = await _orders(bench)
    await _hears(bench, REPLACED)
    told = await bench.told_of_cases(STUDY)
    await _hears(bench, CHILDREN)

    one = ("DOC-1", "F-1")
    assert (new.accession_number, new.study_instance_uid, new.priority) == ("DOC-ACC-1", STUDY, "S")
    assert held == ({one: OrderStatus.HELD}, [matching.ON_HOLD])
    assert (released, stands) == (({one: OrderStatus.ACTIVE}, []), {one: OrderStatus.ACTIVE})
    assert told[-2:] == ["OrderLinked", "OrderCancelled"]
    assert await _orders(bench) == {
        one: OrderStatus.CANCELLED,
        ("DOC-2", "F-2"): OrderStatus.ACTIVE,
        ("DOC-2", "F-3"): OrderStatus.ACTIVE,
        ("DOC-2", "F-4"): OrderStatus.ACTIVE,
    }
    assert [o.parent_order_number for o in await bench.orders()] == ["", "DOC-1", "DOC-2", "DOC-2"]


async def test_messages_of_the_chapter_are_answered_as_it_says() -> None:
    """All are kept but the one that is no word about an imaging order."""
    taken = [(await _answer(raw)).code for raw in MESSAGES[:-1]]

    refused = await _answer(REFILL)

    assert taken == ["AA"] * 8
    assert (refused.code, refused.error_condition, refused.error_location) == ("AE", "103", "ORC^1^1")


def test_table_of_the_chapter_is_the_table_of_the_code() -> None:
    """REQ-ORD-01: every control that is taken stands in it once, with what it does and whether OBR-4 is required."""
    told = {
        code: (effect, "OBR-4 is required" in meaning)
        for codes, meaning in _ROW.findall(_CHAPTER)
        for words, effect in _SAID.items()
        if meaning.startswith(words)
        for code in re.findall(r"[A-Z]{2}", codes)
    }

    assert told == {code: (control.effect, control.needs_detail) for code, control in CONTROLS.items()}
