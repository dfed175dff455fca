"""Our transactions at the demo's EMR: HAPI's parser and server frame, with a store and transactions of our own behind."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from overread.embedded import fhir_emr
from overread.embedded.fhir_emr import FhirEmr
from overread.protocols.fhir.content import FhirContent
from overread.protocols.fhir.diagnostic_report import render
from tests.builders.events import REPORT_ID, a_finding
from tests.builders.fhir import a_fhir_content, a_reported

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPORT = f"urn:ietf:rfc:3986|{REPORT_ID.urn}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def emr(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FhirEmr]:
    """Return one receiver for this file; it starts in two to three seconds."""
    if not fhir_emr.is_here():
        fhir_emr.prepare()
    receiver = FhirEmr(tmp_path_factory.mktemp("fhir-emr"))
    await receiver.start()
    yield receiver
    await receiver.stop()


async def told(emr: FhirEmr, content: FhirContent | bytes) -> httpx.Response:
    """Send a transaction."""
    raw = content if isinstance(content, bytes) else render(content)
    async with emr.client() as client:
        return await client.post(emr.url, content=raw, headers={"Content-Type": "application/fhir+json"})


async def the_report(emr: FhirEmr) -> dict[str, Any]:
    """Return the one report that the receiver has under our identifier."""
    (report,) = await emr.received("DiagnosticReport", identifier=REPORT)
    return report


async def test_a_report_goes_from_draft_to_correction_under_one_identity(emr: FhirEmr) -> None:
    """REQ-FHIR-02: the receiver has one report and one observation a finding, whatever was sent and how often."""
    for status in ("partial", "partial", "final", "final", "corrected"):
        answer = await told(emr, a_fhir_content(status))
        assert answer.status_code == 200, answer.text

    report = await the_report(emr)

    assert (report["status"], report["meta"]["versionId"]) == ("corrected", "3")
    observations = await emr.received("Observation", status="corrected")
    assert {observation["meta"]["versionId"] for observation in observations} == {"3"}
    kinds = ("Patient", "ServiceRequest", "ImagingStudy", "Device", "Organization", "Practitioner")
    assert [len(await emr.received(kind)) for kind in (*kinds, "Provenance")] == [1, 1, 1, 1, 1, 1, 3]


async def test_a_resend_changes_nothing(emr: FhirEmr) -> None:
    """REQ-FHIR-02: the same bytes again are answered with 200 for every entry, and make no version."""
    raw = render(a_fhir_content("final", report_revision=4))
    first = await told(emr, raw)

    again = await told(emr, raw)

    responses = [entry["response"] for entry in again.json()["entry"]]
    assert {response["status"] for response in responses} == {"200 OK"}
    before = [entry["response"]["location"] for entry in first.json()["entry"]]
    assert [response["location"] for response in responses] == before


async def test_a_number_arrives_digit_by_digit(emr: FhirEmr) -> None:
    """REQ-FHIR-03: HAPI keeps the trailing zero that a float would lose, so our bytes had it."""
    await told(emr, a_fhir_content("final", report_revision=5, issued_at=a_fhir_content().issued_at))

    async with emr.client() as client:
        answer = await client.get(f"{emr.url}/Observation", params={"status": "final"})

    assert '"value":5512.30,' in answer.text.replace(" ", "")


async def test_a_finding_that_no_longer_holds_is_taken_back(emr: FhirEmr) -> None:
    """A model's finding that the clinician dropped does not stay in the EMR as if it held."""
    gone = a_reported(a_finding(code="GONE"), sub_id="7")
    await told(emr, a_fhir_content("partial", report_revision=6, findings=(gone,)))

    await told(emr, a_fhir_content("final", report_revision=6, retracted=(gone,)))

    (observation,) = [o for o in await emr.received("Observation") if o["code"]["coding"][0]["code"] == "GONE"]
    assert (observation["status"], "valueQuantity" in observation) == ("cancelled", False)


async def test_a_withdrawn_final_no_longer_states_anything(emr: FhirEmr) -> None:
    """REQ-REV-10: what was withdrawn stands there as entered in error, with its reason and without a value."""
    await told(emr, a_fhir_content("final", report_revision=7))

    await told(emr, a_fhir_content("entered-in-error", report_revision=8))

    report = await the_report(emr)
    assert (report["status"], "presentedForm" in report) == ("entered-in-error", False)
    assert "Sai bên: sửa lại" in report["conclusion"]
    withdrawn = await emr.received("Observation", status="entered-in-error")
    assert withdrawn
    assert not [observation for observation in withdrawn if "valueQuantity" in observation]


async def test_without_the_token_nothing_is_told(emr: FhirEmr) -> None:
    """The receiver plays a real one: it asks for a bearer token on every route."""
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answers = [await stranger.get(f"{emr.url}/{route}") for route in ("metadata", "DiagnosticReport")]
        answers.append(await stranger.post(emr.url, content=render(a_fhir_content())))

    assert [answer.status_code for answer in answers] == [401, 401, 401]


@pytest.mark.parametrize("fault", ["status", "element", "reference"])
async def test_a_transaction_that_is_no_r4_is_refused_whole(emr: FhirEmr, fault: str) -> None:
    """HAPI refuses it with 400 and an OperationOutcome, and keeps nothing of it."""
    bundle = json.loads(render(a_fhir_content("final", report_id=a_fhir_content().orders[0].order_id)))
    report = bundle["entry"][-2]["resource"]
    report.update(
        {
            "status": {"status": "signed"},
            "element": {"signedBy": "nobody"},
            "reference": {"result": [{"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}]},
        }[fault]
    )

    answer = await told(emr, json.dumps(bundle).encode())

    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")
    identifier = f"urn:ietf:rfc:3986|{a_fhir_content().orders[0].order_id.urn}"
    assert await emr.received("DiagnosticReport", identifier=identifier) == []


async def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """A receiver that stayed would hold its port and its memory."""
    receiver = FhirEmr(tmp_path / "other")
    await receiver.start()
    url = receiver.url

    await receiver.stop()

    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/metadata")
