"""Whom a request is about and who asks for it (FHIR R4 Patient, Practitioner, PractitionerRole). Pure."""

from collections.abc import Callable, Mapping

from overread.contracts.events.orders import CodedElement, Patient, PatientIdentifier
from overread.protocols.fhir.authorities import authority_of
from overread.protocols.fhir.elements import Element, FhirFault, NotUnderstood

_SEXES = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
"""Patient.gender as PID-8 (table HL70001)."""

Resolve = Callable[[str], Element | None]


def patient_of(request: Element, resolve: Resolve, names: Mapping[str, str]) -> Patient:
    """Return whom `request` is about, as the resource that came along says it, or the identifier in the reference."""
    subject = request.element("subject")
    if subject is None:
        raise NotUnderstood(FhirFault(request.at("subject"), "required", "The order does not say whom it is about."))
    found = resolve(subject.text("reference"))
    named = subject.element("identifier")
    if found is not None and found.kind != "Patient":
        raise NotUnderstood(FhirFault(subject.expression, "business-rule", "An order is about a patient."))
    if found is None and named is None:
        sentence = "The patient must come along (contained, or in the Bundle), or be named by an identifier."
        raise NotUnderstood(FhirFault(subject.expression, "not-found", sentence))
    if found is None:
        return Patient(identifiers=_identifiers([named] if named else [], names))
    found.must_not_change_meaning()
    return _patient(found, [*found.elements("identifier"), *([named] if named else [])], names)


def _patient(said: Element, identifiers: list[Element], names: Mapping[str, str]) -> Patient:
    gender = said.text("gender")
    if gender and gender not in _SEXES:
        sentence = f"The gender must be one of {', '.join(_SEXES)}."
        raise NotUnderstood(FhirFault(said.at("gender"), "code-invalid", sentence))
    family_name, given_name = _name(said)
    return Patient(
        identifiers=_identifiers(identifiers, names),
        family_name=family_name,
        given_name=given_name,
        birth_date=said.day("birthDate"),
        sex=_SEXES.get(gender, ""),
    )


def _identifiers(said: list[Element], names: Mapping[str, str]) -> tuple[PatientIdentifier, ...]:
    """Return the numbers that are in use, each once."""
    found = [
        PatientIdentifier(
            id_number=identifier.text("value"),
            assigning_authority=authority_of(identifier, names),
            identifier_type_code=next((coding.text("code") for coding in identifier.codings("type")), ""),
        )
        for identifier in said
        if identifier.text("value") and identifier.text("use") != "old"
    ]
    numbers: dict[tuple[str, str], PatientIdentifier] = {}
    for one in found:
        numbers.setdefault((one.id_number, one.assigning_authority), one)
    return tuple(numbers.values())


def practitioner_of(request: Element, name: str, resolve: Resolve) -> CodedElement | None:
    """Return who asks: the practitioner, also one behind a role, or as the reference alone says."""
    reference = request.element(name)
    if reference is None:
        return None
    found = resolve(reference.text("reference"))
    if found is not None and found.kind == "PractitionerRole":
        behind = found.element("practitioner")
        found, reference = (resolve(behind.text("reference")), behind) if behind else (None, reference)
    if found is not None and found.kind == "Practitioner":
        family_name, given_name = _name(found)
        number = next((one.text("value") for one in found.elements("identifier") if one.text("value")), "")
        text = f"{family_name}^{given_name}".rstrip("^")
        return CodedElement(identifier=number, text=text) if number or text else None
    named = reference.element("identifier")
    number, text = named.text("value") if named else "", reference.text("display")
    return CodedElement(identifier=number, text=text) if number or text else None


def _name(person: Element) -> tuple[str, str]:
    """Return the family name and all given names: the official name, else the usual one, else the first in use."""
    every = [name for name in person.elements("name") if name.text("use") not in ("old", "nickname")]
    every.sort(key=lambda name: {"official": 0, "usual": 1}.get(name.text("use"), 2))
    for name in every:
        family_name, given_name = name.text("family"), " ".join(name.texts("given"))
        if family_name or given_name:
            return family_name, given_name
        if name.text("text"):
            return name.text("text"), ""
    return "", ""
