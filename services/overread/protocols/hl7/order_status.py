"""How far an order is, told to the system that manages it: ORM^O01 with ORC-1 `SC` (HL7 v2.5.1, 4.4.1 and ORC-1)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from overread.protocols.hl7.data_types import CodedElement, EntityIdentifier, Patient, Visit
from overread.protocols.hl7.delimiters import escape
from overread.protocols.hl7.errors import NotRenderable
from overread.protocols.hl7.oru import encoded, msh, order_numbers, pid, pv1, segment
from overread.protocols.hl7.oru_content import Language, OruContent, Party
from overread.protocols.hl7.oru_layout import USUAL, Layout
from overread.protocols.hl7.oru_reading import (
    Unfaithful,
    accession_of,
    coded,
    only,
    patient_of,
    required_time,
    visit_of,
)
from overread.protocols.hl7.timestamps import write_timestamp
from overread.protocols.hl7.tokenise import tokenise

MESSAGE_TYPE, STATUS_CHANGED = "ORM^O01^ORM_O01", "SC"


class OrderStatus(StrEnum):
    """ORC-5 (table HL70038): the report is final, or is no more and the order is to be read anew."""

    COMPLETED = "CM"
    IN_PROCESS = "IP"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusContent:
    """What one status message says of one order."""

    message_control_id: str
    message_datetime: datetime
    processing_id: str
    sending: Party
    receiving: Party
    language: Language
    patient: Patient
    visit: Visit | None
    placer_order_number: EntityIdentifier | None
    filler_order_number: EntityIdentifier | None
    accession_number: str | None
    universal_service_identifier: CodedElement
    order_status: OrderStatus
    changed_at: datetime


def content_of(result: OruContent, order_status: OrderStatus) -> StatusContent:
    """Return what is said of the order that a result answers."""
    return StatusContent(
        message_control_id=result.message_control_id,
        message_datetime=result.message_datetime,
        processing_id=result.processing_id,
        sending=result.sending,
        receiving=result.receiving,
        language=result.language,
        patient=result.patient,
        visit=result.visit,
        placer_order_number=result.placer_order_number,
        filler_order_number=result.filler_order_number,
        accession_number=result.accession_number,
        universal_service_identifier=result.universal_service_identifier,
        order_status=order_status,
        changed_at=result.status_changed_at,
    )


def render(result: OruContent, order_status: OrderStatus, layout: Layout = USUAL) -> bytes:
    """Write the message that says `order_status` of the order that `result` answers, in UTF-8."""
    numbers = order_numbers(result)
    if not any(numbers.values()):
        raise NotRenderable("An order without a number has no status to tell.")
    changed_at = write_timestamp(result.status_changed_at)
    orc = segment("ORC", {1: STATUS_CHANGED, **numbers, 5: order_status.value, 9: changed_at})
    accession = dict.fromkeys(layout.accession_fields, escape(result.accession_number or ""))
    obr = segment("OBR", {1: "1", **numbers, 4: result.universal_service_identifier.write(), **accession})
    return encoded([msh(result, MESSAGE_TYPE), pid(result), *pv1(result), orc, obr])


def read_back(raw: bytes, layout: Layout = USUAL) -> StatusContent:
    """Read what a rendered status message says; equal to what was rendered, or the rendering is wrong."""
    message = tokenise(raw)
    msh_, orc, obr = (only(message, name) for name in ("MSH", "ORC", "OBR"))
    if msh_.field(9).raw.decode() != MESSAGE_TYPE or orc.field(1).text != STATUS_CHANGED:
        raise Unfaithful("The message is no change of an order's status.")
    if any(orc.field(number).raw != obr.field(number).raw for number in (2, 3)):
        raise Unfaithful("ORC and OBR name different orders.")
    try:
        language, status = Language(msh_.field(19).component(1).text), OrderStatus(orc.field(5).text)
    except ValueError:
        raise Unfaithful("The status or the language of the message is none that we write.") from None
    return StatusContent(
        message_control_id=msh_.field(10).text,
        message_datetime=required_time(msh_.field(7)),
        processing_id=msh_.field(11).component(1).text,
        sending=Party(application=msh_.field(3).component(1).text, facility=msh_.field(4).component(1).text),
        receiving=Party(application=msh_.field(5).component(1).text, facility=msh_.field(6).component(1).text),
        language=language,
        patient=patient_of(only(message, "PID")),
        visit=visit_of(message.segment("PV1")),
        placer_order_number=EntityIdentifier.read(obr.field(2)),
        filler_order_number=EntityIdentifier.read(obr.field(3)),
        accession_number=accession_of(obr, layout),
        universal_service_identifier=coded(obr.field(4)),
        order_status=status,
        changed_at=required_time(orc.field(9)),
    )
