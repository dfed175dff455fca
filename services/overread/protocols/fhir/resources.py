"""The FHIR R4 resources that one report is told in, as plain trees; numbers stay the digits they are (`Digits`)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from overread.contracts.events.cases import SeriesSummary
from overread.contracts.events.inference import Concept, Finding, ModelReference
from overread.contracts.events.orders import OrderStatus, PatientIdentifier, ServiceRequest
from overread.contracts.events.reports import Signer
from overread.contracts.identifiers import deterministic_id
from overread.protocols.fhir.codes import (
    CODE_SYSTEMS,
    DICOM_UID_SYSTEM,
    GENDERS,
    INTERPRETATIONS,
    TERMINOLOGY,
    coding,
    coding_system,
    concept,
    identifier_type,
    own_identifier,
)
from overread.protocols.fhir.content import OBSERVATION_STATUS, RETRACTED_STATUS, FhirContent, ReportedFinding
from overread.protocols.fhir.content import observation_id as observation_id_of

Resource = dict[str, Any]

PRESENT = ("SCT", "52101004")
"""The answer that makes a finding's own code the conclusion."""

_ORDER_STATUS = {
    OrderStatus.ACTIVE: "active",
    OrderStatus.HELD: "on-hold",
    OrderStatus.CANCELLED: "revoked",
    OrderStatus.COMPLETED: "completed",
}
_PRIORITY = {"S": "stat", "A": "asap"}
_HOSPITAL_NUMBERS = ("MR", "PI", "PT")
CERTAINTY = ("DCM", "111012", "Certainty of Finding")
METHOD = ("99OVERREAD", "AI", "Machine learning algorithm")
_ARTIFICIAL_INTELLIGENCE = ("DCM", "123110", "Artificial Intelligence")
_ALGORITHM_PARAMETERS = ("DCM", "111002", "Algorithm Parameters")
ORDER_NUMBER_TYPES = ("PLAC", "FILL", "ACSN")


class Digits(str):
    """A number as it is written in the report; it goes into JSON verbatim, as a number."""

    __slots__ = ()


def instant(moment: datetime | None) -> str | None:
    """Write a time to the millisecond, with its offset (R4 instant)."""
    return moment.isoformat(timespec="milliseconds") if moment else None


def meta(content: FhirContent) -> Resource:
    """Mark test data as such (v3-ActReason HTEST), on every resource."""
    return {"security": [coding(f"{TERMINOLOGY}/v3-ActReason", "HTEST")] if content.is_synthetic else []}


def full_url(content: FhirContent, kind: str, key: str) -> str:
    """Return the name by which one resource of the bundle refers to another; the same at each rendering."""
    return deterministic_id("fhir", kind, content.site_id, str(content.report_id), key).urn


def reference(content: FhirContent, kind: str, key: str = "") -> Resource:
    """Return a Reference to a resource of the same bundle."""
    return {"reference": full_url(content, kind, key)}


def organization(content: FhirContent) -> Resource:
    """Return who performed the examination: the site."""
    system = content.system_of("organization", "")
    identifier = {"system": system, "value": content.site_id}
    return {"resourceType": "Organization", "identifier": [identifier], "name": content.performer}


def patient_identifier(content: FhirContent, identifier: PatientIdentifier) -> Resource:
    """Return a patient's number with who gave it."""
    return {
        "type": identifier_type(identifier.identifier_type_code.strip()),
        "system": content.system_of("patient", identifier.assigning_authority.strip()),
        "value": identifier.id_number.strip(),
        "assigner": {"display": identifier.assigning_authority.strip()},
    }


def main_identifier(content: FhirContent) -> Resource:
    """Return the number by which the receiver is asked for the patient: the hospital's own, else the first."""
    identifiers = content.patient.identifiers
    hospitals = (i for i in identifiers if i.identifier_type_code.strip() in _HOSPITAL_NUMBERS)
    return patient_identifier(content, next(hospitals, identifiers[0]))


def patient(content: FhirContent) -> Resource:
    """Return the patient as the report names them; receivers that know the number keep their own."""
    said = content.patient
    return {
        "resourceType": "Patient",
        "identifier": [patient_identifier(content, identifier) for identifier in said.identifiers],
        "name": [_human_name(said.family_name, said.given_name)],
        "gender": GENDERS.get(said.sex.strip(), "unknown" if said.sex.strip() else None),
        "birthDate": said.birth_date.isoformat() if said.birth_date else None,
    }


def _human_name(family: str, given: str) -> Resource:
    """Keep middle and given name together as they were sent: a Vietnamese name is not ours to divide."""
    family, given = family.strip(), given.strip()
    return {"text": f"{family} {given}".strip(), "family": family, "given": [given]}


