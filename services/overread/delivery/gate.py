"""The gate: the one way by which a final or corrected result leaves.

It trusts nothing that came with the event: it verifies signature and certificate against its own root, compares the
signed document with the case as it is now, renders, reads the rendering back and compares that with the document.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from overread.contracts import codec
from overread.contracts.errors import OverreadError
from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Finding
from overread.contracts.events.orders import OrderStatus, PatientIdentifier, ServiceRequest
from overread.contracts.events.reports import ReportDocument
from overread.contracts.identifiers import nfc
from overread.delivery.destinations import Hl7Destination
from overread.delivery.rendering import (
    Occasion,
    OutboundMessage,
    contents_for,
    orders_of,
    read_document,
    rendered,
    sub_ids,
)
from overread.delivery.sequence import Position, may_follow, verified_status
from overread.protocols.hl7.oru_content import Coded, Numeric, Observation, OruContent, ResultStatus, differences
from overread.protocols.hl7.oru_reading import read_back
from overread.runtime import signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """A signed document as it came: nothing of it is believed before it is checked.

    `released_by` is the clinician who let it go after a hold, knowing that the case moved after the signature.
    `submission` tells one such word from the next.
    """

    site_id: str
    case_id: UUID
    report_id: UUID
    report_revision: int
    document: bytes
    digest: str
    signature: bytes
    certificate_pem: str
    signed_at: datetime
    released_by: str = ""
    submission: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What delivery itself knows when it judges.

    `root_pem` is None while the root isn't there; `has_read_to_the_end` says whether `case` is what the broker's last
    word on it made of it; `earlier` holds each destination's messages of this report.
    """

    root_pem: str | None
    has_read_to_the_end: bool
    case: Case | None
    released_revision: int | None
    earlier: Mapping[str, Sequence[Position]]
    destinations: Sequence[Hl7Destination]
    occasion: Occasion


