"""The identifier systems and code systems of our FHIR resources: every name a URI that nobody else uses."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from overread.contracts.identifiers import deterministic_id

UUID_SYSTEM = "urn:ietf:rfc:3986"
"""The system of an identifier that is itself a URI; here `urn:uuid:…` (FHIR R4, Identifier)."""

DICOM_UID_SYSTEM = "urn:dicom:uid"

CODE_SYSTEMS: Mapping[str, str] = {
    "LN": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UCUM": "http://unitsofmeasure.org",
    "RADLEX": "http://radlex.org",
    "I10": "http://hl7.org/fhir/sid/icd-10",
}
"""HL7's and DICOM's short names of the public code systems, and their URIs (FHIR R4, Using Codes)."""

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"

INTERPRETATIONS = frozenset(("A", "AA", "N", "H", "HH", "L", "LL", "ABN", "NEG", "POS", "IND"))
"""The abnormal flags that mean the same in v3-ObservationInterpretation."""

GENDERS: Mapping[str, str] = {"M": "male", "F": "female", "O": "other", "A": "other", "N": "other", "U": "unknown"}
"""PID-8 (table HL70001) as Patient.gender."""


def identifier_system(site_id: str, kind: str, name: str) -> str:
    """Return the URI under which `name`, given by somebody of that site, is unique in the world.

    It is an OID made of a UUID (X.667), so nobody has to be asked for it; `kind` is what the numbers name.
    """
    return _oid("identifier-system", site_id, kind, name)


def is_uri(name: str) -> bool:
    """Say whether an authority's or a code system's name is a URI already, as who speaks FHIR has it."""
    return name.startswith(("urn:", "http://", "https://"))


def coding_system(site_id: str, scheme: str) -> str:
    """Return the URI of the code system that HL7 v2 and DICOM call `scheme`; a local one is the site's own."""
    if scheme in CODE_SYSTEMS or is_uri(scheme):
        return CODE_SYSTEMS.get(scheme, scheme)
    return _oid("code-system", scheme) if scheme == "99OVERREAD" else _oid("code-system", site_id, scheme)


def _oid(*parts: str) -> str:
    return f"urn:oid:2.25.{deterministic_id(*parts).int}"


def coding(system: str, code: str, display: str = "") -> dict[str, Any]:
    """Return a Coding."""
    return {"system": system, "code": code, "display": display}


def concept(*codings: dict[str, Any], text: str = "") -> dict[str, Any]:
    """Return a CodeableConcept."""
    return {"coding": list(codings), "text": text}


def own_identifier(uuid: UUID) -> dict[str, Any]:
    """Return the Identifier of something that Overread named by a UUID."""
    return {"system": UUID_SYSTEM, "value": uuid.urn}


def identifier_type(code: str) -> dict[str, Any]:
    """Return what kind of number an identifier is (table HL70203)."""
    return concept(coding(f"{TERMINOLOGY}/v2-0203", code)) if code else {}
