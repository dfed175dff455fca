"""Reading back: every way in which a bundle could say something else than was meant is seen."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from overread.contracts import codec
from overread.contracts.errors import Malformed
from overread.protocols.fhir.diagnostic_report import Unfaithful, meant, read, render
from overread.protocols.hl7.oru_content import differences
from tests.builders.fhir import a_fhir_content, a_reported

Bundle = dict[str, Any]


def the(bundle: Bundle, kind: str) -> dict[str, Any]:
    """Return the first resource of its type."""
    found: dict[str, Any] = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind)
    return found


def spoil(status: str, change: Callable[[Bundle], object], **changed: Any) -> bytes:
    """Return a bundle of ours after `change`."""
    raw = render(a_fhir_content(status, **changed))
    bundle: Bundle = json.loads(raw, parse_float=codec.number, parse_int=codec.number)
    change(bundle)
    return codec.json_bytes(bundle)


def _page(bundle: Bundle) -> None:
    page = base64.b64encode(b"<html>All well.</html>").decode()
    the(bundle, "DiagnosticReport")["presentedForm"][0]["data"] = page


def _drop_signer(bundle: Bundle) -> None:
    del the(bundle, "DiagnosticReport")["resultsInterpreter"]


SPOILT: dict[str, Callable[[Bundle], object]] = {
    "another status of a finding": lambda b: the(b, "Observation").update(status="preliminary"),
    "another status of the report": lambda b: the(b, "DiagnosticReport").update(status="corrected"),
    "a draft's status with a signer": lambda b: the(b, "DiagnosticReport").update(status="partial"),
    "a value that the page does not show": lambda b: the(b, "Observation")["valueQuantity"].update(value=1),
    "another page": _page,
    "no signer": _drop_signer,
    "another narrative": lambda b: the(b, "DiagnosticReport")["text"].update(div="<div>All well.</div>"),
    "another conclusion": lambda b: the(b, "DiagnosticReport").update(conclusion="All well."),
    "a reference to nothing": lambda b: the(b, "DiagnosticReport")["result"].append({"reference": "urn:uuid:0"}),
    "somebody else": lambda b: the(b, "Observation")["subject"].update(reference=b["entry"][0]["fullUrl"]),
    "somebody else's number": lambda b: the(b, "Observation")["subject"]["identifier"].update(value="TEST-OTHER"),
    "a finding apart from the report": lambda b: the(b, "DiagnosticReport")["result"].pop(),
    "test data in part": lambda b: the(b, "Observation").pop("meta"),
    "another provenance": lambda b: the(b, "Provenance")["agent"].pop(),
    "no transaction": lambda b: b.update(type="batch"),
    "no report": lambda b: b["entry"].pop(-2),
    "an entry twice": lambda b: b["entry"].append(b["entry"][0]),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_bundle_that_contradicts_itself_is_not_read(fault: str) -> None:
    """REQ-REV-03: a rendering that does not fit together never leaves."""
    raw = spoil("final", SPOILT[fault])

    with pytest.raises(Unfaithful):
        read(raw)


MOVED: dict[str, Callable[[Bundle], object]] = {
    "patient_identifiers": lambda b: the(b, "Patient")["identifier"][0].update(value="TEST-OTHER"),
    "family_name": lambda b: the(b, "Patient")["name"][0].update(family="KHÁC"),
    "birth_date": lambda b: the(b, "Patient").update(birthDate="1971-01-01"),
    "gender": lambda b: the(b, "Patient").update(gender="female"),
    "accession_numbers[0]": lambda b: the(b, "ImagingStudy")["identifier"][1].update(value="TEST-ACC-9"),
    "order_identifiers[0]": lambda b: the(b, "ServiceRequest")["identifier"][0].update(value="TEST-PLACER-9"),
    "study_instance_uid": lambda b: the(b, "ImagingStudy")["identifier"][0].update(value="urn:oid:1.2.3"),
    "signer": lambda b: the(b, "Practitioner")["identifier"][0].update(value="dr.other"),
    "findings[0].code": lambda b: the(b, "Observation")["code"]["coding"][0].update(code="OTHER"),
    "findings[0].unit": lambda b: the(b, "Observation")["valueQuantity"].update(code="L"),
    "findings[0].observation_id": lambda b: the(b, "Observation")["identifier"][0].update(
        value="urn:uuid:00000000-0000-4000-8000-000000000000"
    ),
    "digest": lambda b: the(b, "Provenance")["entity"][1]["what"]["identifier"].update(value="sha256:0"),
    "signed_at": lambda b: the(b, "Provenance").update(occurredDateTime="2026-11-22T19:06:00.000+07:00"),
}


@pytest.mark.parametrize("moved", MOVED)
def test_whatever_moved_shows(moved: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that the gate compares is read from where a receiver would read it."""
    content = a_fhir_content("final")
    # Were narrative and page made to fit, the difference itself must still be seen.
    monkeypatch.setattr("overread.protocols.fhir.reading._Bundle._require_narrative", lambda _: None)
    monkeypatch.setattr("overread.protocols.fhir.reading._Bundle._require_one_patient", lambda *_: None)

    said = read(spoil("final", MOVED[moved]))

    assert differences(meant(content), said) == (moved,)


def test_a_retracted_finding_that_keeps_its_value_is_seen() -> None:
    """What the report no longer states must not be told as if it held."""
    raw = spoil(
        "final",
        lambda b: the(b, "Observation").update(valueQuantity={"value": 1}),
        findings=(),
        retracted=(a_reported(),),
    )

    with pytest.raises(Unfaithful):
        read(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b"null", b'{"resourceType":"Bundle","type":"transaction"}', b"\xff"]
)
def test_what_is_no_bundle_is_refused_in_words(raw: bytes) -> None:
    """A refusal, never a crash, and nothing of the content in it."""
    with pytest.raises(Malformed, match="bundle"):
        read(raw)
