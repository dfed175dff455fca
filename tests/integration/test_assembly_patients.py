"""`assembly` on real PostgreSQL: what ADT says of patients reaches their orders and cases, whatever comes first, once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from overread.assembly.late_survivors import LateSurvivors
from overread.assembly.patient_records import CIRCLE, OLD_NUMBER, TAKEN_OUT, WAITS, said_in
from overread.assembly.patient_store import NOT_THEIRS
from overread.contracts.envelope import Body, Event
from overread.contracts.events.orders import Patient, PatientIdentifier
from overread.contracts.topics import CASES_CHANGED, HL7_RECEIVED, ORDERS_CHANGED
from tests.builders.events import a_patient
from tests.builders.orders import an_order
from tests.builders.patients import CITIZEN, INSURANCE, MR, OLD, a_merge, an_adt, an_identifier
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

CORRECTED = "THỬ NGHIỆM^TRẦN THỊ"
OLD_IMAGES = {"attributes": {"patient_id": "TEST-0009"}}


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


def _adt(bench: AssemblyBench, raw: bytes) -> Event[Body]:
    return bench.order(raw, message_type="ADT", trigger_event="A08")


async def _hears(bench: AssemblyBench, *raw: bytes) -> None:
    await bench.hears(HL7_RECEIVED, *(_adt(bench, one) for one in raw))


def _numbers(patient: Patient) -> list[PatientIdentifier]:
    return list(patient.identifiers)


async def _desk(bench: AssemblyBench) -> list[tuple[str, str]]:
    rows = await bench.service.pool.fetch(
        "SELECT kind, reason FROM patient_desk WHERE site_id = $1 ORDER BY kind, reason", bench.site_id
    )
    return [(row["kind"], row["reason"]) for row in rows]


async def test_correction_reaches_the_order_and_its_case_and_moves_the_identity(bench: AssemblyBench) -> None:
    """A08: name, birth date, sex and identifiers; what was signed before is held by the identity that moved."""
    await _hears(bench, an_adt("A01"))
    await bench.hears_orders(an_order(patient_id=MR))
    await bench.hears_images(*slices(bench, 1))
    before = await bench.case()

    corrected = an_adt("A08", 1, patient_id=f"{MR}~{CITIZEN}", name=CORRECTED, birth_date="19710203", sex="F")
    await _hears(bench, corrected)

    case, order = await bench.case(), (await bench.told(ORDERS_CHANGED))[-1].data
    assert await bench.told_of_cases() == ["OrderLinked", "PatientCorrected"]
    assert case.identity_version == before.identity_version + 1
    assert (case.patient.given_name, str(case.patient.birth_date), case.patient.sex) == ("TRẦN THỊ", "1971-02-03", "F")
    assert _numbers(case.patient) == [an_identifier(MR), an_identifier(CITIZEN)]
    assert (order.revision, order.patient) == (2, case.patient)


async def test_correction_twice_has_one_effect(bench: AssemblyBench) -> None:
    """The same event again, and the same words under a later control ID."""
    await bench.hears_orders(an_order(patient_id=MR))
    await bench.hears_images(*slices(bench, 1))
    event = _adt(bench, an_adt("A08", 1, name=CORRECTED))
    await bench.hears(HL7_RECEIVED, event, event)

    await bench.hears(HL7_RECEIVED, event)
    await _hears(bench, an_adt("A08", 2, name=CORRECTED))

    assert await bench.told_of_cases() == ["OrderLinked", "PatientCorrected"]
    assert len(await bench.told(ORDERS_CHANGED)) == 2


async def test_merge_shows_the_cases_of_the_old_number_under_the_survivor(bench: AssemblyBench) -> None:
    """A40: told on each case of the number that ended, with and without an order; the survivor's own are left alone."""
    await _hears(bench, an_adt("A01"), an_adt("A01", patient_id=OLD))
    await bench.hears_orders(an_order(patient_id=OLD))
    await bench.hears_images(*slices(bench, 1, **OLD_IMAGES))
    await bench.hears_images(
        bench.image(1, study="1.2.3.1", attributes={"patient_id": "TEST-0009", "accession_number": None}),
        bench.image(1, study="1.2.3.2", attributes={"accession_number": None}),
    )
    await _hears(bench, a_merge(2))

    merged = [e.data for e in await bench.told(CASES_CHANGED) if type(e.data).__name__ == "PatientsMerged"]
    assert {body.case.study_instance_uid for body in merged} == {(await bench.case()).study_instance_uid, "1.2.3.1"}
    assert {body.prior_identifiers for body in merged} == {("TEST-0009",)}
    assert all(_numbers(body.case.patient) == [an_identifier(MR)] for body in merged)
    assert (await bench.case()).identity_version == 2
    assert (await bench.told_of_cases("1.2.3.2")) == []