def practitioner(content: FhirContent, signer: Signer) -> Resource:
    """Return who signed."""
    identifier = {"system": content.system_of("subject", ""), "value": signer.subject}
    name = _human_name(signer.family_name, signer.given_name)
    return {"resourceType": "Practitioner", "identifier": [identifier], "name": [name]}


def order_identifiers(content: FhirContent, order: ServiceRequest) -> list[Resource]:
    """Return placer, filler and accession number, as far as the order has them."""
    numbers = (
        (order.placer_order_number, order.placer_namespace, "placer"),
        (order.filler_order_number, order.filler_namespace, "filler"),
        (order.accession_number or "", "", "accession"),
    )
    return [
        {"type": identifier_type(code), "system": content.system_of(kind, authority), "value": number}
        for code, (number, authority, kind) in zip(ORDER_NUMBER_TYPES, numbers, strict=True)
        if number
    ]


def service_request(content: FhirContent, order: ServiceRequest) -> Resource:
    """Return the order that the report answers; receivers that have it keep their own."""
    provider = order.ordering_provider
    return {
        "resourceType": "ServiceRequest",
        "identifier": order_identifiers(content, order) or [own_identifier(order.order_id)],
        "status": _ORDER_STATUS[order.status],
        "intent": "order",
        "priority": _PRIORITY.get(order.priority, "routine"),
        "code": concept(*service_codings(content, order), text=order.service.text if order.service else ""),
        "subject": _subject(content),
        "requester": {
            "identifier": {"system": content.system_of("practitioner", ""), "value": provider.identifier}
            if provider.identifier
            else {},
            "display": provider.text.replace("^", " ").strip(),
        }
        if provider
        else {},
    }


def service_codings(content: FhirContent, order: ServiceRequest) -> list[Resource]:
    """Return the code of the ordered service."""
    service = order.service
    if service is None or not service.identifier:
        return []
    return [coding(coding_system(content.site_id, service.coding_system), service.identifier, service.text)]


def imaging_study(content: FhirContent) -> Resource:
    """Return the study that was read; its DICOM UID as R4 writes it (ImagingStudy, notes)."""
    accessions = [i for order in content.orders for i in order_identifiers(content, order) if _is_accession(i)]
    uid = {"system": DICOM_UID_SYSTEM, "value": f"urn:oid:{content.study_instance_uid}"}
    return {
        "resourceType": "ImagingStudy",
        "identifier": [uid, *accessions],
        "status": "available",
        "modality": [coding(coding_system(content.site_id, "DCM"), modality) for modality in content.modalities],
        "subject": _subject(content),
        "started": instant(content.effective_at),
        "basedOn": based_on(content),
        "description": content.study_description.strip(),
        "numberOfSeries": _count(len(content.series)),
        "numberOfInstances": _count(sum(series.instance_count for series in content.series)),
        "series": [_series(content, series) for series in content.series if series.modality],
    }


def _series(content: FhirContent, series: SeriesSummary) -> Resource:
    """Return a series; R4 asks each for its modality."""
    return {
        "uid": series.series_instance_uid,
        "modality": coding(coding_system(content.site_id, "DCM"), series.modality),
        "numberOfInstances": _count(series.instance_count),
    }


def _count(number: int) -> Digits | None:
    return Digits(str(number)) if number else None


def _is_accession(identifier: Resource) -> bool:
    return bool(identifier["type"]["coding"][0]["code"] == "ACSN")


def _subject(content: FhirContent) -> Resource:
    return {**reference(content, "Patient"), "identifier": main_identifier(content)}


def based_on(content: FhirContent) -> list[Resource]:
    """Return references to the orders."""
    return [reference(content, "ServiceRequest", str(order.order_id)) for order in content.orders]


def device_value(model: ModelReference) -> str:
    """Return what tells one model version from every other: name, version, and the digest of the files that ran."""
    digest = f"/sha256:{model.digest}" if model.digest else ""
    return f"{model.name}/{model.version}{digest}"


def device(content: FhirContent, model: ModelReference) -> Resource:
    """Return the model version that spoke; its files by their digest, as a DICOM report gives them (TID 4019, 111002)."""
    files = {
        "type": concept(_coding(content, *_ALGORITHM_PARAMETERS)),
        "valueCode": [{"text": f"sha256={model.digest}"}],
    }
    return {
        "resourceType": "Device",
        "identifier": [{"system": content.system_of("model", ""), "value": device_value(model)}],
        "status": "active",
        "manufacturer": model.manufacturer,
        "deviceName": [
            {"name": model.title, "type": "user-friendly-name"} if model.title else {},
            {"name": model.name, "type": "model-name"},
        ],
        "version": [{"value": model.version}],
        "type": concept(_coding(content, *_ARTIFICIAL_INTELLIGENCE), text="AI model"),
        "property": [files] if model.digest else [],
    }


