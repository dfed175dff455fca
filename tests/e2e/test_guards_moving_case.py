"""The gate while the case moves: patients are merged and orders change before, between and after every step."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.events.cases import Case, OrderChangedOnCase, PatientsMerged
from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.events.reports import ReportDocument
from overread.contracts.topics import CASES_CHANGED
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


def _order_changed(hospital: Hospital, visit: Visit, *, of: Case | None = None) -> tuple[Outgoing, Shows]:
    """Return a change of what the visit's order asks for, and what shows it; `of` is the case where it moved before."""
    case = of or case_of(hospital, visit)
    [order] = case.orders
    asked = order.model_copy(update={"clinical_information": "Nghi ngờ viêm phổi"})
    changed = case.model_copy(update={"orders": (asked,)})
    event = a_case_event(hospital, OrderChangedOnCase, changed, order_id=order.order_id)
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


@pytest.mark.parametrize("move", MOVES)
def test_case_that_moves_between_gate_and_send_leaves_as_it_was_released(hospital: Hospital, move: str) -> None:
    """A released result is bytes: with the EMR away the case moves, and what leaves then is what the gate let out."""
    visit = _drafted(hospital)
    report_id = _report(hospital, visit)["report_id"]
    with hospital.emr.closed():
        _sign(hospital, visit)
        wait_until(lambda: _report(hospital, visit)["state"] == "final", "the gate's release", SECONDS)
        released = _waiting_final(hospital, report_id)
        case = case_of(hospital, visit)
        hospital.publish("assembly", MOVES[move](hospital, visit)[0])
        _wait_until_heard(hospital, case.revision + 1, case.case_id)

    final = hospital.final(visit)

    report = _report(hospital, visit)
    signed = ReportDocument.model_validate(report["document"])
    assert codec.sha256(final.raw) == released
    assert (report["state"], signed.patient.identifiers) == ("final", case.patient.identifiers)
    assert _noted(report) == [case.identity_version + 1]
    assert visit.patient_id in [identifier.split("^")[0] for identifier in final.field("PID", 3).split("~")]
    assert_told_once(hospital.emr, visit)


def _noted(report: Mapping[str, Any]) -> list[int]:
    """Return which versions of the case's identity the history of a final report names, oldest first."""
    said = "patient or order changed after the report was final, which stays as it is (identity {})"
    noted = [step["reason"] for step in report["history"] if step["action"] == "case moved"]
    versions = [int(reason.rpartition(" ")[2].rstrip(")")) for reason in noted]
    assert noted == [said.format(version) for version in versions]
    return versions


def _waiting_final(hospital: Hospital, report_id: str) -> str:
    """Return the digest of the one final that waits for its receiver, as it is stored."""
    waiting = (
        "FROM outbound WHERE report_id = $1::text::uuid AND status = 'F' AND state IN ('waiting', 'sending')"
        " AND message_digest = encode(sha256(message), 'hex')"
    )
    assert hospital.count("delivery", f"SELECT count(*) {waiting}", report_id) == 1
    return str(hospital.row("delivery", f"SELECT message_digest {waiting}", report_id)["message_digest"])


def test_case_that_moves_while_the_result_is_sent_changes_nothing_of_it(hospital: Hospital) -> None:
    """Before the acknowledgement: the EMR has it, its answer is lost, and the same bytes come again."""
    visit = _drafted(hospital)
    hospital.emr.lose_next_answer(lambda: _publish(hospital, _both_moves(hospital, visit)))

    hospital.user().sign(visit)

    hospital.final(visit)
    told = hospital.emr.about(visit.study_instance_uid, "F")
    assert len({message.raw for message in told}) == 1
    assert len(told) > 1
    assert_told_once(hospital.emr, visit)


def test_case_that_moves_after_the_acknowledgement_undoes_nothing_and_tells_nobody(hospital: Hospital) -> None:
    """DESIGN, Life of a report: a final is undone by a signature alone; its reader sees the case now, and each move."""
    visit = _drafted(hospital)
    hospital.user().sign(visit)
    hospital.final(visit)
    told, case, signed = (
        hospital.emr.about(visit.study_instance_uid),
        case_of(hospital, visit),
        _report(hospital, visit)["document"],
    )

    _publish(hospital, _both_moves(hospital, visit))

    _wait_until_heard(hospital, case.revision + 2, case.case_id)
    report = _report(hospital, visit)
    assert (report["state"], report["document"]) == ("final", signed)
    assert _merged_id(visit) in [identifier["id_number"] for identifier in report["patient"]["identifiers"]]
    assert _noted(report) == [case.identity_version + 1, case.identity_version + 2]
    assert hospital.emr.about(visit.study_instance_uid) == told
    assert_told_once(hospital.emr, visit)


def _both_moves(hospital: Hospital, visit: Visit) -> list[Outgoing]:
    """Return a merge and then a change of the order of the case, which by then belongs to the surviving patient."""
    merged = _merged(hospital, visit)[0]
    event: Event[Any] = codec.decode(merged.value, CASES_CHANGED.bodies)
    return [merged, _order_changed(hospital, visit, of=event.data.case)[0]]


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
