"""`assembly` on real PostgreSQL: orders and images become cases, whatever comes first, once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overread.assembly import matching
from overread.contracts import codec
from overread.contracts.envelope import MAX_EVENT_BYTES, Event
from overread.contracts.events.orders import OrderStatus
from overread.contracts.identifiers import deterministic_id
from overread.contracts.topics import CASES_CHANGED, DICOM_RECEIVED, HL7_RECEIVED, ORDERS_CHANGED
from overread.dicom_intake.storage_scp import INSTANCES_PER_HINT
from tests.builders.events import NOON, STUDY, an_event, an_intake_restarted
from tests.builders.orders import a_cancellation, an_order
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

OTHER_STUDY = f"{STUDY}.9"
SECOND = deterministic_id("association", "2")


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site."""
    async with an_assembly_bench(stack.endpoints.dsn("assembly"), tmp_path) as opened:
        yield opened


async def test_order_then_images_become_one_case_that_is_ready(bench: AssemblyBench) -> None:
    """The main way: linked at the first image, ready after the association's end and the quiet time."""
    await bench.hears_orders(an_order())
    await bench.hears_images(*slices(bench, 3))
    await bench.hears_images(bench.closed())

    await bench.waits(4)

    case = await bench.case()
    assert await bench.told_of_cases() == ["OrderLinked", "StudyReady"]
    assert case.study is not None
    assert (case.study.instance_count, case.study.completeness_basis) == (3, "quiet_after_association")
    assert [order.accession_number for order in case.orders] == ["TEST-ACC-1"]
    assert len((await bench.manifest()).series[0].instances) == 3


async def test_images_then_order_give_the_same_case_and_infer_nothing_again(bench: AssemblyBench) -> None:
    """A study needs no order; linking is no new study revision."""
    await bench.hears_images(*slices(bench, 2), bench.closed())
    await bench.waits(4)

    await bench.hears_orders(an_order())

    case = await bench.case()
    assert await bench.told_of_cases() == ["StudyReady", "OrderLinked"]
    assert (case.study and case.study.study_revision, case.identity_version, len(case.orders)) == (1, 1, 1)


async def test_images_twice_has_one_effect(bench: AssemblyBench) -> None:
    """The same instance again, on another association and in another batch, is the same instance."""
    await bench.hears_images(*slices(bench, 2), *slices(bench, 2), bench.closed())
    await bench.waits(4)
    before = await bench.told_of_cases()

    again = [an_event(event.data, site_id=bench.site_id, own_key="again") for event in slices(bench, 2)]
    await bench.hears_images(*slices(bench, 2, association_id=SECOND), bench.closed(association_id=SECOND), again[0])
    await bench.waits(900)

    assert (await bench.told_of_cases(), await bench.due(), await bench.desk("instance")) == (before, None, [])


async def test_order_twice_has_one_effect(bench: AssemblyBench) -> None:
    """The same event again, and the same words under a later control ID, change nothing and move no identity."""
    await bench.hears_images(*slices(bench, 1))
    event = bench.order(an_order())
    await bench.hears(HL7_RECEIVED, event, event)

    await bench.hears(HL7_RECEIVED, event)
    await bench.hears_orders(an_order(5))

    assert (len(await bench.told(ORDERS_CHANGED)), await bench.told_of_cases()) == (1, ["OrderLinked"])


async def test_restart_twice_has_one_effect(bench: AssemblyBench) -> None:
    """An intake that came back is told once, and a repeat moves no timer."""
    await bench.hears_images(*slices(bench, 1))
    restarted = an_event(
        an_intake_restarted(restarted_at=NOON + timedelta(seconds=1)), site_id=bench.site_id, own_key=bench.site_id
    )
    bench.clock.pass_by(seconds=1)
    await bench.hears_images(restarted)
    bench.clock.pass_by(seconds=2)

    await bench.hears_images(restarted)

    assert await bench.due() == (2.0, "quiet_after_association")


