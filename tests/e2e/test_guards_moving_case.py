"""The gate while the case moves: patients are merged and orders change before, between and after every step."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from overread.contracts.events.cases import OrderChangedOnCase, PatientsMerged
from overread.contracts.events.orders import PatientIdentifier
from overread.embedded.stack_thread import StackThread
from overread.runtime.publisher import Outgoing
from tests.e2e.forgery import a_case_event, case_of
from tests.e2e.hospital import Hospital, Visit, assert_told_once
from tests.e2e.victims import stopped
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SECONDS = 40.0

Shows = Callable[[Mapping[str, Any]], bool]
Move = Callable[[Hospital, Visit], tuple[Outgoing, Shows]]


def _merged_id(visit: Visit) -> str:
    return f"M{visit.patient_id}"


def _merged(hospital: Hospital, visit: Visit) -> tuple[Outgoing, Shows]:
    """Return the merge of the visit's patient into another record of theirs, and what shows it in a report."""
    case = case_of(hospital, visit)
    prior = tuple(identifier.id_number for identifier in case.patient.identifiers)
    surviving = PatientIdentifier(id_number=_merged_id(visit), assigning_authority="BVX", identifier_type_code="MR")
    patient = case.patient.model_copy(update={"identifiers": (surviving,)})
    event = a_case_event(
        hospital, PatientsMerged, case.model_copy(update={"patient": patient}), prior_identifiers=prior
    )
    return event, lambda report: report["document"]["patient"]["identifiers"][0]["id_number"] == _merged_id(visit)


def _order_changed(hospital: Hospital, visit: Visit, *, ahead: int = 0) -> tuple[Outgoing, Shows]:
    """Return a change of what the visit's order asks for, and what shows it; `ahead` events of the case come before."""
    case = case_of(hospital, visit)
    [order] = case.orders
    asked = order.model_copy(update={"clinical_information": "Nghi ngờ viêm phổi"})
    changed = {"orders": (asked,), "revision": case.revision + ahead, "identity_version": case.identity_version + ahead}
    event = a_case_event(hospital, OrderChangedOnCase, case.model_copy(update=changed), order_id=order.order_id)
    return event, lambda report: report["document"]["orders"][0]["clinical_information"] == "Nghi ngờ viêm phổi"


MOVES: Mapping[str, Move] = {"merged": _merged, "order changed": _order_changed}


def test_case_that_moves_before_the_signature_voids_what_is_on_screen(hospital: Hospital) -> None:
    """What was shown can't be signed any more; the next draft names the patient as they are now."""
    visit = _drafted(hospital)
    answers = [_signed_after(hospital, visit, move) for move in MOVES.values()]

    assert answers == [409, 409]
    assert _report(hospital, visit)["state"] == "drafted"
    assert hospital.emr.about(visit.study_instance_uid, "F") == []


def _signed_after(hospital: Hospital, visit: Visit, move: Move) -> int:
    """Claim, let the case move, wait for what is shown then, and try to sign what was shown before."""
    report_id, digest = _claimed(hospital, visit)
    event, is_shown = move(hospital, visit)
    hospital.publish("assembly", event)
    wait_until(lambda: is_shown(_report(hospital, visit)), "the new draft", SECONDS)
    return hospital.user().ask("POST", f"/reports/{report_id}/sign", json=_accepted(digest)).status_code


