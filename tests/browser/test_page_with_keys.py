"""The reading view with the keyboard alone: nothing here clicks, ticks, chooses or fills in otherwise than by keys."""

import pytest

from tests.browser.conftest import Cases
from tests.browser.hands import Hands
from tests.e2e.hospital import Hospital, Visit

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

CONCLUSION = "Giãn phế nang hai đỉnh phổi.\nĐề nghị chụp lại sau 6 tháng."
NODULE_WORDS = "thuỳ trên, 8 mm"
REASON = "nhầm bệnh nhân"


def test_findings_are_changed(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """`c`, arrows among the choices, a new number, a finding that the AI missed, a reason, Ctrl Enter, `s`."""
    visit = cases.typed[0]
    radiologist.find(visit)

    radiologist.press("c", "ArrowRight")
    radiologist.tab_to(".value input")
    radiologist.press("Control+a")
    radiologist.type("4100,5")
    radiologist.tab_to("form.change > button.plain")
    radiologist.press("Enter")
    radiologist.tab_to(".add-missed select")
    radiologist.press("ArrowDown", "Tab", "Enter")
    radiologist.press("ArrowDown", "Tab")
    radiologist.type(NODULE_WORDS)
    radiologist.tab_to(".checks input")
    radiologist.press("Tab", "Tab", "Space", "Control+Enter")
    shown = radiologist.page.locator(".signing").inner_text()
    radiologist.press("s")

    assert "4100,5 ml" in shown
    final = hospital.final(visit)
    assert final.findings["lung-volume-ct"] == "4100.5"
    assert f"bên trái, {NODULE_WORDS}." in final.raw.decode("utf-8")
    assert _document(hospital, visit)["verdict_reasons"] == ["wrong_value", "missed_finding"]


def test_conclusion_is_written_in_words_of_ones_own(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """`a`, `t`, the text, Escape, `s`: what was typed, lines and marks and all, is what was signed and sent."""
    visit = cases.typed[1]
    radiologist.find(visit)

    radiologist.press("a", "t")
    radiologist.page.locator(".signing textarea:focus").wait_for()
    radiologist.press("Control+a")
    radiologist.type(CONCLUSION)
    radiologist.press("Escape")
    shown = radiologist.page.locator(".signing").inner_text()
    radiologist.press("s")

    final = hospital.final(visit)
    document = _document(hospital, visit)
    assert CONCLUSION in shown
    assert (document["conclusion"], document["verdict"]) == (CONCLUSION, "accepted")
    assert all(line in final.raw.decode("utf-8") for line in CONCLUSION.splitlines())


def test_findings_are_rejected_and_the_final_is_withdrawn(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """`r`, a reason, `s`; then, found again among what is done, `w`, why, whose report it was, and the signature."""
    visit = cases.typed[2]
    radiologist.find(visit)

    radiologist.press("r", "Space", "Control+Enter")
    radiologist.page.locator(".signing").wait_for()
    radiologist.press("s")
    hospital.final(visit)
    rejected = _document(hospital, visit)
    radiologist.page.locator(".case-head", has_not_text=visit.accession_number).wait_for()
    radiologist.press("Escape")
    radiologist.page.locator(".worklist").wait_for()
    radiologist.tab_to(".views button:nth-child(2)")
    radiologist.press("Enter")
    radiologist.find(visit)
    radiologist.press("w")
    radiologist.page.locator("dialog textarea:focus").wait_for()
    radiologist.type(REASON)
    radiologist.press("Tab", "Space", "Tab", "Enter")

    radiologist.say("Báo cáo chính thức này đã được rút lại")
    corrected = hospital.emr.wait_for(visit.study_instance_uid, "C", seconds=60)
    assert (rejected["verdict"], rejected["verdict_reasons"]) == ("rejected", ["false_positive"])
    assert REASON in corrected.raw.decode("utf-8")
    assert _document(hospital, visit)["withdrawal"] == {"reason": REASON, "is_wrong_patient": True}


def test_case_is_given_back(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """`g` leaves a case to others as it was."""
    radiologist.find(cases.child)

    radiologist.press("g")
    radiologist.page.locator(".case-head", has_not_text=cases.child.accession_number).wait_for()

    report = hospital.user().report(cases.child)
    assert report is not None
    assert (report["state"], report["claimed_by"]) == ("drafted", "")


def _document(hospital: Hospital, visit: Visit) -> dict[str, object]:
    """Return the report's document as the API has it now."""
    report = hospital.user().report(visit)
    assert report is not None
    document: dict[str, object] = report["document"]
    return document
