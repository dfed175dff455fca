"""Promise 3: nothing is final unsigned, whoever tries, and by whichever way."""

import time
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from overread.contracts.errors import Unavailable
from overread.contracts.topics import REPORTS_SIGNED
from overread.embedded.profile import SERVICES
from overread.review.embedded_issuer import issuer_key
from overread.runtime.publisher import Outgoing
from tests.e2e.forgery import forged, signed_outgoing
from tests.e2e.hospital import Hospital, Visit, unsigned_finals
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

PASSWORD = b"nobody's password"
HELD_SECONDS = 20.0


@pytest.fixture(scope="module")
def visit(hospital: Hospital) -> Iterator[Visit]:
    """Yield a visit with a draft that nobody signs; at the end the EMR has heard of nothing final about it."""
    drafted = hospital.admit()
    hospital.order(drafted)
    hospital.scan(drafted)
    hospital.user().draft(drafted)
    yield drafted
    assert hospital.emr.about(drafted.study_instance_uid, "F") == []


def test_signature_without_a_claim_is_refused(hospital: Hospital, visit: Visit) -> None:
    """One reads before one signs."""
    report = _report(hospital, visit)

    answer = _sign(hospital, report["report_id"], report["digest"])

    assert (answer["status"], answer["type"]) == (409, "urn:overread:problem:wrong-state")
    assert _state(hospital, visit) == "drafted"


def test_signature_over_a_document_that_was_not_seen_is_refused(hospital: Hospital, visit: Visit) -> None:
    """The digest is that of the document on screen."""
    report = _report(hospital, visit)
    hospital.user().ask("POST", f"/reports/{report['report_id']}/claim")

    answer = _sign(hospital, report["report_id"], "0" * 64)

    hospital.user().ask("POST", f"/reports/{report['report_id']}/release")
    assert (answer["status"], answer["type"]) == (409, "urn:overread:problem:stale-digest")
    assert _state(hospital, visit) == "drafted"


@pytest.mark.parametrize(
    ("changed", "status", "problem"),
    [
        ({"roles": ["ops"]}, 403, "not-entitled"),
        ({"entitlements": []}, 403, "not-entitled"),
        ({"auth_time": int(time.time()) - 3600}, 401, "session-too-old"),
        ({"site_id": "another-hospital"}, 403, "wrong-site"),
        ({"exp": int(time.time()) - 3600}, 401, "not-signed-in"),
        ({"aud": "somebody-else"}, 401, "not-signed-in"),
    ],
    ids=["role", "entitlement", "old sign-in", "site", "expired", "audience"],
)
def test_token_that_does_not_carry_the_right_signs_nothing(
    hospital: Hospital, visit: Visit, changed: dict[str, Any], status: int, problem: str
) -> None:
    """A signature asks for role, entitlement, site and a fresh sign-in."""
    report = _report(hospital, visit)
    key = issuer_key(hospital.endpoints.data.secrets)
    hospital.user().ask("POST", f"/reports/{report['report_id']}/claim")

    answer = _sign(hospital, report["report_id"], report["digest"], token=_a_token(hospital, key, **changed))

    hospital.user().ask("POST", f"/reports/{report['report_id']}/release")
    assert (answer["status"], answer["type"]) == (status, f"urn:overread:problem:{problem}")
    assert _state(hospital, visit) == "drafted"


def test_token_of_another_issuer_signs_nothing(hospital: Hospital, visit: Visit) -> None:
    """Right words under a wrong key, and no words at all."""
    report = _report(hospital, visit)
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, private=True, auto_kid=True)

    answers = [_sign(hospital, report["report_id"], report["digest"], token=t) for t in (_a_token(hospital, key), "x")]

    assert [answer["status"] for answer in answers] == [401, 401]
    assert _state(hospital, visit) == "drafted"


ACTS: dict[str, dict[str, Any]] = {
    "claim": {},
    "release": {},
    "reject": {"json": {"reason": "other"}},
    "sign": {"json": {"digest": "0" * 64, "verdict": "accepted"}},
    "resubmit": {},
    "confirm-again": {},
    "release-held": {"json": {"reason": "because"}},
    "withdraw": {"json": {"reason": "because"}},
}
FOR_SIGNERS = ("sign", "confirm-again", "release-held", "withdraw", "resubmit")


