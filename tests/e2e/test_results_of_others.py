"""A laboratory and a RIS speak: values stand beside the study, and a reader's report elsewhere closes ours."""

from datetime import datetime
from typing import Any

import pytest

from tests.builders.hl7 import HANOI
from tests.builders.results import a_reader_report, a_result, an_obx
from tests.e2e.hospital import Hospital, Visit
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


def a_creatinine(visit: Visit) -> bytes:
    """Return a creatinine of this hour."""
    now = datetime.now(HANOI).strftime("%Y%m%d%H%M%S%z")
    return a_result(
        an_obx(at=now),
        filler=f"LAB{visit.number}^LIS",
        control_id=f"LIS{visit.number}",
        processing_id="T",
        patient_id=visit.known["patient_id"],
        birth_date="19990512",
    )


def a_report(visit: Visit, status: str, minute: int) -> bytes:
    """Return a reader's report of the visit as the RIS sends it."""
    return a_reader_report(
        status,
        minute,
        control_id=f"RIS{visit.number}{minute}",
        processing_id="T",
        patient_id=visit.known["patient_id"],
        birth_date="19990512",
        accession=visit.accession_number,
        placer=visit.known["placer"],
        filler=f"RAD{visit.number}^RIS",
    )


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
