import dataclasses
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest

from overread.contracts.events.inference import Concept, Finding
from overread.contracts.events.reports import Signer
from overread.protocols.fhir.codes import coding_system, identifier_system
from overread.protocols.fhir.content import OBSERVATION_STATUS, ReportStatus
from overread.protocols.fhir.diagnostic_report import NotRenderable, meant, read, render
from overread.protocols.hl7.oru_content import SYNTHETIC, UNCONFIRMED, Language, differences
from tests.builders.events import SERIES, a_finding, a_model, a_patient
from tests.builders.fhir import a_fhir_content, a_nodule, a_reported, an_order

STATUSES = [status.value for status in ReportStatus]
XHTML = {"div", "h1", "p", "b", "table", "tbody", "tr", "td"}
SIGNED = ("final", "corrected", "entered-in-error")


def entries(raw: bytes, kind: str) -> list[dict[str, Any]]:
    """Return the entries of one type, numbers as the digits that stand there."""
    bundle = json.loads(raw, parse_float=str, parse_int=str)
    return [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind]


def resource(raw: bytes, kind: str) -> dict[str, Any]:
    """Return the one resource of its type."""
    (entry,) = entries(raw, kind)
    found: dict[str, Any] = entry["resource"]
    return found


@pytest.mark.parametrize("status", STATUSES)
def test_every_state_reads_back_as_what_was_meant(status: str) -> None:
    """The gate compares what will leave with what was signed."""
    content = a_fhir_content(status)

    said = read(render(content))

    assert differences(meant(content), said) == ()


@pytest.mark.parametrize("status", STATUSES)
def test_equal_contents_give_the_same_transaction(status: str) -> None:
    """A resend must be byte-identical."""
    assert render(a_fhir_content(status)) == render(a_fhir_content(status))


@pytest.mark.parametrize("status", STATUSES)
def test_every_entry_is_conditional(status: str) -> None:
    """FHIR R4, conditional create and update: a repeat creates nothing anew; what belongs to the receiver is never overwritten."""
    bundle = json.loads(render(a_fhir_content(status)))

    requests = {entry["resource"]["resourceType"]: entry["request"] for entry in bundle["entry"]}
    ours = {kind for kind, request in requests.items() if request["method"] == "PUT"}
    assert ours == {"Observation", "DiagnosticReport"}
    assert all("=urn:" in request.get("ifNoneExist", request["url"]) for request in requests.values())
    assert len({entry["fullUrl"] for entry in bundle["entry"]}) == len(bundle["entry"])


@pytest.mark.parametrize("status", STATUSES)
def test_status_stands_in_report_and_in_every_observation(status: str) -> None:
    """Each state has its own word in DiagnosticReport and in Observation (R4 value sets)."""
    raw = render(a_fhir_content(status))

    assert resource(raw, "DiagnosticReport")["status"] == status
    said = {entry["resource"]["status"] for entry in entries(raw, "Observation")}
    assert said == {OBSERVATION_STATUS[ReportStatus(status)]}


@pytest.mark.parametrize("status", STATUSES)
def test_interpreter_verifier_and_form_stand_in_signed_results_alone(status: str) -> None:
    """REQ-REV-01: nothing that is not signed looks as if somebody had signed it."""
    raw = render(a_fhir_content(status))

    report, provenance = resource(raw, "DiagnosticReport"), resource(raw, "Provenance")
    roles = [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]]
    is_signed = status in SIGNED
    assert ("resultsInterpreter" in report, "verifier" in roles, "occurredDateTime" in provenance) == (is_signed,) * 3
    assert ("presentedForm" in report) == (status in ("final", "corrected"))


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("status", ["partial", "preliminary"])
def test_unconfirmed_transaction_says_so_first(status: str, language: Language) -> None:
    """REQ-REV-06: whoever reads the text sees at once that no clinician stands behind it."""
    raw = render(a_fhir_content(status, language=language))

    report = resource(raw, "DiagnosticReport")
    assert report["conclusion"].startswith(UNCONFIRMED[language])
    assert UNCONFIRMED[language].split(":")[0].strip() in report["text"]["div"]


