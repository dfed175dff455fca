"""What would show that anything moved about a visit, and when all that was sent has been read."""

from typing import Any

from tests.e2e.hospital import Hospital, Visit
from tests.fakes.peers import wait_until

READ_SECONDS = 30.0


def everything_known(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    """Return what would show that anything moved: case, jobs, every revision of the report, every message."""
    [case] = hospital.user().cases(visit)
    report = hospital.user().report(visit)
    assert report is not None
    words = (str(case["case_id"]),)
    of_case = "SELECT count(*) FROM {} WHERE case_id = $1::text::uuid"
    return {
        "case": case["case"],
        "report": {name: report[name] for name in ("report_revision", "state", "digest", "history")},
        "jobs": hospital.count("inference_worker", of_case.format("jobs"), *words),
        "plans": hospital.count("review", of_case.format("plans"), *words),
        "outbound": hospital.count("delivery", of_case.format("outbound"), *words),
        "messages": [message.raw for message in hospital.emr.about(visit.study_instance_uid)],
    }


def wait_until_all_is_read(hospital: Hospital, visit: Visit, *, accompanying: int) -> None:
    """Wait until assembly has kept what came beside the images, and the timers that it could have set have passed."""
    [case] = hospital.user().cases(visit)
    kept = "SELECT count(*) FROM instances WHERE case_id = $1::text::uuid AND is_accompanying"
    case_id = str(case["case_id"])
    wait_until(lambda: hospital.count("assembly", kept, case_id) == accompanying, "what came back", READ_SECONDS)
    waiting = "SELECT count(*) FROM timers WHERE case_id = $1::text::uuid"
    wait_until(lambda: not hospital.count("assembly", waiting, case_id), "the timers", READ_SECONDS)