def observation(content: FhirContent, reported: ReportedFinding) -> Resource:
    """Return a finding; a withdrawn one keeps its name and loses its value."""
    finding = reported.finding
    values = {} if content.status.is_withdrawal else _values(content, finding)
    return {
        **_observation(content, reported, OBSERVATION_STATUS[content.status]),
        **values,
        **(_said_by(content, reported.model) if reported.model else {}),
    }


def _said_by(content: FhirContent, model: ModelReference) -> Resource:
    return {"method": concept(_coding(content, *METHOD)), "device": _device_reference(content, model)}


def _device_reference(content: FhirContent, model: ModelReference) -> Resource:
    return {**reference(content, "Device", device_value(model)), "display": device_value(model)}


def retracted_observation(content: FhirContent, reported: ReportedFinding) -> Resource:
    """Return a finding that was told before and is no longer stated."""
    return _observation(content, reported, RETRACTED_STATUS[content.status])


def _observation(content: FhirContent, reported: ReportedFinding, status: str) -> Resource:
    finding = reported.finding
    return {
        "resourceType": "Observation",
        "identifier": [own_identifier(observation_id_of(content.report_id, finding, reported.sub_id))],
        "basedOn": based_on(content),
        "status": status,
        "category": [concept(coding(f"{TERMINOLOGY}/observation-category", "imaging"))],
        "code": concept(*_names(content, finding), text=finding.display or finding.code),
        "subject": _subject(content),
        "effectiveDateTime": instant(content.effective_at),
        "issued": instant(content.issued_at),
        "performer": [reference(content, "Practitioner" if content.signer else "Organization")],
        "derivedFrom": [reference(content, "ImagingStudy")],
    }


def _names(content: FhirContent, finding: Finding) -> Iterator[Resource]:
    """Yield the finding's own code, then what its number measures, which more receivers know."""
    yield _coding(content, finding.scheme, finding.code, finding.display)
    if measured := property_of(finding):
        yield _coding(content, measured.scheme, measured.code, measured.display)


def property_of(finding: Finding) -> Concept | None:
    """Return what the number measures, unless that is the finding's own code."""
    measured = finding.property if finding.value is not None else None
    return measured if measured and (measured.scheme, measured.code) != (finding.scheme, finding.code) else None


def conclusion_codes(content: FhirContent) -> list[Resource]:
    """Return what the report concludes in codes: each finding that is there, and each that was answered by a code."""
    if content.status.is_withdrawal:
        return []
    named = (concluded(reported.finding) for reported in content.findings)
    return [concept(_coding(content, c.scheme, c.code, c.display), text=c.display) for c in named if c]


def concluded(finding: Finding) -> Concept | None:
    """Return the code that a finding concludes with; a number concludes nothing, nor does a code of our own."""
    scheme, code = finding.coded_value_scheme, finding.coded_value
    if finding.value is not None or not code or scheme not in CODE_SYSTEMS:
        return None
    if (scheme, code) == PRESENT:
        return Concept(code=finding.code, scheme=finding.scheme, display=finding.display)
    return Concept(code=code, scheme=scheme, display=finding.coded_value_display)


def _coding(content: FhirContent, scheme: str, code: str, display: str) -> Resource:
    return coding(coding_system(content.site_id, scheme), code, display)


def _values(content: FhirContent, finding: Finding) -> Resource:
    site = finding.finding_site
    return {
        "bodySite": concept(_coding(content, site.scheme, site.code, site.display), text=site.display) if site else {},
        "valueQuantity": _quantity(finding.value, finding.unit, finding.unit_display),
        "valueCodeableConcept": _coded_value(content, finding),
        "interpretation": list(_interpretation(finding.abnormal_flag)),
        "component": list(_certainty(content, finding.probability)),
    }


def _quantity(value: str | None, unit: str, unit_display: str) -> Resource:
    if value is None:
        return {}
    coded = {"system": coding_system("", "UCUM"), "code": unit} if unit else {}
    return {"value": Digits(value), "unit": unit_display or unit, **coded}


def _coded_value(content: FhirContent, finding: Finding) -> Resource:
    if not finding.coded_value:
        return {}
    system = coding_system(content.site_id, finding.coded_value_scheme)
    value = coding(system, finding.coded_value, finding.coded_value_display)
    return concept(value, text=finding.coded_value_display or finding.coded_value)


def _interpretation(flag: str) -> Iterator[Resource]:
    if flag in INTERPRETATIONS:
        yield concept(coding(f"{TERMINOLOGY}/v3-ObservationInterpretation", flag))
    elif flag:
        yield concept(text=flag)


def _certainty(content: FhirContent, probability: str | None) -> Iterator[Resource]:
    """Write the model's probability, 0 to 1, as a component: R4 has no element for it."""
    scheme, code, display = CERTAINTY
    if probability is not None:
        name = concept(_coding(content, scheme, code, display))
        yield {"code": name, "valueQuantity": _quantity(probability, "1", "1")}