@pytest.mark.parametrize("move", ["merged", "order changed"])
def test_case_that_moves_between_signature_and_gate_is_held_and_confirmed_again(
    hospital: Hospital, servers: StackThread, move: str
) -> None:
    """The gate alone: review stands still, so that only the gate can have seen the move."""
    visit = _drafted(hospital)
    report_id = _report(hospital, visit)["report_id"]
    with stopped(servers, "delivery"):
        _sign(hospital, visit)
        _wait_until_relayed(hospital)
        event, is_shown = MOVES[move](hospital, visit)
        with contextlib.ExitStack() as standing:
            standing.enter_context(stopped(servers, "review"))
            hospital.publish("assembly", event)
            review = standing.pop_all()
    with review:
        _wait_until_judged(hospital, report_id)
    wait_until(lambda: _report(hospital, visit)["state"] == "held", "the held report", SECONDS)
    unsent = hospital.emr.about(visit.study_instance_uid, "F")

    shown = wait_until(lambda: _confirmed(hospital, report_id), "the new draft", SECONDS)
    hospital.user().ask("POST", f"/reports/{report_id}/release")
    hospital.user().sign(visit)

    final = hospital.final(visit)
    assert unsent == []
    assert is_shown(shown)
    wanted = _merged_id(visit) if move == "merged" else visit.patient_id
    assert wanted in [identifier.split("^")[0] for identifier in final.field("PID", 3).split("~")]
    assert_told_once(hospital.emr, visit)


def test_case_that_moves_while_the_result_is_sent_changes_nothing_of_it(hospital: Hospital) -> None:
    """Between gate and acknowledgement, and after it: the same bytes again, and nothing more leaves by itself."""
    visit = _drafted(hospital)
    moves = [_merged(hospital, visit)[0], _order_changed(hospital, visit, ahead=1)[0]]
    hospital.emr.lose_next_answer(lambda: _publish(hospital, moves))

    hospital.user().sign(visit)

    hospital.final(visit)
    told = hospital.emr.about(visit.study_instance_uid, "F")
    assert len({message.raw for message in told}) == 1
    assert len(told) > 1
    case = case_of(hospital, visit)
    _publish(hospital, [_merged(hospital, visit)[0]])
    _wait_until_heard(hospital, case.revision + 1, case.case_id)
    assert _report(hospital, visit)["state"] == "final"
    assert hospital.emr.about(visit.study_instance_uid, "F") == told
    assert_told_once(hospital.emr, visit)


def _drafted(hospital: Hospital) -> Visit:
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=SECONDS)
    return visit


def _publish(hospital: Hospital, events: Sequence[Outgoing]) -> None:
    for event in events:
        hospital.publish("assembly", event)


def _wait_until_heard(hospital: Hospital, revision: int, case_id: UUID) -> None:
    heard = "SELECT count(*) FROM cases WHERE case_id = $1::text::uuid AND revision >= $2::text::integer"
    words = (str(case_id), str(revision))
    wait_until(lambda: hospital.count("delivery", heard, *words), "delivery's reading", SECONDS)
    wait_until(lambda: hospital.count("review", heard, *words), "review's reading", SECONDS)


def _wait_until_relayed(hospital: Hospital) -> None:
    wait_until(lambda: not hospital.count("review", "SELECT count(*) FROM outbox"), "review's relay", SECONDS)


def _wait_until_judged(hospital: Hospital, report_id: str) -> None:
    asked = "SELECT count(*) FROM release_requests WHERE report_id = $1::text::uuid AND state = 'held'"
    wait_until(lambda: hospital.count("delivery", asked, report_id), "the gate's word", SECONDS)


def _claimed(hospital: Hospital, visit: Visit) -> tuple[str, str]:
    report_id = _report(hospital, visit)["report_id"]
    answer = hospital.user().ask("POST", f"/reports/{report_id}/claim").raise_for_status()
    return report_id, answer.json()["digest"]


def _sign(hospital: Hospital, visit: Visit) -> None:
    report = _report(hospital, visit)
    digest = report["digest"] if report["state"] == "in_review" else _claimed(hospital, visit)[1]
    answer = hospital.user().ask("POST", f"/reports/{report['report_id']}/sign", json=_accepted(digest))
    assert answer.is_success, answer.text


def _accepted(digest: str) -> dict[str, str]:
    return {"digest": digest, "verdict": "accepted"}


def _confirmed(hospital: Hospital, report_id: str) -> dict[str, Any]:
    """Return the new draft, nothing while the gate has not answered yet."""
    answer = hospital.user().ask("POST", f"/reports/{report_id}/confirm-again")
    return dict(answer.json()) if answer.is_success else {}


def _report(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    report = hospital.user().report(visit)
    assert report is not None
    return report