def test_test_data_is_marked_on_every_resource() -> None:
    """A phantom's report must never pass for a patient's (v3-ActReason HTEST)."""
    bundle = json.loads(render(a_fhir_content("final", is_synthetic=True)))

    marks = [entry["resource"]["meta"]["security"][0]["code"] for entry in bundle["entry"]]
    assert set(marks) == {"HTEST"}
    assert SYNTHETIC[Language.VIETNAMESE] in resource(json.dumps(bundle).encode(), "DiagnosticReport")["conclusion"]


def test_study_names_its_series_as_far_as_r4_lets_it() -> None:
    """ImagingStudy.series.modality is 1..1: one whose images do not say it is counted and not listed."""
    study = resource(render(a_fhir_content("final")), "ImagingStudy")

    assert (study["numberOfSeries"], study["numberOfInstances"]) == ("2", "61")
    ((said,), modality) = study["series"], study["series"][0]["modality"]["code"]
    assert (said["uid"], modality, said["numberOfInstances"]) == (SERIES, "CT", "60")


def test_device_is_the_model_version_with_the_files_that_ran() -> None:
    """Type, manufacturer, version, and the digest as a property (111002 of TID 4019)."""
    model = a_model(manufacturer="Maker")

    device = resource(render(a_fhir_content("final", models=(model,))), "Device")

    assert (device["manufacturer"], device["version"][0]["value"]) == ("Maker", "1.0.0")
    assert device["type"]["coding"][0]["code"] == "123110"
    (files,) = device["property"]
    assert (files["type"]["coding"][0]["code"], files["valueCode"][0]["text"]) == ("111002", f"sha256={model.digest}")


PRESENT = {"coded_value": "52101004", "coded_value_scheme": "SCT", "coded_value_display": "Present"}
PNEUMONIA = a_nodule(code="233604007", scheme="SCT", display="Pneumonia", **PRESENT)


@pytest.mark.parametrize(
    ("finding", "codes"),
    [
        (a_nodule(), ["427359005"]),
        (PNEUMONIA, ["233604007"]),
        (a_nodule(coded_value="airway-not-found", coded_value_scheme="99OVERREAD"), []),
        (a_finding(), []),
    ],
    ids=["an answer", "something that is there", "a code of our own", "a number"],
)
def test_conclusion_has_the_code_of_what_is_concluded(finding: Finding, codes: list[str]) -> None:
    """DiagnosticReport.conclusionCode: what is present, or the answer to a question; withdrawn, nothing."""
    stated = (a_reported(finding),)

    report = resource(render(a_fhir_content("final", findings=stated)), "DiagnosticReport")
    withdrawn = resource(render(a_fhir_content("entered-in-error", findings=stated)), "DiagnosticReport")

    assert [code["coding"][0]["code"] for code in report.get("conclusionCode", ())] == codes
    assert "conclusionCode" not in withdrawn


def test_observation_says_where_what_and_by_what_method() -> None:
    """bodySite, the broader code beside our own, method and orders; a withdrawn one keeps no site."""
    site = Concept(code="39607008", scheme="SCT", display="Lung")
    measured = Concept(code="118565006", scheme="SCT", display="Volume")
    stated = (a_reported(a_finding(finding_site=site, property=measured)),)

    observation = resource(render(a_fhir_content("final", findings=stated)), "Observation")
    withdrawn = resource(render(a_fhir_content("cancelled", findings=stated)), "Observation")

    assert observation["bodySite"]["coding"][0]["code"] == "39607008"
    assert [coding["code"] for coding in observation["code"]["coding"]] == ["OR-LUNG-VOLUME", "118565006"]
    assert observation["method"]["coding"][0]["code"] == "AI"
    assert len(observation["basedOn"]) == 1
    assert "bodySite" not in withdrawn


