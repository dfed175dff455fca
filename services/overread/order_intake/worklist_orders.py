"""From items of a RIS's worklist to statements about orders: the steps of one procedure are one order. Pure."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from pydantic import ValidationError

from overread.contracts.events.order_statements import OrderAction, OrderNumber, OrderStatement, RequestPriority
from overread.contracts.events.orders import CodedElement, Patient, PatientIdentifier
from overread.order_intake.checks import faults_of
from overread.order_intake.worklist_settings import WorklistLink
from overread.protocols.dicom.modality_worklist import Code, WorklistItem

_ENDED: Mapping[str, OrderAction] = {
    "CANCELED": OrderAction.CANCEL,
    "CANCELLED": OrderAction.CANCEL,
    "DISCONTINUED": OrderAction.DISCONTINUE,
    "COMPLETED": OrderAction.COMPLETE,
}
"""By (0040,0020); the standard's own terms, SCHEDULED to STARTED, and what else a RIS writes, leave the order wanted."""

_PRIORITIES: Mapping[str, RequestPriority] = {
    "STAT": RequestPriority.STAT,
    "HIGH": RequestPriority.URGENT,
    "ROUTINE": RequestPriority.ROUTINE,
    "MEDIUM": RequestPriority.ROUTINE,
    "LOW": RequestPriority.ROUTINE,
}
_SEXES = frozenset({"M", "F", "O"})
_NEEDED_TEXT = frozenset({"PatientID", "AccessionNumber", "PatientName"})


@dataclass(frozen=True, slots=True)
class ListedOrder:
    """One order of the worklist: what tells it from others, its statement, and the item that says most of it."""

    key: str
    digest: str
    statement: OrderStatement
    raw: bytes


@dataclass(frozen=True, slots=True)
class UnusableItem:
    """An item that is no order that can be taken, and why; `key` tells it when it comes again."""

    key: str
    reason: str


def orders_of(
    items: Sequence[WorklistItem], link: WorklistLink, time_zone: tzinfo
) -> Iterator[ListedOrder | UnusableItem]:
    """Yield each order that `items` name, once, whatever order they come in, or why one can't be taken."""
    grouped: dict[tuple[str, str, str], list[WorklistItem]] = defaultdict(list)
    for item in items:
        grouped[_numbers(item) or ("", "", _sha256(item.raw))].append(item)
    for numbers, steps in grouped.items():
        key = _sha256("\x1f".join(numbers).encode())
        yield _order(key, sorted(steps, key=_rank), link, time_zone)


def _numbers(item: WorklistItem) -> tuple[str, str, str] | None:
    filler = item.filler_order_number or item.accession_number or item.requested_procedure_id
    if not (item.placer_order_number or filler):
        return None
    return item.placer_order_number, filler, item.study_instance_uid


def _rank(item: WorklistItem) -> tuple[bool, str, str, str]:
    """Put first the step that the order is told by: one that is to be done, the earliest."""
    moment = item.scheduled_at.isoformat() if item.scheduled_at else "9"
    return item.step_status in _ENDED, moment, item.step_id, _sha256(item.raw)


def _order(
    key: str, steps: Sequence[WorklistItem], link: WorklistLink, time_zone: tzinfo
) -> ListedOrder | UnusableItem:
    item = steps[0]
    if broken := sorted(_NEEDED_TEXT & set(item.undecodable)):
        return UnusableItem(key, f"{', '.join(broken)} not in the item's character set")
    try:
        statement = _statement(item, _action(steps), link, time_zone)
    except ValidationError as error:
        place = error.errors(include_input=False, include_url=False, include_context=False)[0]["loc"]
        return UnusableItem(key, f"{'.'.join(map(str, place))} is not one that an order can have")
    if fault := next(faults_of(statement), None):
        return UnusableItem(key, fault.sentence)
    return ListedOrder(key, _sha256(statement.model_dump_json().encode()), statement, item.raw)


def _action(steps: Sequence[WorklistItem]) -> OrderAction:
    """Say what becomes of the order: it ends only with its last step; who asks has no right to open what was cancelled."""
    ends = [_ENDED.get(step.step_status) for step in steps]
    if None in ends:
        return OrderAction.CHANGE
    return OrderAction.COMPLETE if OrderAction.COMPLETE in ends else ends[0] or OrderAction.CHANGE


def _statement(item: WorklistItem, action: OrderAction, link: WorklistLink, time_zone: tzinfo) -> OrderStatement:
    filler = item.filler_order_number or item.accession_number or item.requested_procedure_id
    local = item.scheduled_at
    return OrderStatement(
        action=action,
        patient=_patient(item, link),
        placer=_number(item.placer_order_number, item.placer_namespace or link.placer_namespace),
        filler=_number(filler, item.filler_namespace or link.filler_namespace),
        accession_number=item.accession_number or None,
        study_instance_uid=item.study_instance_uid or None,
        service=_service(item),
        modality=item.modality or None,
        priority=_PRIORITIES.get(item.requested_procedure_priority),
        scheduled_at=local.replace(tzinfo=time_zone).astimezone(UTC) if local else None,
        visit_number=item.admission_id or None,
        patient_location=item.location or None,
        ordering_provider=_named(item.requesting_physician),
        clinical_information=item.reason or None,
        is_synthetic=link.is_synthetic,
    )


def _patient(item: WorklistItem, link: WorklistLink) -> Patient:
    family, _, given = item.patient_name.partition("^")
    identifier = PatientIdentifier(
        id_number=item.patient_id,
        assigning_authority=item.issuer_of_patient_id or link.assigning_authority,
        identifier_type_code="MR",
    )
    return Patient(
        identifiers=(identifier,) if item.patient_id else (),
        family_name=family.strip(),
        given_name=" ".join(given.split("^")[:2]).strip(),
        birth_date=item.patient_birth_date,
        sex=item.patient_sex if item.patient_sex in _SEXES else "",
    )


def _service(item: WorklistItem) -> CodedElement | None:
    code: Code | None = item.requested_procedure_code
    text = item.requested_procedure_description or item.step_description
    if code is None:
        return CodedElement(identifier="", text=text) if text else None
    return CodedElement(identifier=code.value, text=code.meaning or text, coding_system=code.scheme)


def _named(name: str) -> CodedElement | None:
    text = " ".join(name.replace("^", " ").split())
    return CodedElement(identifier="", text=text) if text else None


def _number(number: str, namespace: str) -> OrderNumber | None:
    return OrderNumber(number=number, namespace=namespace) if number else None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
