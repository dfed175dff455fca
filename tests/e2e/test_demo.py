"""`./run demo --json` as somebody who just cloned the project runs it, and its messages before strangers' parsers."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from pydicom import dcmread

from tests.e2e.hospital import FIRST_OFFSET, OVERREAD, free_offset
from tests.referees import dicom, hapi

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

ORUS = ("oru_unverified", "oru_final")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the one object that the demo printed."""
    out = tmp_path_factory.mktemp("demo")
    offset = free_offset(FIRST_OFFSET + 3_100 + os.getpid() % 20 * 20)
    environment = {**os.environ, "OVERREAD_PORT_OFFSET": str(offset)}
    words = [*OVERREAD, "demo", "--json", "--out", str(out)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert len(lines) == 1
    result: dict[str, Any] = json.loads(lines[0])
    return result


def test_demo_goes_the_whole_way(told: dict[str, Any]) -> None:
    """REQ-EXT-10: one JSON object names the study, the findings, who signed and every message."""
    statuses = {
        name: Path(told["messages"][name]).read_text(encoding="utf-8").count(f"|RAD|{status}")
        for name, status in (("oru_unverified", "R"), ("oru_final", "F"))
    }

    assert statuses == {"oru_unverified": 1, "oru_final": 1}
    assert [study["findings"][0]["code"] for study in told["studies"]] == ["lung-volume-ct", "intracranial-volume-mr"]
    assert told["signed_by"] == "radiologist"
    assert told["accession_number"] in Path(told["messages"]["oru_final"]).read_text(encoding="utf-8")
    assert told["study_instance_uid"].startswith("2.25.")


def test_model_agrees_with_the_phantoms_truth(told: dict[str, Any]) -> None:
    """Volume within 2 %, %LAA-950 within one point, Perc15 within 5 HU of what was counted from the voxels."""
    said = {finding["code"]: float(finding["value"]) for finding in told["findings"]}
    truth = told["truth"]

    assert said["lung-volume-ct"] == pytest.approx(truth["lung-volume-ct"], rel=0.02)
    assert said["lung-laa-950"] == pytest.approx(truth["lung-laa-950"], abs=1.0)
    assert said["lung-perc15"] == pytest.approx(truth["lung-perc15"], abs=5.0)


def test_model_agrees_with_the_templates_truth(told: dict[str, Any]) -> None:
    """The brain with its fluid spaces, within 5 % of what the template's own mask fills."""
    [finding] = told["studies"][1]["findings"]

    assert float(finding["value"]) == pytest.approx(told["truth"]["intracranial-volume-mr"], rel=0.05)


def test_final_results_arrive_in_three_forms(told: dict[str, Any]) -> None:
    """One document: F at the EMR, final at the FHIR server, VERIFIED at the PACS, each under the signer's name."""
    bundle = json.loads(Path(told["fhir_final"]).read_text(encoding="utf-8"))
    [report] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "DiagnosticReport"]
    structured = dcmread(told["sr_final"])

    assert (report["status"], bool(report["resultsInterpreter"])) == ("final", True)
    assert (structured.VerificationFlag, structured.StudyInstanceUID) == ("VERIFIED", told["study_instance_uid"])
    assert str(structured.VerifyingObserverSequence[0].VerifyingObserverName) == "BÁC SĨ^MẪU"


@pytest.mark.parametrize("study", [0, 1])
def test_dciodvfy_takes_what_the_pacs_received(told: dict[str, Any], study: int) -> None:
    """No error line."""
    said = dicom.dciodvfy(Path(told["studies"][study]["messages"]["sr_final"]))

    assert [line for line in said if line.startswith("Error")] == []


@pytest.mark.jdk
def test_hapi_takes_what_the_fhir_server_holds(told: dict[str, Any]) -> None:
    """The reports and all they refer to, as HAPI's server gave them back, are R4."""
    verdicts = hapi.judge(
        hapi.classpath(), [Path(study["messages"]["fhir_final"]) for study in told["studies"]], referee="FhirReferee"
    )

    assert [verdict.split()[0] for verdict in verdicts] == ["OK", "OK"], "\n".join(verdicts)


@pytest.mark.parametrize("name", ORUS)
def test_phantom_is_said_to_be_one(told: dict[str, Any], name: str) -> None:
    """MSH-11 is T, and the words say synthetic."""
    text = Path(told["messages"][name]).read_text(encoding="utf-8")

    assert text.split("|")[10] == "T"
    assert "synthetic" in text


@pytest.mark.parametrize("name", ORUS)
def test_hl7apy_takes_what_the_emr_received(told: dict[str, Any], name: str) -> None:
    """Parsed and validated against the v2.5.1 profile, strictly."""
    text = Path(told["messages"][name]).read_bytes().decode("utf-8")

    assert parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()


@pytest.mark.jdk
def test_hapi_takes_what_the_emr_received(told: dict[str, Any]) -> None:
    """HAPI's default validation."""
    verdicts = hapi.judge(hapi.classpath(), [Path(told["messages"][name]) for name in ORUS])

    assert [verdict.split()[0] for verdict in verdicts] == ["OK", "OK"], "\n".join(verdicts)
