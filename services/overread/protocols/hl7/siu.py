"""Appointments: SIU^S12 to S17 and S26 to one value (HL7 v2.5.1, chapter 10).

Only what an order's examination needs is read: the numbers, the start, and whether the appointment still stands.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

from overread.protocols.hl7.data_types import EntityIdentifier, Patient
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.observation_report import patient_of
from overread.protocols.hl7.timestamps import read_timestamp
from overread.protocols.hl7.tokenise import Message, Segment


class Booking(StrEnum):
    """What became of an appointment."""

    BOOKED = "booked"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


BOOKING_BY_EVENT: Mapping[str, Booking] = {
    "S12": Booking.BOOKED,
    "S13": Booking.BOOKED,
    "S14": Booking.BOOKED,
    "S15": Booking.CANCELLED,
    "S16": Booking.CANCELLED,
    "S17": Booking.CANCELLED,
    "S26": Booking.NO_SHOW,
}
"""By trigger event: booked, rescheduled, modified; cancelled, discontinued, deleted; the patient did not come."""

_NUMBERS = (26, 27, 1, 2)
"""SCH-26 and SCH-27 are the order's own numbers; in SCH-1 and SCH-2 many systems repeat them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppointmentNotice:
    """One appointment as one message says it; `numbers` are those by which an order may be meant."""

    booking: Booking
    numbers: tuple[EntityIdentifier, ...]
    appointment: EntityIdentifier
    starts_at: datetime | None
    sent_at: datetime | None
    patient: Patient | None


def read_appointment(message: Message, *, time_zone: tzinfo) -> AppointmentNotice:
    """Read the appointment of a message; HL7Error names the first thing without which it is none."""
    sch = _sch(message)
    numbers = tuple(dict.fromkeys(_numbers(sch)))
    if not numbers:
        sentence = "The appointment has no number (SCH-1, SCH-2, SCH-26, SCH-27), so it names no order."
        raise HL7Error(MessageErrorCondition.REQUIRED_FIELD_MISSING, sch.location(1), sentence)
    pid = message.segment("PID")
    return AppointmentNotice(
        booking=BOOKING_BY_EVENT.get(message.header.trigger_event, Booking.BOOKED),
        numbers=numbers,
        appointment=EntityIdentifier.read(sch.field(2)) or EntityIdentifier.read(sch.field(1)) or numbers[0],
        starts_at=_starts_at(message, sch, time_zone),
        sent_at=_moment(message.header.component(7, 1), time_zone),
        patient=patient_of(pid) if pid else None,
    )


def check_appointment(message: Message, *, time_zone: tzinfo) -> None:
    """Raise the error that `read_appointment` would raise."""
    read_appointment(message, time_zone=time_zone)


def _sch(message: Message) -> Segment:
    sch = message.segment("SCH")
    if sch is None:
        sentence = "The message has no SCH segment, so it tells of no appointment."
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("SCH"), sentence)
    return sch


def _numbers(sch: Segment) -> Iterator[EntityIdentifier]:
    read = (EntityIdentifier.read(sch.field(place)) for place in _NUMBERS)
    return (number for number in read if number)


def _starts_at(message: Message, sch: Segment, time_zone: tzinfo) -> datetime | None:
    """Return the start: of the service (AIS-4), else of the appointment (TQ1-7, SCH-11.4), else of the room (AIL-6)."""
    ais, tq1, ail = (message.segment(name) for name in ("AIS", "TQ1", "AIL"))
    said = (
        ais.text(4) if ais else "",
        tq1.text(7) if tq1 else "",
        sch.text(11, 4),
        ail.text(6) if ail else "",
    )
    moments = (_moment(text, time_zone) for text in said)
    return next((moment for moment in moments if moment), None)


def _moment(text: str, time_zone: tzinfo) -> datetime | None:
    try:
        return read_timestamp(text.strip(), time_zone).utc if text.strip("0 ") else None
    except ValueError:
        return None
