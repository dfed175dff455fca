"""`assembly` on real PostgreSQL: results of laboratories, RIS and monitors stand beside cases, or close them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.events.cases import AppointmentStatus, Case
from overread.contracts.topics import CASES_CHANGED, HL7_RECEIVED
from tests.builders.hl7 import an_oru
from tests.builders.orders import an_order
from tests.builders.patients import OLD, a_merge, an_adt
from tests.builders.results import a_monitor_reading, a_reader_report, a_result, an_appointment, an_obx
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site whose RIS speaks on the link `ris`."""
    dsn = stack.endpoints.dsn("assembly")
    async with an_assembly_bench(dsn, tmp_path, report_links=frozenset({"ris"})) as opened:
        yield opened


async def hears_results(bench: AssemblyBench, *raw: bytes, **known: str) -> None:
    """Consume ORU messages as one batch, by default of a laboratory's link."""
    said = {"message_type": "ORU", "trigger_event": "R01", "link_id": "lis", "sending_application": "LIS"} | known
    await bench.hears(HL7_RECEIVED, *(bench.order(one, **said) for one in raw))


async def hears_reports(bench: AssemblyBench, *raw: bytes, **known: str) -> None:
    """Consume a RIS's messages as one batch."""
    await hears_results(bench, *raw, **({"link_id": "ris", "sending_application": "RIS"} | known))


async def a_complete_study(bench: AssemblyBench) -> None:
    """Let an order and its images become a case that is ready."""
    await bench.hears_orders(an_order())
    await bench.hears_images(*slices(bench, 2), bench.closed())
    await bench.waits(4)


def values(case: Case) -> list[tuple[str, str]]:
    """Return what the laboratory said."""
    return [(one.concept, one.value) for one in case.laboratory]


# --- a reader's report of the RIS -------------------------------------------------------------------------------


async def test_final_report_of_the_ris_is_told_once_and_changes_no_identity(bench: AssemblyBench) -> None:
    """REQ-ELS-01: the case says who reported and when; no text travels."""
    await a_complete_study(bench)
    before = await bench.case()

    await hears_reports(bench, a_reader_report())
    await hears_reports(bench, a_reader_report(control_id="AGAIN"))

    case = await bench.case()
    assert (await bench.told_of_cases())[-2:] == ["StudyReady", "ReadElsewhere"]
    assert case.read_elsewhere is not None
    assert (case.read_elsewhere.reporter, case.read_elsewhere.status) == ("MẪU MINH CHÂU", "F")
    assert (case.identity_version, case.revision) == (before.identity_version, before.revision + 1)
    told = (await bench.told(CASES_CHANGED))[-1].model_dump_json()
    assert "Phổi hai bên" not in told


async def test_order_images_and_report_in_any_order_give_the_same_case(bench: AssemblyBench) -> None:
    """A report may come before its images: each event carries the whole case."""
    ends = []
    for number, arrival in enumerate(permutations(("order", "images", "report"))):
        study, accession = f"1.2.826.0.1.3680043.10.1338.7{number}", f"TEST-ACC-7{number}"
        placer = f"TEST-PLACER-7{number}^HIS"
        for what in arrival:
            match what:
                case "order":
                    await bench.hears_orders(an_order(study=study, accession=accession, placer=placer))
                case "images":
                    header = {"accession_number": accession}
                    await bench.hears_images(
                        *slices(bench, 1, study_instance_uid=study, content=study, attributes=header)
                    )
                case _:
                    await hears_reports(bench, a_reader_report(accession=accession, placer=placer, filler=f"F{number}"))
        case = await bench.case(study)
        ends.append((case.read_elsewhere is not None, len(case.orders)))

    assert ends == [(True, 1)] * 6


async def test_report_that_is_taken_back_opens_the_case_again(bench: AssemblyBench) -> None:
    """REQ-ELS-03: X, D or W of the same report, later."""
    await a_complete_study(bench)
    await hears_reports(bench, a_reader_report(minute=30))

    await hears_reports(bench, a_reader_report("X", minute=40))
    await hears_reports(bench, a_reader_report("P", minute=50))

    assert (await bench.told_of_cases())[-2:] == ["ReadElsewhere", "ReadElsewhere"]
    assert (await bench.case()).read_elsewhere is None


