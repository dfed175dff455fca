"""Each process of the stack is killed once in mid-flow: nothing that was acknowledged is lost, nothing happens twice."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random

import pytest

from overread.embedded.profile import SERVICES
from overread.embedded.stack_thread import StackThread
from overread.embedded.supervisor import SERVERS
from tests.e2e.hospital import Hospital, Visit, assert_gone_once, unsigned_finals

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

SEED = 20261122
VISITS, APART_SECONDS = 4, 0.8
MID_FLOW_SECONDS = {"hl7_intake": (0.1, 2.5), "dicom_intake": (0.3, 3.5)}
LATER_SECONDS = (1.0, 5.0)  # for those that the images reach after a while
STORM_VISITS, STORM_APART_SECONDS = 8, 3.0


@pytest.mark.parametrize("victim", [*SERVICES, *SERVERS])
def test_killed_process_loses_and_doubles_nothing(hospital: Hospital, servers: StackThread, victim: str) -> None:
    """Promises 1, 2 and 4: senders repeat what was not acknowledged, and that is all it takes."""
    moment = Random(f"{SEED} {victim}").uniform(
        *MID_FLOW_SECONDS.get(victim, LATER_SECONDS)
    )  # a seeded moment, nothing to guard
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=32) as people:
        visits, ways = _begin(hospital, people, VISITS, APART_SECONDS)
        time.sleep(moment)
        _kill(servers, victim)
        _end(ways)

    for visit in visits:
        assert_gone_once(hospital, visit)
    assert not unsigned_finals(hospital)
    _say(hospital, f"{victim} killed after {moment:.1f} s", visits, began)


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


def test_all_of_them_killed_one_after_the_other(hospital: Hospital, servers: StackThread) -> None:
    """A bad night: every process dies once, in a seeded order, while studies keep coming."""
    order = Random(SEED).sample([*SERVICES, *SERVERS], k=len(SERVICES) + len(SERVERS))  # as above
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=32) as people:
        visits, ways = _begin(hospital, people, STORM_VISITS, STORM_APART_SECONDS)
        for victim in order:
            time.sleep(1.0)
            _kill(servers, victim)
        _end(ways)

    for visit in visits:
        assert_gone_once(hospital, visit)
    assert not unsigned_finals(hospital)
    _say(hospital, f"killed in the order {', '.join(order)}", visits, began)


def _begin(
    hospital: Hospital, people: ThreadPoolExecutor, number: int, apart_seconds: float
) -> tuple[list[Visit], list[Future[None]]]:
    """Let visits begin one after the other: HIS, scanner and clinician each do their part, at the same time."""
    visits = [hospital.admit() for _ in range(number)]
    parts: tuple[Callable[[Visit], object], ...] = (hospital.order, hospital.scan, hospital.user().sign, hospital.final)
    hospital.user().token()
    ways = []
    for place, visit in enumerate(visits):
        ways += [people.submit(_later, place * apart_seconds, part, visit) for part in parts]
    return visits, ways


def _later(seconds: float, part: Callable[[Visit], object], visit: Visit) -> None:
    time.sleep(seconds)
    part(visit)


def _kill(servers: StackThread, victim: str) -> None:
    before = servers.starts(victim)
    servers.kill(victim)
    servers.wait_ready(victim, timeout_seconds=90)
    assert servers.starts(victim) > before


def _end(ways: Sequence[Future[None]]) -> None:
    for way in ways:
        way.result()


def _say(hospital: Hospital, what: str, visits: Sequence[Visit], began: float) -> None:
    told = [message for visit in visits for message in hospital.emr.about(visit.study_instance_uid)]
    distinct = {message.control_id for message in told}
    print(  # noqa: T201  # what was checked, for who reads the log
        f"{what}: {len(visits)} studies, {len(visits)} cases, {len(visits)} reports,"
        f" {len(told)} messages at the EMR of which {len(told) - len(distinct)} resent byte for byte,"
        f" one signed final each, {time.monotonic() - began:.0f} s"
    )
