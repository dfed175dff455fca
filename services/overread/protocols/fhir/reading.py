"""Reads a result bundle of ours back, so that the gate compares what will be sent with what was signed."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from overread.contracts.errors import Malformed
from overread.contracts.events.inference import Concept
from overread.contracts.events.reports import Signer
from overread.contracts.identifiers import nfc
from overread.protocols.fhir import narrative, resources
from overread.protocols.fhir.codes import DICOM_UID_SYSTEM, UUID_SYSTEM, coding_system
from overread.protocols.fhir.content import (
    OBSERVATION_STATUS,
    RETRACTED_STATUS,
    FhirContent,
    ReportedFinding,
    ReportStatus,
    observation_id,
)
from overread.protocols.fhir.narrative import of_kind
from overread.protocols.fhir.sentences import status_notices
from overread.protocols.hl7.oru_content import SYNTHETIC, Language, one_kind_of_line_end

Resource = Mapping[str, Any]


class Unfaithful(Malformed):
    """The bundle does not read as one of our results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidFinding:
    """A finding as the bundle says it: numbers are the digits that stand there, code systems are URIs."""

    observation_id: UUID
    system: str
    code: str
    value: str = ""
    unit: str = ""
    coded_system: str = ""
    coded_value: str = ""
    probability: str = ""
    abnormal_flag: str = ""
    site_system: str = ""
    site_code: str = ""
    property_system: str = ""
    property_code: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirReading:
    """What a bundle of ours says; an identifier is (system, value).

    `models` are name, version and digest of each; `retracted` are the findings that no longer hold. A series is its UID,
    its modality, and how many images it has.
    """

    report_id: UUID
    status: ReportStatus
    language: Language
    is_synthetic: bool
    patient_identifiers: frozenset[tuple[str, str]]
    family_name: str
    given_name: str
    birth_date: str
    gender: str
    order_identifiers: tuple[frozenset[tuple[str, str]], ...]
    accession_numbers: tuple[str, ...]
    study_instance_uid: str
    series: tuple[tuple[str, str, str], ...]
    effective_at: datetime | None
    issued_at: datetime
    findings: tuple[SaidFinding, ...]
    retracted: frozenset[UUID]
    models: frozenset[str]
    conclusion: str
    conclusion_codes: tuple[tuple[str, str], ...]
    reason: str
    signer: Signer | None
    signed_at: datetime | None
    digest: str


def read(raw: bytes) -> FhirReading:
    """Read what a rendered bundle says, or raise `Unfaithful` with what does not fit together in it.

    Every finding must be of the report's patient and carry the report's status; narrative and presented form must say
    what the resources say.
    """
    try:
        return _Bundle(json.loads(raw, parse_float=str, parse_int=str)).reading()
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise Unfaithful("The bundle has not the shape of our results.") from None


