"""The operator's page: does everything run, does everything flow, and what was set aside."""

import re
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe

from overread.contracts.topics import HL7_RECEIVED, TOPICS
from overread.embedded.profile import SERVICES
from overread.embedded.stack_thread import StackThread
from overread.runtime.publisher import Outgoing
from tests.browser.conftest import Cases
from tests.browser.hands import Hands
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital, Visit
from tests.e2e.victims import stopped

pytestmark = [pytest.mark.stack, pytest.mark.browser, pytest.mark.timeout(420)]

CALM_SECONDS = 30_000
BURST = 20


def test_every_service_and_topic_is_in_sight(operator: Hands) -> None:
    """All services ready; every topic of the map with its rate and what waits before each reader."""
    page = operator.page
    page.locator(".services li").nth(len(SERVICES) - 1).wait_for()

    services = {(item.get_attribute("data-service") or "") for item in page.locator(".services li").all()}
    topics = set(page.locator(".ops tbody th").all_inner_texts())

    assert set(SERVICES) <= services
    assert {topic.name for topic in TOPICS} <= topics
    assert Axe().run(page).response["violations"] == []


def test_burst_shows_as_rate_and_as_what_waits(
    operator: Hands, hospital: Hospital, servers: StackThread, cases: Cases
) -> None:
    """Twenty orders while their reader stands still: a rate, a lag, the age of the oldest; then nothing waits."""
    row = operator.page.locator(".ops tbody tr", has=operator.page.get_by_role("rowheader", name=HL7_RECEIVED.name))
    stop = operator.page.locator(".stop", has_text="assembly")

    with stopped(servers, "assembly"):
        for number in range(BURST):
            hospital.order(cases.sharp, _an_order(cases.sharp, number))
        row.locator(".lag.behind", has_text=re.compile(rf"assembly {BURST} · \d+ ")).wait_for(timeout=CALM_SECONDS)
        rate = float(row.locator("td.num").first.inner_text().replace(",", "."))
        waiting = stop.inner_text()
        silent = operator.page.locator("[data-service=assembly].service-silent")
        silent.wait_for(timeout=CALM_SECONDS)

    assert rate > 0
    assert f"Chưa đọc {BURST} · " in waiting
    row.locator(".lag.behind").wait_for(state="detached", timeout=CALM_SECONDS)
    operator.page.locator("[data-service=assembly].service-ready").wait_for(timeout=CALM_SECONDS)


def test_dead_letter_shows_its_reason_and_is_replayed(operator: Hands, hospital: Hospital) -> None:
    """What could not be used is listed with why; one press gives it back to its reader."""
    _publish(hospital, f"this is no event {uuid4()}".encode())
    rows = operator.page.locator("table.dead tbody tr", has=operator.page.get_by_role("button"))  # not what was mended
    rows.first.wait_for(timeout=CALM_SECONDS)
    before = rows.count()

    said = rows.first.inner_text()
    rows.first.get_by_role("button").click()

    operator.say("Đã giao lại 1 thư")
    assert "Malformed" in said
    assert "assembly" in said
    rows.nth(before).wait_for(timeout=CALM_SECONDS)


def _an_order(visit: Visit, number: int) -> bytes:
    return an_omi(**visit.known | {"control_id": f"B{uuid4().hex[:12]}{number}", "priority": "R"})


def _publish(hospital: Hospital, value: bytes) -> None:
    """Write a record from a thread of its own: the browser's driver runs a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(hospital.publish, "admin", Outgoing(HL7_RECEIVED.name, b"default", value)).result()
