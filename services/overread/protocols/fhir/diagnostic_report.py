"""A result as a FHIR R4 transaction: equal contents give equal bytes, and sending them twice changes nothing.

Every entry is conditional. What belongs to the receiver (patient, order, organization, clinician) is created only where
it is missing and never overwritten; what belongs to us (report, findings) is updated under the same identifier from
draft to correction (FHIR R4, RESTful API: conditional create, conditional update, transaction).
"""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from uuid import UUID

from overread.contracts import codec
from overread.contracts.identifiers import deterministic_id, nfc
from overread.protocols.fhir import narrative, resources
from overread.protocols.fhir.codes import TERMINOLOGY, UUID_SYSTEM, coding, concept, own_identifier
from overread.protocols.fhir.content import (
    FhirContent,
    NotRenderable,
    ReportedFinding,
    ReportStatus,
    check,
    observation_id,
)
from overread.protocols.fhir.reading import FhirReading, Unfaithful, meant, read
from overread.protocols.fhir.resources import Digits, Resource, instant, reference
from overread.protocols.fhir.sentences import notices
from overread.protocols.hl7.oru_content import one_kind_of_line_end

__all__ = [
    "FhirContent",
    "FhirReading",
    "NotRenderable",
    "ReportStatus",
    "ReportedFinding",
    "Unfaithful",
    "meant",
    "read",
    "render",
]

_IMAGING_STUDY = ("http://loinc.org", "18748-4", "Diagnostic imaging study")
_LEGALLY_AUTHENTICATED = (f"{TERMINOLOGY}/v3-DocumentCompletion", "LA", "legally authenticated")


def render(content: FhirContent) -> bytes:
    """Write the transaction that says `content`; `NotRenderable` when a rule of FHIR forbids it.

    What no clinician has confirmed says so in the first line of its conclusion; an interpreter and a presented form
    are there for signed results only.
    """
    check(content)
    entries = [_pruned(entry) for entry in _entries(content)]
    _tell(entries)
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return codec.json_bytes(_written(bundle))


def _entries(content: FhirContent) -> Iterator[Resource]:
    """Yield what the report refers to, then the findings, the report, and where it comes from."""
    yield from _foreign_entries(content)
    for reported in content.findings:
        yield _updated(content, resources.observation(content, reported), _key(content, reported))
    for reported in content.retracted:
        yield _updated(content, resources.retracted_observation(content, reported), _key(content, reported))
    yield _updated(content, _report(content), "")
    yield _provenance_entry(content)


def _foreign_entries(content: FhirContent) -> Iterator[Resource]:
    yield _created(content, resources.organization(content))
    yield _created(content, resources.patient(content), main=resources.main_identifier(content))
    if content.signer:
        yield _created(content, resources.practitioner(content, content.signer))
    for order in content.orders:
        yield _created(content, resources.service_request(content, order), str(order.order_id))
    yield _created(content, resources.imaging_study(content))
    for model in {resources.device_value(model): model for model in content.models}.values():
        yield _created(content, resources.device(content, model), resources.device_value(model))


def _key(content: FhirContent, reported: ReportedFinding) -> str:
    return str(observation_id(content.report_id, reported.finding, reported.sub_id))


def _created(content: FhirContent, resource: Resource, key: str = "", *, main: Resource | None = None) -> Resource:
    """Return an entry that creates the resource unless the receiver has one of that number (conditional create)."""
    kind = resource["resourceType"]
    query = _query("identifier", main or resource["identifier"][0])
    request = {"method": "POST", "url": kind, "ifNoneExist": query}
    return _entry(content, resource, key, request)


def _updated(content: FhirContent, resource: Resource, key: str) -> Resource:
    """Return an entry that makes the receiver's resource of that identifier read like this one (conditional update)."""
    query = _query("identifier", resource["identifier"][0])
    return _entry(content, resource, key, {"method": "PUT", "url": f"{resource['resourceType']}?{query}"})


def _entry(content: FhirContent, resource: Resource, key: str, request: Resource) -> Resource:
    told = {"meta": resources.meta(content), **resource}
    return {
        "fullUrl": resources.full_url(content, resource["resourceType"], key),
        "resource": told,
        "request": request,
    }


def _query(parameter: str, token: Resource) -> str:
    value = token.get("value") or token["code"]
    return f"{parameter}={quote(token['system'], safe=':/')}%7C{quote(nfc(value), safe=':')}"


def _report(content: FhirContent) -> Resource:
    is_stated = content.status in (ReportStatus.FINAL, ReportStatus.CORRECTED)
    return {
        "resourceType": "DiagnosticReport",
        "language": content.language.value,
        "identifier": [own_identifier(content.report_id)],
        "basedOn": resources.based_on(content),
        "status": content.status.value,
        "category": [concept(coding(f"{TERMINOLOGY}/v2-0074", "RAD"))],
        "code": _report_code(content),
        "subject": {**reference(content, "Patient"), "identifier": resources.main_identifier(content)},
        "encounter": _encounter(content),
        "effectiveDateTime": instant(content.effective_at),
        "issued": instant(content.issued_at),
        "performer": [reference(content, "Organization")],
        "resultsInterpreter": [reference(content, "Practitioner")] if content.signer else [],
        "imagingStudy": [reference(content, "ImagingStudy")],
        "result": [reference(content, "Observation", _key(content, reported)) for reported in content.findings],
        "conclusion": _conclusion(content),
        "conclusionCode": resources.conclusion_codes(content),
        "presentedForm": [{"contentType": "text/html", "language": content.language.value}] if is_stated else [],
    }


