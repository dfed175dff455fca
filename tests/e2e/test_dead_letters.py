"""Promise 2: what cannot be used is set aside with its reason, and an operator gives it back."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from overread.contracts import codec
from overread.contracts.envelope import event_of
from overread.contracts.events.cases import PatientCorrected
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import CASES_CHANGED, HL7_RECEIVED, REPLAYS_REQUESTED
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import new_traceparent
from tests.e2e.forgery import a_case_event, case_of
from tests.e2e.hospital import Hospital
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]

SET_ASIDE_SECONDS = 30.0


def test_malformed_event_is_set_aside_and_comes_back_on_replay(hospital: Hospital) -> None:
    """The dead letter keeps the bytes and names the reason; given back, it is judged again."""
    value = f"this is no event {uuid4()}".encode()
    hospital.publish("admin", Outgoing(HL7_RECEIVED.name, b"default", value))
    [line] = wait_until(lambda: _listed(hospital, "Malformed"), "the dead letter", SET_ASIDE_SECONDS)
    place, kind, consumer, *reason = line.split()

    given_back = hospital.overread("dead", "replay", "--data", _data(hospital), place)

    assert re.fullmatch(r"hl7\.received\.dead/\d+/\d+", place)
    assert (kind, consumer, bool(reason)) == ("Malformed", "assembly", True)
    assert (given_back.returncode, given_back.stdout) == (0, f"{place}  given back to assembly\n")
    again = wait_until(lambda: _more_than_one(_listed(hospital, "Malformed")), "its second fall", SET_ASIDE_SECONDS)
    assert len(again) == 2


def test_order_whose_body_was_missing_is_taken_after_replay(hospital: Hospital) -> None:
    """What an operator mends has its effect, once, without a word from the sender."""
    visit = hospital.admit()
    digest = codec.sha256(visit.order)
    key = f"{hospital.endpoints.site_id}/hl7/{digest}"
    hospital.publish("admin", _a_claim_check(hospital, key, digest))
    [line] = wait_until(lambda: _listed(hospital, "Defect"), "the dead letter", SET_ASIDE_SECONDS)
    orders = "SELECT count(*) FROM orders WHERE accession_number = $1"
    before = hospital.count("assembly", orders, visit.accession_number)

    body = hospital.endpoints.objects / key
    body.parent.mkdir(parents=True, exist_ok=True)
    body.write_bytes(visit.order)
    hospital.overread("dead", "replay", "--data", _data(hospital), line.split()[0], line.split()[0])

    wait_until(lambda: hospital.count("assembly", orders, visit.accession_number), "the order", SET_ASIDE_SECONDS)
    assert before == 0
    assert hospital.count("assembly", orders, visit.accession_number) == 1


def test_letter_that_its_topic_never_held_tells_delivery_nothing(hospital: Hospital) -> None:
    """Governance reads what delivery reads, and so may write its dead letters: a false case, planted there, is refused.

    The gate has no other proof of a case than that assembly alone may write it.
    """
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    case = case_of(hospital, visit)
    false = a_case_event(hospital, PatientCorrected, case.model_copy(update={"revision": 998, "orders": ()}))
    hospital.publish("governance", replace(false, topic=CASES_CHANGED.dead_name, headers=_as_if_set_aside("delivery")))
    [line] = wait_until(lambda: _about(hospital, "planted"), "the planted letter", SET_ASIDE_SECONDS)

    hospital.overread("dead", "replay", "--data", _data(hospital), line.split()[0])

    wait_until(lambda: _refused_replays(hospital, CASES_CHANGED.name), "the refusal", SET_ASIDE_SECONDS)
    known = "SELECT count(*) FROM cases WHERE case_id = $1::text::uuid AND revision < 900"
    assert hospital.count("delivery", known, str(case.case_id)) == 1


def _as_if_set_aside(consumer: str) -> tuple[tuple[str, bytes], ...]:
    said = {"kind": "Defect", "reason": "planted", "consumer": consumer, "source_partition": "0", "source_offset": "0"}
    return tuple((name, value.encode()) for name, value in said.items())


def _refused_replays(hospital: Hospital, topic: str) -> list[str]:
    """Return what delivery said of letters that `topic` does not hold, or does not hold in the place that they name."""
    return [line for line in _about(hospital, topic) if line.startswith(REPLAYS_REQUESTED.dead_name)]


def _about(hospital: Hospital, word: str) -> list[str]:
    answer = hospital.overread("dead", "list", "--data", _data(hospital))
    assert answer.returncode == 0, answer.stderr
    return [line for line in answer.stdout.splitlines() if word in line]


def test_place_that_holds_no_dead_letter_is_named(hospital: Hospital) -> None:
    """A wrong place is one sentence, and nothing is replayed."""
    answer = hospital.overread("dead", "replay", "--data", _data(hospital), "hl7.received.dead/0/999999")

    assert answer.returncode == 1
    assert answer.stderr.startswith("overread: no dead letter at hl7.received.dead/0/999999")
    assert "Traceback" not in answer.stderr


def _listed(hospital: Hospital, kind: str) -> list[str]:
    answer = hospital.overread("dead", "list", "--data", _data(hospital))
    assert answer.returncode == 0, answer.stderr
    return [line for line in answer.stdout.splitlines() if line.split()[1] == kind]


def _more_than_one(lines: list[str]) -> list[str]:
    return lines if len(lines) > 1 else []


def _data(hospital: Hospital) -> str:
    return str(hospital.endpoints.data.root)


def _a_claim_check(hospital: Hospital, key: str, digest: str) -> Outgoing:
    """Return the event of a large order whose body is not in the object store."""
    now = datetime.now(UTC)
    body = HL7Received(
        link_id="default",
        message_type="OMI",
        trigger_event="O23",
        version_id="2.5.1",
        message_control_id=digest[:20],
        sending_application="HIS",
        sending_facility="BVX",
        digest=digest,
        fallback_charset="",
        received_at=now,
        acknowledgment_code="CA",
        object_key=key,
    )
    event = event_of(
        body,
        source="hl7_intake",
        time=now,
        subject="default",
        site_id=hospital.endpoints.site_id,
        traceparent=new_traceparent(),
        own_key=digest,
        caused_by=None,
    )
    return Outgoing(HL7_RECEIVED.name, HL7_RECEIVED.key_of(event), codec.encode(event))
