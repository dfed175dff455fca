"""Orders that a report answered and answers no longer: what stands under them at a receiver is taken back there.

An order that a person detached was another patient's, or another study's; the next revision says nothing to it, so
nobody would ever hear that the earlier result was not theirs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from overread.contracts import codec
from overread.contracts.events.orders import ServiceRequest
from overread.contracts.events.reports import ReportDocument, Withdrawal
from overread.delivery import reasons
from overread.delivery.destinations import Hl7Destination
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.sequence import Position, Status, may_follow, must_take_back, shows_final
from overread.delivery.telling import Telling, orders_of


def taking_back(telling: Telling[Any], *, is_told: bool) -> Iterator[Telling[Any]]:
    """Yield what takes back, at the destination of `telling`, the orders that its document does not answer any more.

    `is_told` says whether the destination gets the document at all. HL7 hears of each order; FHIR and DICOM have one
    report of the study, which is taken back only where no later one comes in its place.
    """
    before = telling.previous
    if before is None or before.withdrawal is not None or telling.document.withdrawal is not None:
        return
    gone = _gone(before, telling.document, is_told=is_told)
    is_by_order = isinstance(telling.destination, Hl7Destination | InsuranceDestination)
    if not gone or not (is_by_order or _goes_whole(gone, before, telling, is_told=is_told)):
        return
    status = _status(telling, before)
    if status is not None:
        yield _withdrawing(telling, before, gone, status)


def _gone(before: ReportDocument, now: ReportDocument, *, is_told: bool) -> tuple[ServiceRequest, ...]:
    kept = {order.order_id for order in now.orders} if is_told else set()
    return tuple(order for order in orders_of(before) if order.order_id not in kept)


def _goes_whole(
    gone: Sequence[ServiceRequest], before: ReportDocument, telling: Telling[Any], *, is_told: bool
) -> bool:
    """Say whether a report of the whole study is taken back: it is nobody's now, or an unread one is another order's."""
    is_all = len(gone) == len(orders_of(before))
    return not is_told or (is_all and not shows_final(telling.earlier))


def _status(telling: Telling[Any], before: ReportDocument) -> Status | None:
    """Return W for what was signed, X for what was not; None where the destination shows nothing of it any more."""
    following = Position(report_revision=before.report_revision, status=Status.WITHDRAWN)
    if shows_final(telling.earlier):
        return Status.WITHDRAWN if telling.status.is_signed and may_follow(telling.earlier, following) else None
    return Status.CANCELLED if must_take_back(telling.earlier, before.report_revision) else None


def _withdrawing(
    telling: Telling[Any], before: ReportDocument, gone: tuple[ServiceRequest, ...], status: Status
) -> Telling[Any]:
    """Return the telling; who signed the new document stands behind what it takes back."""
    reason = reasons.of_removed_order(telling.language)
    said: dict[str, Any] = {"orders": gone}
    if status is Status.WITHDRAWN:
        said |= {
            "withdrawal": Withdrawal(reason=reason, is_wrong_patient=_is_another(before, telling.document)),
            "signed_by": telling.document.signed_by,
            "signed_at": telling.document.signed_at,
        }
    return replace(
        telling,
        document=before.model_copy(update=said),
        # The bytes that were signed: made anew, a document from before an upgrade would be others.
        raw=telling.previous_raw or codec.document_bytes(before),
        status=status,
        occasion=replace(telling.occasion, reason=reason),
    )


def _is_another(before: ReportDocument, now: ReportDocument) -> bool:
    numbers = [{one.id_number for one in document.patient.identifiers} for document in (before, now)]
    return bool(numbers[0] and numbers[1]) and not numbers[0] & numbers[1]