async def test_late_image_supersedes_and_makes_the_next_revision(bench: AssemblyBench) -> None:
    """Once: a hundred late images are one StudySuperseded."""
    await bench.hears_images(*slices(bench, 2), bench.closed())
    await bench.waits(4)

    late = [bench.image(number, association_id=SECOND) for number in (3, 4)]
    await bench.hears_images(late[0])
    await bench.hears_images(late[1], bench.closed(association_id=SECOND))
    await bench.waits(4)

    case = await bench.case()
    assert await bench.told_of_cases() == ["StudyReady", "StudySuperseded", "StudyReady"]
    assert case.study is not None
    assert (case.study.study_revision, case.study.instance_count, case.revision) == (2, 4, 3)


async def test_ten_thousand_instances_are_one_study_and_no_event_grows_with_them(bench: AssemblyBench) -> None:
    """The manifest is a stored object and names each of them once; what comes and what leaves is below 256 KiB."""
    images: Sequence[Event[Any]] = slices(bench, 10_000)
    uids = tuple(event.data.sop_instance_uid for event in images)
    parts = [uids[start : start + INSTANCES_PER_HINT] for start in range(0, len(uids), INSTANCES_PER_HINT)]
    hints = [bench.closed(sop_instance_uids=part) for part in parts]
    for start in range(0, 10_000, 200):
        await bench.hears_images(*images[start : start + 200])
    await bench.hears_images(*hints)

    await bench.waits(4)

    case, manifest = await bench.case(), await bench.manifest()
    read = [instance.sop_instance_uid for series in manifest.series for instance in series.instances]
    told = await bench.told(CASES_CHANGED)
    assert await bench.told_of_cases() == ["StudyReady"]
    assert (case.study and case.study.instance_count, sorted(read)) == (10_000, sorted(uids))
    assert max(len(codec.encode(event)) for event in (*images, *hints, *told)) < MAX_EVENT_BYTES


async def test_what_we_issued_comes_back_and_opens_nothing(bench: AssemblyBench) -> None:
    """A PACS sends SR and SC of ours back: they are kept and never re-open a study."""
    await bench.hears_images(*slices(bench, 2), bench.closed())
    await bench.waits(4)

    report = bench.image(9, is_accompanying=True, association_id=SECOND, attributes={"modality": "SR"})
    await bench.hears_images(report, bench.closed(association_id=SECOND))
    await bench.waits(900)

    assert (await bench.told_of_cases(), await bench.due()) == (["StudyReady"], None)


async def test_open_association_holds_and_its_end_shortens_the_wait(bench: AssemblyBench) -> None:
    """The timer counts by the broker's time."""
    await bench.hears_images(*slices(bench, 1))
    held = await bench.due()
    bench.clock.pass_by(seconds=30)

    await bench.hears_images(bench.closed())

    assert (held, await bench.due()) == ((600.0, "hold_cap"), (4.0, "quiet_after_association"))


async def test_association_of_an_intake_that_died_holds_nothing(bench: AssemblyBench) -> None:
    """Its end will never be told; images of it that were told and not read yet don't hold either."""
    await bench.hears_images(*slices(bench, 1))
    bench.clock.pass_by(seconds=5)
    restarted = an_intake_restarted(restarted_at=NOON + timedelta(seconds=5))

    await bench.hears_images(an_event(restarted, site_id=bench.site_id, own_key=bench.site_id), bench.image(2))

    assert await bench.due() == (4.0, "quiet_after_association")


async def test_timer_does_not_fire_while_images_are_unread(bench: AssemblyBench) -> None:
    """A timer fires only when assembly has read its partition to the end of that moment."""
    await bench.hears_images(*slices(bench, 1), bench.closed())
    consumer: Any = bench.service.consumptions[DICOM_RECEIVED.name].consumer
    consumer.ends[bench.partition] = 10_000

    await bench.waits(60)

    assert await bench.told_of_cases() == []


async def test_timers_of_other_partitions_are_left_alone(bench: AssemblyBench) -> None:
    """Another process reads them: it alone knows whether an image is on its way."""
    await bench.hears_images(*slices(bench, 1), bench.closed())
    consumer: Any = bench.service.consumptions[DICOM_RECEIVED.name].consumer
    consumer.assigned = set()

    await bench.waits(60)

    assert (await bench.told_of_cases(), await bench.due()) == ([], (-56.0, "quiet_after_association"))


