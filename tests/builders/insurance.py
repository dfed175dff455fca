"""An insured patient's order, and a folder that takes rows of the insurance table, each in one line."""

from typing import Any

from overread.contracts.events.orders import CodedElement, PatientIdentifier
from overread.delivery.insurance_destination import InsuranceDestination
from tests.builders.events import SITE, a_finding, a_patient, a_service_request

INSURED = a_patient(
    identifiers=(
        PatientIdentifier(id_number="TEST-0001", assigning_authority="HIS", identifier_type_code="MR"),
        PatientIdentifier(id_number="TEST-HC-1", assigning_authority="BHXH", identifier_type_code="HC"),
    )
)
ORDER = a_service_request(visit_number="TEST-V-1", service=CodedElement(identifier="CTCHEST", text="CT ngực"))


def a_folder(path: str = "/srv/insurance", **changed: Any) -> InsuranceDestination:
    """Return a folder that takes rows, with a number of the insurance's own for service, reader and index."""
    fields = {
        "name": "insurance",
        "kind": "xml4",
        "url": f"file://{path}",
        "site_id": SITE,
        "services": {"CTCHEST": "18.9999.0001"},
        "readers": {"dr.test": "000001/TEST-CCHN"},
        "indices": {a_finding().code: "CT.01"},
    }
    return InsuranceDestination.model_validate(fields | changed)
