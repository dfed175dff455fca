"""The operators' page as a command: what flows, what waits, who is ready, without a browser."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts.topics import HL7_RECEIVED, TOPICS
from overread.embedded.profile import SERVICES
from overread.embedded.stack_thread import StackThread
from tests.builders.hl7 import an_omi
from tests.e2e.hospital import Hospital
from tests.e2e.victims import stopped

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

FLOW_SECONDS = 120.0
MOST_ORDERS, BETWEEN_SECONDS = 300, 0.2


def test_burst_shows_as_rate_and_a_service_that_stands_still_as_what_waits(
    hospital: Hospital, servers: StackThread
) -> None:
    """Rates, lag, age of the oldest unread record, health: all in one look (docs/operations.md)."""
    with stopped(servers, "assembly"), _orders_coming(hospital):
        told = _flow(hospital)

    topics = {topic["name"]: topic for topic in told["topics"]}
    [group] = topics[HL7_RECEIVED.name]["groups"]
    assert list(topics) == [topic.name for topic in TOPICS]
    assert topics[HL7_RECEIVED.name]["rate_per_second"] > 0
    assert (group["service"], group["lag"] > 0, group["oldest_unread_seconds"] > 0) == ("assembly", True, True)
    assert set(told["services"]) == set(SERVICES)
    assert told["services"]["assembly"] == {"service": "does not answer"}


def test_flow_reads_as_a_table(hospital: Hospital) -> None:
    """Who has no page has this: a line a topic, then how many services are ready."""
    answer = hospital.overread("flow", "--data", str(hospital.endpoints.data.root), seconds=FLOW_SECONDS)

    lines = answer.stdout.splitlines()
    assert (answer.returncode, answer.stderr) == (0, "")
    assert [line.split()[0] for line in lines[1 : len(TOPICS) + 1]] == [topic.name for topic in TOPICS]
    assert lines[len(TOPICS) + 1] == f"services: {len(SERVICES)} of {len(SERVICES)} ready"


def _flow(hospital: Hospital) -> dict[str, Any]:
    answer = hospital.overread("flow", "--json", "--data", str(hospital.endpoints.data.root), seconds=FLOW_SECONDS)
    assert answer.returncode == 0, answer.stderr
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


@contextmanager
def _orders_coming(hospital: Hospital) -> Iterator[None]:
    """Send an order again and again inside the block, as often as others can bear; the first is kept when it begins."""
    is_over, visit = threading.Event(), hospital.admit()

    def send() -> None:
        for _ in range(MOST_ORDERS):
            if is_over.wait(BETWEEN_SECONDS):
                return
            hospital.order(visit, an_omi(**visit.known | {"control_id": uuid4().hex[:20]}))

    hospital.order(visit)
    sender = threading.Thread(target=send, name="HIS")
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()