async def test_study_that_can_not_be_completed_waits_and_stops_no_other(
    bench: AssemblyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad study must not end the service for all."""
    put, bad = bench.objects.put, f"/studies/{STUDY}/manifests/"
    await bench.hears_images(*slices(bench, 1), bench.closed())
    await bench.hears_images(bench.image(1, study=OTHER_STUDY), bench.closed(study=OTHER_STUDY))

    async def failing_put(key: str, parts: Any) -> None:
        if bad in key:
            raise KeyError("a bug")
        await put(key, parts)

    with monkeypatch.context() as patched:
        patched.setattr(bench.objects, "put", failing_put)
        await bench.waits(4)
    told = await bench.told_of_cases(), await bench.told_of_cases(OTHER_STUDY), await bench.due()
    await bench.waits(30)

    assert told == ([], ["StudyReady"], (30.0, "quiet_after_association"))
    assert await bench.told_of_cases() == ["StudyReady"]


async def test_order_of_another_patient_goes_to_the_desk_until_it_is_corrected(bench: AssemblyBench) -> None:
    """The numbers agree and the patient does not: a person decides, unless the sender mends it."""
    await bench.hears_images(*slices(bench, 1))
    await bench.hears_orders(an_order(0, patient_id="TEST-0002^^^HIS^PI"))
    desk = await bench.desk()

    await bench.hears_orders(an_order(1, control="XO"))

    assert (desk, await bench.desk(), await bench.told_of_cases()) == (
        ["patient identifiers differ"],
        [],
        ["OrderLinked"],
    )


async def test_order_cancelled_before_its_images_goes_to_the_desk(bench: AssemblyBench) -> None:
    """The case stands without the order: it is read, and a person asks why the images were taken."""
    await bench.hears_orders(an_order(0), a_cancellation(1))
    await bench.hears_images(*slices(bench, 1), bench.closed())

    await bench.waits(4)

    case = await bench.case()
    assert (await bench.desk(), case.orders, await bench.links()) == ([matching.CANCELLED_BEFORE], (), set())
    assert await bench.told_of_cases() == ["StudyReady"]


async def test_order_cancelled_once_linked_is_told_on_its_case(bench: AssemblyBench) -> None:
    """What was read for it must be withdrawn or held; an older message then changes nothing."""
    await bench.hears_orders(an_order(1))
    await bench.hears_images(*slices(bench, 1))
    await bench.hears_orders(a_cancellation(2))

    await bench.hears_orders(an_order(0))

    case = await bench.case()
    assert await bench.told_of_cases() == ["OrderLinked", "OrderCancelled"]
    assert (case.orders[0].status, case.identity_version) == (OrderStatus.CANCELLED, 2)


async def test_order_whose_numbers_move_away_leaves_its_case(bench: AssemblyBench) -> None:
    """Its results would name another examination: the link ends, and a person is told."""
    await bench.hears_orders(an_order(0))
    await bench.hears_images(*slices(bench, 1))
    moved = an_order(1, control="XO", accession="TEST-ACC-2", study=OTHER_STUDY)

    await bench.hears_orders(moved)
    await bench.hears_images(bench.image(1, study=OTHER_STUDY, attributes={"accession_number": "TEST-ACC-2"}))

    left, joined = await bench.case(), await bench.case(OTHER_STUDY)
    assert (await bench.told_of_cases(), await bench.desk()) == (
        ["OrderLinked", "OrderChangedOnCase"],
        [matching.MOVED_AWAY],
    )
    assert (left.orders, left.identity_version, len(joined.orders)) == ((), 2, 1)


async def test_change_of_a_linked_order_is_told_on_its_case(bench: AssemblyBench) -> None:
    """A report that was signed for the old words is held."""
    await bench.hears_orders(an_order(0))
    await bench.hears_images(*slices(bench, 1))

    await bench.hears_orders(an_order(1, control="XO", priority="S"))

    case = await bench.case()
    assert (await bench.told_of_cases())[-1] == "OrderChangedOnCase"
    assert (case.orders[0].priority, case.identity_version, case.revision) == ("S", 2, 2)


async def test_plain_cancellation_ends_both_orders_of_one_message(bench: AssemblyBench) -> None:
    """Two studies were asked for under one number."""
    second = f"IPC|A2^RIS|RP2^RIS|{OTHER_STUDY}^^{OTHER_STUDY}^ISO|SPS2^RIS|CT\r".encode()
    await bench.hears_orders(an_order(0, accession="A1") + second)

    await bench.hears_orders(a_cancellation(1))

    assert [(o.accession_number, o.status) for o in await bench.orders()] == [
        ("A1", OrderStatus.CANCELLED),
        ("A2", OrderStatus.CANCELLED),
    ]


async def test_two_accession_numbers_of_a_study_link_two_orders(bench: AssemblyBench) -> None:
    """Accession and study are many-to-many."""
    await bench.hears_orders(an_order(0), an_order(0, placer="TEST-PLACER-2^HIS", accession="B", study=OTHER_STUDY))

    await bench.hears_images(bench.image(1), bench.image(2, attributes={"accession_number": "B"}))

    assert sorted(str(order.accession_number) for order in (await bench.case()).orders) == ["B", "TEST-ACC-1"]


async def test_same_instance_with_other_content_goes_to_the_desk_and_the_first_is_read(bench: AssemblyBench) -> None:
    """Both are kept; a conflict is no reason to keep the study back."""
    await bench.hears_images(bench.image(1), bench.image(1, content="other"), bench.closed())
    await bench.waits(4)

    instances = (await bench.manifest()).series[0].instances

    assert (len(await bench.desk("instance")), [i.digest for i in instances]) == (1, [bench.image(1).data.digest])  # type: ignore[attr-defined]


async def test_series_of_another_patient_goes_to_the_desk(bench: AssemblyBench) -> None:
    """Two patients in one study is a mistake at the scanner: a person decides."""
    other = {"patient_id": "TEST-0002", "series_instance_uid": f"{STUDY}.2"}

    await bench.hears_images(bench.image(1), bench.image(2, attributes=other), bench.image(3, attributes=other))

    assert await bench.desk("series") == ["not all images name the same patient: patient identifiers differ"]


async def test_one_image_that_says_so_makes_the_study_synthetic(bench: AssemblyBench) -> None:
    """(0028,0300) of a phantom: a study without an order is marked too, whichever image came first."""
    phantom = bench.image(2, attributes={"quality_control_image": "YES"})

    await bench.hears_images(bench.image(1), phantom, bench.closed())
    await bench.waits(4)

    assert (await bench.case()).is_synthetic


async def test_ready_carries_on_the_trace_of_the_images(bench: AssemblyBench) -> None:
    """`traceparent` travels from intake to delivery; `caused_by` names what led to it."""
    await bench.hears_orders(an_order())
    await bench.hears_images(*slices(bench, 1))
    closed = bench.closed()
    await bench.hears_images(closed)

    await bench.waits(4)

    ready = (await bench.told(CASES_CHANGED))[-1]
    assert (ready.caused_by, ready.traceparent[:36]) == (closed.id, closed.traceparent[:36])
    assert (ready.site_id, ready.source) == (bench.site_id, "assembly")


async def test_orders_and_images_at_the_same_time_miss_nothing(bench: AssemblyBench) -> None:
    """Two consumptions lock the same numbers from two sides, in batches of any order: none is lost, none set aside."""
    studies = [f"{STUDY}.{number}" for number in range(40)]
    messages = [
        an_order(minute, placer=f"P{number}^HIS", accession=f"ACC{number}", study=f"{OTHER_STUDY}.{number}")
        for minute in range(3)
        for number in range(40)
    ]
    images = [
        bench.image(number, study=study, attributes={"accession_number": f"ACC{index}"})
        for number in range(1, 4)
        for index, study in enumerate(studies)
    ]

    await asyncio.gather(
        *(bench.hears_orders(*messages[start : start + 20]) for start in range(0, 120, 20)),
        *(bench.hears_images(*reversed(images[start : start + 20])) for start in range(0, 120, 20)),
    )

    assert len(await bench.links()) == 40
    assert await bench.desk() == []
    assert all([await bench.told_of_cases(study) == ["OrderLinked"] for study in studies])
    assert len(await bench.orders()) == 40
