"""The worklist: what waits, the urgent first, and what the AI did or did not do, each in its own words."""

import json
from typing import Any

import pytest
from playwright.sync_api import Route

from tests.browser.conftest import Cases
from tests.browser.hands import Hands, password_of
from tests.e2e.hospital import Hospital

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

KINDS = {
    "found": "AI found",
    "nothing": "AI found nothing",
    "did_not_run": "AI did not run",
    "not_for_this_patient": "Not meant for this patient",
    "waiting": "AI is reading",
    "none": "No AI for this study",
}


def test_wrong_password_lets_nobody_in(visitor: Hands, hospital: Hospital) -> None:
    """Without a session the page shows nothing of a patient, and says so in words."""
    visitor.page.locator("main.calm button.primary").click()

    visitor.give_password("radiologist", "not the password")

    visitor.page.locator("#password").wait_for()
    visitor.go("/")
    visitor.page.locator("main.calm button.primary").wait_for()
    assert visitor.page.locator("tbody tr").count() == 0


def test_row_says_why_no_model_read(radiologist: Hands, cases: Cases) -> None:
    """Who is outside a model's intended use is not shown as somebody without findings."""
    sharp, child = (radiologist.row(visit).inner_text() for visit in (cases.sharp, cases.child))

    found = radiologist.row(cases.normal[0]).inner_text()

    assert "AI có phát hiện" in found
    assert "Lung volume by CT" in found
    assert "AI không dành cho bệnh nhân này" in sharp
    assert "kernel" in sharp
    assert "AI không dành cho bệnh nhân này" in child
    assert "age" in child


def test_each_kind_of_answer_has_its_own_words_and_sign(radiologist: Hands) -> None:
    """*Found nothing*, *did not run, because* and *not meant for this patient* are told apart without colour."""
    radiologist.page.route("**/api/v1/worklist?**", _one_row_a_kind)
    radiologist.page.locator(".language select").select_option("en")

    radiologist.go("/")

    rows = radiologist.page.locator("tbody tr")
    rows.nth(len(KINDS) - 1).wait_for()
    words = rows.locator(".ai-word").all_inner_texts()
    signs = {rows.nth(n).locator(".ai-sign path").get_attribute("d") for n in range(len(KINDS))}
    assert words == list(KINDS.values())
    assert len(signs) == len(KINDS)
    assert "because: the model timed out" in rows.nth(2).inner_text()


def test_search_finds_a_name_typed_without_marks(radiologist: Hands, cases: Cases) -> None:
    """Who types `thu nghiem` means THỬ NGHIỆM; a number finds its one case."""
    radiologist.press("/")
    radiologist.page.keyboard.type("thu nghiem")
    radiologist.row(cases.child).wait_for()

    radiologist.page.locator("input[type=search]").fill(cases.normal[3].accession_number)
    radiologist.row(cases.child).wait_for(state="detached")

    assert radiologist.page.locator("tbody tr").count() == 1
    radiologist.page.locator("input[type=search]").fill("nobody is called this")
    radiologist.say("Không có ca nào khớp")


def test_emergency_appears_by_itself_and_stands_first(radiologist: Hands, hospital: Hospital, cases: Cases) -> None:
    """The list is live, STAT first although it came last, then who has waited longest: nobody reloads a page to see it."""
    late = hospital.admit()
    hospital.order(late)
    hospital.scan(late)

    radiologist.row(late).locator(".state-drafted").wait_for(timeout=60_000)

    rows = radiologist.page.locator("tbody tr").all_inner_texts()
    is_stat = ["CẤP CỨU" in row for row in rows]
    place = next(n for n, row in enumerate(rows) if late.accession_number in row)
    assert is_stat == sorted(is_stat, reverse=True)
    assert is_stat[place]
    assert cases.normal[0].accession_number in rows[is_stat.count(True)]


def test_one_signs_in_and_out(visitor: Hands, hospital: Hospital, cases: Cases) -> None:
    """The page leads to the issuer and back; signed out, neither page nor API shows a patient in this window."""
    visitor.sign_in("radiologist", password_of(hospital, "radiologist"))
    visitor.row(cases.child).wait_for()
    visitor.page.get_by_role("button", name="Đăng xuất").click()
    visitor.page.locator("main.calm button.primary").wait_for()

    status = visitor.page.evaluate("fetch('/api/v1/worklist').then((answer) => answer.status)")

    assert status == 401
    assert cases.child.accession_number not in visitor.page.content()


def _one_row_a_kind(route: Route) -> None:
    """Answer with the first row of the real list, once for each thing the AI can have done."""
    answer = route.fetch()
    told: dict[str, Any] = answer.json()
    model = {"name": "m", "version": "1", "title": "M", "line": "", "reasons": ["the model timed out"]}
    rows = [
        {
            **told["items"][0],
            "case_id": f"case-{kind}",
            "ai": {"kind": kind, "line": "", "models": [{**model, "kind": kind}]},
        }
        for kind in KINDS
    ]
    route.fulfill(response=answer, body=json.dumps({**told, "items": rows, "total": len(rows), "next": None}))