def _report_code(content: FhirContent) -> Resource:
    """Name the ordered services, and always LOINC's imaging study, which every receiver knows."""
    ordered = [coding for order in content.orders for coding in resources.service_codings(content, order)]
    unique = {(c["system"], c["code"]): c for c in (*ordered, coding(*_IMAGING_STUDY))}
    text = next((order.service.text for order in content.orders if order.service and order.service.text), "")
    return concept(*unique.values(), text=text or _IMAGING_STUDY[2])


def _encounter(content: FhirContent) -> Resource:
    visit = next((order.visit_number for order in content.orders if order.visit_number), "")
    return {"identifier": {"system": content.system_of("visit", ""), "value": visit}} if visit else {}


def _conclusion(content: FhirContent) -> str:
    lines = (*notices(content.status, content.language, is_synthetic=content.is_synthetic), content.reason.strip())
    return "\n".join(line for line in (*lines, one_kind_of_line_end(content.conclusion).strip()) if line)


def _provenance_entry(content: FhirContent) -> Resource:
    """Return where the report comes from; R4 gives Provenance no identifier, so it carries its own as a tag."""
    own = _provenance_id(content)
    tag = coding(UUID_SYSTEM, own.urn)
    resource = {**_provenance(content), "meta": {**resources.meta(content), "tag": [tag]}}
    request = {"method": "POST", "url": "Provenance", "ifNoneExist": _query("_tag", tag)}
    return _entry(content, resource, "", request)


def _provenance_id(content: FhirContent) -> UUID:
    revision = (str(content.report_id), str(content.report_revision), content.status.value, content.digest)
    return deterministic_id("fhir", "Provenance", *revision)


def _provenance(content: FhirContent) -> Resource:
    findings = (*content.findings, *content.retracted)
    return {
        "resourceType": "Provenance",
        "target": [
            reference(content, "DiagnosticReport"),
            *(reference(content, "Observation", _key(content, reported)) for reported in findings),
        ],
        "occurredDateTime": instant(content.signed_at),
        "recorded": instant(content.issued_at),
        "reason": [{"text": content.reason.strip()}] if content.reason.strip() else [],
        "activity": concept(coding(*_LEGALLY_AUTHENTICATED)) if content.signer else {},
        "agent": [*_assemblers(content), *_verifier(content)],
        "entity": list(_sources(content)),
    }


def _assemblers(content: FhirContent) -> list[Resource]:
    """Name the models; where none spoke, the site."""
    values = dict.fromkeys(resources.device_value(model) for model in content.models)
    devices = [_agent("assembler", reference(content, "Device", value)) for value in values]
    return devices or [_agent("assembler", reference(content, "Organization"))]


def _verifier(content: FhirContent) -> Iterator[Resource]:
    if content.signer:
        yield _agent("verifier", reference(content, "Practitioner"))


def _agent(role: str, who: Resource) -> Resource:
    return {"type": concept(coding(f"{TERMINOLOGY}/provenance-participant-type", role)), "who": who}


def _sources(content: FhirContent) -> Iterator[Resource]:
    """Name the study, the document that was shown or signed by its digest, and the revision that this one replaces."""
    yield {"role": "source", "what": reference(content, "ImagingStudy")}
    digest = {"system": content.system_of("document", ""), "value": f"sha256:{content.digest}"}
    yield {"role": "source", "what": {"identifier": digest, "display": f"revision {content.report_revision}"}}
    if content.predecessor_revision is not None:
        earlier = own_identifier(content.report_id)
        yield {
            "role": "revision",
            "what": {"identifier": earlier, "display": f"revision {content.predecessor_revision}"},
        }


def _tell(entries: Sequence[Resource]) -> None:
    """Write narrative and presented form into the report, from nothing but the resources of the bundle."""
    every: list[Resource] = [entry["resource"] for entry in entries]
    report = next(resource for resource in every if resource["resourceType"] == "DiagnosticReport")
    by_url = {entry["fullUrl"]: entry["resource"] for entry in entries}
    stated = [by_url[result["reference"]] for result in report.get("result", ())]
    div = narrative.div(report, every, stated)
    report["text"] = {"status": "generated", "div": div}
    for form in report.get("presentedForm", ()):
        form.update(_attachment(narrative.document(report, div).encode()))


def _attachment(data: bytes) -> Resource:
    """Return the content of an Attachment with its SHA-1, as R4 asks (Attachment)."""
    digest = hashlib.sha1(data, usedforsecurity=False).digest()
    return {"data": base64.b64encode(data).decode(), "hash": base64.b64encode(digest).decode(), "size": len(data)}


def _pruned(value: Any) -> Any:
    """Return the tree in NFC and without what is empty: FHIR has no empty elements (R4, JSON representation)."""
    match value:
        case Digits():
            return value
        case str():
            return nfc(value)
        case Mapping():
            kept = {name: _pruned(child) for name, child in value.items()}
            return {name: child for name, child in kept.items() if child not in (None, "", [], {})}
        case list():
            return [child for child in map(_pruned, value) if child not in (None, "", [], {})]
        case _:
            return value


def _written(value: Any) -> Any:
    """Return the tree with its numbers as JSON writes them: digit by digit."""
    match value:
        case Digits():
            return codec.number(value)
        case dict():
            return {name: _written(child) for name, child in value.items()}
        case list():
            return [_written(child) for child in value]
        case _:
            return value
