"""Promises 1 to 4 while everything falls: every process is killed and paused in mid-flow, and outsiders compare notes."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random

import pytest
from pydicom.dataset import Dataset

from overread.embedded.stack_thread import StackThread
from tests.builders.hl7 import an_orm
from tests.e2e.checker import SIGNED_STATUSES, Expected, Got, Sent, faults
from tests.e2e.conftest import FAST
from tests.e2e.hospital import Hospital, Visit, assert_gone_once, unsigned_finals
from tests.e2e.victims import EVERYBODY, LONG_PAUSED, rounds_of, strike
from tests.fakes.peers import send_hl7_until_kept, store_until_kept, wait_until

pytestmark = [pytest.mark.stack]

SEED, ROUNDS = 20261122, 10
TWO_VISITS_IN = frozenset({1, 6})
"""In these rounds two visits begin, in every other one: twelve in all."""
OPEN_SECONDS, LATEST_SECONDS = 60.0, 1.5
"""How long the first acknowledgement of a visit may take, and how long after it a strike comes at most."""
LONG_SECONDS = 240.0
LEASE_SECONDS = float(FAST["OVERREAD_LEASE_SECONDS"])

Way = Callable[[Visit], None]


@dataclass
class Load:
    """A small mixed load: every visit by its own people, who write down what was acknowledged to them."""

    hospital: Hospital
    people: ThreadPoolExecutor
    aside_before: Sequence[str]
    sent: Sent = field(default_factory=Sent)
    ways: list[Future[None]] = field(default_factory=list)

    def begin(self) -> None:
        """Let the next visit begin: ordered by OMI, by ORM, not at all, and one that no model may read, in turn."""
        kind = len(self.sent.expected) % 4
        visit = self.hospital.admit(kernel="B70f" if kind == 3 else "STANDARD")
        self._expect(visit, has_order=kind != 2)
        parts: list[Way] = [self._scan, self._sign(has_order=kind != 2, has_findings=kind != 3), self._wait]
        if kind != 2:
            parts.append(self._order(an_orm(**visit.known) if kind == 1 else visit.order))
        self.ways += [self.people.submit(part, visit) for part in parts]

    def in_mid_flow(self) -> int:
        """Return how many visits have something acknowledged by us, and no final result at the EMR."""
        kept = {*self.sent.orders, *self.sent.instances}
        final = {m.study_instance_uid for m in list(self.hospital.emr.received) if m.status in SIGNED_STATUSES}
        return sum(
            each.study_instance_uid not in final and bool(kept & {each.placer_order_number, *each.sop_instance_uids})
            for each in self.sent.expected
        )

    def end(self) -> list[str]:
        """Wait until everybody has what they came for; return what became of those who have not."""
        failures = [way.exception() for way in self.ways]
        return [f"{type(failure).__name__}: {failure}" for failure in failures if failure is not None]

    def _expect(self, visit: Visit, *, has_order: bool) -> None:
        self.sent.expected.append(
            Expected(
                study_instance_uid=visit.study_instance_uid,
                accession_number=visit.accession_number if has_order else "",
                placer_order_number=visit.placer_order_number,
                patient_id=visit.patient_id,
                sop_instance_uids=frozenset(str(dataset.SOPInstanceUID) for dataset in visit.datasets),
            )
        )

    def _order(self, message: bytes) -> Way:
        def send(visit: Visit) -> None:
            send_hl7_until_kept(self.hospital.mllp_port, message, seconds=LONG_SECONDS)
            self.sent.order_kept(visit.placer_order_number)

        return send

    def _scan(self, visit: Visit) -> None:
        def kept(dataset: Dataset) -> None:
            self.sent.instance_kept(str(dataset.SOPInstanceUID))

        store_until_kept(self.hospital.dicom_port, visit.datasets, seconds=LONG_SECONDS, on_kept=kept)

    def _sign(self, *, has_order: bool, has_findings: bool) -> Way:
        def sign(visit: Visit) -> None:
            self.hospital.user().sign(
                visit,
                has_order=has_order,
                has_findings=has_findings,
                seconds=LONG_SECONDS,
                on_asked=lambda at: self.sent.asked_to_sign(visit.study_instance_uid, at),
            )

        return sign

    def _wait(self, visit: Visit) -> None:
        self.hospital.final(visit, seconds=LONG_SECONDS)

    def got(self) -> Got:
        """Return what the receivers have of these visits, and what an operator sees set aside."""
        mine = {each.study_instance_uid for each in self.sent.expected}
        visits = [visit for visit in self.hospital.visits if visit.study_instance_uid in mine]
        return Got(
            messages=[m for m in self.hospital.emr.received if m.study_instance_uid in mine],
            images={visit.study_instance_uid: self.hospital.images_shown(visit) for visit in visits},
            set_aside=[line for line in self.hospital.set_aside() if line not in self.aside_before],
        )


@pytest.mark.timeout(600)
def test_ten_rounds_of_kills_and_pauses_break_no_promise(hospital: Hospital, servers: StackThread) -> None:
    """Acknowledged is used or set aside, nothing is doubled, nothing final is unsigned, each case is told in order."""
    began, rounds, moments = time.monotonic(), rounds_of(SEED, ROUNDS), Random(SEED)
    hospital.user().token()
    with ThreadPoolExecutor(max_workers=64) as people:
        load = Load(hospital, people, hospital.set_aside())
        for number, blows in enumerate(rounds, start=1):
            for _ in range(1 + (number in TWO_VISITS_IN)):
                load.begin()
            wait_until(load.in_mid_flow, "a visit in mid-flow", OPEN_SECONDS)
            time.sleep(moments.uniform(0, LATEST_SECONDS))
            struck = load.in_mid_flow()
            assert struck > 0, f"round {number} struck a hospital in which nothing went on"
            strike(servers, blows)
            said = f"round {number}: {', '.join(map(str, blows))}; {struck} in mid-flow"
            print(f"{said} ({time.monotonic() - began:.0f} s)")  # noqa: T201
        unserved = load.end()
        print(f"all ways ended ({time.monotonic() - began:.0f} s)")  # noqa: T201

    found = faults(load.sent, load.got())

    every = [blow for blows in rounds for blow in blows]
    assert {blow.victim for blow in every} == set(EVERYBODY)
    assert {blow.victim for blow in every if blow.pause_seconds > LEASE_SECONDS} == LONG_PAUSED
    assert (found, unserved) == ([], [])
    for each in load.sent.expected:
        [visit] = [visit for visit in hospital.visits if visit.study_instance_uid == each.study_instance_uid]
        assert_gone_once(hospital, visit, orders=1 if each.accession_number else 0)
    assert not unsigned_finals(hospital)


@pytest.mark.timeout(180)
def test_delivery_killed_before_the_answer_came_sends_the_same_bytes_again(
    hospital: Hospital, servers: StackThread
) -> None:
    """The worst moment: the EMR has the final, and its sender dies before it knows."""
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=30)
    hospital.emr.lose_next_answer(lambda: servers.kill("delivery"))

    hospital.user().sign(visit)

    hospital.final(visit)
    finals = hospital.emr.about(visit.study_instance_uid, "F")
    assert len(finals) > 1
    assert len({message.raw for message in finals}) == 1
    assert_gone_once(hospital, visit)
