"""A laboratory and a RIS speak: values stand beside the study, and a reader's report elsewhere closes ours."""

from typing import Any

import pytest

from tests.e2e.hospital import Hospital, Visit
from tests.e2e.others import a_creatinine, a_report
from tests.fakes.peers import send_hl7, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SHOWN_SECONDS = 30.0


def test_reader_elsewhere_closes_the_draft_and_takes_nothing_back(hospital: Hospital) -> None:
    """REQ-ELS-01, -03, -06, REQ-LAB-01: order, creatinine, images, draft; the RIS reports, takes back; then ours is signed."""
    visit = hospital.admit()
    hospital.order(visit)
    assert send_hl7(hospital.mllp_port, a_creatinine(visit)) == "AA"
    hospital.scan(visit)
    hospital.user().draft(visit)
    assert [(one["concept"], one["value"], one["unit"]) for one in shown(hospital, visit)["case"]["laboratory"]] == [
        ("creatinine", "126", "umol/L")
    ]

    assert send_hl7(hospital.mllp_port, a_report(visit, "F", 30)) == "AA"
    wait_until(lambda: row(hospital, visit)["status"] == "read_elsewhere", "the closed draft", SHOWN_SECONDS)
    closed = row(hospital, visit)
    assert send_hl7(hospital.mllp_port, a_report(visit, "X", 40)) == "AA"
    hospital.user().draft(visit)
    wait_until(lambda: statuses(hospital, visit) == ["R", "R"], "the second unverified result", SHOWN_SECONDS)
    hospital.user().sign(visit)
    hospital.final(visit)
    send_hl7(hospital.mllp_port, a_report(visit, "F", 50))
    wait_until(lambda: shown(hospital, visit)["case"]["read_elsewhere"], "word of the other report", SHOWN_SECONDS)

    report = hospital.user().report(visit)
    assert (closed["read_elsewhere_by"], closed["report_revision"]) == ("MẪU MINH CHÂU", 1)
    assert report is not None
    assert (report["state"], report["report_revision"]) == ("final", 2)
    assert statuses(hospital, visit) == ["R", "R", "F"]


def shown(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    """Return what the reading view shows of the visit."""
    [case] = hospital.user().cases(visit)
    answer = hospital.user().ask("GET", f"/cases/{case['case_id']}/reading").raise_for_status()
    return dict(answer.json())


def row(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    """Return the visit's row in the worklist."""
    return dict(shown(hospital, visit)["row"])


def statuses(hospital: Hospital, visit: Visit) -> list[str]:
    """Return what the EMR was told of the visit, in order."""
    return [message.status for message in hospital.emr.about(visit.study_instance_uid)]
