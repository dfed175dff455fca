"""The second guard, alone: SQL goes round API, broker and gate, as the service's own role and as everybody else's."""

import asyncpg
import pytest

from overread.embedded.postgres import STATE_OWNERS
from tests.e2e.hospital import Hospital, Visit

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

OF_REPORT = "report_id = $1::text::uuid"
OTHERS = [role for role in STATE_OWNERS if role != "review"]

UNCHANGED = "the document of a report revision is never changed"
NEVER = "{} is never changed or removed"

FROM_A_DRAFT = {
    "signed": (
        f"UPDATE reports SET state = 'signed', signed_digest = digest WHERE {OF_REPORT}",
        "a report that is drafted does not become signed",
    ),
    "final": (
        f"UPDATE reports SET state = 'final', signed_digest = digest WHERE {OF_REPORT}",
        "a report that is drafted does not become final",
    ),
    "held, as if it had been signed": (
        f"UPDATE reports SET state = 'held', signed_digest = digest WHERE {OF_REPORT}",
        "a report that is drafted does not become held",
    ),
    "another document": (f"UPDATE reports SET document = 'x' WHERE {OF_REPORT}", UNCHANGED),
    "another patient": (f"UPDATE reports SET identity_version = identity_version + 1 WHERE {OF_REPORT}", UNCHANGED),
    "no report": (f"DELETE FROM reports WHERE {OF_REPORT}", NEVER.format("reports")),
    "a new revision that is final": (
        (
            "INSERT INTO reports (site_id, report_id, report_revision, case_id, study_revision,"
            " identity_version, state, reason, changed_by, document, digest, basis, signed_digest, drafted_at, changed_at)"
            " SELECT site_id, report_id, report_revision + 1, case_id, study_revision, identity_version, 'final', '', '',"
            f" document, digest, basis, digest, drafted_at, changed_at FROM reports WHERE {OF_REPORT}"
        ),
        "a report begins as drafted, not as final",
    ),
}

FROM_A_FINAL = {
    "another document": (f"UPDATE reports SET document = 'x' WHERE {OF_REPORT}", UNCHANGED),
    "another signed digest": (f"UPDATE reports SET signed_digest = digest WHERE {OF_REPORT}", UNCHANGED),
    "a draft again": (
        f"UPDATE reports SET state = 'drafted' WHERE {OF_REPORT}",
        "a report that is final does not become drafted",
    ),
    "signed again": (
        f"UPDATE reports SET state = 'signed' WHERE {OF_REPORT}",
        "a report that is final does not become signed",
    ),
    "another signature": (f"UPDATE signatures SET signature = 'x' WHERE {OF_REPORT}", NEVER.format("signatures")),
    "another signed document": (
        f"UPDATE signatures SET document = 'x', digest = 'x' WHERE {OF_REPORT}",
        NEVER.format("signatures"),
    ),
    "another signer": (f"UPDATE signatures SET subject = 'ops' WHERE {OF_REPORT}", NEVER.format("signatures")),
    "no signature": (f"DELETE FROM signatures WHERE {OF_REPORT}", NEVER.format("signatures")),
    "a second signature": (
        (
            "INSERT INTO signatures (site_id, report_id, report_revision, subject, document, digest,"
            " signature, certificate_pem, signed_at) SELECT site_id, report_id, report_revision, subject, document, digest,"
            f" 'x', certificate_pem, signed_at FROM signatures WHERE {OF_REPORT}"
        ),
        'duplicate key value violates unique constraint "signatures_pkey"',
    ),
    "another history": (f"UPDATE report_history SET actor = 'ops' WHERE {OF_REPORT}", NEVER.format("report_history")),
    "withdrawn without a signature": (
        f"UPDATE reports SET state = 'withdrawn' WHERE {OF_REPORT}",
        "a final report is not withdrawn without a signature",
    ),
}

EVERYTHING_GONE = {
    "TRUNCATE signatures": NEVER.format("signatures"),
    "TRUNCATE report_history": NEVER.format("report_history"),
    "TRUNCATE reports CASCADE": NEVER.format("reports"),
}

BY_STRANGERS = (
    "SELECT 1 FROM review.reports",
    "UPDATE review.reports SET state = 'final'",
    "INSERT INTO review.signatures (site_id) VALUES ('x')",
    "DELETE FROM review.signatures",
    "INSERT INTO review.outbox (topic, key, value, headers) VALUES ('reports.signed', '', '', '[]')",
    "DROP TRIGGER report_life_guard ON review.reports",
)


