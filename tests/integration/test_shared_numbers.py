"""`assembly` on real PostgreSQL: a dummy number that ADT lists with everybody ties nobody together, and costs nothing more."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from overread.assembly.patient_records import said_in
from overread.assembly.shared_numbers import MOST_BESIDE, SHARED, shared_among, without
from overread.contracts.topics import HL7_RECEIVED, ORDERS_CHANGED
from tests.builders.orders import an_order
from tests.builders.patients import MR, an_adt, an_identifier, statements
from tests.fakes.assembly import AssemblyBench, an_assembly_bench

DUMMY = "0000000000^^^HIS^MR"


def an_admission(number: int, *, is_alone: bool = False) -> bytes:
    """Return a message about patient `number`, who has the dummy number too, or nothing else."""
    own = f"BN{number:04d}^^^HIS^MR"
    name, birth_date = f"THỬ NGHIỆM^{number}", f"19{number % 100:02d}0101"
    return an_adt("A08", patient_id=DUMMY if is_alone else f"{own}~{DUMMY}", name=name, birth_date=birth_date)


@pytest.mark.parametrize("is_alone", [False, True], ids=["beside", "alone"])
def test_number_is_shared_once_it_is_listed_with_more_than_a_life_can_hold(*, is_alone: bool) -> None:
    """REQ-PAT-12: of other record numbers, or by itself of other persons; what is said by the own numbers stays."""
    few = statements(*(an_admission(n, is_alone=is_alone) for n in range(MOST_BESIDE)))
    many = [*few, *statements(an_admission(MOST_BESIDE + 1, is_alone=is_alone))]

    assert shared_among(few) == frozenset()
    assert shared_among(many) == frozenset({"HIS^^0000000000"})
    own = without(many, shared_among(many))
    assert len(own) == (0 if is_alone else len(many))
    assert {len(one.identifiers) for one in own} == (set() if is_alone else {1})


def test_patient_with_many_messages_shares_nothing() -> None:
    """A chronic patient comes for years, and is corrected now and then."""
    many = statements(*(an_adt("A08", n % 60, name=f"THỬ NGHIỆM^{n % 5}") for n in range(5 * MOST_BESIDE)))

    assert shared_among(many) == frozenset()


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def admits(bench: AssemblyBench, *numbers: int) -> None:
    """Let patients come in as one batch."""
    known = {"message_type": "ADT", "trigger_event": "A08"}
    await bench.hears(HL7_RECEIVED, *(bench.order(an_admission(number), **known) for number in numbers))


@pytest.mark.stack
async def test_patients_who_share_a_dummy_number_are_as_many_as_they_are(bench: AssemblyBench) -> None:
    """REQ-PAT-12: known as shared it ties no statements, names nobody, and is on the desk once."""
    await admits(bench, *range(MOST_BESIDE + 2))
    await admits(bench, 1, 500)
    await bench.hears_orders(an_order(patient_id="BN0007^^^HIS^MR", name="THỬ NGHIỆM^7", put={"PID-7": "19070101"}))
    await bench.hears_orders(
        an_order(1, patient_id=DUMMY, placer="TEST-PLACER-2^HIS", accession="TEST-ACC-2", name="KHÁC^NGƯỜI")
    )

    pool, site = bench.service.pool, bench.site_id
    records = await pool.fetchval("SELECT count(*) FROM patient_records WHERE site_id = $1", site)
    of_dummy = await pool.fetchval(
        "SELECT count(*) FROM patient_numbers WHERE site_id = $1 AND id_number = '0000000000'", site
    )
    desk = [
        row["reason"]
        for row in await pool.fetch("SELECT reason FROM patient_desk WHERE site_id = $1 AND kind = 'patient'", site)
    ]
    own, other = [event.data.patient for event in await bench.told(ORDERS_CHANGED)]
    assert (records, of_dummy) == (MOST_BESIDE + 3, 0)
    assert desk == [said_in(SHARED, "ADTA0800")]
    assert (own.given_name, own.identifiers) == ("7", (an_identifier("BN0007^^^HIS^MR"),))
    assert other.family_name == "KHÁC"


@pytest.mark.stack
async def test_number_of_its_own_is_followed_as_before(bench: AssemblyBench) -> None:
    """A correction after the dummy was known reaches its patient alone."""
    await admits(bench, *range(MOST_BESIDE + 2))
    await bench.hears_orders(an_order(patient_id="BN0001^^^HIS^MR", name="THỬ NGHIỆM^1", put={"PID-7": "19010101"}))
    corrected = an_adt("A08", 5, patient_id=f"BN0001^^^HIS^MR~{DUMMY}", name="THỬ NGHIỆM^MỚI", birth_date="19010101")

    await bench.hears(HL7_RECEIVED, bench.order(corrected, message_type="ADT", trigger_event="A08"))
    await bench.hears(HL7_RECEIVED, bench.order(an_adt("A08", 6), message_type="ADT", trigger_event="A08"))

    order = (await bench.told(ORDERS_CHANGED))[-1].data
    assert (order.patient.given_name, order.revision) == ("MỚI", 2)
    assert an_identifier(MR) not in order.patient.identifiers
