"""The main job, as a hospital sees it: an order, images, a reading, a signature, one final result."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders.hl7 import an_orm
from tests.e2e.hospital import Hospital, Visit, assert_gone_once, lung_volume_ml
from tests.fakes.peers import send_hl7, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

FAMILY_NAME, GIVEN_NAME = "THỬ NGHIỆM", "NGUYỄN VĂN"
DCMSEND = shutil.which("dcmsend")


def test_order_and_images_become_one_signed_result(hospital: Hospital) -> None:
    """The main job: unverified R first, the clinician's signature, then F with the model's numbers."""
    visit = hospital.admit()
    code = send_hl7(hospital.mllp_port, visit.order)
    hospital.scan(visit)
    hospital.user().draft(visit)
    unverified = hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=30)

    hospital.user().sign(visit)

    final = hospital.final(visit)
    assert (code, unverified.status, final.status) == ("CA", "R", "F")
    assert final.accession_number == visit.accession_number
    assert float(final.findings["lung-volume-ct"]) == pytest.approx(lung_volume_ml(), rel=0.03)
    assert final.findings == unverified.findings
    assert_gone_once(hospital, visit)


def test_vietnamese_names_arrive_as_they_were_sent(hospital: Hospital) -> None:
    """Names are UTF-8 in NFC from the HIS to the EMR, in the API too."""
    visit = _gone(hospital)

    report = hospital.user().report(visit)

    assert report is not None
    patient = report["document"]["patient"]
    assert (patient["family_name"], patient["given_name"]) == (FAMILY_NAME, GIVEN_NAME)
    for message in hospital.emr.about(visit.study_instance_uid):
        assert message.field("PID", 5).split("^")[:2] == [FAMILY_NAME, GIVEN_NAME]
        assert message.field("PID", 3).split("^")[0] == visit.patient_id


def test_orm_in_original_mode_goes_the_same_way(hospital: Hospital) -> None:
    """A sender of ORM^O01 without accept acknowledgments gets AA and the same result."""
    visit = hospital.admit()
    code = send_hl7(hospital.mllp_port, an_orm(**visit.known))
    hospital.scan(visit)

    hospital.user().sign(visit)

    assert (code, hospital.final(visit).accession_number) == ("AA", visit.accession_number)
    assert_gone_once(hospital, visit)


@pytest.mark.skipif(DCMSEND is None, reason="DCMTK's dcmsend is not on the PATH (Debian: apt-get install dcmtk)")
def test_images_of_dcmtk_go_the_same_way(hospital: Hospital, tmp_path: Path) -> None:
    """The images come from the sender that most of the world uses."""
    visit = hospital.admit()
    for number, dataset in enumerate(visit.datasets):
        dataset.save_as(tmp_path / f"{number:03d}.dcm", enforce_file_format=True)
    words = [
        str(DCMSEND),
        "-aec",
        "OVERREAD",
        "127.0.0.1",
        str(hospital.dicom_port),
        "--scan-directories",
        str(tmp_path),
    ]
    hospital.order(visit)

    sent = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)  # DCMTK's own tool
    hospital.user().sign(visit)

    assert sent.returncode == 0, sent.stderr
    hospital.final(visit)
    assert_gone_once(hospital, visit)


def test_order_that_comes_after_its_images_is_linked_and_not_read_again(hospital: Hospital) -> None:
    """Images first: drafted without an order, then anew with it; linking never infers again."""
    visit = hospital.admit()
    hospital.scan(visit)
    first = hospital.user().draft(visit, has_order=False)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=30)
    hospital.order(visit)
    second = hospital.user().draft(visit)

    hospital.user().sign(visit)

    assert hospital.final(visit).accession_number == visit.accession_number
    assert second["report_id"] == first["report_id"]
    jobs = "SELECT count(*) FROM jobs WHERE case_id = $1::text::uuid"
    assert hospital.count("inference_worker", jobs, first["case_id"]) == 1
    assert_gone_once(hospital, visit)


def test_order_long_before_its_images_waits_for_them(hospital: Hospital) -> None:
    """An order is no case: nothing is drafted and nothing sent before there are images."""
    visit = hospital.admit()
    hospital.order(visit)
    orders = "SELECT count(*) FROM orders WHERE accession_number = $1"
    wait_until(lambda: hospital.count("assembly", orders, visit.accession_number), "the order", 20)
    before = (hospital.user().cases(visit), hospital.emr.about(visit.study_instance_uid))

    hospital.scan(visit)
    hospital.user().sign(visit)

    hospital.final(visit)
    assert before == ([], [])
    assert_gone_once(hospital, visit)


def test_images_without_order_are_drafted_and_told_as_unsolicited(hospital: Hospital) -> None:
    """A study needs no order: the EMR takes unsolicited results, unverified and final."""
    visit = hospital.admit()
    hospital.scan(visit)
    hospital.user().draft(visit, has_order=False)
    unverified = hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=30)

    hospital.user().sign(visit, has_order=False)

    final = hospital.final(visit)
    assert [m.field("OBR", 2) for m in (unverified, final)] == ["", ""]
    assert [m.field("PID", 3).split("^")[0] for m in (unverified, final)] == [visit.patient_id] * 2


def test_series_that_the_model_must_not_read_is_withheld_and_says_why(hospital: Hospital) -> None:
    """No model applies is an outcome too: the report opens at once, with the reason and no number."""
    visit = hospital.admit(kernel="B70f")
    hospital.order(visit)
    hospital.scan(visit)

    draft = hospital.user().draft(visit)
    unverified = hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=30)
    hospital.user().sign(visit, has_findings=False)

    final = hospital.final(visit)
    [result] = [r for r in draft["document"]["ai_results"] if r["model"]["name"] == "ct-lung-density"]
    assert result["decision"] in {"withheld", "not_applicable"}
    assert "B70f" in " ".join(result["reasons"])
    assert (draft["document"]["findings"], unverified.findings, final.findings) == ([], {}, {})


def test_order_sent_twice_is_one_order(hospital: Hospital) -> None:
    """The same message again gets the same answer and has no second effect."""
    visit = hospital.admit()
    codes = [send_hl7(hospital.mllp_port, visit.order) for _ in range(3)]
    hospital.scan(visit)
    hospital.scan(visit)

    hospital.user().sign(visit)

    hospital.final(visit)
    assert codes == ["CA"] * 3
    assert_gone_once(hospital, visit)


def test_control_id_used_for_another_message_is_refused(hospital: Hospital) -> None:
    """A reused MSH-10 with another body is never taken for a repeat."""
    visit = hospital.admit()
    first = send_hl7(hospital.mllp_port, visit.order)

    second = send_hl7(hospital.mllp_port, visit.order.replace(b"CT Chest", b"CT Chest wide"))

    assert (first, second) == ("CA", "CE")


def test_result_whose_answer_got_lost_is_sent_again_byte_for_byte(hospital: Hospital) -> None:
    """A receiver that keeps its standard sees one message, however often the line breaks."""
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=30)
    hospital.emr.lose_next_answer()

    hospital.user().sign(visit)

    hospital.final(visit)
    finals = hospital.emr.about(visit.study_instance_uid, "F")
    assert len(finals) > 1
    assert len({message.raw for message in finals}) == 1
    assert_gone_once(hospital, visit)


def test_no_log_names_a_patient(hospital: Hospital) -> None:
    """Logs hold ids, not people: of services and servers alike."""
    visit = _gone(hospital)
    words = [word.encode() for word in (FAMILY_NAME, GIVEN_NAME, visit.patient_id, visit.accession_number)]

    logs = {path.name: path.read_bytes() for path in (hospital.endpoints.data.root / "logs").iterdir()}

    assert logs["delivery.log"]
    assert [(name, word) for name, text in logs.items() for word in words if word in text] == []


def _gone(hospital: Hospital) -> Visit:
    """Return a visit that went the whole way."""
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().sign(visit)
    hospital.final(visit)
    return visit
