"""What an integration engineer edits after the signature: the rendering changes, what was signed does not."""

import tomllib
from collections.abc import Callable, Iterator

import pytest

from overread.contracts import codec
from overread.contracts.events.reports import ReportDocument
from overread.embedded.stack_thread import StackThread
from tests.e2e.hospital import Hospital, Visit, assert_told_once
from tests.e2e.victims import stopped
from tests.fakes.peers import Received, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SECONDS = 40.0
OTHER_RECEIVER = "EMR_TWO"

Edit = Callable[[], None]


@pytest.fixture
def edit(hospital: Hospital, servers: StackThread) -> Iterator[Edit]:
    """Yield what edits the EMR's entry in the list of destinations and starts delivery anew; all is as it was at last."""
    listed = hospital.endpoints.data.config / "delivery" / "destinations.toml"
    as_it_was = listed.read_text()

    def start_with(text: str) -> None:
        listed.write_text(text)
        servers.kill("delivery")
        servers.wait_ready("delivery")

    yield lambda: start_with(_edited(as_it_was))
    start_with(as_it_was)


def _edited(text: str) -> str:
    """Return the list with another receiver's name, in another language, and another word for what is unverified."""
    edited = text
    for old, new in (
        ('receiving_application = "EMR"', f'receiving_application = "{OTHER_RECEIVER}"'),
        ('language = "vi"', 'language = "en"'),
        ('send_unverified = "R"', 'send_unverified = "none"'),
    ):
        assert old in edited
        edited = edited.replace(old, new)
    assert tomllib.loads(edited)["destination"][0]["language"] == "en"
    return edited


def _drafted(hospital: Hospital) -> Visit:
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=SECONDS)
    return visit


def _signed(hospital: Hospital, visit: Visit) -> ReportDocument:
    report = hospital.user().report(visit)
    assert report is not None
    assert report["signature"] is not None
    return ReportDocument.model_validate(report["document"])


def _states(final: Received, signed: ReportDocument) -> bool:
    """Say whether a message states exactly the signed findings, conclusion, patient and signer."""
    signer = final.field("OBR", 32).split("&")[0]
    patients = {identifier.split("^")[0] for identifier in final.field("PID", 3).split("~")}
    return (
        sorted(final.findings.values()) == sorted(finding.value or "" for finding in signed.findings)
        and signed.conclusion in final.raw.decode()
        and signed.signed_by is not None
        and signer == signed.signed_by.subject
        and patients == {identifier.id_number for identifier in signed.patient.identifiers}
    )


def test_rendering_edited_between_signature_and_gate_says_what_was_signed(
    hospital: Hospital, servers: StackThread, edit: Edit
) -> None:
    """The gate renders by the list as it is then, reads that back, and compares it with the signed document."""
    visit = _drafted(hospital)
    with stopped(servers, "delivery"):
        hospital.user().sign(visit)
        edit()

    final = hospital.final(visit)

    assert final.field("MSH", 5) == OTHER_RECEIVER
    assert _states(final, _signed(hospital, visit))
    assert_told_once(hospital.emr, visit)


def test_rendering_edited_between_gate_and_send_leaves_as_it_was_released(hospital: Hospital, edit: Edit) -> None:
    """REQ-ONE-05: rendered once; a later edit is for later messages."""
    visit = _drafted(hospital)
    waiting = "FROM outbound WHERE case_id = $1::text::uuid AND status = 'F' AND state IN ('waiting', 'sending')"
    [case] = hospital.user().cases(visit)
    with hospital.emr.closed():
        hospital.user().sign(visit)
        counted = f"SELECT count(*) {waiting}"
        wait_until(lambda: hospital.count("delivery", counted, str(case["case_id"])), "the released final", SECONDS)
        released = hospital.row("delivery", f"SELECT message_digest {waiting}", str(case["case_id"]))["message_digest"]
        edit()

    final = hospital.final(visit)

    assert codec.sha256(final.raw) == released
    assert final.field("MSH", 5) == "EMR"
    assert _states(final, _signed(hospital, visit))
    assert_told_once(hospital.emr, visit)
