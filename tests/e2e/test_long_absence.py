"""DESIGN, Failure: a server may be away for ten minutes; nothing is lost, nothing set aside, and all catches up by itself.

The ten minutes are real. They begin before the other stories and are judged after them, so that they cost the run
little; alone, these tests take about twelve minutes.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

import pytest

from overread.embedded.profile import SERVICES
from overread.review.findings import NO_ANSWER
from tests.e2e.absences import (
    AWAY_SECONDS,
    Absence,
    stack_of,
    without_database_and_triton,
    without_kafka,
)
from tests.e2e.hospital import FIRST_OFFSET, free_offset
from tests.e2e.ward import Look, Ward
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

AT_ONCE_SECONDS = 30.0
NOTICED_SECONDS = 20.0
SENDERS_SECONDS = 30.0
WORKER_SECONDS = 20.0
CPU_SHARE = 0.5
FEWEST_LOOKS = 8
IN_NO_NEED = frozenset({"hl7_intake", "order_intake", "dicom_intake", "routing", "ops"})
"""Who needs neither PostgreSQL nor Triton for its own work."""


@pytest.fixture(scope="session")
def absences(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Absence]]:
    """Yield both stories; they have begun."""
    told: dict[str, Absence] = {}
    first = FIRST_OFFSET + 6_000
    for name in ("database", "broker"):
        folder = tmp_path_factory.mktemp(name)
        first = free_offset(first)
        disk = folder / "disk"
        story = without_database_and_triton(disk) if name == "database" else without_kafka
        told[name] = Absence(name, partial(stack_of, folder / "data", first, disk), story)
        first += 20
    for absence in told.values():
        absence.begin()
    yield told
    for absence in told.values():
        absence.abandon()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Return what writes a line past the capture, so that nobody takes the waiting for a hang."""

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    return say


def missing(look: Look, service: str) -> set[str]:
    """Return what the service said that it waits for."""
    failing = look.failing[service]
    return {"silent"} if failing is None else set(failing)


def wanted(service: str) -> set[str]:
    """Return what the service must name while PostgreSQL and Triton are away."""
    match service:
        case "inference_worker":
            return {"postgresql", "triton"}
        case "dicomweb":
            return {"archive's tables"}
        case _:
            return set() if service in IN_NO_NEED else {"postgresql"}


def assert_named(ward: Ward, wanted_by: Mapping[str, set[str]]) -> None:
    """Fail unless every look found each service alive, and naming what it wants (or, on a busy machine, silent)."""
    looks = [look for look in ward.record.looks if look.at_seconds > NOTICED_SECONDS]
    assert len(looks) >= FEWEST_LOOKS
    assert [(look.at_seconds, name) for look in looks for name, lives in look.alive.items() if not lives] == []
    for service, names in wanted_by.items():
        said = [missing(look, service) for look in looks]
        answered = [one for one in said if one != {"silent"}]
        assert all(names <= one for one in answered), (service, said)
        assert len(answered) > len(said) / 2, (service, said)
        assert names or answered.count(set()) > len(said) / 2, (service, said)


def assert_nothing_lost(ward: Ward, *, restarted: AbstractSet[str]) -> None:
    """Fail unless nothing was set aside, given up, sent unsigned, restarted beyond the named, or too dear."""
    record = ward.record
    assert (record.set_aside, record.unsigned) == ([], [])
    again = {name for name, starts in record.started_after.items() if starts != record.started_before[name]}
    assert again <= restarted
    assert record.seconds["away"] >= AWAY_SECONDS
    assert record.cpu_share < CPU_SHARE


def test_servers_that_go_away_are_named_at_once(absences: dict[str, Absence]) -> None:
    """Readiness names what is missing; health only asks whether the loop turns (REQ-FAI-04)."""
    database, broker = absences["database"].until_away(), absences["broker"].until_away()

    def named() -> bool:
        first, second = database.look(), broker.look()
        is_first_named = all(wanted(service) <= missing(first, service) for service in SERVICES)
        return is_first_named and all("kafka" in missing(second, service) for service in SERVICES)

    assert wait_until(named, "the names of what is away", AT_ONCE_SECONDS)


def test_after_ten_minutes_without_postgresql_and_triton_all_is_final_once(
    absences: dict[str, Absence], say: Callable[[str], None]
) -> None:
    """REQ-FAI-10: PostgreSQL is on no acknowledgement path; a draft opens without a model only at its deadline."""
    ward = absences["database"].until_told(say)

    say(f"without PostgreSQL and Triton: {ward.record.figures()}")
    record, emr = ward.record, ward.hospital.emr
    assert {answered.code for answered in record.orders} == {"AA", "CA"}
    assert max(answered.seconds for answered in record.orders) < SENDERS_SECONDS
    assert {status for _, _, status in record.images} == {0x0000}
    assert_named(ward, {service: wanted(service) for service in SERVICES})
    assert_nothing_lost(ward, restarted={"triton"})
    assert record.seen["without Triton alone"] == {"inference_worker": ["triton"]}
    assert record.seconds["worker ready after Triton"] < WORKER_SECONDS
    at_deadline = record.seen["at the deadline"]["document"]
    assert at_deadline["findings"] == []
    assert NO_ANSWER in {reason for result in at_deadline["ai_results"] for reason in result["reasons"]}
    assert "claim_expired" in {step["action"] for step in record.seen["after the claim"]["history"]}
    for answered in record.orders:
        assert all(told.findings for told in emr.about(answered.visit.study_instance_uid, "R"))


def test_after_ten_minutes_without_kafka_all_that_was_kept_is_final_once(
    absences: dict[str, Absence], say: Callable[[str], None]
) -> None:
    """REQ-FAI-10: what can't be kept is refused with its protocol's code; a reader goes on signing."""
    ward = absences["broker"].until_told(say)

    say(f"without Kafka: {ward.record.figures()}")
    record = ward.record
    answers = {(answered.code, answered.condition) for answered in record.orders}
    assert answers <= {("AR", "207"), ("CE", "207"), ("", "")}
    assert {status for _, _, status in record.images} == {0x0000, 0xA700}
    assert_named(ward, {service: {"kafka"} for service in SERVICES})
    assert_nothing_lost(ward, restarted=frozenset())
    assert (record.seen["signed"], record.seen["final too early"]) == ("signed", 0)
