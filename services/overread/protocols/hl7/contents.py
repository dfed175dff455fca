"""What is checked before a message is taken, by its type: what the check lets through, its reader can read."""

from collections.abc import Mapping
from datetime import tzinfo
from typing import Protocol

from overread.protocols.hl7.adt import TRIGGER_EVENTS, check_patients
from overread.protocols.hl7.lengths import check_numbers
from overread.protocols.hl7.observation_report import check_observation_reports
from overread.protocols.hl7.order import check_orders
from overread.protocols.hl7.siu import BOOKING_BY_EVENT, check_appointment
from overread.protocols.hl7.tokenise import Message


class Check(Protocol):
    """Raises the HL7Error for which a message of its type can't be taken."""

    def __call__(self, message: Message, *, time_zone: tzinfo) -> None:
        """Check `message`; `time_zone` is the hospital's, for times without an offset."""


CHECKS: Mapping[str, Check] = {
    "OMI": check_orders,
    "ORM": check_orders,
    "OMG": check_orders,
    "ADT": check_patients,
    "ORU": check_observation_reports,
    "SIU": check_appointment,
}
"""By message code (MSH-9.1). Who adds one adds its reader to `assembly.handlers`, and its events to `TAKEN`."""

TAKEN: Mapping[str, frozenset[str]] = {
    "OMI": frozenset({"O23"}),
    "ORM": frozenset({"O01"}),
    "OMG": frozenset({"O19"}),
    "ADT": TRIGGER_EVENTS,
    "ORU": frozenset({"R01"}),
    "SIU": frozenset(BOOKING_BY_EVENT),
}
"""The trigger events taken of each message code (MSH-9.2)."""


def check_content(message: Message, *, time_zone: tzinfo) -> None:
    """Raise the error for which `message`, of a type that is taken, has not the content of one."""
    CHECKS[message.header.message_code](message, time_zone=time_zone)
    check_numbers(message)