@pytest.mark.parametrize("digits", ["5512.30", "0.10", "-0.0", "100", "0.30000000000000000004"])
def test_numbers_keep_their_digits(digits: str) -> None:
    """REQ-FHIR-03: a float in between would lose a trailing zero, and with it a claim of precision."""
    raw = render(a_fhir_content("final", findings=(a_reported(a_finding(value=digits)),)))

    assert f'"value":{digits}}}'.encode() in raw
    assert read(raw).findings[0].value == digits


def test_a_finding_has_one_identity_through_every_state() -> None:
    """A correction must hit what it corrects; another report's finding must not."""
    urls = {
        status: [entry["request"]["url"] for entry in entries(render(a_fhir_content(status)), "Observation")]
        for status in STATUSES
    }
    other = entries(render(a_fhir_content(report_id=uuid4())), "Observation")

    assert len({tuple(found) for found in urls.values()}) == 1
    assert not {entry["request"]["url"] for entry in other} & set(urls["final"])


def test_withdrawn_results_have_no_values() -> None:
    """What no longer holds says why, and nothing else."""
    for status in ("cancelled", "entered-in-error"):
        raw = render(a_fhir_content(status))

        names = {name for entry in entries(raw, "Observation") for name in entry["resource"]}
        assert not names & {"valueQuantity", "valueCodeableConcept", "component", "interpretation"}
        assert "Sai bên: sửa lại" in resource(raw, "DiagnosticReport")["conclusion"]


def test_who_said_what_stands_beside_each_finding() -> None:
    """The model by name, version and digest where a model said it; nobody's device where a clinician did."""
    raw = render(a_fhir_content("final"))

    devices = [entry["resource"].get("device", {}).get("display", "") for entry in entries(raw, "Observation")]
    assert devices[0].startswith("ct-lung-density/1.0.0/sha256:")
    assert devices[2] == ""
    assert resource(raw, "Device")["identifier"][0]["value"] == devices[0]


def test_probability_flag_and_code_have_their_own_elements() -> None:
    """Certainty as a component (DCM 111012), the flag as interpretation, the code with its system."""
    raw = render(a_fhir_content("final", findings=(a_reported(a_nodule()),)))

    (observation,) = (entry["resource"] for entry in entries(raw, "Observation"))
    assert observation["component"][0]["valueQuantity"]["value"] == "0.930"
    assert observation["interpretation"][0]["coding"][0]["code"] == "A"
    assert observation["valueCodeableConcept"]["coding"][0]["system"] == "http://snomed.info/sct"


def test_vietnamese_name_is_kept_in_nfc_and_undivided() -> None:
    """STANDARDS: family is the first word, given is middle and given name as they were sent."""
    decomposed = "NGUYE\u0302\u0303N"
    raw = render(a_fhir_content("final", patient=a_patient(family_name=decomposed, given_name=" VĂN ANH ")))

    (name,) = resource(raw, "Patient")["name"]
    assert name == {"text": "NGUYỄN VĂN ANH", "family": "NGUYỄN", "given": ["VĂN ANH"]}


def test_the_hospitals_own_number_finds_the_patient() -> None:
    """Of several identifiers the hospital's (MR, PI) is asked for; each has its type and who gave it."""
    raw = render(a_fhir_content("final"))

    (entry,) = entries(raw, "Patient")
    assert entry["request"]["ifNoneExist"].endswith("%7CTEST-0001")
    assert [i["type"]["coding"][0]["code"] for i in entry["resource"]["identifier"]] == ["NI", "MR"]


def test_a_receiver_may_name_identifier_systems_itself() -> None:
    """An EMR that knows a hospital's numbers by its own URI is told that URI."""
    raw = render(a_fhir_content("final", systems={"BVX": "https://emr.example/numbers"}))

    systems = [identifier["system"] for identifier in resource(raw, "Patient")["identifier"]]
    assert systems == [identifier_system("site", "patient", "VNBCA"), "https://emr.example/numbers"]


