"""One function per topic: what came in becomes orders, cases and the links between them."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from overread.assembly import completeness, matching, orders, store
from overread.assembly.settings import AssemblySettings
from overread.contracts.envelope import Body, Event
from overread.contracts.events import cases
from overread.contracts.events.intake import HL7Received, InstanceStored, IntakeRestarted, StudyHint
from overread.contracts.events.orders import OrderChanged, OrderStatus, Patient, PatientIdentifier
from overread.contracts.identifiers import case_id_for, nfc
from overread.contracts.topics import CASES_CHANGED, ORDERS_CHANGED
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore


class Handlers:
    """What assembly does with each topic; `objects` holds large messages and the manifests."""

    def __init__(self, settings: AssemblySettings, objects: LocalObjectStore) -> None:
        self._settings = settings
        self._objects = objects

    async def hl7_received(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Fold each order message into its order, and link the order to the studies that are there."""
        for delivered in batch:
            event: Event[HL7Received] = delivered.event
            raw = await self._raw_message(event.data)
            for wanted in orders.read(raw, event.data.fallback_charset, self._settings.time_zone):
                await self._fold_order(tx, event, wanted)

    async def _raw_message(self, received: HL7Received) -> bytes:
        if received.raw_base64 is not None:
            return base64.b64decode(received.raw_base64)
        return await self._objects.get(received.object_key or "")

    async def _fold_order(self, tx: Transaction, event: Event[Body], wanted: orders.OrderMessage) -> None:
        site_id = event.site_id
        keys = matching.matching_keys(wanted.accession_numbers, wanted.study_instance_uids)
        await store.lock_matching(tx, site_id, [f"order {number}" for number in sorted(wanted.numbers)] + keys)
        order_id = await store.order_by_number(tx, site_id, wanted.placer, wanted.filler) or wanted.new_order_id(
            site_id
        )
        before = await store.lock_order(tx, site_id, order_id)
        after = orders.fold(before, wanted, order_id)
        await store.name_order(tx, site_id, order_id, wanted.placer, wanted.filler)
        if after is None:
            return
        await store.save_order(tx, site_id, after)
        changed = OrderChanged(
            order_id=order_id,
            revision=after.revision,
            changed_at=tx.clock(),
            order=after.order,
            patient=after.patient,
        )
        tx.publish(
            ORDERS_CHANGED, changed, subject=str(order_id), own_key=f"{order_id}/{after.revision}", caused_by=event
        )
        for case_id in await store.cases_for_order(tx, site_id, after.order):
            await self._order_meets_case(tx, event, after, case_id)

    async def _order_meets_case(
        self, tx: Transaction, event: Event[Body], stored: orders.StoredOrder, case_id: UUID
    ) -> None:
        case = await store.lock_case(tx, event.site_id, case_id)
        if case is None:
            return
        order = stored.order
        if await store.is_linked(tx, event.site_id, case_id, order.order_id):
            await self._linked_order_changed(tx, event, order.order_id, order.status, case)
            return
        study = await store.imaged_study(tx, event.site_id, case)
        await self._settle(tx, event, case, matching.decide(order, stored.patient, study))

    async def _linked_order_changed(
        self, tx: Transaction, event: Event[Body], order_id: UUID, status: OrderStatus, case: store.CaseRow
    ) -> None:
        now = await store.change_case(tx, event.site_id, case, identity_moved=True)
        body = cases.OrderCancelled if status is OrderStatus.CANCELLED else cases.OrderChangedOnCase
        _publish_case(tx, event, body(case_id=now.case_id, case=now, order_id=order_id))

    async def _settle(
        self, tx: Transaction, event: Event[Body], case: store.CaseRow, decision: matching.Decision
    ) -> None:
        match decision:
            case matching.Link(order_id):
                if await store.link(tx, event.site_id, case.case_id, order_id):
                    now = await store.change_case(tx, event.site_id, case, identity_moved=True)
                    _publish_case(tx, event, cases.OrderLinked(case_id=now.case_id, case=now, order_id=order_id))
            case matching.ToTheDesk(order_id, reason):
                await store.to_the_desk(tx, event.site_id, case.case_id, "order", str(order_id), reason)
            case matching.NoMatch():
                return

    async def dicom_received(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Note each image and each association end, link orders that wait, and set the case's timer."""
        images = [d.event for d in batch if isinstance(d.event.data, InstanceStored)]
        for site_id in sorted({event.site_id for event in images}):
            await store.lock_matching(tx, site_id, _keys_of(images, site_id))
        for delivered in batch:
            match delivered.event.data:
                case InstanceStored():
                    await self._instance_stored(tx, delivered)
                case StudyHint():
                    await self._study_hint(tx, delivered)
                case IntakeRestarted():
                    continue  # archive announces again what was stored

    async def _instance_stored(self, tx: Transaction, delivered: Delivered) -> None:
        event: Event[InstanceStored] = delivered.event
        stored, site_id = event.data, event.site_id
        case_id = await store.open_case(tx, site_id, stored, _imaged_patient(stored))
        case = await store.lock_case(tx, site_id, case_id)
        if case is None:
            raise LookupError(f"case {case_id} is not there after it was opened")
        is_new, is_conflicting = await store.add_instance(tx, site_id, case_id, stored)
        if not is_new:
            return
        if is_conflicting:
            reason = "the same SOPInstanceUID came with other content; both are kept, the first is read"
            await store.to_the_desk(tx, site_id, case_id, "instance", stored.sop_instance_uid, reason)
            return
        await self._link_waiting_orders(tx, event, case)
        if not stored.is_accompanying:
            await self._image_came(tx, delivered, case)

    async def _link_waiting_orders(self, tx: Transaction, event: Event[InstanceStored], case: store.CaseRow) -> None:
        if (accession_number := event.data.attributes.accession_number) is not None:
            await store.add_accession(tx, event.site_id, case.case_id, accession_number)
        study = await store.imaged_study(tx, event.site_id, case)
        for waiting in await store.orders_for_study(tx, event.site_id, study):
            current = await store.lock_case(tx, event.site_id, case.case_id)
            if current is not None and not await store.is_linked(
                tx, event.site_id, case.case_id, waiting.order.order_id
            ):
                decision = matching.decide(waiting.order, waiting.patient, study)
                await self._settle(tx, event, current, decision)

    async def _image_came(self, tx: Transaction, delivered: Delivered, before: store.CaseRow) -> None:
        event: Event[InstanceStored] = delivered.event
        site_id, case_id = event.site_id, before.case_id
        await store.note_association(tx, site_id, case_id, event.data.association_id, is_closed=False)
        await self._restart_timer(tx, delivered, site_id, before)
        if before.study is not None and not before.is_superseded:
            await store.set_superseded(tx, site_id, case_id)
            current = await store.lock_case(tx, site_id, case_id)
            if current is not None:
                now = await store.change_case(tx, site_id, current, identity_moved=False)
                revision = before.study.study_revision
                _publish_case(tx, event, cases.StudySuperseded(case_id=case_id, case=now, superseded_revision=revision))

    async def _study_hint(self, tx: Transaction, delivered: Delivered) -> None:
        event: Event[StudyHint] = delivered.event
        case_id = case_id_for(event.site_id, event.data.study_instance_uid)
        case = await store.lock_case(tx, event.site_id, case_id)
        if case is None or not await store.has_timer(tx, event.site_id, case_id):
            return
        await store.note_association(tx, event.site_id, case_id, event.data.association_id, is_closed=True)
        await self._restart_timer(tx, delivered, event.site_id, case)

    async def _restart_timer(self, tx: Transaction, delivered: Delivered, site_id: str, case: store.CaseRow) -> None:
        at = datetime.fromtimestamp(delivered.broker_milliseconds / 1000, UTC)
        arrivals = await store.note_signal(tx, site_id, case.case_id, at, delivered.event)
        due = completeness.judge(arrivals, self._settings.quiet_times(case.modality))
        await store.set_timer(tx, site_id, case.case_id, due, delivered.partition)


def _keys_of(images: Sequence[Event[InstanceStored]], site_id: str) -> list[str]:
    mine = [event.data for event in images if event.site_id == site_id]
    accessions = {stored.attributes.accession_number for stored in mine} - {None}
    return matching.matching_keys(
        [number for number in accessions if number], {stored.study_instance_uid for stored in mine}
    )


def _imaged_patient(stored: InstanceStored) -> Patient:
    """Return the patient as the image header names them (PS3.3, C.7.1.1)."""
    header = stored.attributes
    family, _, rest = (header.patient_name or "").partition("^")
    identifier = PatientIdentifier(
        id_number=header.patient_id or "", assigning_authority=header.issuer_of_patient_id or ""
    )
    return Patient(
        identifiers=(identifier,) if header.patient_id else (),
        family_name=nfc(family.split("=")[0]),
        given_name=nfc(rest.split("=")[0].replace("^", " ").strip()),
        birth_date=header.patient_birth_date,
        sex=header.patient_sex or "",
    )


def _publish_case(tx: Transaction, event: Event[Body], body: cases.CaseBody) -> None:
    own_key = f"{body.case_id}/{body.case.revision}"
    tx.publish(CASES_CHANGED, body, subject=str(body.case_id), own_key=own_key, caused_by=event)
