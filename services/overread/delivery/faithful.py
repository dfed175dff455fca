"""A report document's own words, in the shape in which what a message says is compared with them."""

from collections import Counter
from collections.abc import Sequence

from overread.contracts.events.inference import Concept, Finding
from overread.contracts.events.reports import ReportDocument
from overread.contracts.identifiers import nfc

SaidFinding = tuple[str, ...]
"""Scheme, code, sub-ID; value, unit, scheme and code of a coded value, probability, abnormal flag; scheme and code of
the site, and of the property that the number measures."""

NumberedFinding = tuple[Finding, str]
"""A finding and the sub-ID that it keeps through every status (OBX-4)."""


def identifiers_of(document: ReportDocument) -> frozenset[tuple[str, str, str]]:
    """Return each identifier of the patient with who gave it and its type."""
    return frozenset(
        (nfc(i.id_number).strip(), nfc(i.assigning_authority).strip(), i.identifier_type_code.strip())
        for i in document.patient.identifiers
    )


def name_of(document: ReportDocument) -> tuple[str, str]:
    """Return family and given name."""
    return nfc(document.patient.family_name).strip(), nfc(document.patient.given_name).strip()


def birth_date_of(document: ReportDocument) -> str:
    """Return the date of birth, empty where it is not known."""
    return document.patient.birth_date.isoformat() if document.patient.birth_date else ""


def sex_of(document: ReportDocument) -> str:
    """Return the patient's sex."""
    return nfc(document.patient.sex).strip()


def lines(text: str) -> tuple[str, ...]:
    """Return what a message keeps of a text: its lines in NFC, without blanks around them and empty ones."""
    every = nfc(text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return tuple(stripped for line in every if (stripped := line.strip()))


def numbered(findings: Sequence[Finding]) -> tuple[NumberedFinding, ...]:
    """Return each finding with its sub-ID (OBX-4): its own, or which one of its code it is.

    Where two versions of a model say the same code under the same sub-ID, the second's is made of both.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for finding in findings:
        own = finding.observation_sub_id
        seen[finding.scheme, finding.code, own] += 1
        found.append((finding, _sub_id(own, seen[finding.scheme, finding.code, own])))
    return tuple(found)


def _sub_id(own: str, count: int) -> str:
    if not own:
        return str(count)
    return own if count == 1 else f"{own}.{count}"


def name_of_finding(finding: Finding, sub_id: str) -> SaidFinding:
    """Return what a receiver knows a finding by."""
    return nfc(finding.scheme), nfc(finding.code), nfc(sub_id)


def stated(findings: Sequence[NumberedFinding], *, without_values: bool = False) -> tuple[SaidFinding, ...]:
    """Return what is stated of each finding; what takes back only names them."""
    return tuple(_stated(finding, sub_id, without_values=without_values) for finding, sub_id in findings)


def _stated(finding: Finding, sub_id: str, *, without_values: bool) -> SaidFinding:
    name, measured = name_of_finding(finding, sub_id), _code_of(property_of(finding))
    if without_values:
        return (*name, *("",) * 8, *measured)
    if finding.value is not None:
        said = (finding.value, nfc(finding.unit), "", "")
    else:
        said = ("", "", nfc(finding.coded_value_scheme), nfc(finding.coded_value))
    return (
        *name,
        *said,
        finding.probability or "",
        finding.abnormal_flag,
        *_code_of(finding.finding_site),
        *measured,
    )


def property_of(finding: Finding) -> Concept | None:
    """Return what the finding's number measures, where it is another concept than the finding itself."""
    measured = finding.property
    is_said = finding.value is not None and measured is not None
    return measured if is_said and _code_of(measured) != (nfc(finding.scheme), nfc(finding.code)) else None


def _code_of(concept: Concept | None) -> tuple[str, str]:
    return (nfc(concept.scheme), nfc(concept.code)) if concept else ("", "")