def test_two_sites_never_share_a_system() -> None:
    """TEST-0001 of one hospital is not TEST-0001 of another."""
    assert identifier_system("site", "patient", "HIS") != identifier_system("other", "patient", "HIS")
    assert coding_system("site", "L") != coding_system("other", "L")
    assert coding_system("site", "99OVERREAD") == coding_system("other", "99OVERREAD")


def test_a_report_answers_every_order() -> None:
    """Accession and study are many to many: one report, based on each order, with each number."""
    second = an_order(order_id=uuid4(), accession_number="TEST-ACC-2", placer_order_number="TEST-PLACER-2")
    said = read(render(a_fhir_content("final", orders=(an_order(), second))))

    assert said.accession_numbers == ("TEST-ACC-1", "TEST-ACC-2")
    assert len(said.order_identifiers) == 2


def test_a_report_without_an_order_is_said_too() -> None:
    """A study needs no order; such a report names none."""
    content = a_fhir_content("final", orders=())

    said = read(render(content))

    assert (said.order_identifiers, said.accession_numbers) == ((), ())


def test_hostile_text_stays_text() -> None:
    """No name or conclusion can become markup, a query, or another element."""
    hostile = '<script>alert("x")</script>&amp;|%7C?identifier=x", "status":"final'
    patient = a_patient(family_name=hostile)
    finding = a_reported(a_finding(display=hostile, unit_display=hostile))
    content = a_fhir_content("partial", conclusion=hostile, patient=patient, findings=(finding,))

    raw = render(content)

    assert differences(meant(content), read(raw)) == ()
    div = resource(raw, "DiagnosticReport")["text"]["div"]
    assert {element.tag.rpartition("}")[2] for element in ET.fromstring(div).iter()} <= XHTML


BROKEN: dict[str, dict[str, Any]] = {
    "no patient identifier": {"patient": a_patient(identifiers=())},
    "final without a signer": {"signer": None, "signed_at": None},
    "signer without a name": {"signer": Signer(subject="dr.test", family_name=" ")},
    "draft with a signer": {"status": ReportStatus.PARTIAL},
    "nothing said": {"conclusion": " ", "findings": ()},
    "withdrawal without a reason": {"status": ReportStatus.ENTERED_IN_ERROR, "conclusion": ""},
    "final with a reason": {"reason": "because"},
    "local time": {"issued_at": datetime(2026, 11, 22, 12, tzinfo=UTC).replace(tzinfo=None)},
    "leading zero": {"findings": (a_reported(a_finding(value="007")),)},
    "two of a name": {"findings": (a_reported(), a_reported())},
    "stated and retracted": {"retracted": (a_reported(),), "findings": (a_reported(),)},
    "certainty above one": {"findings": (a_reported(a_nodule(probability="1.01")),)},
    "control character": {"conclusion": "a\x00b"},
    "nobody performed it": {"performer": ""},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_fhir_forbids_is_not_rendered(fault: str) -> None:
    """The sentence names the rule, never the content."""
    with pytest.raises(NotRenderable) as refusal:
        render(dataclasses.replace(a_fhir_content("final"), **BROKEN[fault]))

    assert "TEST-" not in str(refusal.value)


def test_without_models_the_site_assembled_it() -> None:
    """A Provenance needs an agent, and no model may be named that did not speak."""
    raw = render(a_fhir_content("final", models=(), findings=()))

    agents = resource(raw, "Provenance")["agent"]
    (organization,) = entries(raw, "Organization")
    assert agents[0]["who"]["reference"] == organization["fullUrl"]


def test_a_model_that_ran_twice_is_one_device() -> None:
    """Two results of one version name one device."""
    raw = render(a_fhir_content("final", models=(a_model(), a_model())))

    assert len(entries(raw, "Device")) == 1
