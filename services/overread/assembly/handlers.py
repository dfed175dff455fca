"""One function per topic: what came in becomes orders, cases and the links between them."""

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence

from overread.assembly import (
    bare_numbers,
    collecting,
    late_survivors,
    mapping_store,
    matching,
    order_store,
    order_taking,
    orders,
    patient_store,
    patient_taking,
    stated_orders,
    store,
)
from overread.assembly.appointment_taking import AppointmentTaking
from overread.assembly.result_taking import ResultTaking
from overread.assembly.settings import AssemblySettings
from overread.contracts.envelope import Event
from overread.contracts.events.intake import HL7Received, IntakeRestarted
from overread.contracts.identifiers import case_id_for
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore

Received = tuple[Event[HL7Received], bytes]
"""A message as the intake kept it: its event, and its bytes."""

ORDERS = ""
"""Every message of a type that is not named is about orders."""

Takes = Callable[[Sequence[Received], Transaction], Awaitable[None]]


class Handlers:
    """What assembly does with each topic; `objects` holds large messages and the manifests.

    Each first locks the numbers of what it takes together, so that an order and its images can't miss each other, and
    then rows of orders and of cases, each all at once and in one order: no two batches wait for each other. One of
    several kinds locks for each kind anew, so it is alone with the site's patients meanwhile.
    """

    def __init__(self, settings: AssemblySettings, objects: LocalObjectStore) -> None:
        self._settings = settings
        self._objects = objects
        self._kinds: Mapping[str, Takes] = {  # by MSH-9.1, in the order in which a batch's are taken
            "ADT": self._take_patients,
            ORDERS: self._take_orders,
            "SIU": AppointmentTaking(settings.time_zone).take,
            "ORU": ResultTaking(settings).take,
        }

    async def hl7_received(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Put each message to use by its kind: patients, then orders, appointments, and results of others.

        Messages of one kind are taken together and in their order; what of several kinds comes first makes no difference,
        since each counts by its sender's time.
        """
        by_kind: dict[str, list[Delivered]] = {}
        for delivered in batch:
            message_type = delivered.event.data.message_type
            by_kind.setdefault(message_type if message_type in self._kinds else ORDERS, []).append(delivered)
        is_alone = len(by_kind) > 1 or "ADT" in by_kind
        await patient_store.lock_patients(tx, {d.event.site_id for d in batch}, to_change=is_alone)
        for kind, takes in self._kinds.items():
            if run := by_kind.get(kind):
                await takes([(delivered.event, await self._raw(delivered.event)) for delivered in run], tx)

    async def _take_orders(self, received: Sequence[Received], tx: Transaction) -> None:
        told = [(event, message) for event, raw in received for message in self._read_orders(event.data, raw)]
        await order_taking.take(tx, told)
        await late_survivors.note_ordered(tx, told)

    async def orders_received(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Put each statement about an order to use as if HL7 had said it."""
        await patient_store.lock_patients(tx, {d.event.site_id for d in batch}, to_change=False)
        told = [(d.event, message) for d in batch for message in stated_orders.read(d.event.data)]
        await order_taking.take(tx, told)
        await late_survivors.note_ordered(tx, told)

    async def _take_patients(self, received: Sequence[Received], tx: Transaction) -> None:
        for event, raw in received:
            await patient_taking.take(tx, event, patient_taking.read(event, raw, self._settings.time_zone))

    def _read_orders(self, received: HL7Received, raw: bytes) -> list[orders.OrderMessage]:
        return orders.read(
            raw,
            received.fallback_charset,
            self._settings.time_zone,
            received_at=received.received_at,
            accession_places=received.accession_places,
            link_id=received.link_id,
            sender=bare_numbers.sender_on(received.link_id, received.sending_application, received.sending_facility),
        )

    async def _raw(self, event: Event[HL7Received]) -> bytes:
        received = event.data
        if received.raw_base64 is not None:
            return base64.b64decode(received.raw_base64)
        return await self._objects.get(received.object_key or "")

    async def dicom_received(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Note each image and each association end, link orders that wait, and set the case's timer."""
        await patient_store.lock_patients(tx, {d.event.site_id for d in batch}, to_change=False)
        for site_id in sorted({d.event.site_id for d in batch}):
            mine = [d for d in batch if d.event.site_id == site_id]
            accessions, studies = collecting.numbers_of([d.event for d in mine])
            accessions |= await store.accessions_of_studies(tx, site_id, studies)
            await order_store.lock_matching(tx, site_id, matching.matching_keys(accessions, studies))
            for study_instance_uid, of_study in _by_study(site_id, mine):
                await collecting.take(tx, site_id, study_instance_uid, of_study, self._settings)
            await late_survivors.note_imaged(tx, site_id, [d.event for d in mine])
            for delivered in mine:
                if isinstance(delivered.event.data, IntakeRestarted):
                    await collecting.close_with_intake(tx, delivered, self._settings)

    async def reports_signed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Note what was read: a mapping that changes later leaves its orders as they were."""
        await mapping_store.note_read(tx, [(d.event.site_id, d.event.data.case_id) for d in batch])


def _by_study(site_id: str, batch: Sequence[Delivered]) -> list[tuple[str, list[Delivered]]]:
    """Return what came of each study; rows of cases are locked in the order of their ids, whoever locks several."""
    grouped: dict[str, list[Delivered]] = {}
    for delivered in batch:
        if not isinstance(delivered.event.data, IntakeRestarted):
            grouped.setdefault(delivered.event.data.study_instance_uid, []).append(delivered)
    return sorted(grouped.items(), key=lambda item: case_id_for(site_id, item[0]))
