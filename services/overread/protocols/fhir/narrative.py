"""A report as a person reads it: XHTML made from the resources alone, so that it can't say anything else than they do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from overread.protocols.hl7.oru_content import Language

Resource = Mapping[str, Any]

TITLE: Mapping[Language, str] = {
    Language.VIETNAMESE: "Kết quả chẩn đoán hình ảnh",
    Language.ENGLISH: "Imaging report",
    Language.FRENCH: "Compte rendu d'imagerie",
}
_STATUS: Mapping[Language, Mapping[str, str]] = {
    Language.VIETNAMESE: {
        "partial": "Chưa được xác nhận",
        "preliminary": "Sơ bộ",
        "final": "Đã ký",
        "corrected": "Đã sửa và ký lại",
        "cancelled": "Đã huỷ",
        "entered-in-error": "Đã thu hồi",
    },
    Language.ENGLISH: {
        "partial": "Not confirmed",
        "preliminary": "Preliminary",
        "final": "Signed",
        "corrected": "Corrected and signed",
        "cancelled": "Cancelled",
        "entered-in-error": "Withdrawn",
    },
    Language.FRENCH: {
        "partial": "Non confirmé",
        "preliminary": "Préliminaire",
        "final": "Signé",
        "corrected": "Corrigé et signé",
        "cancelled": "Annulé",
        "entered-in-error": "Retiré",
    },
}
_LABELS: Mapping[Language, tuple[str, str, str, str, str]] = {
    Language.VIETNAMESE: ("Trạng thái", "Bệnh nhân", "Số phiếu", "Ca chụp", "Người ký"),
    Language.ENGLISH: ("Status", "Patient", "Accession number", "Study", "Signed by"),
    Language.FRENCH: ("État", "Patient", "Numéro d'accès", "Examen", "Signé par"),
}


def div(report: Resource, others: Sequence[Resource], observations: Sequence[Resource]) -> str:
    """Return the narrative of `report` (R4, Narrative.div); `others` are the resources that it refers to."""
    language = Language(report["language"])
    rows = "".join(f"<tr>{_row(observation)}</tr>" for observation in observations)
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    body = f"<h1>{escape(TITLE[language])}</h1>{_facts(language, report, others)}{_conclusion(report)}{table}"
    return f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}">{body}</div>'


def document(report: Resource, narrative: str) -> str:
    """Return the narrative as an HTML page of its own, for DiagnosticReport.presentedForm."""
    language = Language(report["language"])
    head = f'<head><meta charset="utf-8"/><title>{escape(TITLE[language])}</title></head>'
    return f'<!DOCTYPE html>\n<html lang="{language}">{head}<body>{narrative}</body></html>\n'


def _facts(language: Language, report: Resource, others: Sequence[Resource]) -> str:
    status, patient, accession, study, signer = _LABELS[language]
    facts = (
        (status, _STATUS[language][report["status"]]),
        (patient, " · ".join(_person(others, "Patient"))),
        (accession, ", ".join(_accession_numbers(others))),
        (study, " · ".join(_study(report, others))),
        (signer, " · ".join(_signature(others))),
    )
    return "".join(f"<p>{escape(label)}: <b>{escape(said)}</b></p>" for label, said in facts if said)


def _person(others: Iterable[Resource], kind: str) -> Iterator[str]:
    for person in of_kind(others, kind):
        yield from (name.get("text", "") for name in person.get("name", ()))
        yield from (identifier["value"] for identifier in person["identifier"])
        yield from (person[name] for name in ("birthDate", "gender") if name in person)


def _accession_numbers(others: Iterable[Resource]) -> Iterator[str]:
    for study in of_kind(others, "ImagingStudy"):
        yield from (identifier["value"] for identifier in study["identifier"][1:])


def _study(report: Resource, others: Iterable[Resource]) -> Iterator[str]:
    for study in of_kind(others, "ImagingStudy"):
        yield from (study[name] for name in ("description",) if name in study)
        yield from (modality["code"] for modality in study.get("modality", ()))
        yield study["identifier"][0]["value"].removeprefix("urn:oid:")
    yield from (report[name] for name in ("effectiveDateTime",) if name in report)


def _signature(others: Sequence[Resource]) -> Iterator[str]:
    for provenance in of_kind(others, "Provenance"):
        if "occurredDateTime" in provenance:
            yield from _person(others, "Practitioner")
            yield provenance["occurredDateTime"]


def _conclusion(report: Resource) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in report.get("conclusion", "").split("\n") if line.strip())


def _row(observation: Resource) -> str:
    cells = (_name(observation), _value(observation), _certainty(observation), _source(observation))
    return "".join(f"<td>{escape(cell)}</td>" for cell in cells)


def _name(observation: Resource) -> str:
    site = observation.get("bodySite", {}).get("text", "")
    return " · ".join(part for part in (observation["code"]["text"], site) if part)


def _value(observation: Resource) -> str:
    flags = " ".join(f.get("text") or f["coding"][0]["code"] for f in observation.get("interpretation", ()))
    return f"{quantity(observation) or observation.get('valueCodeableConcept', {}).get('text', '')} {flags}".strip()


def quantity(holder: Resource) -> str:
    """Return number and unit as they are written, or nothing."""
    said = holder.get("valueQuantity")
    return f"{said['value']} {said.get('unit', '')}".strip() if said else ""


def _certainty(observation: Resource) -> str:
    return " ".join(f"p = {component['valueQuantity']['value']}" for component in observation.get("component", ()))


def _source(observation: Resource) -> str:
    """Name the model that said it: name, version and digest."""
    return str(observation.get("device", {}).get("display", ""))


def of_kind(resources: Iterable[Resource], kind: str) -> Iterator[Resource]:
    """Yield the resources of one type."""
    return (resource for resource in resources if resource["resourceType"] == kind)
