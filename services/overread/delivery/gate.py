"""The gate: the one way by which a final or corrected result leaves.

It trusts nothing that came with the event: it verifies signature and certificate against its own root, compares the
signed document with the case as it is now, renders, reads the rendering back and compares that with the document.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from overread.contracts import codec
from overread.contracts.errors import OverreadError
from overread.contracts.events.cases import Case
from overread.contracts.events.orders import OrderStatus, PatientIdentifier, ServiceRequest
from overread.contracts.events.reports import ReportDocument, SeenCase
from overread.contracts.identifiers import nfc
from overread.delivery.destinations import Destination
from overread.delivery.dropped import taking_back
from overread.delivery.rendering import outbound, written
from overread.delivery.sequence import Position, Status, may_follow, verified_status
from overread.delivery.telling import Occasion, OutboundMessage, Telling, orders_of, read_document
from overread.runtime import signatures

if TYPE_CHECKING:
    from overread.delivery.imaging import Imaging


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """A signed document as it came: nothing of it is believed before it is checked.

    `released_by` is the clinician who let it go after a hold, knowing that the case moved after the signature: as far as
    `released_case_revision`, which is what was on screen then, and was `released_case`; without that the word is about
    the very revision alone. `submission` tells one such word from the next.
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
    released_case_revision: int | None = None
    released_case: SeenCase | None = None
    submission: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What delivery itself knows when it judges.

    `root_pem` is None while the root isn't there; `has_read_to_the_end` says whether `case` is what the broker's last
    word on it made of it, `has_case_letter` whether a word on it was set aside unread; `superseded_revision` is the newest
    study revision that newer images put out of date. `earlier` holds each destination's messages of this report,
    `previous` the document that it was told last, `previous_raw` its bytes. `imaging` is there where a destination takes DICOM and the images could
    be read.
    """

    root_pem: str | None
    has_read_to_the_end: bool
    case: Case | None
    released_revision: int | None
    earlier: Mapping[str, Sequence[Position]]
    destinations: Sequence[Destination]
    occasion: Occasion
    superseded_revision: int = 0
    has_case_letter: bool = False
    previous: Mapping[str, ReportDocument] = field(default_factory=dict)
    previous_raw: Mapping[str, bytes] = field(default_factory=dict)
    imaging: "Imaging | None" = None


@dataclass(frozen=True, slots=True)
class Untold:
    """What one destination is not told, and why; the report is out all the same."""

    telling: Telling[Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """The report is out; these messages carry it. `takes_back` when it withdraws what was out, whoever hears of it.

    `untold` are destinations beside the result whose form can't say it.
    """

    messages: tuple[OutboundMessage, ...]
    takes_back: bool = False
    untold: tuple[Untold, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """The report stays: why, for the clinician; `is_defect` when the fault is ours."""

    reason: str
    is_defect: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """It can't be judged yet; `is_its_own` when what it waits for keeps no other report waiting."""

    reason: str
    is_its_own: bool = False


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
        if document.withdrawal is not None:
            _require_released(request, known.released_revision)
        elif known.has_case_letter:
            return Wait("an event of cases.changed was set aside here: an operator replays it", is_its_own=True)
        else:
            _require_newer(request, known.released_revision)
            _require_same_case(request, document, known)
        return _released(request, document, known)
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


def _require_same_case(request: ReleaseRequest, document: ReportDocument, known: Circumstances) -> None:
    """Compare with the case as it is now; a clinician's word answers for what was seen to move, and for nothing later."""
    if known.case is None:
        raise Refused("the case is not known here")
    if not request.released_by:
        _require_unmoved(document, known.case, known.superseded_revision)
    elif known.case.is_withdrawn:
        raise Refused("the case was withdrawn")
    elif not _is_as_seen(request, known.case, known.superseded_revision):
        raise Refused("the case moved after what the releasing clinician saw: to be confirmed again")


