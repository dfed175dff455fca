"""Orders as a HIS that speaks FHIR R4 sends them: valid in one line, a fault by keyword. Identities are synthetic."""

from typing import Any

ABSENT = object()
_V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"

Resource = dict[str, Any]


def an_identifier(code: str, value: str, system: str = "https://his.test/orders") -> Resource:
    """Return a number with its type (table HL70203)."""
    return {"type": {"coding": [{"system": _V2_0203, "code": code}]}, "system": system, "value": value}


def a_fhir_patient(**changed: Any) -> Resource:
    """Return the patient of `builders.events.a_patient`, whose authority is HIS."""
    return _without_absent(
        {
            "resourceType": "Patient",
            "identifier": [an_identifier("PI", "TEST-0001", "https://his.test/mrn")],
            "name": [{"use": "official", "family": "THỬ NGHIỆM", "given": ["NGUYỄN VĂN"]}],
            "gender": "male",
            "birthDate": "1970-01-01",
        }
        | changed
    )


def a_practitioner() -> Resource:
    """Return who asks."""
    return {
        "resourceType": "Practitioner",
        "identifier": [{"system": "https://his.test/staff", "value": "BS001"}],
        "name": [{"family": "MẪU", "given": ["BÁC SĨ"]}],
    }


def an_encounter() -> Resource:
    """Return an outpatient's visit."""
    return {
        "resourceType": "Encounter",
        "identifier": [{"system": "https://his.test/visits", "value": "V0077"}],
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "location": [{"location": {"display": "KHOA CDHA"}}],
    }


def a_fhir_request(**changed: Any) -> Resource:
    """Return an order of a chest CT, with its patient, visit and requester contained."""
    said = {
        "resourceType": "ServiceRequest",
        "contained": [
            {"id": "patient", **a_fhir_patient()},
            {"id": "visit", **an_encounter()},
            {"id": "doctor", **a_practitioner()},
        ],
        "identifier": [
            an_identifier("PLAC", "TEST-PLACER-1"),
            an_identifier("ACSN", "TEST-ACC-1"),
            {"system": "urn:dicom:uid", "value": "urn:oid:1.2.826.0.1.3680043.10.1338.1"},
        ],
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "24627-2", "display": "CT Chest"}],
            "text": "CT ngực",
        },
        "orderDetail": [{"coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}]}],
        "subject": {"reference": "#patient"},
        "encounter": {"reference": "#visit"},
        "occurrenceDateTime": "2026-11-22T10:00:00+07:00",
        "authoredOn": "2026-11-22T09:00:00+07:00",
        "requester": {"reference": "#doctor"},
        "reasonCode": [{"text": "Ho kéo dài"}],
        "bodySite": [{"coding": [{"system": "http://snomed.info/sct", "code": "51185008", "display": "Thoracic"}]}],
    }
    return _without_absent(said | changed)


def a_fhir_bundle(*resources: Resource, kind: str = "transaction", **request: Any) -> Resource:
    """Return a Bundle that creates `resources`; each is `urn:uuid:0`, `urn:uuid:1` … to the others."""
    return {
        "resourceType": "Bundle",
        "type": kind,
        "entry": [
            {
                "fullUrl": f"urn:uuid:00000000-0000-0000-0000-00000000000{number}",
                "resource": resource,
                "request": {"method": "POST", "url": resource["resourceType"], **request},
            }
            for number, resource in enumerate(resources)
        ],
    }


def to(number: int) -> Resource:
    """Return a reference to the entry of that number."""
    return {"reference": f"urn:uuid:00000000-0000-0000-0000-00000000000{number}"}


def _without_absent(said: Resource) -> Resource:
    return {name: value for name, value in said.items() if value is not ABSENT}
