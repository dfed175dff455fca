"""The third and fourth guard, alone: records go round API and database; the broker refuses, and the gate believes none.

What stands on `reports.signed` is believed only for its signature. For `cases.changed` there is no such proof: only
assembly may write it, and that right is its whole protection (SECURITY.md). What a false one can do ends at the draft.
"""

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.events.cases import (
    CaseBody,
    CaseWithdrawn,
    OrderChangedOnCase,
    PatientCorrected,
    PatientsMerged,
)
from overread.contracts.events.orders import Patient
from overread.contracts.events.reports import ReportChanged, ReportDocument, ReportSigned, Withdrawal
from overread.contracts.report_life import ReportState
from overread.contracts.topics import CASES_CHANGED, DELIVERIES_DONE, REPORTS_CHANGED, REPORTS_SIGNED, SERVICES, Topic
from overread.embedded.kafka_admin import OPS
from overread.embedded.stack_thread import StackThread
from overread.runtime.publisher import Outgoing
from tests.e2e.forgery import (
    a_case_event,
    a_user_with_the_right,
    an_outgoing,
    case_of,
    forged,
    publish_once_allowed,
    signed_outgoing,
    truly_signed,
    with_another_document,
)
from tests.e2e.hospital import Hospital, Visit
from tests.e2e.victims import stopped
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

STRANGER = "mallory"
HELD_SECONDS = 30.0

ONE_WRITER: dict[str, tuple[Topic, str]] = {
    "reports.signed": (REPORTS_SIGNED, "review"),
    "reports.changed": (REPORTS_CHANGED, "review"),
    "cases.changed": (CASES_CHANGED, "assembly"),
    "deliveries.done": (DELIVERIES_DONE, "delivery"),
}
"""What the way to a final result rests on: who else could write one of these could lead it astray."""


@pytest.fixture(scope="module")
def visit(hospital: Hospital) -> Visit:
    """Return a visit that is final in its first revision."""
    seen = hospital.admit()
    hospital.order(seen)
    hospital.scan(seen)
    hospital.user().sign(seen)
    hospital.final(seen)
    return seen


@pytest.fixture(scope="module")
def drafted(hospital: Hospital) -> Visit:
    """Return a visit with a draft that nobody signs."""
    seen = hospital.admit()
    hospital.order(seen)
    hospital.scan(seen)
    hospital.user().draft(seen)
    return seen


@pytest.mark.parametrize("user", [*SERVICES, OPS])
@pytest.mark.parametrize("topic", ONE_WRITER)
def test_broker_lets_nobody_but_the_writer_write(hospital: Hospital, topic: str, user: str) -> None:
    """Also the operator, who gives dead letters back, writes none of them."""
    declared, writer = ONE_WRITER[topic]
    if user == writer:
        return
    record = Outgoing(declared.name, b"key", b"{}")

    with pytest.raises(Unavailable, match="TopicAuthorizationFailed"):
        hospital.publish(user, record)


def test_broker_refuses_a_forged_case_of_every_other_service(hospital: Hospital, visit: Visit) -> None:
    """A case that would fit a report again is nobody's to tell but assembly's."""
    event = a_case_event(hospital, PatientCorrected, case_of(hospital, visit))

    for user in ("review", "delivery", "routing", OPS):
        with pytest.raises(Unavailable, match="TopicAuthorizationFailed"):
            hospital.publish(user, event)


