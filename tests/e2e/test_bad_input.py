"""Bad and unusual input at the real doors: each gets its protocol's code and a plain reason, and nothing is lost by it."""

import copy
import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_STORE

from overread.contracts.manifest import Manifest
from tests.builders.hl7 import an_omi, an_orm
from tests.e2e.doors import Line, associated
from tests.e2e.hospital import Hospital, Visit, a_visit, assert_gone_once, assert_told_once
from tests.fakes.peers import store_until_kept, wait_until

pytestmark = pytest.mark.stack

CT, FILM_SESSION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.1.1"
ORIGINAL = {"MSH-15": "", "MSH-16": ""}
SHOWN_SECONDS = 30.0


@pytest.mark.parametrize(
    ("build", "put", "code", "condition"),
    [
        (an_orm, {"MSH-9": "MFN^M02"}, "AR", "200"),
        (an_omi, {"MSH-9": "MFN^M02"}, "CR", "200"),
        (an_omi, {"MSH-9": "OMI^O99^OMI_O23"}, "CR", "201"),
        (an_omi, {"MSH-12": "9.9"}, "CR", "203"),
        (an_orm, {"ORC-2": "", "ORC-3": "", "OBR-2": "", "OBR-3": ""}, "AE", "101"),
        (an_omi, {"MSH-18": "8859/1"}, "CE", "102"),
        (an_omi, {"MSH-18": "KLINGON"}, "CE", "103"),
        (an_omi, {"MSH-18": ""}, "CE", "102"),
    ],
)
def test_message_that_can_not_be_taken_gets_its_code_and_a_reason(
    hospital: Hospital, build: Any, put: dict[str, str], code: str, condition: str
) -> None:
    """HL7 v2.5.1, 2.9.2.2 and table HL70357: what is wrong and where; nothing of it becomes an order."""
    visit = hospital.admit()
    with Line(hospital.mllp_port) as line:
        refused = line.ask(build(**visit.known, put=put))
        taken = line.ask(visit.order.replace(b"|HIS" + visit.number.encode(), b"|OK" + visit.number.encode()))

    assert (refused.code, refused.error_condition) == (code, condition)
    assert len(refused.text.split()) >= 4
    assert visit.patient_id not in refused.text
    assert taken.code == "CA"


def test_half_a_frame_and_garbage_harm_nobody_and_leave_a_line_in_the_log(hospital: Hospital) -> None:
    """MLLP R1: half a block is not answered, since nothing was taken; the sender sends it again and it is one order."""
    visit = hospital.admit()
    log = hospital.endpoints.data.log_of("hl7_intake")
    with Line(hospital.mllp_port) as line:
        line.write(b"GET / HTTP/1.1\r\n\r\n" + b"\x0b" + visit.order[:200])

    with Line(hospital.mllp_port) as line:
        line.write(b"\xff\xfe\x00garbage")
        codes = [line.ask(raw).code for raw in (b"hello", visit.order, visit.order)]

    assert codes == ["AE", "CA", "CA"]
    wait_until(
        lambda: '"half_frame"' in log.read_text() and '"garbage_between' in log.read_text(), "the log's lines", 10
    )
    known = "SELECT count(*) FROM orders WHERE accession_number = $1"
    wait_until(lambda: hospital.count("assembly", known, visit.accession_number) == 1, "the one order", 30)


def test_unknown_called_ae_title_is_rejected(hospital: Hospital) -> None:
    """PS3.8, 9.3.4: rejected permanently, by the service user, called AE title not recognised (1, 1, 7)."""
    association = associated(hospital.dicom_port, CT, called="NOBODY")

    answer = association.acceptor.primitive

    assert association.is_rejected
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, 7)


def test_sop_class_that_is_not_taken_is_refused_and_the_others_go_on(hospital: Hospital) -> None:
    """PS3.8, 9.3.3.2: abstract syntax not supported (3), for that context alone."""
    association = associated(hospital.dicom_port, CT, FILM_SESSION)

    refused = [(str(context.abstract_syntax), context.result) for context in association.rejected_contexts]
    accepted = [str(context.abstract_syntax) for context in association.accepted_contexts]
    association.release()

    assert refused == [(FILM_SESSION, 3)]
    assert accepted == [CT]


