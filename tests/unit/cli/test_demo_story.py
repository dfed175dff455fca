"""What the demo shows at its end."""

from io import StringIO
from typing import Any

from overread.cli.demo_story import Story

FINDINGS = [
    {"display": "Lung mean attenuation", "value": "-860", "unit": "[hnsf'U]"},
    {"display": "Nodule", "coded_value_display": "present"},
]


def shown(**changes: Any) -> str:
    screen = StringIO()
    study = {"accession_number": "ACC1", "findings": FINDINGS, "messages": {"oru_final": "/out/02-oru-F.hl7"}}
    known = {**study, **changes}
    Story(screen).table({"studies": [known], "signed_by": "radiologist", "messages": known["messages"]})
    return screen.getvalue()


def test_numbers_keep_their_unit() -> None:
    """UCUM's brackets are no markup, and a Hounsfield unit is called HU."""
    said = shown()

    assert "Lung mean attenuation -860 HU" in said
    assert "Nodule present" in said


def test_files_are_named_and_their_folder_once() -> None:
    """Names are short enough for a terminal; none is cut off."""
    said = shown()

    assert "oru_final: 02-oru-F.hl7" in said
    assert said.count("/out") == 1


def test_mask_on_the_template_is_in_the_table() -> None:
    """Only of the study that is the template."""
    mask = {"grey_and_white_matter_ml": 1678.5, "inside_mask_percent": 99.99}

    said = shown(mask=mask)

    assert "1678.5 ml, a lower bound" in said
    assert "99.99 %" in said
    assert "lower bound" not in shown()


def test_worklist_is_told_in_the_pages_words() -> None:
    """Urgency, kind, who, and why where no model read it."""
    row = {
        "is_stat": True,
        "accession_numbers": [],
        "patient": {"family_name": "THỬ NGHIỆM", "given_name": "MỘT"},
        "study_description": "CT",
        "ai": {"kind": "did_not_run", "line": "no air was found inside the body"},
    }
    screen = StringIO()

    Story(screen).waiting([row])

    first, second = screen.getvalue().splitlines()
    assert all(word in first for word in ("STAT", "AI did not run", "THỬ NGHIỆM MỘT", "no order"))
    assert second.strip() == "because: no air was found inside the body"
