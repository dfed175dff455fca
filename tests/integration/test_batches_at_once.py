"""`assembly` on real PostgreSQL: batches of every kind at the same time, about the same cases in opposite order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.envelope import Body, Event
from overread.contracts.topics import HL7_RECEIVED
from tests.builders.orders import an_order
from tests.builders.patients import an_adt
from tests.builders.results import a_reader_report, a_result, an_appointment, an_obx
from tests.fakes.assembly import AssemblyBench, an_assembly_bench, slices

pytestmark = pytest.mark.stack

ROUNDS = 8
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[AssemblyBench]:
    """Return an assembly of its own site whose RIS speaks on the link `ris`."""
    dsn = stack.endpoints.dsn("assembly")
    async with an_assembly_bench(dsn, tmp_path, report_links=frozenset({"ris"})) as opened:
        yield opened


class Exam:
    """One of two examinations, and what is told of it."""

    def __init__(self, bench: AssemblyBench, name: str) -> None:
        self._bench = bench
        self.study = f"1.2.826.0.1.3680043.10.1338.8{ord(name)}"
        self._patient = f"TEST-{name}^^^HIS^PI"
        self._names: dict[str, Any] = {"placer": f"P-{name}^HIS", "accession": f"ACC-{name}"}

    def order(self, minute: int) -> Event[Body]:
        """Return a change of the order."""
        raw = an_order(minute, "XO", study=self.study, patient_id=self._patient, clinical=str(minute), **self._names)
        return self._bench.order(raw)

    def result(self, minute: int) -> Event[Body]:
        """Return a laboratory's value."""
        raw = a_result(an_obx(value=str(minute)), minute=minute, patient_id=self._patient, filler=f"L-{self.study}^LIS")
        return self._bench.order(raw, message_type="ORU", link_id="lis", sending_application="LIS")

    def report(self, minute: int) -> Event[Body]:
        """Return a reader's report."""
        named: dict[str, Any] = {"patient_id": self._patient, "filler": f"R-{self.study}^RIS", **self._names}
        raw = a_reader_report("P" if minute % 2 else "C", minute, **named)
        return self._bench.order(raw, message_type="ORU", link_id="ris", sending_application="RIS")

    def appointment(self, minute: int) -> Event[Body]:
        """Return a rescheduled appointment."""
        raw = an_appointment(
            "S13", minute, appointment=f"A-{self.study}^SCHED", placer=self._names["placer"], patient_id=self._patient
        )
        return self._bench.order(raw, message_type="SIU", link_id="his")

    def correction(self, minute: int) -> Event[Body]:
        """Return a correction of the patient."""
        raw = an_adt("A08", minute, patient_id=self._patient, sex="MF"[minute % 2])
        return self._bench.order(raw, message_type="ADT")

    def images(self, minute: int) -> Sequence[Event[Body]]:
        """Return images, now with the accession number and now without one."""
        number = self._patient.split("^")[0]
        header = {"accession_number": self._names["accession"] if minute % 2 else None, "patient_id": number}
        named = {"study_instance_uid": self.study, "content": f"{self.study}/{minute}", "attributes": header}
        return slices(self._bench, 2, **named)


async def test_batches_about_the_same_cases_in_opposite_order_never_wait_for_each_other(bench: AssemblyBench) -> None:
    """REQ-FAI-13: PostgreSQL has to end none of them, and every word of the last round is told."""
    one, other = Exam(bench, "A"), Exam(bench, "B")
    for exam in (one, other):
        await bench.hears(HL7_RECEIVED, exam.order(0))
        await bench.hears_images(*exam.images(1))
    before = await bench.service.pool.fetchval(DEADLOCKS)

    for minute in range(1, ROUNDS + 1):
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for first, second in ((one, other), (other, one)):
                batches = [
                    [first.order(minute), second.result(minute)],
                    [first.result(minute), second.report(minute)],
                    [first.order(minute), second.order(minute)],
                    [first.appointment(minute), second.appointment(minute)],
                    [first.appointment(minute), second.order(minute), first.report(minute)],
                    [first.result(minute), second.result(minute)],
                    *([[first.correction(minute), second.order(minute)]] if minute % 3 == 0 else []),
                ]
                for batch in batches:
                    tasks.create_task(bench.hears(HL7_RECEIVED, *batch))
                tasks.create_task(bench.hears_images(*first.images(minute + 1), *second.images(minute + 1)))

    await asyncio.sleep(0)
    assert await bench.service.pool.fetchval(DEADLOCKS) == before
    for exam in (one, other):
        case = await bench.case(exam.study)
        assert [value.value for value in case.laboratory] == [str(ROUNDS)]
        assert (len(case.orders), case.orders[0].clinical_information) == (1, str(ROUNDS))
