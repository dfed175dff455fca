"""The report as a page for people: what the document says, and above all whether a clinician stands behind it."""

from collections.abc import Iterator, Mapping

from overread.contracts.events.inference import Finding
from overread.contracts.identifiers import nfc
from overread.delivery import faithful
from overread.delivery.destinations import Hl7Destination
from overread.delivery.sequence import Status
from overread.delivery.telling import Telling
from overread.protocols.hl7.oru_content import SYNTHETIC, UNCONFIRMED, Language

TITLE: Mapping[Language, str] = {
    Language.VIETNAMESE: "Kết quả chẩn đoán hình ảnh",
    Language.ENGLISH: "Imaging report",
    Language.FRENCH: "Compte rendu d'imagerie",
}
LABELS: Mapping[Language, tuple[str, str, str, str, str]] = {
    Language.VIETNAMESE: ("Bệnh nhân", "Số phiếu", "Ca chụp", "Người ký", "Đính chính"),
    Language.ENGLISH: ("Patient", "Accession number", "Study", "Signed by", "Correction"),
    Language.FRENCH: ("Patient", "Numéro d'accès", "Examen", "Signé par", "Rectification"),
}
_COMMA = frozenset({Language.VIETNAMESE, Language.FRENCH})


def pdf_of(telling: Telling[Hl7Destination]) -> bytes:
    """Return the report as a PDF; what nobody has signed says so in its first line and at the foot of each page."""
    from overread.protocols.dicom import page  # noqa: PLC0415 - image libraries cost a second

    title, said = TITLE[telling.language], tuple(lines_of(telling))
    lines = [page.Line(title, page.LARGE), *(page.Line(line) for line in said)]
    return page.pdf(lines, title=title, footer=said[0], made_at=telling.said_at)


def lines_of(telling: Telling[Hl7Destination]) -> Iterator[str]:
    """Yield what stands on the page, from above: whether it is signed, whose it is, what is stated."""
    language, document = telling.language, telling.document
    patient, accession, study, _, correction = LABELS[language]
    yield _standing(telling)
    if document.is_synthetic:
        yield SYNTHETIC[language]
    if telling.status is Status.CORRECTED:
        yield f"{correction}: {telling.reason}"
    yield f"{patient}: {' · '.join(_person(telling))}"
    numbers = ", ".join(order.accession_number for order in telling.orders if order.accession_number)
    if numbers:
        yield f"{accession}: {numbers}"
    described = (document.study_description, "/".join(document.modalities), document.study_date_time[:16])
    yield f"{study}: {' · '.join(part for part in described if part)}"
    yield ""
    yield from (_finding(finding, language) for finding, _ in telling.stated)
    yield ""
    yield from faithful.lines(document.conclusion)


def _standing(telling: Telling[Hl7Destination]) -> str:
    signer = telling.document.signed_by if telling.status.is_signed else None
    if signer is None:
        return UNCONFIRMED[telling.language]
    signed_by = LABELS[telling.language][3]
    return nfc(
        f"{signed_by}: {signer.family_name} {signer.given_name} ({signer.subject}), {telling.said_at:%Y-%m-%d %H:%M}"
    )


def _person(telling: Telling[Hl7Destination]) -> Iterator[str]:
    """Yield name, birth date and sex, and the identifiers that this receiver gets."""
    document, template = telling.document, telling.destination.template
    yield " ".join(part for part in faithful.name_of(document) if part)
    yield from (part for part in (faithful.birth_date_of(document), faithful.sex_of(document)) if part)
    for number, authority, type_code in sorted(faithful.identifiers_of(document)):
        if not template.withholds(authority, type_code):
            yield f"{number} ({authority or type_code})" if authority or type_code else number


def _finding(finding: Finding, language: Language) -> str:
    value = finding.value if finding.value is not None else finding.coded_value_display or finding.coded_value
    said = value.replace(".", ",") if finding.value is not None and language in _COMMA else value
    site = f" ({finding.finding_site.display})" if finding.finding_site else ""
    flag = f" [{finding.abnormal_flag}]" if finding.abnormal_flag else ""
    return f"• {finding.display}{site}: {said} {finding.unit_display or finding.unit}".rstrip(": ") + flag
