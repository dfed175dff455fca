"""The page for every reader: three languages, keyboard, contrast, a small screen, and words when something fails."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from overread.embedded.places import CHECKOUT
from tests.browser.conftest import Cases
from tests.browser.hands import Hands
from tests.e2e.hospital import Hospital

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

LANGUAGES = ("vi", "en", "fr")
WCAG_AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
WORD_NAME = re.compile(r"\b(?:ai|deed|state|problem|situation|worklist|picture|findings|sign|ops|order)\.[a-z_.]{3,}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_view_speaks_the_language_and_has_no_barrier(radiologist: Hands, cases: Cases, language: str) -> None:
    """WCAG 2.2 AA by axe, no word missing, nothing beyond 1366 × 768: list, case, change, signature, keys."""
    page = radiologist.page
    page.locator(".language select").select_option(language)
    faults = _faults(radiologist, "list", language)
    radiologist.open(cases.normal[0])
    for view, keys in (("case", ()), ("change", ("c",)), ("sign", ("Escape", "a")), ("keys", ("Escape", "?"))):
        if view == "sign":
            page.locator("form.change input").first.focus()
        radiologist.press(*keys)
        faults += _faults(radiologist, view, language)

    assert faults == []


def test_language_is_remembered(radiologist: Hands) -> None:
    """Chosen once on a machine, it is spoken there from then on; the document says which it is."""
    radiologist.page.locator(".language select").select_option("fr")

    radiologist.go("/")

    radiologist.say("Liste de travail")
    assert radiologist.page.locator("html").get_attribute("lang") == "fr"


def test_list_is_walked_by_keyboard_and_focus_is_seen(radiologist: Hands, cases: Cases) -> None:
    """`j` and `k` move, and where one is has an outline (WCAG 2.4.7)."""
    radiologist.row(cases.normal[0]).wait_for()
    links = radiologist.page.locator("a.row-link")
    links.nth(0).focus()

    radiologist.press("j", "j", "k")

    focused = radiologist.page.evaluate("document.activeElement.getAttribute('href')")
    outline = links.nth(1).evaluate("(link) => getComputedStyle(link).outlineStyle")
    assert focused == links.nth(1).get_attribute("href")
    assert outline == "solid"


def test_keys_rest_while_one_types(radiologist: Hands, cases: Cases) -> None:
    """A letter typed into a field is a letter: it must never decide about a patient."""
    radiologist.open(cases.normal[0])
    radiologist.press("c")
    field = radiologist.page.locator("form.change textarea")
    field.focus()

    radiologist.page.keyboard.type("sa")

    assert field.input_value() == "sa"
    assert radiologist.page.locator(".signing").count() == 0


def test_silent_server_is_said_and_found_again(radiologist: Hands) -> None:
    """Offline, the page says so and what it means; when the server answers again, so does the page."""
    radiologist.page.context.set_offline(offline=True)
    radiologist.page.locator("select").nth(1).select_option("CT")
    radiologist.say("Không liên lạc được với máy chủ")

    radiologist.page.context.set_offline(offline=False)
    radiologist.page.locator("select").nth(1).select_option("")

    radiologist.page.locator(".banner").wait_for(state="detached")
    radiologist.faults.clear()


def test_operator_sees_no_patient_and_reader_no_operations(operator: Hands, hospital: Hospital, cases: Cases) -> None:
    """Wrong role: the API refuses, and the page offers nothing."""
    asked = "fetch('/api/v1/worklist').then((answer) => answer.status)"

    status = operator.page.evaluate(asked)

    assert status == 403
    assert cases.stat.patient_id not in operator.page.content()
    reader = hospital.user().ask("GET", f"{hospital.user().url}/ops/flow")
    assert reader.status_code == 403


def _faults(hands: Hands, view: str, language: str) -> list[str]:
    """Return what is wrong with what is on screen."""
    hands.page.wait_for_timeout(200)
    violations = Axe().run(hands.page, options=WCAG_AA).response["violations"]
    found = [f"{view}: {each['impact']} {each['id']}: {json.dumps(each['nodes'][:2])[:300]}" for each in violations]
    if hands.overflow() != (0, 0):
        found.append(f"{view}: beyond the window by {hands.overflow()}")
    text = hands.page.locator("#page").inner_text()
    found += [f"{view}: the word {name} is missing" for name in WORD_NAME.findall(text)]
    return found + [f"{view}: no {language}: {word}" for word in _said_in_all_languages(language) if word not in text]


def _said_in_all_languages(language: str) -> list[str]:
    words = json.loads((CHECKOUT / "web" / "src" / "words" / f"{language}.json").read_text(encoding="utf-8"))
    return [words["sign_out"]]
