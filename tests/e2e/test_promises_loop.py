"""A PACS that sends back everything that it gets, again and again: nothing re-opens, nothing runs, nothing leaves."""

import copy
from collections.abc import Iterator

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
from tests.e2e.stillness import everything_known, wait_until_all_is_read
from tests.fakes.peers import store_until_kept

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

ROUNDS = 8
TOLD_SECONDS = 30.0

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
    hospital.emr.wait_for(visit.study_instance_uid, "R", seconds=TOLD_SECONDS)
    drafted = everything_known(hospital, visit)
    _send_back(hospital, visit)
    still_drafted = everything_known(hospital, visit)
    hospital.user().sign(visit)
    hospital.final(visit)
    final = everything_known(hospital, visit)

    for _ in range(ROUNDS):
        _send_back(hospital, visit)

    of_strangers = (ROUNDS + 1) * (len(ACCOMPANYING) - 1)
    wait_until_all_is_read(hospital, visit, accompanying=len(ACCOMPANYING) + of_strangers)
    assert still_drafted == drafted
    assert everything_known(hospital, visit) == final


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