async def test_what_is_stored_of_the_past_stays_as_it_came(bench: AssemblyBench) -> None:
    """A merge is an alias record: statements, orders and image headers keep the old number."""
    await _hears(bench, an_adt("A01"))
    await bench.hears_orders(an_order(patient_id=OLD))
    await bench.hears_images(*slices(bench, 1, **OLD_IMAGES))

    await _hears(bench, a_merge(1))

    stored = await bench.service.pool.fetchrow(
        "SELECT o.patient AS ordered, c.imaged_patient AS imaged FROM orders o JOIN cases c USING (site_id)"
        " WHERE site_id = $1",
        bench.site_id,
    )
    assert stored is not None
    assert [_numbers(Patient.model_validate_json(stored[who]))[0].id_number for who in ("ordered", "imaged")] == [
        "TEST-0009",
        "TEST-0009",
    ]


@pytest.mark.parametrize("is_merged_first", [True, False])
async def test_order_of_the_old_number_and_images_of_the_new_are_one_patient(
    bench: AssemblyBench, *, is_merged_first: bool
) -> None:
    """Whatever comes first, the merge or the order and images that only it brings together."""
    await _hears(bench, an_adt("A01"))
    if is_merged_first:
        await _hears(bench, a_merge(1))
    await bench.hears_orders(an_order(patient_id=OLD))
    await bench.hears_images(*slices(bench, 1))
    desk = await bench.desk()
    if not is_merged_first:
        await _hears(bench, a_merge(1))

    assert desk == ([] if is_merged_first else ["patient identifiers differ"])
    assert await bench.desk() == []
    assert [order.accession_number for order in (await bench.case()).orders] == ["TEST-ACC-1"]
    assert _numbers((await bench.case()).patient) == [an_identifier(MR)]


@pytest.mark.parametrize("is_adt_first", [True, False])
async def test_order_under_another_persons_number_keeps_its_words_and_is_on_the_desk_until_corrected(
    bench: AssemblyBench, *, is_adt_first: bool
) -> None:
    """A number typed wrongly at the RIS: name and birth date are another person's than ADT says."""
    if is_adt_first:
        await _hears(bench, an_adt("A01"))
    await bench.hears_orders(an_order(patient_id=MR, name="KHÁC^NGƯỜI", put={"PID-7": "19500101"}))
    if not is_adt_first:
        await _hears(bench, an_adt("A01"))
    desk, told = await _desk(bench), (await bench.told(ORDERS_CHANGED))[-1].data

    await bench.hears_orders(an_order(5, patient_id="TEST-0003^^^HIS^MR", name="KHÁC^NGƯỜI", put={"PID-7": "19500101"}))

    assert (desk, told.patient.family_name) == ([("order", NOT_THEIRS)], "KHÁC")
    assert await _desk(bench) == []


async def test_order_of_a_patient_never_reads_as_whoever_owns_a_number_of_their_list(bench: AssemblyBench) -> None:
    """A number stands in the list by mistake, and its owner speaks first: the order stays the patient's, and the desk says so."""
    await _hears(bench, an_adt("A01", patient_id=f"{MR}~{OLD}"))
    await bench.hears_orders(an_order(patient_id=MR))
    await bench.hears_images(*slices(bench, 1))

    await _hears(bench, an_adt("A08", 1, patient_id=OLD, name="KHÁC^NGƯỜI", birth_date="19500101"))

    order, desk = (await bench.told(ORDERS_CHANGED))[-1].data, await _desk(bench)
    assert (order.patient.family_name, (await bench.case()).patient.family_name) == ("THỬ NGHIỆM", "THỬ NGHIỆM")
    assert _numbers(order.patient) == [an_identifier(MR)]
    assert desk == [("patient", said_in(TAKEN_OUT, "ADTA0100"))]
    await _hears(bench, an_adt("A08", 2))
    assert await _desk(bench) == []