@dataclass(frozen=True, slots=True)
class Released:
    """The report is out; these messages carry it."""

    messages: tuple[OutboundMessage, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """The report stays: why, for the clinician; `is_defect` when the fault is ours."""

    reason: str
    is_defect: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """It can't be judged yet."""

    reason: str


class Refused(OverreadError):
    """The gate does not let this report out."""


class Unfaithful(Refused):
    """The rendering does not say what was signed: our defect."""


def check(request: ReleaseRequest, known: Circumstances) -> Released | Held | Wait:
    """Judge a signed report: released with its messages, held with the reason, or to be asked again."""
    if known.root_pem is None:
        return Wait("the site CA's root is not there, or not readable")
    try:
        document = authentic(request, known.root_pem)
        if not known.has_read_to_the_end:
            return Wait("cases.changed is not read to its end yet")
        _require_same_case(request, document, known.case)
        _require_newer(request, known.released_revision)
        return Released(tuple(_messages(request, document, known)))
    except Unfaithful as defect:
        return Held(str(defect), is_defect=True)
    except Refused as refusal:
        return Held(str(refusal))


def authentic(request: ReleaseRequest, root_pem: str) -> ReportDocument:
    """Return the document that an entitled clinician signed, or raise `Refused` with the rule that does not hold."""
    if not hmac.compare_digest(codec.sha256(request.document), request.digest):
        raise Refused("the digest is not that of the document")
    try:
        document = read_document(request.document)
        subject = signatures.check(
            request.document,
            request.signature,
            request.certificate_pem,
            root_pem=root_pem,
            site_id=request.site_id,
            signed_at=request.signed_at,
        )
    except OverreadError as error:
        raise Refused(str(error)) from error
    _require_same_report(request, document)
    if document.signed_by is None or document.signed_by.subject != subject:
        raise Refused("the document names another signer than the certificate")
    if document.signed_at != request.signed_at:
        raise Refused("the document was signed at another time than the event says")
    return document


def _require_same_report(request: ReleaseRequest, document: ReportDocument) -> None:
    asked = (request.site_id, request.case_id, request.report_id, request.report_revision)
    if asked != (document.site_id, document.case_id, document.report_id, document.report_revision):
        raise Refused("the document is of another report than the event says")


def _require_same_case(request: ReleaseRequest, document: ReportDocument, case: Case | None) -> None:
    """Compare with the case as it is now; a clinician's word answers for what moved, never for a withdrawn case."""
    if case is None:
        raise Refused("the case is not known here")
    if request.released_by and case.is_withdrawn:
        raise Refused("the case was withdrawn")
    if not request.released_by:
        require_unmoved(document, case)


def require_unmoved(document: ReportDocument, case: Case) -> None:
    """Raise `Refused` when patient, order or images are no longer those of the document."""
    moved = next(_moved(document, case), None)
    if moved:
        raise Refused(f"{moved}: to be confirmed again")


def _moved(document: ReportDocument, case: Case) -> Iterator[str]:
    if case.is_withdrawn:
        yield "the case was withdrawn"
    if _is_cancelled_since(document, case):
        yield "an order was cancelled"
    if case.identity_version != document.identity_version:
        yield "patient or order changed after the draft"
    if _identifiers(case.patient.identifiers) != _identifiers(document.patient.identifiers):
        yield "the patient's identifiers changed"
    if _order_numbers(case.orders) != _order_numbers(document.orders):
        yield "the orders changed"
    study = case.study
    if case.study_instance_uid != document.study_instance_uid or study is None:
        yield "the study is another one"
    elif (study.study_revision, study.manifest_digest) != (document.study_revision, document.manifest_digest):
        yield "the images changed"


def _is_cancelled_since(document: ReportDocument, case: Case) -> bool:
    """Say whether an order that the report answers is cancelled now, or whether all were when it was signed."""
    answered = {order.order_id for order in orders_of(document)}
    cancelled = {order.order_id for order in case.orders if order.status is OrderStatus.CANCELLED}
    return bool(answered & cancelled) or bool(document.orders and not answered)


def _identifiers(identifiers: Sequence[PatientIdentifier]) -> frozenset[tuple[str, ...]]:
    return frozenset((nfc(i.id_number), nfc(i.assigning_authority), i.identifier_type_code) for i in identifiers)


def _order_numbers(orders: Sequence[ServiceRequest]) -> frozenset[tuple[object, ...]]:
    return frozenset(
        (
            order.order_id,
            *(nfc(number) for number in (order.placer_order_number, order.placer_namespace)),
            *(nfc(number) for number in (order.filler_order_number, order.filler_namespace)),
            nfc(order.accession_number or ""),
        )
        for order in orders
    )


def _require_newer(request: ReleaseRequest, released_revision: int | None) -> None:
    if released_revision is not None and request.report_revision <= released_revision:
        raise Refused("this revision of the report, or a later one, was released before")


def _messages(request: ReleaseRequest, document: ReportDocument, known: Circumstances) -> Iterator[OutboundMessage]:
    has_order = bool(orders_of(document))
    for destination in known.destinations:
        if not destination.takes(document.site_id, has_order=has_order):
            continue
        earlier = known.earlier.get(destination.name, ())
        following = Position(report_revision=document.report_revision, status=verified_status(earlier))
        if not may_follow(earlier, following):
            raise Refused(f"a later result of this report went to {destination.name} already")
        yield from _faithful_messages(request, document, destination, following, known.occasion)


def _faithful_messages(
    request: ReleaseRequest,
    document: ReportDocument,
    destination: Hl7Destination,
    following: Position,
    occasion: Occasion,
) -> Iterator[OutboundMessage]:
    """Yield the messages for `destination`, each read back and compared with the document that was signed."""
    try:
        for content, order in contents_for(document, destination, following.status, occasion):
            message = rendered(content, document, order, destination, request.document)
            require_faithful(message.message, content, document, order, following.status)
            yield message
    except Refused:
        raise
    except (OverreadError, ValueError, LookupError, TypeError, AttributeError) as error:
        sentence = str(error) if isinstance(error, OverreadError) else type(error).__name__
        raise Unfaithful(f"the report can't be said to {destination.name}: {sentence}") from error


def require_faithful(
    message: bytes,
    content: OruContent,
    document: ReportDocument,
    order: ServiceRequest | None,
    status: ResultStatus,
) -> None:
    """Raise `Unfaithful` unless `message` reads as what was meant, and what was meant is what was signed."""
    said = read_back(message)
    different = (*differences(content, said), *_unlike_document(said, document, order))
    if said.status is not status or not status.is_signed:
        different = (*different, "status")
    if different:
        raise Unfaithful(f"the rendering differs from the signed document in {', '.join(different)}")


def _unlike_document(said: OruContent, document: ReportDocument, order: ServiceRequest | None) -> Iterator[str]:
    """Name what differs, comparing with the document itself and not with what was made of it."""
    if _said_patient(said) != _signed_patient(document):
        yield "patient"
    if nfc(said.accession_number or "") != nfc((order.accession_number if order else None) or ""):
        yield "accession number"
    if said.study_instance_uid != document.study_instance_uid or said.is_synthetic != document.is_synthetic:
        yield "study"
    if document.signed_by is None or said.signer is None or said.signer.id_number != nfc(document.signed_by.subject):
        yield "signer"
    if _lines(said.narrative) != _lines(document.conclusion):
        yield "conclusion"
    if tuple(_said_finding(observation) for observation in said.observations) != _signed_findings(document):
        yield "findings"


def _said_patient(said: OruContent) -> tuple[object, ...]:
    identifiers = frozenset(
        (i.id_number, i.assigning_authority, i.identifier_type_code) for i in said.patient.identifiers
    )
    names = tuple((name.family_name, name.given_name) for name in said.patient.names)
    return identifiers, names, said.patient.birth_date or "", said.patient.administrative_sex or ""


def _signed_patient(document: ReportDocument) -> tuple[object, ...]:
    patient = document.patient
    name = (nfc(patient.family_name).strip(), nfc(patient.given_name).strip())
    birth_date = patient.birth_date.isoformat() if patient.birth_date else ""
    identifiers = frozenset(
        (nfc(i.id_number).strip(), nfc(i.assigning_authority).strip(), i.identifier_type_code.strip())
        for i in patient.identifiers
    )
    return identifiers, (name,) if any(name) else (), birth_date, nfc(patient.sex).strip()


def _lines(text: str) -> tuple[str, ...]:
    """Return what a message keeps of a text: its lines in NFC, without blanks around them and empty ones."""
    lines = nfc(text.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return tuple(stripped for line in lines if (stripped := line.strip()))


def _said_finding(observation: Observation) -> tuple[str, ...]:
    identifier = observation.identifier
    name = (identifier.coding_system, identifier.identifier, observation.sub_id)
    match observation.value:
        case Numeric(value=value, unit=unit):
            said = (value, unit.identifier if unit else "", "", "")
        case Coded(value=value):
            said = ("", "", value.coding_system, value.identifier)
        case None:
            said = ("", "", "", "")
        case _:
            said = ("text", "", "", "")
    return (*name, *said, observation.probability, observation.abnormal_flag)


def _signed_findings(document: ReportDocument) -> tuple[tuple[str, ...], ...]:
    numbered = zip(document.findings, sub_ids(document.findings), strict=True)
    return tuple(_signed_finding(finding, sub_id) for finding, sub_id in numbered)


def _signed_finding(finding: Finding, sub_id: str) -> tuple[str, ...]:
    name = (nfc(finding.scheme), nfc(finding.code), nfc(sub_id))
    if finding.value is not None:
        signed = (finding.value, nfc(finding.unit), "", "")
    else:
        signed = ("", "", nfc(finding.coded_value_scheme), nfc(finding.coded_value))
    return (*name, *signed, finding.probability or "", finding.abnormal_flag)
