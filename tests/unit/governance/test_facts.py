import pytest

from overread.contracts.codec import json_bytes
from overread.contracts.envelope import Body
from overread.contracts.topics import read_by
from overread.governance.facts import fact_of
from tests.builders.events import CASE_ID, REPORT_ID, a_report_changed, an_event, one_of_each

HEARD = tuple(body for body in one_of_each() if any(type(body) in topic.bodies for topic in read_by("governance")))


@pytest.mark.parametrize("body", HEARD, ids=lambda body: type(body).__name__)
def test_no_fact_says_who_the_patient_is(body: Body) -> None:
    """Governance keeps pseudonymous facts: no name, number, text, study UID or document of a patient."""
    fact = fact_of("topic", an_event(body, subject="TEST-0001"))

    kept = json_bytes(fact.said).decode() + str(fact.subject)
    for word in ("TEST", "NGUYỄN", "1970", "1.2.826", "document", "conclusion"):
        assert word not in kept.replace("TEST-F-1", "")


def test_fact_keeps_ids_and_state() -> None:
    """What a KPI is computed from."""
    fact = fact_of("reports.changed", an_event(a_report_changed(), subject=str(REPORT_ID)))

    assert (fact.subject, fact.case_id) == (REPORT_ID, CASE_ID)
    assert (fact.said["state"], fact.said["report_revision"]) == ("drafted", 1)
