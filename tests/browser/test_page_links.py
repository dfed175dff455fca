"""The page of links: how each is, a message found by its control ID, shown by role, and one that was set aside mended."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, StorageState

from overread.contracts import codec
from overread.contracts.envelope import event_of
from overread.contracts.topics import HL7_RECEIVED
from overread.runtime.publisher import Outgoing
from overread.runtime.telemetry import new_traceparent
from tests.browser.conftest import _window_of
from tests.browser.hands import Hands, at
from tests.builders.events import an_hl7_received
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital, Visit
from tests.fakes.peers import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

CALM_SECONDS = 30_000
LANGUAGES = ("vi", "en", "fr")
REASON = "bên gửi để trống PID-3"


@pytest.fixture
def integrator(browser: Browser, hospital: Hospital, sessions: dict[str, StorageState]) -> Iterator[Hands]:
    """Yield an integrator before the links; whose page must make no error."""
    with closing(_window_of("integrator", browser, hospital, sessions)) as window:
        hands = at(window, hospital)
        hands.go("/links")
        hands.page.locator("tr[data-link=default]").wait_for(timeout=CALM_SECONDS)
        yield hands
        assert hands.faults == []


def test_message_that_was_set_aside_is_found_shown_by_role_mended_and_its_order_appears(
    operator: Hands, integrator: Hands, hospital: Hospital
) -> None:
    """REQ-MSG-01, REQ-MSG-03, REQ-MSG-04: from a control ID on a telephone to the order, without a word from the sender."""
    visit = hospital.admit()
    control_id = f"SET-ASIDE-{visit.number}"
    _set_aside(hospital, visit, control_id)
    orders = "SELECT count(*) FROM orders WHERE accession_number = $1"

    operator.go("/links")
    masked = _found(operator, control_id)
    assert visit.patient_id not in masked
    assert operator.page.locator("main.message button").count() == 0

    assert visit.patient_id not in _found(integrator, control_id)
    page = integrator.page
    page.get_by_role("button", name="Hiện dữ liệu người bệnh và sửa").click()
    field = page.locator("form.fix label", has=page.get_by_text("PID", exact=True)).locator("textarea")
    page.locator("form.fix [role=status].behind", has_text="PID-3").wait_for(timeout=CALM_SECONDS)
    barriers = Axe().run(page).response["violations"]
    field.fill(field.input_value().replace("PID|1||", f"PID|1||{visit.patient_id}^^^BVX^PI", 1))
    integrator.say("Sẽ được nhận")
    page.locator("form.fix input[name=reason]").fill(REASON)
    assert (integrator.cut_off(), integrator.overflow()[0]) == ([], 0)
    integrator.press("Enter")
    integrator.say("Được thay bằng")

    operator.go("/ops")
    link = operator.page.locator("table.dead tr", has=operator.page.get_by_role("link", name=control_id, exact=True))
    assert barriers == []
    assert "đã sửa và gửi lại" in link.inner_text()
    assert link.get_by_role("button").count() == 0
    assert _counted(hospital, orders, visit.accession_number) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_links_are_in_sight_in_every_language_without_a_barrier(
    integrator: Hands, hospital: Hospital, language: str
) -> None:
    """REQ-LNK-07: the link with what it answered, where results go, and nothing cut off on a small screen."""
    hospital.order(hospital.admit())
    page = integrator.page
    page.locator(".language select").select_option(language)
    page.locator("form.search button.primary").click()
    page.locator("table.messages, form.search + p").first.wait_for(timeout=CALM_SECONDS)

    page.locator("tr[data-link=default]", has_text="CA ").wait_for(timeout=CALM_SECONDS)
    assert page.locator("tr[data-destination=emr]").count() == 1
    assert (integrator.cut_off(), integrator.overflow()[0]) == ([], 0)
    assert Axe().run(page).response["violations"] == []


def _found(hands: Hands, control_id: str) -> str:
    """Look for a message, open it by keyboard, and return what the page says of it."""
    page = hands.page
    page.locator("form.search input[name=control_id]").fill(control_id)
    hands.press("Enter")
    link = page.locator("table.messages a", has_text=control_id)
    link.wait_for(timeout=CALM_SECONDS)
    link.focus()
    hands.press("Enter")
    page.locator("tr[data-field='PID-5']").wait_for(timeout=CALM_SECONDS)
    return page.locator("main").inner_text()


def _set_aside(hospital: Hospital, visit: Visit, control_id: str) -> None:
    """Write an order without a patient's number to the topic, as an older intake could have, and wait for its dead letter."""
    raw = an_omi(**{**visit.known, "control_id": control_id}, put={"PID-3": ""})
    said = an_hl7_received(
        raw, link_id="default", message_control_id=control_id, fallback_charset="", sending_facility="BVX"
    )
    event = event_of(
        said,
        source="hl7_intake",
        time=datetime.now(UTC),
        subject="default",
        site_id=hospital.endpoints.site_id,
        traceparent=new_traceparent(),
        own_key=control_id,
    )
    record = Outgoing(HL7_RECEIVED.name, b"default", codec.encode(event))
    with ThreadPoolExecutor(1) as thread:  # the browser's driver runs a loop in this one
        thread.submit(hospital.publish, "admin", record).result()
    aside = "SELECT count(*) FROM messages WHERE message_control_id = $1 AND outcome = 'set_aside'"
    assert _counted(hospital, aside, control_id) == 1


def _counted(hospital: Hospital, question: str, word: str) -> int:
    """Return how many there are in assembly's tables, once there are any; asked from a thread without a loop."""
    with ThreadPoolExecutor(1) as thread:
        look = thread.submit(wait_until, lambda: hospital.count("assembly", question, word), question, 30)
        return int(look.result())
