"""Who a result is about, in the words of our contracts. Pure."""

from datetime import date

from overread.contracts.events import orders as contract
from overread.protocols.hl7 import data_types


def patient_said(said: data_types.Patient) -> contract.Patient:
    """Return the patient as a result's message names them."""
    name = said.names[0] if said.names else data_types.PersonName(family_name="")
    given = (name.given_name, name.second_and_further_given_names)
    iso = said.birth_date or ""
    return contract.Patient(
        identifiers=tuple(
            contract.PatientIdentifier(
                id_number=one.id_number,
                assigning_authority=one.assigning_authority,
                identifier_type_code=one.identifier_type_code,
            )
            for one in said.identifiers
        ),
        family_name=name.family_name,
        given_name=" ".join(part for part in given if part),
        birth_date=date.fromisoformat(iso) if len(iso) == len("1970-01-01") else None,
        sex=said.administrative_sex or "",
    )