@pytest.mark.parametrize("is_merged_first", [True, False])
async def test_series_under_a_merged_number_is_of_the_same_patient(
    bench: AssemblyBench, *, is_merged_first: bool
) -> None:
    """The scanner learned of the merge between two series: they are one patient's, as soon as we know too."""
    adt = (an_adt("A01"), a_merge(1))
    await _hears(bench, *(adt if is_merged_first else adt[:1]))
    await bench.hears_images(bench.image(1, attributes={"patient_id": "TEST-0009"}), bench.image(2))
    desk = await bench.desk("series")

    await _hears(bench, *(() if is_merged_first else adt[1:]))

    assert (len(desk), await bench.desk("series")) == (0 if is_merged_first else 1, [])


async def test_order_and_its_worklist_entry_are_told_with_the_patient_that_adt_knows(bench: AssemblyBench) -> None:
    """An order that comes after the correction, with the name of before, is told with the corrected one."""
    await _hears(bench, an_adt("A01"), an_adt("A08", 1, name=CORRECTED))

    await bench.hears_orders(an_order(patient_id=MR))

    assert (await bench.told(ORDERS_CHANGED))[-1].data.patient.given_name == "TRẦN THỊ"


async def test_update_by_the_old_number_corrects_the_survivor_and_leaves_a_word(bench: AssemblyBench) -> None:
    """A08 after A40 with the old identifier."""
    await _hears(bench, an_adt("A01"))
    await bench.hears_orders(an_order(patient_id=MR))
    await bench.hears_images(*slices(bench, 1))

    await _hears(bench, a_merge(1), an_adt("A08", 2, patient_id=OLD, name=CORRECTED))
    desk = await _desk(bench)
    await _hears(bench, an_adt("A08", 3, name=CORRECTED))

    case = await bench.case()
    assert (case.patient.given_name, _numbers(case.patient)) == ("TRẦN THỊ", [an_identifier(MR)])
    assert (desk, await _desk(bench)) == ([("patient", said_in(OLD_NUMBER, "ADTA0802"))], [])


async def test_merge_into_a_stranger_waits_on_the_desk_until_they_are_known(bench: AssemblyBench) -> None:
    """Nothing is lost: another link may tell of the survivor later."""
    await bench.hears_orders(an_order(patient_id=OLD))
    await bench.hears_images(*slices(bench, 1, **OLD_IMAGES))
    await _hears(bench, a_merge(2))
    waiting, told = await _desk(bench), await bench.told_of_cases()

    await _hears(bench, an_adt("A01", 0))

    assert (waiting, told) == ([("merge", said_in(WAITS, "ADTA4002"))], ["OrderLinked"])
    assert await bench.told_of_cases() == ["OrderLinked", "PatientsMerged"]
    assert (_numbers((await bench.case()).patient), await _desk(bench)) == ([an_identifier(MR)], [])


async def test_merge_into_a_patient_whom_only_an_order_names_applies(bench: AssemblyBench) -> None:
    """Many hospitals are connected long after their patients were registered."""
    await bench.hears_orders(an_order(patient_id=MR))
    await bench.hears_images(*slices(bench, 1))
    await bench.hears_images(
        bench.image(1, study="1.2.3.1", attributes={"patient_id": "TEST-0009", "accession_number": None})
    )

    await _hears(bench, a_merge(1))

    assert (await bench.told_of_cases("1.2.3.1"), await _desk(bench)) == (["PatientsMerged"], [])
    assert _numbers((await bench.case("1.2.3.1")).patient) == [an_identifier(MR)]