class _Bundle:
    """The resources of one transaction, by type and by full URL."""

    def __init__(self, bundle: Resource) -> None:
        if (bundle["resourceType"], bundle["type"]) != ("Bundle", "transaction"):
            raise Unfaithful("It is no transaction.")
        self.resources: list[Resource] = [entry["resource"] for entry in bundle["entry"]]
        self.by_url: dict[str, Resource] = {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}
        if len(self.by_url) < len(self.resources):
            raise Unfaithful("Two entries have the same full URL.")
        self.report = self.only("DiagnosticReport")
        self.status, self.language = ReportStatus(self.report["status"]), Language(self.report["language"])
        self.results: list[Resource] = [self.target(result) for result in self.report.get("result", ())]

    def only(self, kind: str) -> Resource:
        found = list(of_kind(self.resources, kind))
        if len(found) != 1:
            raise Unfaithful(f"The bundle does not hold exactly one {kind}.")
        return found[0]

    def target(self, reference: Resource) -> Resource:
        if reference["reference"] not in self.by_url:
            raise Unfaithful("A reference names nothing in the bundle.")
        return self.by_url[reference["reference"]]

    def reading(self) -> FhirReading:
        patient, study, provenance = (self.only(kind) for kind in ("Patient", "ImagingStudy", "Provenance"))
        self._require_one_patient(patient)
        self._require_statuses()
        self._require_narrative()
        is_synthetic = self._is_synthetic()
        reason = "".join(reason["text"] for reason in provenance.get("reason", ()))
        name: Resource = next(iter(patient.get("name", ())), {})
        return FhirReading(
            report_id=_own_id(self.report),
            status=self.status,
            language=self.language,
            is_synthetic=is_synthetic,
            patient_identifiers=_identifiers(patient),
            family_name=name.get("family", ""),
            given_name=" ".join(name.get("given", ())),
            birth_date=patient.get("birthDate", ""),
            gender=patient.get("gender", ""),
            order_identifiers=tuple(_identifiers(self.target(order)) for order in self.report.get("basedOn", ())),
            accession_numbers=tuple(identifier["value"] for identifier in study["identifier"][1:]),
            study_instance_uid=_study_instance_uid(study),
            series=tuple(_series(series) for series in study.get("series", ())),
            effective_at=_time(self.report.get("effectiveDateTime")),
            issued_at=datetime.fromisoformat(self.report["issued"]),
            findings=tuple(_finding(observation) for observation in self.results),
            retracted=frozenset(_own_id(observation) for observation in self._retracted()),
            models=frozenset(device["identifier"][0]["value"] for device in of_kind(self.resources, "Device")),
            conclusion=self._conclusion(reason, is_synthetic=is_synthetic),
            conclusion_codes=tuple(_pair(code["coding"]) for code in self.report.get("conclusionCode", ())),
            reason=reason,
            signer=self._signer(provenance),
            signed_at=_time(provenance.get("occurredDateTime")),
            digest=provenance["entity"][1]["what"]["identifier"]["value"].removeprefix("sha256:"),
        )

    def _retracted(self) -> Iterator[Resource]:
        stated = [id(observation) for observation in self.results]
        return (o for o in of_kind(self.resources, "Observation") if id(o) not in stated)

    def _require_one_patient(self, patient: Resource) -> None:
        about = (r["subject"] for r in self.resources if "subject" in r)
        if any(self.target(subject) is not patient for subject in about):
            raise Unfaithful("A resource is about somebody else.")
        if any(subject["identifier"] not in patient["identifier"] for subject in self._subjects()):
            raise Unfaithful("A resource names another patient.")

    def _subjects(self) -> Iterator[Resource]:
        return (resource["subject"] for resource in self.resources if "subject" in resource)

    def _require_statuses(self) -> None:
        if any(observation["status"] != OBSERVATION_STATUS[self.status] for observation in self.results):
            raise Unfaithful("A finding has another status than the report.")
        for observation in self._retracted():
            if observation["status"] != RETRACTED_STATUS[self.status] or _values(observation):
                raise Unfaithful("A finding that the report does not state still holds.")
        if self.status.is_withdrawal and any(_values(observation) for observation in self.results):
            raise Unfaithful("A withdrawn finding still has a value.")

    def _require_narrative(self) -> None:
        div = narrative.div(self.report, self.resources, self.results)
        if self.report["text"]["div"] != div:
            raise Unfaithful("The narrative says something else than the resources.")
        for form in self.report.get("presentedForm", ()):
            if base64.b64decode(form["data"]).decode() != narrative.document(self.report, div):
                raise Unfaithful("The presented form says something else than the resources.")

    def _is_synthetic(self) -> bool:
        marks = {"HTEST" in [mark["code"] for mark in r.get("meta", {}).get("security", ())] for r in self.resources}
        if len(marks) != 1:
            raise Unfaithful("Some resources are marked as test data and some are not.")
        return marks.pop()

    def _conclusion(self, reason: str, *, is_synthetic: bool) -> str:
        """Take our own sentences off the conclusion; each that is due must be there."""
        synthetic = (SYNTHETIC[self.language],) if is_synthetic else ()
        due = (*status_notices(self.status, self.language), *synthetic, *((reason,) if reason else ()))
        text = self.report.get("conclusion", "")
        for sentence in due:
            if text != sentence and not text.startswith(f"{sentence}\n"):
                raise Unfaithful("The conclusion lacks a sentence that is due before it.")
            text = text[len(sentence) :].removeprefix("\n")
        return str(text)

    def _signer(self, provenance: Resource) -> Signer | None:
        """Return who signed, if the status has it; report and provenance must name the same person."""
        interpreters = [self.target(who) for who in self.report.get("resultsInterpreter", ())]
        verifiers = [self.target(agent["who"]) for agent in provenance["agent"] if _role(agent) == "verifier"]
        if interpreters != verifiers or bool(interpreters) != self.status.is_signed:
            raise Unfaithful("Signer and status do not fit together.")
        if not interpreters:
            return None
        name = interpreters[0]["name"][0]
        subject = interpreters[0]["identifier"][0]["value"]
        return Signer(subject=subject, family_name=name["family"], given_name=" ".join(name.get("given", ())))


def _role(agent: Resource) -> str:
    return str(agent["type"]["coding"][0]["code"])


def _own_id(resource: Resource) -> UUID:
    identifier = resource["identifier"][0]
    if identifier["system"] != UUID_SYSTEM:
        raise Unfaithful("A resource of ours has not our identifier.")
    return UUID(identifier["value"])


def _identifiers(resource: Resource) -> frozenset[tuple[str, str]]:
    return frozenset((identifier["system"], identifier["value"]) for identifier in resource["identifier"])


def _study_instance_uid(study: Resource) -> str:
    identifier = study["identifier"][0]
    if identifier["system"] != DICOM_UID_SYSTEM:
        raise Unfaithful("The study has no DICOM UID.")
    return str(identifier["value"]).removeprefix("urn:oid:")


def _series(series: Resource) -> tuple[str, str, str]:
    return series["uid"], series["modality"]["code"], series.get("numberOfInstances", "")


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _values(observation: Resource) -> bool:
    return any(name.startswith("value") or name in {"component", "bodySite"} for name in observation)