@pytest.fixture(scope="module")
def drafted(hospital: Hospital) -> Visit:
    """Return a visit with a draft that nobody signs."""
    visit = _read(hospital)
    hospital.user().draft(visit)
    return visit


@pytest.fixture(scope="module")
def final(hospital: Hospital) -> Visit:
    """Return a visit that is final."""
    visit = _read(hospital)
    hospital.user().sign(visit)
    hospital.final(visit)
    return visit


@pytest.mark.parametrize("change", FROM_A_DRAFT)
def test_database_refuses_reviews_own_role_to_make_of_a_draft(hospital: Hospital, drafted: Visit, change: str) -> None:
    """The trigger made from the table of states asks for the signature's row, whoever writes."""
    statement, reason = FROM_A_DRAFT[change]
    before = hospital.user().report(drafted)
    assert before is not None

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=f"^{reason}"):
        hospital.execute("review", statement, before["report_id"])

    assert _state_and_digest(hospital, drafted) == (before["state"], before["digest"])
    assert hospital.emr.about(drafted.study_instance_uid, "F") == []


def test_database_lets_nobody_sign_a_claimed_report_without_the_row_of_a_signature(
    hospital: Hospital, drafted: Visit
) -> None:
    """The table allows the step from review to signed; what is missing is the signature itself."""
    report = hospital.user().report(drafted)
    assert report is not None
    becomes = f"UPDATE reports SET state = '{{}}', signed_digest = {{}} WHERE {OF_REPORT}"
    hospital.execute("review", becomes.format("in_review", "''"), report["report_id"])

    with pytest.raises(
        asyncpg.IntegrityConstraintViolationError, match="a report does not become signed without a signature"
    ):
        hospital.execute("review", becomes.format("signed", "digest"), report["report_id"])

    hospital.execute("review", becomes.format("drafted", "''"), report["report_id"])
    assert _state_and_digest(hospital, drafted) == ("drafted", report["digest"])


@pytest.mark.parametrize("change", FROM_A_FINAL)
def test_database_refuses_reviews_own_role_to_make_of_a_final(hospital: Hospital, final: Visit, change: str) -> None:
    """What was signed stays as it was signed; a final is taken back by a signature alone."""
    statement, reason = FROM_A_FINAL[change]
    before = hospital.user().report(final)
    assert before is not None

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=f"^{reason}"):
        hospital.execute("review", statement, before["report_id"])

    assert _state_and_digest(hospital, final) == ("final", before["digest"])


@pytest.mark.parametrize("statement", EVERYTHING_GONE)
def test_database_forgets_no_signature_at_once_either(hospital: Hospital, final: Visit, statement: str) -> None:
    """TRUNCATE fires no row trigger; the statement's own refuses."""
    before = _state_and_digest(hospital, final)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=f"^{EVERYTHING_GONE[statement]}$"):
        hospital.execute("review", statement)

    assert _state_and_digest(hospital, final) == before


def test_database_lets_reviews_own_role_not_step_aside_of_triggers(hospital: Hospital) -> None:
    """A session that plays a replica would fire none: that is for superusers."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="to set parameter"):
        hospital.execute("review", "SET session_replication_role = 'replica'")


@pytest.mark.parametrize("statement", BY_STRANGERS)
@pytest.mark.parametrize("role", OTHERS)
def test_database_lets_no_other_role_near_a_report(hospital: Hospital, role: str, statement: str) -> None:
    """No service reads or writes another's schema."""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for schema review"):
        hospital.execute(role, statement)


@pytest.mark.parametrize("role", [role for role in STATE_OWNERS if role != "delivery"])
def test_database_lets_no_other_role_send(hospital: Hospital, role: str) -> None:
    """What leaves is in delivery's own tables, and they are nobody else's."""
    for statement in (
        "UPDATE delivery.release_requests SET state = 'released'",
        "INSERT INTO delivery.outbound (site_id) VALUES ('x')",
        "UPDATE delivery.cases SET revision = 0",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for schema delivery"):
            hospital.execute(role, statement)


def _read(hospital: Hospital) -> Visit:
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    return visit


def _state_and_digest(hospital: Hospital, visit: Visit) -> tuple[str, str]:
    report = hospital.user().report(visit)
    assert report is not None
    return report["state"], report["digest"]