@pytest.mark.parametrize(
    "known",
    [
        {"link_id": "lis"},  # a link that is no RIS's
        {"link_id": "ris", "sending_application": "OVERREAD"},  # what Overread sent, come back
    ],
)
async def test_report_of_nobody_who_reads_closes_nothing(bench: AssemblyBench, known: dict[str, Any]) -> None:
    """REQ-ELS-04: only whom the site named as a RIS."""
    await a_complete_study(bench)

    await hears_reports(bench, a_reader_report(), **known)

    assert (await bench.told_of_cases())[-1] == "StudyReady"


async def test_our_own_final_result_handed_back_by_the_ris_closes_nothing(bench: AssemblyBench) -> None:
    """REQ-ELS-04: an interface engine may send everything to everybody, under its own name."""
    await a_complete_study(bench)

    same_patient = {"PID-3": "TEST-0001^^^HIS^PI", "PID-7": "19700101"}
    await hears_reports(bench, an_oru("F", put={"MSH-3": "RIS", "OBR-18": "TEST-ACC-1", **same_patient}))

    assert (await bench.told_of_cases())[-1] == "StudyReady"


async def test_application_can_be_named_in_place_of_a_link(stack: Any, tmp_path: Path) -> None:
    """Where one link carries RIS and laboratory."""
    names = frozenset({"RIS|TEST"})
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path, report_applications=names) as bench:
        await a_complete_study(bench)
        await hears_reports(bench, a_reader_report(), link_id="all", sending_facility="TEST")

        assert (await bench.case()).read_elsewhere is not None


async def test_report_of_another_patient_goes_to_the_desk_and_closes_nothing(bench: AssemblyBench) -> None:
    """REQ-ELS-05: until it is corrected."""
    await a_complete_study(bench)

    await hears_reports(bench, a_reader_report(patient_id="TEST-0002^^^HIS^PI"))
    assert await bench.desk("report") == [
        "a reader's report of another system names this case: patient identifiers differ"
    ]
    assert (await bench.told_of_cases())[-1] == "StudyReady"

    await hears_reports(bench, a_reader_report(minute=40))
    assert (await bench.desk("report"), (await bench.told_of_cases())[-1]) == ([], "ReadElsewhere")


# --- laboratory and bedside -------------------------------------------------------------------------------------


async def test_laboratory_value_stands_beside_the_study_whatever_comes_first(bench: AssemblyBench) -> None:
    """REQ-LAB-01: known before the images it rides along, after them it is told."""
    await hears_results(bench, a_result(an_obx(value="126")))
    await a_complete_study(bench)
    assert values(await bench.case()) == [("creatinine", "126")]

    await hears_results(bench, a_result(an_obx("48065-7^D-dimer FEU^LN", "900"), filler="LAB-2^LIS", minute=5))

    assert values(await bench.case()) == [("creatinine", "126"), ("d_dimer", "900")]
    assert (await bench.told_of_cases())[-2:] == ["StudyReady", "ContextChanged"]


async def test_result_twice_has_one_effect(bench: AssemblyBench) -> None:
    """The same words under another control ID tell nothing again."""
    await a_complete_study(bench)

    await hears_results(bench, a_result(), a_result(control_id="AGAIN"))
    await hears_results(bench, a_result(control_id="ONCE-MORE"))

    assert (await bench.told_of_cases())[-2:] == ["StudyReady", "ContextChanged"]


async def test_corrected_and_deleted_values_are_told(bench: AssemblyBench) -> None:
    """REQ-LAB-02: a value that no longer holds does not stay on the page."""
    await a_complete_study(bench)
    await hears_results(bench, a_result(an_obx(value="126"), minute=1))

    await hears_results(bench, a_result(an_obx(value="88", status="C"), minute=2))
    corrected = values(await bench.case())
    await hears_results(bench, a_result(an_obx(value="", status="D"), minute=3))

    assert (corrected, values(await bench.case())) == ([("creatinine", "88")], [])