def stored_raw(association: Any, dataset: Dataset, content: bytes) -> int:
    """Send bytes that pynetdicom would not make, under the names of `dataset`; return the status."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    request.DataSet = io.BytesIO(content)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return int(response.Status)


def test_data_set_that_can_not_be_read_is_refused_and_the_next_image_is_kept(hospital: Hospital) -> None:
    """PS3.4, B.2.3: 0xCxxx, cannot understand; 0xA900, data set does not match; the association lives on."""
    visit = hospital.admit()
    association = associated(hospital.dicom_port, CT)

    unreadable = stored_raw(association, visit.datasets[0], b"\xff" * 300)
    kept = association.send_c_store(visit.datasets[0]).Status
    association.release()

    assert unreadable & 0xF000 == 0xC000 or unreadable == 0xA900
    assert kept == 0x0000


def as_drafted(hospital: Hospital, visit: Visit) -> dict[str, Any]:
    """Order, images and draft of a visit."""
    hospital.order(visit)
    hospital.scan(visit)
    return hospital.user().draft(visit)


def test_one_accession_number_on_two_studies_links_the_order_to_both(hospital: Hospital) -> None:
    """DESIGN, Identity of things: accession and study are many to many."""
    first, second = hospital.admit(), hospital.admit()
    for dataset in second.datasets:
        dataset.AccessionNumber, dataset.PatientID = first.accession_number, first.patient_id
    hospital.order(first, an_omi(**{**first.known, "study": ""}))

    hospital.scan(first)
    hospital.scan(second)

    drafts = [hospital.user().draft(visit) for visit in (first, second)]
    assert [len(draft["document"]["orders"]) for draft in drafts] == [1, 1]
    assert len({draft["document"]["orders"][0]["placer_order_number"] for draft in drafts}) == 1


def test_two_accession_numbers_on_one_study_are_two_orders_of_one_report(hospital: Hospital) -> None:
    """DESIGN, Identity of things, the other way round: each order is told of the one report."""
    visit, other = hospital.admit(), a_visit()
    both = sorted([visit.accession_number, other.accession_number])
    for dataset in visit.datasets[::2]:
        dataset.AccessionNumber = other.accession_number
    hospital.order(visit, an_omi(**{**visit.known, "study": ""}))
    hospital.order(visit, an_omi(**{**other.known, "study": "", "patient_id": visit.known["patient_id"]}))

    hospital.scan(visit)

    draft = hospital.user().draft(visit)
    assert sorted(order["accession_number"] for order in draft["document"]["orders"]) == both
    wait_until(lambda: _told_of(hospital, visit) == both, "a result for each order", SHOWN_SECONDS)
    assert hospital.images_shown(visit) == len(visit.datasets)


def _told_of(hospital: Hospital, visit: Visit) -> list[str]:
    return sorted(message.accession_number for message in hospital.emr.about(visit.study_instance_uid, "R"))


def test_same_uid_with_other_pixels_is_kept_beside_the_first_and_shown_to_an_operator(hospital: Hospital) -> None:
    """DESIGN, When a study is complete: 0x0000 for both, since both are kept; the first is read, a person hears why."""
    visit = hospital.admit()
    first, others = visit.datasets[0], visit.datasets[1:]
    second = copy.deepcopy(first)
    second.PixelData = bytes(len(first.PixelData))
    hospital.order(visit)

    store_until_kept(hospital.dicom_port, [first])
    [digest] = _kept(hospital, visit, first.SOPInstanceUID)
    store_until_kept(hospital.dicom_port, [second])
    store_until_kept(hospital.dicom_port, others)

    draft = hospital.user().draft(visit)
    read = {image.sop_instance_uid: image.digest for image in _manifest(hospital, draft)}
    [line] = wait_until(lambda: _on_the_desk(hospital, first.SOPInstanceUID), "the conflict", SHOWN_SECONDS)
    assert len(_kept(hospital, visit, first.SOPInstanceUID)) == 2
    assert (len(read), read[first.SOPInstanceUID]) == (len(visit.datasets), digest)
    assert "the same SOPInstanceUID came with other content; both are kept, the first is read" in line


def _kept(hospital: Hospital, visit: Visit, sop_instance_uid: str) -> list[str]:
    """Return the digest of each object that is kept of an instance."""
    folder = hospital.endpoints.objects / hospital.endpoints.site_id / "studies" / visit.study_instance_uid
    return [path.name for path in (folder / sop_instance_uid).iterdir()]


def _manifest(hospital: Hospital, draft: dict[str, Any]) -> list[Any]:
    content = Path(hospital.endpoints.objects, draft["document"]["manifest_key"]).read_bytes()
    return [image for series in Manifest.from_bytes(content).series for image in series.instances]


def _on_the_desk(hospital: Hospital, subject: str) -> list[str]:
    answer = hospital.overread("desk", "list", "--data", str(hospital.endpoints.data.root))
    assert answer.returncode == 0, answer.stderr
    return [line for line in answer.stdout.splitlines() if subject in line.split()]


def test_order_cancelled_after_inference_takes_the_draft_back(hospital: Hospital) -> None:
    """ORC-1 CA once a model has read: nobody signs that draft, and who was told of it hears X (table HL70085)."""
    visit = hospital.admit()
    as_drafted(hospital, visit)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=SHOWN_SECONDS)

    hospital.order(visit, an_omi(**{**visit.known, "control_id": f"X{visit.number}", "control": "CA"}))

    taken_back = hospital.emr.wait_for(visit.study_instance_uid, "X", seconds=SHOWN_SECONDS)
    report = hospital.user().report(visit)
    assert report is not None
    claimed = hospital.user().ask("POST", f"/reports/{report['report_id']}/claim")
    assert (report["state"], report["reason"]) == ("withdrawn", "the order was cancelled")
    assert (taken_back.accession_number, taken_back.findings) == (visit.accession_number, {})
    assert (claimed.status_code, claimed.json()["type"]) == (409, "urn:overread:problem:wrong-state")
    assert hospital.emr.about(visit.study_instance_uid, "F") == []


def test_order_cancelled_before_its_images_is_not_what_they_are_read_for(hospital: Hospital) -> None:
    """The images are read all the same; whether they belong to a cancelled order a person decides."""
    visit = hospital.admit()
    hospital.order(visit)
    hospital.order(visit, an_omi(**{**visit.known, "control_id": f"X{visit.number}", "control": "CA"}))

    hospital.scan(visit)

    draft = hospital.user().draft(visit, has_order=False)
    assert draft["document"]["orders"] == []


def test_late_image_before_the_signature_makes_a_new_draft(hospital: Hospital) -> None:
    """DESIGN, Life of a report: a later image voids what is on screen; the signature is over all images."""
    visit = hospital.admit()
    late, visit_datasets = visit.datasets[-1], visit.datasets[:-1]
    hospital.order(visit)
    store_until_kept(hospital.dicom_port, visit_datasets)
    first = hospital.user().draft(visit)

    store_until_kept(hospital.dicom_port, [late])

    wait_until(lambda: hospital.images_shown(visit) == len(visit.datasets), "all images in the case", 60)
    hospital.user().sign(visit)
    hospital.final(visit)
    report = hospital.user().report(visit)
    assert report is not None
    assert report["document"]["manifest_digest"] != first["document"]["manifest_digest"]
    assert_gone_once(hospital, visit)


def test_late_image_after_the_signature_raises_a_task_and_undoes_nothing(hospital: Hospital) -> None:
    """DESIGN, Life of a report: late images after a signature never undo a final; a clinician answers the task."""
    visit = hospital.admit()
    late, in_time = visit.datasets[-1], visit.datasets[:-1]
    hospital.order(visit)
    store_until_kept(hospital.dicom_port, in_time)
    hospital.user().draft(visit)
    hospital.user().sign(visit)
    hospital.final(visit)

    store_until_kept(hospital.dicom_port, [late])

    wait_until(lambda: _asked(hospital, visit), "the task", 60)
    report = hospital.user().report(visit)
    assert report is not None
    assert report["state"] == "final"
    assert_told_once(hospital.emr, visit)


def _asked(hospital: Hospital, visit: Visit) -> bool:
    """Whether a clinician is asked what to do about the case."""
    try:
        [case] = hospital.user().cases(visit)
        reading = hospital.user().ask("GET", f"/cases/{case['case_id']}/reading")
    except httpx.HTTPError:
        return False
    return reading.is_success and reading.json()["task"] is not None


def test_nothing_of_all_this_was_set_aside(hospital: Hospital) -> None:
    """What was refused was refused at the door; what was taken had its effect."""
    assert hospital.set_aside() == []