@pytest.mark.parametrize("act", ACTS)
def test_wrong_role_does_nothing_to_a_report(hospital: Hospital, visit: Visit, act: str) -> None:
    """Nobody, an operator, a reader of another site, and where it takes a signer one who may not sign."""
    report_id = _report(hospital, visit)["report_id"]
    key = issuer_key(hospital.endpoints.data.secrets)
    strangers = {
        "x": 401,
        _a_token(hospital, key, roles=["nobody"]): 403,
        _a_token(hospital, key, site_id="another-hospital"): 403,
        **({} if act == "resubmit" else {_a_token(hospital, key, roles=["ops"], entitlements=[]): 403}),
        **({_a_token(hospital, key, entitlements=[]): 403} if act in FOR_SIGNERS else {}),
    }

    answers = {
        token: hospital.user().ask("POST", f"/reports/{report_id}/{act}", token=token, **ACTS[act]).status_code
        for token in strangers
    }

    assert list(answers.values()) == list(strangers.values())
    assert _state(hospital, visit) == "drafted"


def test_operator_may_not_even_look(hospital: Hospital, visit: Visit) -> None:
    """Who looks after the system reads no reports."""
    report = _report(hospital, visit)

    answer = hospital.user("ops").ask("GET", f"/reports/{report['report_id']}")

    assert answer.status_code == 403


@pytest.mark.parametrize("service", [name for name in SERVICES if name != "review"])
def test_broker_lets_no_other_service_say_that_a_report_is_signed(hospital: Hospital, service: str) -> None:
    """Only `review` may write reports.signed."""
    record = Outgoing(REPORTS_SIGNED.name, b"key", b"{}")

    with pytest.raises(Unavailable, match="TopicAuthorizationFailed"):
        hospital.publish(service, record)


def test_database_lets_no_report_become_signed_without_its_signature(hospital: Hospital, visit: Visit) -> None:
    """The trigger made from the table of states asks for the signature's row, of review's own role too."""
    report = _report(hospital, visit)
    hospital.user().ask("POST", f"/reports/{report['report_id']}/claim")
    change = "UPDATE reports SET state = 'signed', signed_digest = digest WHERE report_id = $1::text::uuid"

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="without a signature"):
        hospital.execute("review", change, report["report_id"])

    hospital.user().ask("POST", f"/reports/{report['report_id']}/release")
    assert _state(hospital, visit) == "drafted"


def test_forged_signature_is_held_and_the_true_one_still_goes_out(hospital: Hospital) -> None:
    """The gate believes its own root alone, even what the broker's administrator wrote; forgery blocks nobody."""
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    hospital.publish("admin", signed_outgoing(hospital, forged(hospital, visit)))
    held = "SELECT count(*) FROM release_requests WHERE report_id = $1::text::uuid AND state = 'held'"
    report_id = _report(hospital, visit)["report_id"]
    wait_until(lambda: hospital.count("delivery", held, report_id), "the gate's decision", HELD_SECONDS)
    unsigned = hospital.emr.about(visit.study_instance_uid, "F")

    hospital.user().sign(visit)

    hospital.final(visit)
    assert unsigned == []


def test_no_final_came_without_a_signature_in_the_whole_session(hospital: Hospital) -> None:
    """What the EMR recorded is compared with the signatures, message by message."""
    finals = [message for message in hospital.emr.received if message.status in {"F", "C"}]

    found = unsigned_finals(hospital)

    assert finals
    assert found == []


def _report(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    report = hospital.user().report(visit)
    assert report is not None
    return report


def _state(hospital: Hospital, visit: Visit) -> str:
    return str(_report(hospital, visit)["state"])


def _sign(hospital: Hospital, report_id: str, digest: str, *, token: str | None = None) -> dict[str, Any]:
    body = {"digest": digest, "verdict": "accepted"}
    answer = hospital.user().ask("POST", f"/reports/{report_id}/sign", token=token, json=body)
    return {"status": answer.status_code, "type": answer.json().get("type")}


def _a_token(hospital: Hospital, key: ECKey, **changed: Any) -> str:
    """Return a token as the issuer writes it for the radiologist, with other claims where told."""
    true = hospital.user().token()
    claims = jwt.decode(true, issuer_key(hospital.endpoints.data.secrets), algorithms=["ES256"]).claims
    return jwt.encode({"alg": "ES256", "kid": key.kid}, claims | changed, key, algorithms=["ES256"])
