"""The operator's page: does everything run, does everything flow, and what was set aside."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe

from overread.contracts.topics import HL7_RECEIVED, TOPICS
from overread.embedded.profile import SERVICES
from overread.runtime.publisher import Outgoing
from tests.browser.hands import Hands
from tests.e2e.hospital import Hospital

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

CALM_SECONDS = 30_000


def test_every_service_and_topic_is_in_sight(operator: Hands) -> None:
    """All services ready; every topic of the map with its rate and what waits before each reader."""
    page = operator.page
    page.locator(".services li").nth(len(SERVICES) - 1).wait_for()

    services = {(item.get_attribute("data-service") or "") for item in page.locator(".services li").all()}
    topics = set(page.locator(".ops tbody th").all_inner_texts())

    assert set(SERVICES) <= services
    assert {topic.name for topic in TOPICS} <= topics
    assert Axe().run(page).response["violations"] == []


def test_dead_letter_shows_its_reason_and_is_replayed(operator: Hands, hospital: Hospital) -> None:
    """What could not be used is listed with why; one press gives it back to its reader."""
    _publish(hospital, f"this is no event {uuid4()}".encode())
    rows = operator.page.locator("table.dead tbody tr")
    rows.first.wait_for(timeout=CALM_SECONDS)
    before = rows.count()

    said = rows.first.inner_text()
    rows.first.get_by_role("button").click()

    operator.say("Đã giao lại 1 thư")
    assert "Malformed" in said
    assert "assembly" in said
    operator.page.locator("table.dead tbody tr").nth(before).wait_for(timeout=CALM_SECONDS)


def _publish(hospital: Hospital, value: bytes) -> None:
    """Write a record from a thread of its own: the browser's driver runs a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(hospital.publish, "admin", Outgoing(HL7_RECEIVED.name, b"default", value)).result()
