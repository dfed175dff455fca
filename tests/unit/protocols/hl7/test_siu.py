"""SIU^S12 to S17 and S26: which order an appointment names, when it is, and whether it stands."""

from datetime import UTC, datetime

import pytest

from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.siu import AppointmentNotice, Booking, check_appointment, read_appointment
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import HANOI
from tests.builders.results import an_appointment

NINE = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def the_notice(raw: bytes) -> AppointmentNotice:
    """Return what the message says."""
    return read_appointment(tokenise(raw), time_zone=HANOI)


@pytest.mark.parametrize(
    ("event", "booking"),
    [
        ("S12", Booking.BOOKED),
        ("S13", Booking.BOOKED),
        ("S14", Booking.BOOKED),
        ("S15", Booking.CANCELLED),
        ("S16", Booking.CANCELLED),
        ("S17", Booking.CANCELLED),
        ("S26", Booking.NO_SHOW),
    ],
)
def test_trigger_event_says_what_became_of_the_appointment(event: str, booking: Booking) -> None:
    """10.3: new, rescheduled, modified; cancelled, discontinued, deleted; no show."""
    assert the_notice(an_appointment(event)).booking is booking


def test_order_is_named_by_its_own_numbers_and_by_those_of_the_appointment() -> None:
    """SCH-26 and 27 since v2.4; before, and in many systems still, SCH-1 and SCH-2."""
    notice = the_notice(an_appointment(filler="TEST-ACC-1^RIS"))

    assert [number.entity_identifier for number in notice.numbers] == ["TEST-PLACER-1", "TEST-ACC-1", "APP-1"]
    assert notice.appointment.entity_identifier == "APP-1"


@pytest.mark.parametrize(
    ("segments", "starts_at"),
    [
        (b"", NINE),
        (b"TQ1|1||||||20261123080000+0700\r", NINE),  # the service's own start counts first
    ],
)
def test_start_is_that_of_the_service(segments: bytes, starts_at: datetime) -> None:
    """AIS-4."""
    assert the_notice(an_appointment() + segments).starts_at == starts_at


def test_start_is_read_from_the_appointment_where_the_service_has_none() -> None:
    """TQ1-7, SCH-11.4, AIL-6; a time that is none counts as not said."""
    bare = an_appointment(starts_at="soon")

    assert the_notice(bare).starts_at is None
    assert the_notice(bare + b"TQ1|1||||||20261123090000+0700\r").starts_at == NINE
    assert the_notice(bare + b"AIL|1|A|CT1^^^TEST|||20261123090000+0700\r").starts_at == NINE


@pytest.mark.parametrize(
    ("old", "new", "condition"),
    [
        (b"SCH|", b"ZCH|", MessageErrorCondition.SEGMENT_SEQUENCE_ERROR),
        (b"APP-1^SCHED", b"", MessageErrorCondition.REQUIRED_FIELD_MISSING),
    ],
)
def test_what_names_no_appointment_is_refused(old: bytes, new: bytes, condition: MessageErrorCondition) -> None:
    """100 and 101 (table HL70357)."""
    raw = an_appointment(placer="").replace(old, new)

    with pytest.raises(HL7Error) as refused:
        check_appointment(tokenise(raw), time_zone=HANOI)

    assert refused.value.condition is condition