async def test_bedside_values_ride_along_and_move_nothing(bench: AssemblyBench) -> None:
    """A monitor speaks every minute: no event of a case follows from that alone."""
    await hears_results(bench, a_monitor_reading("93", 1), link_id="icu", sending_application="MONITOR")
    await a_complete_study(bench)
    told = await bench.told_of_cases()

    await hears_results(bench, a_monitor_reading("88", 2), link_id="icu", sending_application="MONITOR")

    assert [(one.concept, one.value) for one in (await bench.case()).bedside] == [("oxygen_saturation", "93")]
    assert await bench.told_of_cases() == told


async def test_value_of_another_patient_or_of_long_ago_is_not_told(bench: AssemblyBench) -> None:
    """REQ-LAB-04: nothing of it stands beside the case."""
    await a_complete_study(bench)
    old = (bench.clock() - timedelta(days=91)).strftime("%Y%m%d%H%M%S+0000")

    await hears_results(bench, a_result(patient_id="TEST-0002^^^HIS^PI"), a_result(an_obx(at=old), filler="LAB-3^LIS"))

    assert (await bench.told_of_cases())[-1] == "StudyReady"
    assert (await bench.case()).laboratory == ()


@pytest.mark.parametrize("is_merged_first", [True, False])
async def test_value_under_a_number_that_a_merge_ended_is_the_survivors(
    bench: AssemblyBench, *, is_merged_first: bool
) -> None:
    """REQ-LAB-01: the laboratory may learn of a merge last, or have spoken before it."""
    await a_complete_study(bench)
    adt = {"message_type": "ADT", "trigger_event": "A40"}
    told = [bench.order(an_adt("A08", 1), **adt), bench.order(a_merge(2), **adt)]
    value = a_result(patient_id=OLD)

    if is_merged_first:
        await bench.hears(HL7_RECEIVED, *told)
        await hears_results(bench, value)
    else:
        await hears_results(bench, value)
        assert values(await bench.case()) == []
        await bench.hears(HL7_RECEIVED, *told)

    assert values(await bench.case()) == [("creatinine", "126")]


# --- appointments -----------------------------------------------------------------------------------------------


async def hears_appointments(bench: AssemblyBench, *raw: bytes) -> None:
    """Consume a scheduling system's messages as one batch."""
    known = {"message_type": "SIU", "trigger_event": "S12", "link_id": "his", "sending_application": "SCHED"}
    await bench.hears(HL7_RECEIVED, *(bench.order(one, **known) for one in raw))


async def test_appointment_is_a_note_beside_its_order_and_never_makes_one(bench: AssemblyBench) -> None:
    """REQ-SIU-01: it may come before the order, and changes nothing of it."""
    await hears_appointments(bench, an_appointment())
    assert (await bench.orders(), await bench.told(CASES_CHANGED)) == ([], [])

    await a_complete_study(bench)

    case = await bench.case()
    [appointment] = case.appointments
    assert (appointment.order_id, appointment.status) == (case.orders[0].order_id, AppointmentStatus.BOOKED)
    assert appointment.scheduled_at == datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    assert case.orders[0].scheduled_at != appointment.scheduled_at


@pytest.mark.parametrize(
    ("event", "status"), [("S15", AppointmentStatus.CANCELLED), ("S26", AppointmentStatus.NO_SHOW)]
)
async def test_later_word_about_an_appointment_holds_whatever_comes_first(
    bench: AssemblyBench, event: str, status: AppointmentStatus
) -> None:
    """REQ-SIU-02: by the sender's time; the order itself stays as it was."""
    await a_complete_study(bench)
    before = await bench.case()

    await hears_appointments(bench, an_appointment(event, minute=20))
    await hears_appointments(bench, an_appointment("S13", minute=10), an_appointment("S12"))

    case = await bench.case()
    assert [one.status for one in case.appointments] == [status]
    assert (await bench.told_of_cases())[-2:] == ["StudyReady", "ContextChanged"]
    assert (case.orders, case.identity_version) == (before.orders, before.identity_version)


@pytest.mark.parametrize("known", [{"patient_id": "TEST-0002^^^HIS^PI"}, {"placer": "OTHER^HIS"}])
async def test_appointment_of_another_patient_or_order_is_no_note(bench: AssemblyBench, known: dict[str, Any]) -> None:
    """REQ-SIU-01: a number alone is not enough."""
    await a_complete_study(bench)

    await hears_appointments(bench, an_appointment(**known))

    assert (await bench.told_of_cases())[-1] == "StudyReady"