def _is_as_seen(request: ReleaseRequest, case: Case, superseded_revision: int) -> bool:
    if request.released_case is None:
        return case.revision == request.released_case_revision
    return request.released_case == SeenCase.of(case, superseded_revision)


def _require_unmoved(document: ReportDocument, case: Case, superseded_revision: int) -> None:
    """Raise `Refused` when patient, order or images are no longer those of the document."""
    moved = next(_moved(document, case, superseded_revision), None)
    if moved:
        raise Refused(f"{moved}: to be confirmed again")


def _moved(document: ReportDocument, case: Case, superseded_revision: int) -> Iterator[str]:
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
    yield from _images_moved(document, case, superseded_revision)


def _images_moved(document: ReportDocument, case: Case, superseded_revision: int) -> Iterator[str]:
    study = case.study
    if case.study_instance_uid != document.study_instance_uid or study is None:
        yield "the study is another one"
    elif (study.study_revision, study.manifest_digest) != (document.study_revision, document.manifest_digest):
        yield "the images changed"
    elif superseded_revision >= document.study_revision:
        yield "newer images came"


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


def _require_released(request: ReleaseRequest, released_revision: int | None) -> None:
    """Let a withdrawal take back what is out, whatever moved since, and nothing else."""
    if request.report_revision != released_revision:
        raise Refused("this revision of the report is not the one that was released last: nothing to withdraw")


def _released(request: ReleaseRequest, document: ReportDocument, known: Circumstances) -> Released:
    messages: list[OutboundMessage] = []
    untold: list[Untold] = []
    for telling in _tellings(request, document, known):
        _require_in_sequence(telling)
        try:
            messages.extend(tuple(_faithful_messages(telling)))
        except Unfaithful as why:
            if not telling.destination.is_beside_the_result:
                raise
            untold.append(Untold(telling, str(why)))
    return Released(tuple(messages), takes_back=document.withdrawal is not None, untold=tuple(untold))


def _tellings(request: ReleaseRequest, document: ReportDocument, known: Circumstances) -> Iterator[Telling[Any]]:
    """Yield what each destination is told: first what takes back orders that are answered no more, then the report."""
    has_order = bool(orders_of(document))
    for destination in known.destinations:
        earlier = known.earlier.get(destination.name, ())
        is_told = destination.takes(document.site_id, has_order=has_order) and _has_something_to_hear(document, earlier)
        telling = Telling(
            document=document,
            raw=request.document,
            destination=destination,
            status=verified_status(earlier) if document.withdrawal is None else Status.WITHDRAWN,
            occasion=known.occasion,
            earlier=earlier,
            previous=known.previous.get(destination.name),
            previous_raw=known.previous_raw.get(destination.name, b""),
            imaging=known.imaging,
        )
        yield from taking_back(telling, is_told=is_told)
        if is_told:
            yield telling


def _has_something_to_hear(document: ReportDocument, earlier: Sequence[Position]) -> bool:
    """Say whether the destination is concerned: a withdrawal goes only where something of the report is."""
    return document.withdrawal is None or any(not before.was_refused for before in earlier)


def _require_in_sequence(telling: Telling[Any]) -> None:
    following = Position(report_revision=telling.document.report_revision, status=telling.status)
    if not may_follow(telling.earlier, following):
        raise Refused(f"a later result of this report went to {telling.destination.name} already")


def _faithful_messages(telling: Telling[Any]) -> Iterator[OutboundMessage]:
    """Yield the messages for one destination, each read back and compared with the document that was signed."""
    try:
        for form, message in written(telling):
            different = sorted(set(form.unlike(message, telling)))
            if different or not (telling.status.is_signed or telling.status.takes_back):
                raise Unfaithful(f"the rendering differs from the signed document in {', '.join(different)}")
            yield outbound(message, telling)
    except Refused:
        raise
    except (OverreadError, ValueError, LookupError, TypeError, AttributeError) as error:
        sentence = str(error) if isinstance(error, OverreadError) else type(error).__name__
        raise Unfaithful(f"the report can't be said to {telling.destination.name}: {sentence}") from error