FORGERIES: dict[str, tuple[Callable[[Hospital, Visit], ReportSigned], str]] = {
    "a key that the site did not certify": (forged, "certificate"),
    "a withdrawal under such a key": (
        lambda hospital, visit: forged(hospital, visit, withdrawal=Withdrawal(reason="wrong", is_wrong_patient=True)),
        "certificate",
    ),
    "a document altered after it was signed": (
        lambda hospital, visit: with_another_document(_signed(hospital, visit), b"NGUY", b"NGUI"),
        "not the one that was signed",
    ),
    "a number altered after it was signed": (
        lambda hospital, visit: with_another_document(_signed(hospital, visit), *_a_number(hospital, visit)),
        "not the one that was signed",
    ),
    "a digest that is not the document's": (
        lambda hospital, visit: _signed(hospital, visit).model_copy(update={"digest": "0" * 64}),
        "digest",
    ),
    "a true signature under another report": (
        lambda hospital, visit: _signed(hospital, visit).model_copy(update={"report_revision": 2}),
        "another report",
    ),
    "a true signature of a revision that was released before": (
        lambda hospital, visit: _signed(hospital, visit).model_copy(
            update={
                "submission": 9,
                "released_by": "x",
                "released_case_revision": case_of(hospital, visit).revision,
            }
        ),
        "released before",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_gate_holds_what_a_stranger_with_the_right_writes(hospital: Hospital, visit: Visit, forgery: str) -> None:
    """Given the right on the topic, and so round the other three guards, nothing leaves, and the reason is kept."""
    make, reason = FORGERIES[forgery]
    before = len(hospital.emr.about(visit.study_instance_uid))
    event = make(hospital, visit)

    with a_user_with_the_right(hospital, STRANGER, REPORTS_SIGNED):
        publish_once_allowed(hospital, STRANGER, signed_outgoing(hospital, event))
        held = _why_held(hospital, event)

    assert reason in held
    assert len(hospital.emr.about(visit.study_instance_uid)) == before
    assert _state(hospital, visit) == "final"


def test_gate_holds_what_the_owner_of_the_tables_slips_into_its_outbox(hospital: Hospital, drafted: Visit) -> None:
    """SQL as review's own role, past API, trigger and access list: its relay publishes the forgery, the gate holds it."""
    event = forged(hospital, drafted)
    record = signed_outgoing(hospital, event)
    slipped = "INSERT INTO outbox (topic, key, value, headers) VALUES ($1, $2::text::bytea, $3::text::bytea, '[]')"

    hospital.execute("review", slipped, record.topic, _hex(record.key), _hex(record.value))

    assert "certificate" in _why_held(hospital, event)
    assert hospital.emr.about(drafted.study_instance_uid, "F") == []
    assert _state(hospital, drafted) == "drafted"


@pytest.mark.parametrize("state", [ReportState.DRAFTED, ReportState.WITHDRAWN, ReportState.FINAL])
def test_lower_status_never_follows_a_final(hospital: Hospital, visit: Visit, state: ReportState) -> None:
    """Even told by review itself: after F neither R nor X leaves, and no state that is only said opens the gate."""
    before = _rows(hospital, visit)
    signed = _signed(hospital, visit)
    raw = _next_draft(signed)
    body = ReportChanged(
        case_id=signed.case_id,
        report_id=signed.report_id,
        report_revision=2,
        revision=99,
        state=state,
        reason="told by nobody",
        digest=codec.sha256(raw),
        document_base64=base64.b64encode(raw).decode() if state is ReportState.DRAFTED else "",
    )
    record = an_outgoing(hospital, REPORTS_CHANGED, body, source="review", subject=str(signed.report_id))

    hospital.publish("review", record)

    _wait_until_read(hospital, record)
    assert _rows(hospital, visit) == before


def _next_draft(signed: ReportSigned) -> bytes:
    """Return a draft of the next revision, which no destination has been told of yet."""
    document = ReportDocument.model_validate_json(base64.b64decode(signed.document_base64))
    unsigned = {"report_revision": 2, "verdict": None, "signed_by": None, "signed_at": None}
    return codec.document_bytes(document.model_copy(update=unsigned))


def _wait_until_read(hospital: Hospital, record: Outgoing) -> None:
    """Wait until delivery's transaction with the record has committed: what it led to is then in its tables."""
    heard = "SELECT count(*) FROM inbox WHERE event_id = $1::text::uuid"
    event_id = json.loads(record.value)["id"]
    wait_until(lambda: hospital.count("delivery", heard, event_id), "delivery's reading", HELD_SECONDS)


def _rows(hospital: Hospital, visit: Visit) -> list[int]:
    """Return how many messages about the visit there are, how many of them are open, and how many the EMR got."""
    [case] = hospital.user().cases(visit)
    rows = "SELECT count(*) FROM outbound WHERE case_id = $1::text::uuid"
    asked = (rows, f"{rows} AND state IN ('waiting', 'sending')")
    counted = [hospital.count("delivery", question, str(case["case_id"])) for question in asked]
    return [*counted, len(hospital.emr.about(visit.study_instance_uid))]


def test_final_is_not_withdrawn_without_a_signature(hospital: Hospital, visit: Visit) -> None:
    """The plain withdrawal is for what has not left."""
    report = hospital.user().report(visit)
    assert report is not None

    answer = hospital.user().ask("POST", f"/reports/{report['report_id']}/withdraw", json={"reason": "wrong patient"})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:wrong-state")
    assert _state(hospital, visit) == "final"


FALSEHOODS: dict[str, tuple[type[CaseBody], dict[str, Any], dict[str, Any]]] = {
    "another patient": (PatientsMerged, {"patient": Patient(identifiers=())}, {"prior_identifiers": ()}),
    "no order any more": (OrderChangedOnCase, {"orders": ()}, {"order_id": uuid4()}),
    "withdrawn": (CaseWithdrawn, {"is_withdrawn": True}, {"reason": "told by nobody"}),
}
"""Events of a case that never happened: what they are, what they make of the case, and what else they say."""


@pytest.mark.parametrize("falsehood", FALSEHOODS)
def test_false_case_event_changes_nothing_of_what_was_signed(hospital: Hospital, visit: Visit, falsehood: str) -> None:
    """Given the right on the topic: document, signature and state stay, and no further message leaves."""
    before = (_rows(hospital, visit), truly_signed(hospital, _report_id(hospital, visit), 1))

    with a_user_with_the_right(hospital, STRANGER, CASES_CHANGED), _true_again_at_last(hospital, visit):
        _tell_falsely(hospital, visit, falsehood)

        assert (_rows(hospital, visit), truly_signed(hospital, _report_id(hospital, visit), 1)) == before
        assert _state(hospital, visit) == "final"


def test_false_case_event_holds_or_withdraws_and_never_releases(hospital: Hospital, servers: StackThread) -> None:
    """The most that it does: a draft is taken back, a signed report waits; told so that it fits, it lets nothing out."""
    seen = hospital.admit()
    hospital.order(seen)
    hospital.scan(seen)
    hospital.user().draft(seen)
    hospital.emr.wait_for(seen.study_instance_uid, "R", seconds=HELD_SECONDS)

    with a_user_with_the_right(hospital, STRANGER, CASES_CHANGED):
        with _true_again_at_last(hospital, seen):
            _tell_falsely(hospital, seen, "withdrawn")
            hospital.emr.wait_for(seen.study_instance_uid, "X", seconds=HELD_SECONDS)
            withdrawn = _state(hospital, seen)
        hospital.user().draft(seen)
        as_signed = case_of(hospital, seen)
        with stopped(servers, "delivery"):
            hospital.user().sign(seen)
            publish_once_allowed(hospital, STRANGER, _false_event(hospital, seen, "another patient"))
        _wait_until_held(hospital, seen)
        held, now = _rows(hospital, seen), case_of(hospital, seen)
        fitting = {"revision": now.revision, "identity_version": as_signed.identity_version - 1}
        _publish_false(hospital, a_case_event(hospital, PatientCorrected, as_signed.model_copy(update=fitting)))

    fits = case_of(hospital, seen)
    assert withdrawn == "withdrawn"
    assert (fits.identity_version, fits.patient) == (as_signed.identity_version, as_signed.patient)
    assert (_state(hospital, seen), _rows(hospital, seen)) == ("held", held)
    assert hospital.emr.about(seen.study_instance_uid, "F") == []


def _wait_until_held(hospital: Hospital, visit: Visit) -> None:
    """Wait until review shows the report as held, and the gate has said so too."""
    wait_until(lambda: _state(hospital, visit) == "held", "the held report", HELD_SECONDS)
    asked = "SELECT count(*) FROM release_requests WHERE report_id = $1::text::uuid AND state = 'held'"
    report_id = _report_id(hospital, visit)
    wait_until(lambda: hospital.count("delivery", asked, report_id), "the gate's word", HELD_SECONDS)


def _false_event(hospital: Hospital, visit: Visit, falsehood: str) -> Outgoing:
    kind, changed, more = FALSEHOODS[falsehood]
    return a_case_event(hospital, kind, case_of(hospital, visit).model_copy(update=changed), **more)


def _tell_falsely(hospital: Hospital, visit: Visit, falsehood: str) -> None:
    _publish_false(hospital, _false_event(hospital, visit, falsehood))


def _publish_false(hospital: Hospital, record: Outgoing) -> None:
    """Publish in a stranger's name, and wait until the event is what both who judge reports know of the case."""
    publish_once_allowed(hospital, STRANGER, record)
    case = json.loads(record.value)["data"]["case"]
    heard = "SELECT count(*) FROM cases WHERE case_id = $1::text::uuid AND revision >= $2::text::integer"
    for service in ("delivery", "review"):
        known = partial(hospital.count, service, heard, case["case_id"], str(case["revision"]))
        wait_until(known, f"{service}'s reading", HELD_SECONDS)


@contextmanager
def _true_again_at_last(hospital: Hospital, visit: Visit) -> Iterator[None]:
    """Tell the case as it was before the block, so that no other story meets the falsehood."""
    true = case_of(hospital, visit)
    yield
    again = true.model_copy(update={"revision": case_of(hospital, visit).revision})
    _publish_false(hospital, a_case_event(hospital, PatientCorrected, again))


def _report_id(hospital: Hospital, visit: Visit) -> str:
    report = hospital.user().report(visit)
    assert report is not None
    return str(report["report_id"])


def _signed(hospital: Hospital, visit: Visit) -> ReportSigned:
    report = hospital.user().report(visit)
    assert report is not None
    return truly_signed(hospital, report["report_id"], 1)


def _a_number(hospital: Hospital, visit: Visit) -> tuple[bytes, bytes]:
    """Return the value of the first finding as the document says it, and another one."""
    report = hospital.user().report(visit)
    assert report is not None
    value = report["document"]["findings"][0]["value"]
    return f'"{value}"'.encode(), b'"1"'


def _why_held(hospital: Hospital, event: ReportSigned) -> str:
    """Wait until the gate has held exactly this submission; return the reason it keeps."""
    asked = (
        "FROM release_requests WHERE report_id = $1::text::uuid AND digest = $2 AND submission = $3::text::integer"
        " AND report_revision = $4::text::integer AND certificate_pem = $5 AND state <> 'pending'"
    )
    words = (
        str(event.report_id),
        event.digest,
        str(event.submission),
        str(event.report_revision),
        event.certificate_pem,
    )
    wait_until(lambda: hospital.count("delivery", f"SELECT count(*) {asked}", *words), "the gate's word", HELD_SECONDS)
    row = hospital.row("delivery", f"SELECT state, reason {asked} ORDER BY position DESC LIMIT 1", *words)
    assert row["state"] == "held"
    return str(row["reason"])


def _state(hospital: Hospital, visit: Visit) -> str:
    report = hospital.user().report(visit)
    assert report is not None
    return str(report["state"])


def _hex(value: bytes) -> str:
    return f"\\x{value.hex()}"