def _finding(observation: Resource) -> SaidFinding:
    name, *measured = observation["code"]["coding"]
    number = observation.get("valueQuantity", {})
    coded: Resource = next(iter(observation.get("valueCodeableConcept", {}).get("coding", ())), {})
    flags = [flag.get("text") or flag["coding"][0]["code"] for flag in observation.get("interpretation", ())]
    certainties = [component["valueQuantity"]["value"] for component in observation.get("component", ())]
    (site_system, site_code), (property_system, property_code) = (
        _pair(codings) for codings in (observation.get("bodySite", {}).get("coding", ()), measured)
    )
    return SaidFinding(
        observation_id=_own_id(observation),
        system=name["system"],
        code=name["code"],
        value=number.get("value", ""),
        unit=number.get("code", ""),
        coded_system=coded.get("system", ""),
        coded_value=coded.get("code", ""),
        probability="".join(certainties),
        abnormal_flag="".join(flags),
        site_system=site_system,
        site_code=site_code,
        property_system=property_system,
        property_code=property_code,
        model=observation.get("device", {}).get("display", ""),
    )


def _pair(codings: Sequence[Resource]) -> tuple[str, str]:
    """Read the one coding, if there is one."""
    if not codings:
        return "", ""
    (only,) = codings
    return only["system"], only["code"]


def meant(content: FhirContent) -> FhirReading:
    """Return what a faithful bundle of `content` reads as; made without the bundle."""
    patient = resources.patient(content)
    return FhirReading(
        report_id=content.report_id,
        status=content.status,
        language=content.language,
        is_synthetic=content.is_synthetic,
        patient_identifiers=_pairs(patient["identifier"]),
        family_name=nfc(content.patient.family_name.strip()),
        given_name=nfc(content.patient.given_name.strip()),
        birth_date=content.patient.birth_date.isoformat() if content.patient.birth_date else "",
        gender=patient["gender"] or "",
        order_identifiers=tuple(
            _pairs(resources.service_request(content, order)["identifier"]) for order in content.orders
        ),
        accession_numbers=tuple(nfc(order.accession_number) for order in content.orders if order.accession_number),
        study_instance_uid=content.study_instance_uid,
        series=tuple(
            (series.series_instance_uid, series.modality, str(series.instance_count))
            for series in content.series
            if series.modality
        ),
        effective_at=_to_the_millisecond(content.effective_at),
        issued_at=_to_the_millisecond(content.issued_at) or content.issued_at,
        findings=tuple(_meant_finding(content, reported) for reported in content.findings),
        retracted=frozenset(observation_id(content.report_id, r.finding, r.sub_id) for r in content.retracted),
        models=frozenset(nfc(resources.device_value(model)) for model in content.models),
        conclusion=nfc(one_kind_of_line_end(content.conclusion).strip()),
        conclusion_codes=_meant_codes(content),
        reason=nfc(content.reason.strip()),
        signer=_in_nfc(content.signer),
        signed_at=_to_the_millisecond(content.signed_at),
        digest=content.digest,
    )


def _pairs(identifiers: Sequence[Resource]) -> frozenset[tuple[str, str]]:
    return frozenset((identifier["system"], nfc(identifier["value"])) for identifier in identifiers)


def _to_the_millisecond(moment: datetime | None) -> datetime | None:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000) if moment else None


def _in_nfc(signer: Signer | None) -> Signer | None:
    if signer is None:
        return None
    names = (nfc(text.strip()) for text in (signer.subject, signer.family_name, signer.given_name))
    return Signer(**dict(zip(("subject", "family_name", "given_name"), names, strict=True)))


def _meant_finding(content: FhirContent, reported: ReportedFinding) -> SaidFinding:
    finding = reported.finding
    property_system, property_code = _meant_code(content, resources.property_of(finding))
    name: dict[str, Any] = {
        "observation_id": observation_id(content.report_id, finding, reported.sub_id),
        "system": coding_system(content.site_id, finding.scheme),
        "code": nfc(finding.code),
        "property_system": property_system,
        "property_code": property_code,
        "model": nfc(resources.device_value(reported.model)) if reported.model else "",
    }
    if content.status.is_withdrawal:
        return SaidFinding(**name)
    coded_system = coding_system(content.site_id, finding.coded_value_scheme) if finding.coded_value else ""
    site_system, site_code = _meant_code(content, finding.finding_site)
    return SaidFinding(
        **name,
        value=finding.value or "",
        unit=nfc(finding.unit) if finding.value is not None else "",
        coded_system=coded_system,
        coded_value=nfc(finding.coded_value),
        probability=finding.probability or "",
        abnormal_flag=nfc(finding.abnormal_flag),
        site_system=site_system,
        site_code=site_code,
    )


def _meant_codes(content: FhirContent) -> tuple[tuple[str, str], ...]:
    concluded = (resources.concluded(reported.finding) for reported in content.findings)
    return () if content.status.is_withdrawal else tuple(_meant_code(content, c) for c in concluded if c)


def _meant_code(content: FhirContent, concept: Concept | None) -> tuple[str, str]:
    return (coding_system(content.site_id, concept.scheme), nfc(concept.code)) if concept else ("", "")
