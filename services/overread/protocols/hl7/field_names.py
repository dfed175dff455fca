"""What segments, fields and components are called, by version, out of hl7apy's tables of the standard."""

import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

VERSIONS = ("2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")
USUAL_VERSION = "2.5.1"
NEWEST_VERSION = "2.8.2"

SEGMENTS: Mapping[str, str] = {
    "MSH": "Message header",
    "SFT": "Software",
    "EVN": "Event type",
    "PID": "Patient identification",
    "PD1": "Additional demographics",
    "MRG": "Merge information: the number that ends",
    "NK1": "Next of kin",
    "PV1": "Patient visit",
    "PV2": "Patient visit, additional",
    "IN1": "Insurance",
    "IN2": "Insurance, additional",
    "IN3": "Insurance certification",
    "GT1": "Guarantor",
    "AL1": "Allergy",
    "DG1": "Diagnosis",
    "ACC": "Accident",
    "ORC": "Common order",
    "OBR": "Observation request",
    "TQ1": "Timing and quantity",
    "IPC": "Imaging procedure control",
    "ZDS": "Study Instance UID (IHE, before version 2.5)",
    "OBX": "Observation or result",
    "NTE": "Notes and comments",
    "SPM": "Specimen",
    "SCH": "Schedule activity",
    "RGS": "Resource group",
    "AIS": "Appointment: service",
    "AIG": "Appointment: general resource",
    "AIL": "Appointment: location",
    "AIP": "Appointment: personnel",
    "TXA": "Document header",
    "MSA": "Acknowledgment",
    "ERR": "Error",
    "DSC": "Continuation pointer",
    "ADD": "Addendum",
    "FHS": "File header",
    "BHS": "Batch header",
    "BTS": "Batch trailer",
    "FTS": "File trailer",
}
"""What a segment is, in words; hl7apy has only the three letters."""


class Named(NamedTuple):
    """A field or a component: its name, its data type, and the table of its codes, empty where it has none."""

    name: str
    data_type: str
    table: str


_OURS: Mapping[str, tuple[Named, ...]] = {"ZDS": (Named("Study instance UID", "RP", ""),)}
"""Segments that no version has: IHE's of its Radiology profile for version 2.3.1."""


def title_of(segment: str) -> str:
    """Say what a segment is; those that a site makes begin with Z (HL7 v2.5.1, 2.11)."""
    return SEGMENTS.get(segment) or ("Segment of the sender's own" if segment.startswith("Z") else "")


def fields_of(segment: str, version: str) -> tuple[Named, ...]:
    """Name the fields of a segment in order, as its version does, or else a newer one; none of an unknown segment."""
    if segment in _OURS:
        return _OURS[segment]
    for candidate in (version, USUAL_VERSION, NEWEST_VERSION):
        known = _structures(candidate, "segments", "SEGMENTS").get(segment)
        if known is not None:
            return tuple(_named(segment, known))
    return ()


def components_of(data_type: str, version: str) -> tuple[Named, ...]:
    """Name the components of a data type in order; none where it has no components."""
    known = _structures(version, "datatypes", "DATATYPES_STRUCTS").get(data_type)
    return () if known is None else tuple(_entry(entry) for entry in known)


@cache
def _structures(version: str, module: str, table: str) -> Mapping[str, Any]:
    known = version if version in VERSIONS else USUAL_VERSION
    package = f"hl7apy.v{known.replace('.', '_')}.{module}"
    found: Mapping[str, Any] = getattr(importlib.import_module(package), table)
    return found


def _named(segment: str, structure: Any) -> Iterator[Named]:
    for entry in structure[1]:
        yield _entry(entry, f"_{segment}")


def _entry(entry: Any, suffix: str = "") -> Named:
    _, _, data_type, name, table, _ = entry[1]
    return Named(_in_words(name.removesuffix(suffix)), data_type or "", table or "")


def _in_words(name: str) -> str:
    """Write PATIENT_IDENTIFIER_LIST as people do; two letters that stand for themselves stay large."""
    words = re.sub(r"_(HD|ST|XCN)$", "", name).replace("_S_", "'s ").replace("_", " ").lower()
    words = re.sub(r"\b(id|hl7|uid|ae)\b", lambda found: found[1].upper(), words)
    return words[:1].upper() + words[1:]