@pytest.mark.parametrize("by", ["order", "image"])
async def test_merge_that_waits_applies_when_an_order_or_an_image_names_the_survivor(
    bench: AssemblyBench, by: str
) -> None:
    """It need not be ADT: whoever names the survivor makes them known, and a waiting merge is not forgotten."""
    other = bench.image(1, study="1.2.3.1", attributes={"patient_id": "TEST-0009", "accession_number": None})
    await bench.hears_images(other)
    await _hears(bench, a_merge(1))
    await LateSurvivors(bench.service).tick()
    told = await bench.told_of_cases("1.2.3.1")

    await (bench.hears_orders(an_order(patient_id=MR)) if by == "order" else bench.hears_images(*slices(bench, 1)))
    await LateSurvivors(bench.service).tick()

    assert (told, await bench.told_of_cases("1.2.3.1"), await _desk(bench)) == ([], ["PatientsMerged"], [])
    assert _numbers((await bench.case("1.2.3.1")).patient) == [an_identifier(MR)]


async def test_merge_that_closes_a_circle_is_set_aside_with_its_reason(bench: AssemblyBench) -> None:
    """It changes nothing, keeps its bytes, and an operator can replay it."""
    await _hears(bench, an_adt("A01"), an_adt("A01", patient_id=OLD), a_merge(1))

    await _hears(bench, an_adt("A08", 2, name=CORRECTED), a_merge(2, (OLD, MR)))

    dead = await _dead_letters(bench)
    kept = await bench.service.pool.fetchval(
        "SELECT count(*) FROM patient_statements WHERE site_id = $1", bench.site_id
    )
    assert [CIRCLE in headers for headers in dead] == [True]
    assert kept == 4


async def _dead_letters(bench: AssemblyBench) -> list[str]:
    rows = await bench.service.pool.fetch("SELECT value, headers FROM outbox WHERE topic = 'hl7.received.dead'")
    return [str(row["headers"]) for row in rows if bench.site_id.encode() in bytes(row["value"])]


async def test_citizen_number_that_does_not_fit_is_on_the_desk_until_corrected(bench: AssemblyBench) -> None:
    """Soft checks: the patient is taken, a person is told, without the number."""
    await _hears(bench, an_adt("A01", patient_id=f"{MR}~003170012345^^^VNBCA^NI~{INSURANCE}"))
    desk = await _desk(bench)

    await _hears(bench, an_adt("A08", 1, patient_id=f"{MR}~{CITIZEN}"))

    assert [kind for kind, _ in desk] == ["patient", "patient"]
    assert not any("0031" in reason for _, reason in desk)
    assert await _desk(bench) == []


async def test_merges_orders_and_images_at_the_same_time_miss_nothing(bench: AssemblyBench) -> None:
    """Several links and scanners at once: whichever commits first, every case has its order and the survivor."""
    numbers = range(20)
    orders = [
        an_order(placer=f"P{n}^HIS", accession=f"ACC{n}", study=f"1.2.4.{n}", patient_id=_old(n)) for n in numbers
    ]
    images = [
        bench.image(1, study=f"1.2.3.{n}", attributes={"patient_id": f"TEST-1{n}", "accession_number": f"ACC{n}"})
        for n in numbers
    ]
    merges = [a_merge(1, (f"TEST-2{n}^^^HIS^MR", _old(n)), put={"MSH-10": f"A40-{n}"}) for n in numbers]
    known = [an_adt("A01", patient_id=f"TEST-2{n}^^^HIS^MR", put={"MSH-10": f"A01-{n}"}) for n in numbers]

    await asyncio.gather(
        *(bench.hears_orders(*orders[start : start + 4]) for start in range(0, 20, 4)),
        *(bench.hears_images(*reversed(images[start : start + 4])) for start in range(0, 20, 4)),
        *(_hears(bench, *known[start : start + 4], *merges[start : start + 4]) for start in range(0, 20, 4)),
    )

    shown = [(await bench.case(f"1.2.3.{n}")).patient.identifiers for n in numbers]
    assert shown == [(an_identifier(f"TEST-2{n}^^^HIS^MR"),) for n in numbers]
    assert len(await bench.links()) == 20
    assert (await bench.desk(), await _desk(bench), await _dead_letters(bench)) == ([], [], [])


def _old(number: int) -> str:
    return f"TEST-1{number}^^^HIS^MR"


