"""A PACS that sends back everything that it gets, again and again: nothing re-opens, nothing runs, nothing leaves."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from overread.protocols.dicom.sop_classes import OUR_MANUFACTURER
from tests.e2e.hospital import Hospital, Visit
from tests.fakes.peers import store_until_kept, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

ROUNDS = 8
KEPT_SECONDS = 30.0

ACCOMPANYING = {
    "SR": ComprehensiveSRStorage,
    "SEG": SegmentationStorage,
    "KO": KeyObjectSelectionDocumentStorage,
    "PR": GrayscaleSoftcopyPresentationStateStorage,
    "DOC": EncapsulatedPDFStorage,
    "OT": SecondaryCaptureImageStorage,
}
"""What may come back beside the images; of secondary captures only ours."""


def test_pacs_that_sends_everything_back_moves_nothing(hospital: Hospital) -> None:
    """Images that we hold, our own results and other people's: kept, and the study stays as it was."""
    visit = hospital.admit()
    hospital.order(visit)
    hospital.scan(visit)
    hospital.user().draft(visit)
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=KEPT_SECONDS)
    drafted = _everything_known(hospital, visit)
    _send_back(hospital, visit)
    still_drafted = _everything_known(hospital, visit)
    hospital.user().sign(visit)
    hospital.final(visit)
    final = _everything_known(hospital, visit)

    for _ in range(ROUNDS):
        _send_back(hospital, visit)

    _wait_until_all_is_read(hospital, visit, rounds=ROUNDS + 1)
    assert still_drafted == drafted
    assert _everything_known(hospital, visit) == final


def _send_back(hospital: Hospital, visit: Visit) -> None:
    """Send the images again, and results about them: the same ones each time, and new ones of a stranger."""
    objects = [*visit.datasets, *_results(visit, "ours"), *_results(visit, str(generate_uid()))]
    store_until_kept(hospital.dicom_port, objects)


def _results(visit: Visit, whose: str) -> Iterator[Dataset]:
    for number, (modality, sop_class) in enumerate(ACCOMPANYING.items(), start=1):
        is_ours = whose == "ours"
        if modality == "OT" and not is_ours:
            continue
        root = f"{visit.study_instance_uid}.9" if is_ours else whose[:50]
        yield _a_result(visit.datasets[0], modality, sop_class, f"{root}.{number}", is_ours=is_ours)


def _a_result(image: Dataset, modality: str, sop_class: UID, uid: str, *, is_ours: bool) -> Dataset:
    """Return an object of the image's study that says no more than it must."""
    result = copy.deepcopy(image)
    for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ConvolutionKernel"):
        if keyword in result:
            delattr(result, keyword)
    result.Modality = modality
    result.Manufacturer = OUR_MANUFACTURER if is_ours else "A VENDOR"
    result.SOPClassUID = result.file_meta.MediaStorageSOPClassUID = sop_class
    result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    result.SeriesInstanceUID = UID(f"{uid}.1")
    return result


def _everything_known(hospital: Hospital, visit: Visit) -> dict[str, Any]:
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


def _wait_until_all_is_read(hospital: Hospital, visit: Visit, *, rounds: int) -> None:
    """Wait until assembly has kept what came, and the timers that it could have set have passed."""
    [case] = hospital.user().cases(visit)
    kept = "SELECT count(*) FROM instances WHERE case_id = $1::text::uuid AND is_accompanying"
    wanted = len(ACCOMPANYING) + rounds * (len(ACCOMPANYING) - 1)
    case_id = str(case["case_id"])
    wait_until(lambda: hospital.count("assembly", kept, case_id) == wanted, "what came back", KEPT_SECONDS)
    waiting = "SELECT count(*) FROM timers WHERE case_id = $1::text::uuid"
    wait_until(lambda: not hospital.count("assembly", waiting, case_id), "the timers", KEPT_SECONDS)
