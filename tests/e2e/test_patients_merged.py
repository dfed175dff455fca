"""A patient who was registered twice: corrected before the signature, merged after it, and told under the right number."""

from collections.abc import Mapping
from typing import Any

import pytest

from overread.embedded.stack_thread import StackThread
from tests.builders.patients import a_merge, an_adt
from tests.e2e.hospital import AUTHORITY, Hospital, Visit, assert_told_once
from tests.e2e.victims import stopped
from tests.fakes.peers import send_hl7_until_kept, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SECONDS = 40.0
BORN: Mapping[str, str] = {"birth_date": "19990512"}
CORRECTED = "THỬ NGHIỆM^VĂN SỬA"


def test_signed_result_of_a_merged_patient_is_held_and_confirmed_again(
    hospital: Hospital, servers: StackThread
) -> None:
    """A08 redoes the draft; A40 after the signature holds what has not left; the final names the survivor alone."""
    visit = _drafted(hospital)
    surviving = f"M{visit.patient_id}"
    _his_says(hospital, an_adt("A01", 1, put=_own(visit, 1), patient_id=_mr(surviving), **BORN))
    corrected = an_adt("A08", 2, put=_own(visit, 2), patient_id=_mr(visit.patient_id), name=CORRECTED, **BORN)
    _his_says(hospital, corrected)
    wait_until(lambda: _patient(hospital, visit)["given_name"] == "VĂN SỬA", "the corrected draft", SECONDS)
    with stopped(servers, "delivery"):
        hospital.user().sign(visit)
        _his_says(hospital, a_merge(3, (_mr(surviving), _mr(visit.patient_id)), put=_own(visit, 3), name=CORRECTED))
        wait_until(lambda: _report(hospital, visit)["state"] == "held", "the held report", SECONDS)
    unsent = hospital.emr.about(visit.study_instance_uid, "F")

    report_id = _report(hospital, visit)["report_id"]
    wait_until(lambda: _confirmed(hospital, report_id), "the new draft", SECONDS)
    hospital.user().ask("POST", f"/reports/{report_id}/release")
    hospital.user().sign(visit)

    final = hospital.final(visit)
    assert unsent == []
    assert [identifier.split("^")[0] for identifier in final.field("PID", 3).split("~")] == [surviving]
    assert_told_once(hospital.emr, visit)


def _drafted(hospital: Hospital) -> Visit:
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    return visit


def _his_says(hospital: Hospital, message: bytes) -> None:
    send_hl7_until_kept(hospital.mllp_port, message)


def _own(visit: Visit, number: int) -> Mapping[str, str]:
    """Return a control ID that no other story uses, and that it is a test."""
    return {"MSH-10": f"ADT{visit.number}{number}", "MSH-11": "T"}


def _mr(number: str) -> str:
    return f"{number}^^^{AUTHORITY}^MR"


def _confirmed(hospital: Hospital, report_id: str) -> bool:
    """Say whether the held report became a draft again; the gate must have answered before."""
    return hospital.user().ask("POST", f"/reports/{report_id}/confirm-again").is_success


def _patient(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    return dict(_report(hospital, visit)["document"]["patient"])


def _report(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    report = hospital.user().report(visit)
    assert report is not None
    return report
