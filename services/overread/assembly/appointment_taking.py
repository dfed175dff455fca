"""What an appointment does: it is noted, and the cases of the orders that it names are told. It never makes an order."""

from collections.abc import Sequence
from datetime import tzinfo
from uuid import UUID

from overread.assembly import appointment_store, appointments, context_telling, order_store
from overread.assembly.appointments import Notice
from overread.contracts.envelope import Event
from overread.contracts.events.intake import HL7Received
from overread.protocols.hl7.lengths import check_numbers
from overread.protocols.hl7.siu import read_appointment
from overread.protocols.hl7.tokenise import tokenise
from overread.runtime.inbox import Transaction

Received = tuple[Event[HL7Received], bytes]


class AppointmentTaking:
    """Takes SIU messages; `time_zone` is the hospital's."""

    def __init__(self, time_zone: tzinfo) -> None:
        self._time_zone = time_zone

    async def take(self, received: Sequence[Received], tx: Transaction) -> None:
        """Note what the messages say of their orders; of two words about one appointment the later sent holds."""
        touched: dict[UUID, Event[HL7Received]] = {}
        told = [(event, self._read(event.data, raw)) for event, raw in received]
        for site_id in sorted({event.site_id for event, _ in told}):
            keys = {f"appointment {notice.key}" for event, notice in told if event.site_id == site_id}
            await order_store.lock_matching(tx, site_id, keys)
        for event, notice in told:
            known = await appointment_store.known_of(tx, event.site_id, notice)
            if known is None or known.said_at <= notice.said_at:
                await appointment_store.save(tx, event.site_id, notice)
                if known and known.sender != notice.sender:
                    await appointment_store.forget(tx, event.site_id, known)
                named = {one.number for said in (notice, known) if said for one in said.numbers}
                cases = await appointment_store.cases_of_orders(tx, event.site_id, named)
                touched |= dict.fromkeys(cases, event)
        await context_telling.tell_what_differs(tx, touched)

    def _read(self, received: HL7Received, raw: bytes) -> Notice:
        message = tokenise(raw, received.fallback_charset or None)
        check_numbers(message)
        return appointments.notice_of(read_appointment(message, time_zone=self._time_zone), received)
