"""What a FHIR client is answered, and the orders that our tests send, before HAPI's validator: R4, no error allowed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.errors import Unavailable
from overread.order_intake import fhir_answers
from overread.order_intake.intake import ReusedMessageId
from overread.protocols.fhir.elements import FhirFault, NotUnderstood
from tests.builders.fhir_orders import a_fhir_bundle, a_fhir_patient, a_fhir_request, an_identifier, to
from tests.referees import hapi

_REFUSED = NotUnderstood(
    FhirFault("ServiceRequest.status", "code-invalid", "No status."),
    FhirFault("Bundle.entry[0].resource", "business-rule", "Nobody refers to it."),
)
_ENTRY = {
    "status": "201 Created",
    "location": "ServiceRequest/1/_history/2",
    "etag": 'W/"2"',
    "lastModified": "2026-11-22T12:00:00+00:00",
    "outcome": fhir_answers.kept(is_repeat=False),
}

ANSWERS: Mapping[str, Any] = {
    "capabilities": fhir_answers.capabilities(),
    "kept": fhir_answers.kept(is_repeat=False),
    "refused": fhir_answers.outcome(_REFUSED),
    "reused": fhir_answers.outcome(ReusedMessageId()),
    "away": fhir_answers.outcome(Unavailable("the event broker is away")),
    "transaction": fhir_answers.bundle(
        "transaction", [_ENTRY, {"status": "422", "outcome": fhir_answers.read_along()}]
    ),
}
ORDERS: Mapping[str, Any] = {
    "request": a_fhir_request(),
    "replacing": a_fhir_request(replaces=[{"identifier": an_identifier("PLAC", "TEST-0")}]),
    "bundle": a_fhir_bundle(
        a_fhir_patient(), a_fhir_request(contained=[], encounter=None, requester=None, subject=to(0))
    ),
}
SPOILT: Mapping[str, Any] = {"spoilt": {**fhir_answers.kept(is_repeat=True), "issue": [{"severity": "bad"}]}}


@pytest.mark.jdk
def test_hapi_accepts_our_answers_and_our_tests_orders_and_refuses_a_spoilt_one(tmp_path: Path) -> None:
    """REQ-NON-08: answers are R4 by independent judgement, and what the tests send is no dialect of our own."""
    sent = {name: _without_empty(order) for name, order in ORDERS.items()}
    every = {**ANSWERS, **sent, **SPOILT}
    paths = [tmp_path / f"{name}.json" for name in every]
    for path in paths:
        path.write_text(json.dumps(every[path.stem]), encoding="utf-8")

    verdicts = hapi.judge(hapi.classpath(), paths, referee="FhirReferee")

    expected = ["OK"] * (len(every) - 1) + ["FAIL"]
    assert [verdict.split()[0] for verdict in verdicts] == expected, "\n".join(verdicts)


def _without_empty(value: Any) -> Any:
    """Leave out what is empty: FHIR has no null and no empty list."""
    if isinstance(value, dict):
        return {name: _without_empty(part) for name, part in value.items() if part not in (None, [], {})}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value
