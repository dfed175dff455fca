"""`./run demo --json` as somebody who just cloned the project runs it, and its messages before strangers' parsers.

It is started with --keep, so that `test_demo_keep.py` finds it still running: the story is the same.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from pydicom import dcmread

from overread.cli import demo, demo_hops
from tests.e2e.demo_run import DemoRun
from tests.referees import dicom, hapi

pytestmark = [pytest.mark.stack, pytest.mark.timeout(420)]

CT, MR = 0, 1
ORUS = [(study, name) for study in (CT, MR) for name in ("oru_unverified", "oru_final")]
LONGEST_SECONDS = 120
"""What somebody waits at most for the whole story, after set-up."""


@pytest.fixture(scope="module")
def told(demo_run: DemoRun) -> dict[str, Any]:
    """Return the one object that the demo printed when its story was told; `test_demo_keep.py` ends the same run."""
    return demo_run.result()


@pytest.fixture(scope="module")
def at_the_pacs(demo_run: DemoRun, told: dict[str, Any]) -> Mapping[str, list[Path]]:
    """Return the files that the PACS received, by the study that they are about."""
    of_study: dict[str, list[Path]] = {study["study_instance_uid"]: [] for study in told["studies"]}
    for path in sorted(demo_run.out.rglob("pacs-received-*-*.dcm")):
        of_study.get(dcmread(path, stop_before_pixels=True).StudyInstanceUID, []).append(path)
    return of_study


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
    [finding] = told["studies"][MR]["findings"]

    assert float(finding["value"]) == pytest.approx(told["truth"]["intracranial-volume-mr"], rel=0.05)


def test_mask_at_the_pacs_leaves_no_grey_or_white_matter_out(told: dict[str, Any]) -> None:
    """The template's own maps are a lower bound of the volume, and lie within the outline, plane by plane."""
    study = told["studies"][MR]
    [finding] = study["findings"]

    assert 1_000 < study["mask"]["grey_and_white_matter_ml"] < float(finding["value"])
    assert 99.9 <= study["mask"]["inside_mask_percent"] <= 100
    assert "mask" not in told["studies"][CT]


def test_story_is_told_in_two_minutes(told: dict[str, Any]) -> None:
    """From the first server to the last final result, beside whatever else this machine does."""
    assert told["seconds"]["total"] <= LONGEST_SECONDS


@pytest.mark.parametrize("study", ["ct", "mr"])
def test_story_says_how_long_each_service_had_the_study(told: dict[str, Any], study: str) -> None:
    """Seconds a hop, by the events' own times: together they are the way from the last image to the draft."""
    seconds = told["seconds"]

    hops = [seconds[f"{study}_{service}"] for service in demo_hops.HOPS]

    assert min(hops) >= 0
    assert hops[0] > float(demo.QUIET_SECONDS) - 0.5
    assert sum(hops) <= seconds[f"{study}_last_image_to_draft"] + 0.05


def test_final_results_arrive_in_three_forms(told: dict[str, Any]) -> None:
    """One document: F at the EMR, final at the FHIR server, VERIFIED at the PACS, each under the signer's name."""
    bundle = json.loads(Path(told["fhir_final"]).read_text(encoding="utf-8"))
    [report] = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "DiagnosticReport"]
    structured = dcmread(told["sr_final"])

    assert (report["status"], bool(report["resultsInterpreter"])) == ("final", True)
    assert (structured.VerificationFlag, structured.StudyInstanceUID) == ("VERIFIED", told["study_instance_uid"])
    assert str(structured.VerifyingObserverSequence[0].VerifyingObserverName) == "BÁC SĨ^MẪU"


@pytest.mark.parametrize("study", [CT, MR])
def test_pacs_has_report_segmentation_and_picture_of_each_study(
    told: dict[str, Any], at_the_pacs: Mapping[str, list[Path]], study: int
) -> None:
    """The outline once; report and picture before the signature and after it."""
    paths = at_the_pacs[told["studies"][study]["study_instance_uid"]]

    kinds = Counter(dcmread(path, stop_before_pixels=True).SOPClassUID.name for path in paths)

    assert kinds == {"Segmentation Storage": 1, "Secondary Capture Image Storage": 2, "Comprehensive 3D SR Storage": 2}


@pytest.mark.parametrize("study", [CT, MR])
def test_dciodvfy_takes_what_the_pacs_received(
    told: dict[str, Any], at_the_pacs: Mapping[str, list[Path]], study: int
) -> None:
    """Reports, segmentation and pictures: no error line."""
    paths = at_the_pacs[told["studies"][study]["study_instance_uid"]]

    said = {path.name: dicom.dciodvfy(path) for path in paths}

    assert len(said) == 5
    assert [(name, line) for name, lines in said.items() for line in lines if line.startswith("Error")] == []


def test_pixelmed_takes_the_signed_reports_of_both_studies(told: dict[str, Any]) -> None:
    """TID 1500 as PixelMed knows it: IOD and templates, no error line."""
    said = dicom.pixelmed([Path(study["messages"]["sr_final"]) for study in told["studies"]])

    assert len(said) == 2
    for name, lines in said.items():
        assert {"IOD validation complete", "Root Template Validation Complete"} <= set(lines), name
        assert [line for line in lines if line.startswith("Error")] == [], name


@pytest.mark.jdk
def test_hapi_takes_what_the_fhir_server_holds(told: dict[str, Any]) -> None:
    """The reports and all they refer to, as HAPI's server gave them back, are R4."""
    verdicts = hapi.judge(
        hapi.classpath(), [Path(study["messages"]["fhir_final"]) for study in told["studies"]], referee="FhirReferee"
    )

    assert [verdict.split()[0] for verdict in verdicts] == ["OK", "OK"], "\n".join(verdicts)


@pytest.mark.parametrize(("study", "name"), ORUS)
def test_phantom_is_said_to_be_one(told: dict[str, Any], study: int, name: str) -> None:
    """MSH-11 is T, and the words say synthetic."""
    text = Path(told["studies"][study]["messages"][name]).read_text(encoding="utf-8")

    assert text.split("|")[10] == "T"
    assert "synthetic" in text


@pytest.mark.parametrize(("study", "name"), ORUS)
def test_hl7apy_takes_what_the_emr_received(told: dict[str, Any], study: int, name: str) -> None:
    """Parsed and validated against the v2.5.1 profile, strictly."""
    text = Path(told["studies"][study]["messages"][name]).read_bytes().decode("utf-8")

    assert parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()


@pytest.mark.jdk
def test_hapi_takes_what_the_emr_received(told: dict[str, Any]) -> None:
    """HAPI's default validation."""
    paths = [Path(told["studies"][study]["messages"][name]) for study, name in ORUS]

    verdicts = hapi.judge(hapi.classpath(), paths)

    assert [verdict.split()[0] for verdict in verdicts] == ["OK"] * len(ORUS), "\n".join(verdicts)
