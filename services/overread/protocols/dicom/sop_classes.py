"""Which SOP classes and transfer syntaxes Overread takes in, by the registry of PS3.6 that pydicom carries."""

from typing import Final

from pydicom._uid_dict import UID_dictionary

VERIFICATION: Final = "1.2.840.10008.1.1"
APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
PAPYRUS_3_IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.20"

PLAIN_TRANSFER_SYNTAXES: Final = frozenset(
    {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}
)
"""Those of a data set that is neither deflated nor has compressed pixels (PS3.5, A.1 to A.3)."""

MODALITY_PERFORMED_PROCEDURE_STEP: Final = "1.2.840.10008.3.1.2.3.3"
INSTANCE_AVAILABILITY_NOTIFICATION: Final = "1.2.840.10008.5.1.4.33"
STORAGE_COMMITMENT_PUSH_MODEL: Final = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_PUSH_MODEL_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
NORMALIZED_SOP_CLASSES: Final = frozenset(
    {MODALITY_PERFORMED_PROCEDURE_STEP, INSTANCE_AVAILABILITY_NOTIFICATION, STORAGE_COMMITMENT_PUSH_MODEL}
)
"""What peers announce to us by N-CREATE, N-SET and N-ACTION (PS3.4, F, J and R)."""
MODALITY_WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
PLAIN_SOP_CLASSES: Final = NORMALIZED_SOP_CLASSES | {MODALITY_WORKLIST_FIND}
"""Those whose data sets have no pixels: what is announced, and what is asked."""

_COMPOSITE_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_SERVICES_UNDER_THE_ROOT: Final = ("- FIND", "- MOVE", "- GET", "Inventory Creation", "Repository Query")

# Hanging protocols, palettes, implant templates, defined protocols, inventories (PS3.4, GG): they belong to
# no study, so nothing here could ever use them.
_NON_PATIENT_OBJECTS: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.38.1",
        "1.2.840.10008.5.1.4.39.1",
        "1.2.840.10008.5.1.4.43.1",
        "1.2.840.10008.5.1.4.44.1",
        "1.2.840.10008.5.1.4.45.1",
        "1.2.840.10008.5.1.4.1.1.200.1",
        "1.2.840.10008.5.1.4.1.1.200.3",
        "1.2.840.10008.5.1.4.1.1.200.7",
        "1.2.840.10008.5.1.4.1.1.201.1",
    }
)
# Storage commitment, and the directory of a medium, have "Storage" in their names and are no storage.
_STORAGE_BY_NAME_ONLY: Final = frozenset({"1.2.840.10008.1.3.10", "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.2"})
# Label map segmentation, height map and waveform presentation states, younger than pydicom's dictionary.
_YOUNGER_THAN_THE_DICTIONARY: Final = frozenset(
    _COMPOSITE_ROOT + suffix for suffix in ("66.7", "66.8", "9.100.1", "9.100.2")
)

# JPIP names a server that has the pixels, so keeping the data set would not keep the image; MIME, XML and
# the SMPTE streams are no data sets that a Part 10 file could hold.
_CANNOT_BE_KEPT: Final = frozenset(
    {
        "1.2.840.10008.1.2.4.94",
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        "1.2.840.10008.1.2.6.1",
        "1.2.840.10008.1.2.6.2",
        "1.2.840.10008.1.2.7.1",
        "1.2.840.10008.1.2.7.2",
        "1.2.840.10008.1.2.7.3",
    }
)
# Deflated Image Frame Compression, younger than pydicom's dictionary.
_YOUNGER_TRANSFER_SYNTAXES: Final = frozenset({"1.2.840.10008.1.2.8.1"})


def _is_storage(uid: str, name: str) -> bool:
    if uid.startswith(_COMPOSITE_ROOT):
        return not name.endswith(_SERVICES_UNDER_THE_ROOT)
    return "Storage" in name


def _registered(kind: str) -> dict[str, str]:
    return {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[1] == kind}


STORAGE_SOP_CLASSES: Final = (
    frozenset(uid for uid, name in _registered("SOP Class").items() if _is_storage(uid, name))
    - _NON_PATIENT_OBJECTS
    - _STORAGE_BY_NAME_ONLY
) | _YOUNGER_THAN_THE_DICTIONARY
"""Every composite SOP class of the Storage Service Class that belongs to a study, retired ones too (PS3.4, B.5)."""

TRANSFER_SYNTAXES: Final = (frozenset(_registered("Transfer Syntax")) - _CANNOT_BE_KEPT) | _YOUNGER_TRANSFER_SYNTAXES
"""Every transfer syntax whose data set can be kept bit for bit in a Part 10 file (PS3.5, 10)."""

_REPORT_OR_PRESENTATION: Final = (
    f"{_COMPOSITE_ROOT}88.",  # structured reports, key object selections, procedure logs
    f"{_COMPOSITE_ROOT}11.",  # presentation states
    f"{_COMPOSITE_ROOT}9.100.",  # waveform presentation states
    f"{_COMPOSITE_ROOT}104.",  # encapsulated PDF and its kin
)
_SEGMENTATIONS: Final = frozenset(f"{_COMPOSITE_ROOT}66.{suffix}" for suffix in (4, 5, 7))
_SECONDARY_CAPTURE: Final = f"{_COMPOSITE_ROOT}7"
OUR_MANUFACTURER: Final = "Overread"
"""(0008,0070) of every object that Overread makes."""


def is_accompanying(sop_class_uid: str, *, manufacturer: str | None = None) -> bool:
    """Tell whether an instance only accompanies images: it is kept and never re-opens a study.

    Reports, key objects, presentation states, segmentations, encapsulated documents; a secondary capture only
    when `manufacturer` says that we made it, since other people's secondary captures may be the images.
    """
    if sop_class_uid.startswith(_REPORT_OR_PRESENTATION) or sop_class_uid in _SEGMENTATIONS:
        return True
    is_secondary_capture = sop_class_uid == _SECONDARY_CAPTURE or sop_class_uid.startswith(f"{_SECONDARY_CAPTURE}.")
    return is_secondary_capture and manufacturer == OUR_MANUFACTURER