async def test_nothing_said_of_patients_names_one(bench: AssemblyBench) -> None:
    """Logs, desk and dead letters' reasons hold ids and fields: no number, no name, no date."""
    with capture_logs() as logs:
        await _hears(bench, an_adt("A01", patient_id=f"{MR}~003170012345^^^VNBCA^NI"), an_adt("A01", patient_id=OLD))
        await _hears(bench, a_merge(1), a_merge(2, (OLD, MR)))
        await _hears(bench, an_adt("A08", 3, patient_id=OLD), a_merge(4, ("TEST-0004^^^HIS^MR", MR)))

    said = f"{logs} {await _desk(bench)} {await _dead_letters(bench)}"
    assert all(reason in said for reason in (CIRCLE, OLD_NUMBER, WAITS))
    assert not any(private in said for private in ("TEST-0", "0031700", "NGUYỄN", "1970"))


STORY: Sequence[tuple[str, str]] = (("his", "A01"), ("his", "A08"), ("his", "A40"), ("ris", "ORM"), ("ct", "images"))


def _arrivals() -> list[tuple[int, ...]]:
    """Return every order of arrival that keeps the order of the HIS's link."""
    return [order for order in permutations(range(5)) if [n for n in order if n < 3] == [0, 1, 2]]


@pytest.mark.parametrize("arrival", _arrivals(), ids=lambda order: "-".join(STORY[n][1] for n in order))
async def test_admission_order_correction_and_merge_within_one_second_end_right(
    bench: AssemblyBench, arrival: tuple[int, ...]
) -> None:
    """All with the same MSH-7, the order and images by links of their own: one case, one order, the survivor."""
    happens = (
        _hears(bench, an_adt("A01"), an_adt("A01", patient_id=OLD)),
        _hears(bench, an_adt("A08", patient_id=OLD, name="THỬ NGHIỆM^CŨ"), an_adt("A08", name=CORRECTED, sex="F")),
        _hears(bench, a_merge()),
        bench.hears_orders(an_order(patient_id=OLD)),
        bench.hears_images(*slices(bench, 1, **OLD_IMAGES)),
    )

    for step in arrival:
        await happens[step]

    case = await bench.case()
    order = [e.data for e in await bench.told(ORDERS_CHANGED)][-1]
    survivor = a_patient(identifiers=(an_identifier(MR),), family_name="THỬ NGHIỆM", given_name="TRẦN THỊ", sex="F")
    assert (case.patient, order.patient) == (survivor, survivor)
    assert [one.accession_number for one in case.orders] == ["TEST-ACC-1"]
    assert (await bench.desk(), await _desk(bench)) == ([], [])


@pytest.mark.parametrize("place", range(6))
async def test_admission_correction_and_merge_end_right_with_an_order_anywhere_in_their_batch(
    bench: AssemblyBench, place: int
) -> None:
    """REQ-PAT-03: all within one second and polled at once, the order by a link of its own; images come before or after."""
    patients = [
        *(an_adt("A01"), an_adt("A01", patient_id=OLD), an_adt("A08", patient_id=OLD, name="THỬ NGHIỆM^CŨ")),
        *(an_adt("A08", name=CORRECTED, sex="F"), a_merge()),
    ]
    told: list[Event[Body]] = [_adt(bench, one) for one in patients]
    told.insert(place, bench.order(an_order(patient_id=OLD), link_id="ris"))

    if place % 2:
        await bench.hears_images(*slices(bench, 1, **OLD_IMAGES))
    await bench.hears(HL7_RECEIVED, *told)
    if not place % 2:
        await bench.hears_images(*slices(bench, 1, **OLD_IMAGES))

    case = await bench.case()
    survivor = a_patient(identifiers=(an_identifier(MR),), family_name="THỬ NGHIỆM", given_name="TRẦN THỊ", sex="F")
    assert (case.patient, [e.data.patient for e in await bench.told(ORDERS_CHANGED)][-1]) == (survivor, survivor)
    assert [one.accession_number for one in case.orders] == ["TEST-ACC-1"]
    assert (await bench.desk(), await _desk(bench)) == ([], [])
