"""The page for every reader: three languages, keyboard, contrast, a small screen, and words when something fails."""

import json
import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Route

from overread.embedded.places import CHECKOUT
from tests.browser.conftest import Cases
from tests.browser.hands import Hands
from tests.e2e.hospital import Hospital

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

LANGUAGES = ("vi", "en", "fr")
WORDS = CHECKOUT / "web" / "src" / "words"
ALLOWED = {"held": ["confirm-again", "release-held", "withdraw"], "final": ["withdraw-final"]}
VIEWS = {
    "case": ((), ".deeds"),
    "change": (("c",), "form.change"),
    "sign": (("Escape", "a"), ".signing"),
    "keys": (("Escape", "?"), "dialog[open] .keys"),
}
"""How one comes from each view to the next, and what is then on screen."""
HELD_BECAUSE = "order and patient have moved since the signature"
WCAG_AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
WORD_NAME = re.compile(r"\b(?:ai|deed|state|problem|situation|worklist|picture|findings|sign|ops|order)\.[a-z_.]{3,}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_way_in_speaks_the_language_and_has_no_barrier(visitor: Hands, language: str) -> None:
    """The page before the sign-in, the issuer's form, and the form after a wrong password."""
    page = visitor.page
    page.locator(".language select").select_option(language)
    faults = _faults(visitor, "sign in", language, says="sign_in.do")
    page.locator("main.calm button.primary").click()
    page.locator("#username").wait_for()
    faults += [*_barriers(visitor, "issuer"), *_not_in(visitor, language)]
    visitor.give_password("radiologist", "not the password")
    page.locator(".fault").wait_for()
    faults += [*_barriers(visitor, "issuer refuses"), *_not_in(visitor, language)]

    assert faults == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_dialog_and_form_speaks_the_language_and_has_no_barrier(
    radiologist: Hands, cases: Cases, language: str
) -> None:
    """Rejecting, sending back, the model's card; a held report and a final one with what may be done about them."""
    page = radiologist.page
    page.locator(".language select").select_option(language)
    radiologist.open(cases.normal[0])
    faults = []
    for view, key in (("reject", "r"), ("send back", "b")):
        radiologist.press(key)
        faults += _faults(radiologist, view, language)
        radiologist.press("Escape")
    assert page.locator(".case-head").count() == 1
    page.locator("article[data-ai=found] .model-name button").click()
    faults += _faults(radiologist, "model card", language)
    radiologist.press("Escape")
    for state, key in (("held", "l"), ("final", "w")):
        for asked in ("**/open", "**/reading"):
            page.route(asked, _as_if_it_were(state))
        radiologist.go("/")
        radiologist.open(cases.normal[0])
        faults += _faults(radiologist, state, language)
        radiologist.press(key)
        page.locator("dialog[open]").wait_for()
        faults += _faults(radiologist, f"{state}: {key}", language)
        page.unroute_all(behavior="ignoreErrors")

    assert faults == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_operations_speak_the_language_and_have_no_barrier(operator: Hands, language: str) -> None:
    """Services, flow and dead letters, at the size of a small screen."""
    operator.page.locator(".language select").select_option(language)
    operator.page.locator(".services li").first.wait_for()

    assert _faults(operator, "operations", language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_view_speaks_the_language_and_has_no_barrier(radiologist: Hands, cases: Cases, language: str) -> None:
    """WCAG 2.2 AA by axe, no word missing, nothing beyond 1366 × 768: list, case, change, signature, keys."""
    page = radiologist.page
    page.locator(".language select").select_option(language)
    faults = _faults(radiologist, "list", language)
    radiologist.open(cases.normal[0])
    for view, (keys, shown) in VIEWS.items():
        radiologist.press(*keys)
        page.locator(shown).wait_for()
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


def _as_if_it_were(state: str) -> Callable[[Route], None]:
    """Return what answers as the server does for a report in `state`."""

    def answer_so(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        report = told["report"]
        signer = {"subject": "radiologist", "family_name": "TRẦN", "given_name": "THỊ THỬ", "organisation": "TEST"}
        report["document"].update(signed_by=signer, signed_at="2026-11-22T05:06:00Z", verdict="accepted")
        report.update(state=state, reason=HELD_BECAUSE, allowed_actions=ALLOWED[state])
        told["row"]["status"] = state
        route.fulfill(response=answer, body=json.dumps(told))

    return answer_so


def _faults(hands: Hands, view: str, language: str, *, says: str = "sign_out") -> list[str]:
    """Return what is wrong with what is on screen."""
    found = _barriers(hands, view)
    text = hands.page.locator("#page").inner_text()
    found += [f"{view}: the word {name} is missing" for name in WORD_NAME.findall(text)]
    word = _words(language)[says]
    return found if word in text else [*found, f"{view}: no {language}: {word}"]


def _barriers(hands: Hands, view: str) -> list[str]:
    """Return what axe finds, and what does not fit the window or what holds it."""
    hands.page.wait_for_timeout(200)
    violations = Axe().run(hands.page, options=WCAG_AA).response["violations"]
    found = [f"{view}: {each['impact']} {each['id']}: {json.dumps(each['nodes'][:2])[:300]}" for each in violations]
    if hands.overflow() != (0, 0):
        found.append(f"{view}: beyond the window by {hands.overflow()}")
    return found + [f"{view}: cut off: {words}" for words in hands.cut_off()]


def _not_in(hands: Hands, language: str) -> list[str]:
    """Return a word where the document does not say that it is in the language."""
    said = hands.page.locator("html").get_attribute("lang")
    return [] if said == language else [f"the document is in {said}, not in {language}"]


def _words(language: str) -> dict[str, str]:
    words: dict[str, str] = json.loads((WORDS / f"{language}.json").read_text(encoding="utf-8"))
    return words
