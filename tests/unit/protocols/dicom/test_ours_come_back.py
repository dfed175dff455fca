"""A PACS sends everything back, ours too: none of it may look like a new image."""

from io import BytesIO

import pytest
from pydicom import dcmread

from overread.protocols.dicom import rejection_note, secondary_capture, segmentation, structured_report
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from overread.protocols.dicom.sop_classes import is_accompanying
from tests.builders.dicom import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, a_ct_slice, encoded
from tests.builders.dicom_results import (
    a_rejection_content,
    a_seg_content,
    a_stored_image,
    an_sc_content,
    an_sr_content,
)

OURS = {
    "sr": structured_report.render(an_sr_content()),
    "sr verified": structured_report.render(an_sr_content(is_signed=True)),
    "seg": segmentation.render(a_seg_content()),
    "sc": secondary_capture.render(an_sc_content()),
    "sc signed": secondary_capture.render(an_sc_content(is_signed=True)),
    "rejection note": rejection_note.render(a_rejection_content()),
}


def accompanies(data_set: bytes, transfer_syntax_uid: str) -> bool:
    """What the intake decides on arrival."""
    header = read_header([data_set], transfer_syntax_uid)
    return is_accompanying(header.sop_class_uid, manufacturer=header.attributes.manufacturer)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("transfer_syntax_uid", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_what_we_made_only_accompanies_when_it_comes_back(name: str, transfer_syntax_uid: str) -> None:
    """The loop promise: kept, never re-opening a study, in whatever transfer syntax the archive likes."""
    returned = encoded(dcmread(BytesIO(OURS[name])), transfer_syntax_uid)

    assert accompanies(returned, transfer_syntax_uid)


@pytest.mark.parametrize("manufacturer", ["TEST MAKER", "OVERREAD PHANTOM", ""])
def test_secondary_capture_of_others_is_still_an_image(manufacturer: str) -> None:
    """A scanned film is a secondary capture; it may be all there is of a study."""
    film = a_ct_slice(SOPClassUID=secondary_capture.SOP_CLASS_UID, Manufacturer=manufacturer)
    part10 = split(a_stored_image(film))

    assert not accompanies(part10.data_set, part10.transfer_syntax_uid)


def test_intake_reads_the_whole_identity_of_what_we_made() -> None:
    """Patient and accession as they went out, diacritics and all."""
    part10 = split(OURS["sr"])

    header = read_header([part10.data_set], part10.transfer_syntax_uid)

    attributes = header.attributes
    assert attributes.patient_name == "THỬ NGHIỆM^NGUYỄN VĂN"
    assert (attributes.patient_id, attributes.accession_number) == ("TEST-0001", "ACC-1")
    assert header.undecodable == ()
