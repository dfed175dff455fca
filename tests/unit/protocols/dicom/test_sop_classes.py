"""Which SOP classes and transfer syntaxes are taken in."""

import pynetdicom
import pytest
from pynetdicom import sop_class

from overread.protocols.dicom.sop_classes import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, is_accompanying

CT = "1.2.840.10008.5.1.4.1.1.2"


def test_every_storage_class_that_another_implementation_knows_is_taken() -> None:
    """PS3.4, B.5; objects that belong to no study are another service class."""
    known = {str(context.abstract_syntax) for context in pynetdicom.AllStoragePresentationContexts}
    non_patient = {
        uid
        for uid in known
        if not uid.startswith("1.2.840.10008.5.1.4.1.1.") or uid.startswith("1.2.840.10008.5.1.4.1.1.20")
    }

    missing = known - non_patient - STORAGE_SOP_CLASSES - {"1.2.840.10008.5.1.4.1.1.20"}

    assert missing == set()
    assert CT in STORAGE_SOP_CLASSES


@pytest.mark.parametrize("name", ["ModalityWorklistInformationFind", "StorageCommitmentPushModel", "Verification"])
def test_what_is_no_storage_class_is_not_taken(name: str) -> None:
    """A name alone makes no storage class."""
    uid = str(getattr(sop_class, name))

    assert uid not in STORAGE_SOP_CLASSES


def test_pixels_that_lie_elsewhere_are_not_taken() -> None:
    """JPIP: keeping the data set would not keep the image."""
    jpip = {"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204"}

    assert not jpip & TRANSFER_SYNTAXES
    assert {"1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.201"} <= TRANSFER_SYNTAXES


@pytest.mark.parametrize(
    ("uid", "manufacturer", "expected"),
    [
        (CT, "TEST MAKER", False),
        ("1.2.840.10008.5.1.4.1.1.88.34", None, True),
        ("1.2.840.10008.5.1.4.1.1.88.59", None, True),
        ("1.2.840.10008.5.1.4.1.1.66.4", None, True),
        ("1.2.840.10008.5.1.4.1.1.66.7", None, True),
        ("1.2.840.10008.5.1.4.1.1.66", None, False),
        ("1.2.840.10008.5.1.4.1.1.11.1", None, True),
        ("1.2.840.10008.5.1.4.1.1.104.1", None, True),
        ("1.2.840.10008.5.1.4.1.1.7", "TEST MAKER", False),
        ("1.2.840.10008.5.1.4.1.1.7", "Overread", True),
        ("1.2.840.10008.5.1.4.1.1.7.2", "Overread", True),
        ("1.2.840.10008.5.1.4.1.1.77.1.1", "Overread", False),
    ],
)
def test_reports_and_what_we_made_only_accompany(uid: str, manufacturer: str | None, *, expected: bool) -> None:
    """SR, SEG, KOS, PR, PDF and our own objects never re-open a study."""
    assert is_accompanying(uid, manufacturer=manufacturer) is expected
