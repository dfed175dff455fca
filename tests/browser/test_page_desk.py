"""The desk: a person puts an order and a study side by side, and decides, with keys alone."""

from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.browser.conftest import WINDOW
from tests.browser.hands import Hands, at, password_of
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital, Visit

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

SECONDS = 30_000
DRAFT_SECONDS = 90.0


@pytest.fixture
def reconciler(browser: Browser, hospital: Hospital) -> Iterator[Hands]:
    """Yield somebody who decides which order is whose, before the desk; whose page must make no error."""
    with closing(browser.new_context(**WINDOW)) as window:
        hands = at(window, hospital)
        hands.go("/")
        hands.sign_in("reconciler", password_of(hospital, "reconciler"))
        hands.page.locator("main.desk").wait_for()
        yield hands
        assert hands.faults == []


@pytest.fixture
def mistyped(hospital: Hospital) -> Visit:
    """Return a visit whose order came with two characters of the accession number in each other's place.

    A letter and a digit: two digits would make the number of another visit.
    """
    visit = hospital.admit()
    number = visit.accession_number
    swapped = f"{number[:-5]}{number[-4]}{number[-5]}{number[-3:]}"
    hospital.order(visit, an_omi(**visit.known | {"accession": swapped, "study": f"2.25.{uuid4().int}"}))
    hospital.scan(visit)
    hospital.user().draft(visit, has_order=False, seconds=DRAFT_SECONDS)
    return visit


def test_mistyped_order_is_found_compared_and_attached_with_keys_alone(
    reconciler: Hands, mistyped: Visit, hospital: Hospital
) -> None:
    """REQ-DSK-12: the likeliest order, what differs in words, the reason, and the report has its order."""
    page = reconciler.page
    [case] = hospital.user().cases(mistyped)
    entry = f"[data-subject='{case['case_id']}']"
    reconciler.tab_to(".views button:nth-child(2)")
    reconciler.press("Enter")
    page.locator(entry).wait_for(timeout=SECONDS)
    while page.evaluate("(wanted) => !document.activeElement.matches(wanted)", entry):
        reconciler.press("j")
    page.locator(".desk-candidate").first.wait_for(timeout=SECONDS)
    reconciler.press("a")
    reconciler.say("Trước hết hãy chọn mục để so sánh")
    reconciler.press("ArrowRight")
    page.locator(".desk-sides").wait_for(timeout=SECONDS)

    differs = page.locator("tr", has_text="Số tiếp nhận").inner_text()
    assert "gần giống" in differs
    assert Axe().run(page).response["violations"] == []
    assert page.url == f"{reconciler.url}/"
    reconciler.press("a")
    reconciler.type("gõ nhầm hai chữ số")
    assert Axe().run(page).response["violations"] == []
    reconciler.press("Control+Enter")

    page.locator(".desk-sides .state", has_text="đã gắn").wait_for(timeout=SECONDS)
    page.locator(entry).wait_for(state="detached", timeout=SECONDS)
    reconciler.say("gõ nhầm hai chữ số")
    hospital.user().draft(mistyped, seconds=DRAFT_SECONDS)


def test_desk_is_nobody_elses(hospital: Hospital, browser: Browser) -> None:
    """REQ-DSK-08: a radiologist sees no way to it, and at its address a word that it is not theirs."""
    with closing(browser.new_context(**WINDOW)) as window:
        hands = at(window, hospital)
        hands.go("/")
        hands.sign_in("radiologist", password_of(hospital, "radiologist"))
        hands.go("/desk")
        hands.page.locator("main.calm h1").wait_for()

        assert hands.page.locator("main.desk, a[href='/desk']").count() == 0
