"""Takes a batch of order messages into their orders: read at once, folded one by one, written at once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from overread.assembly import (
    bare_numbers,
    linking,
    mapping_noting,
    mapping_store,
    matching,
    order_folding,
    order_store,
    orders,
    patient_store,
    patients,
    store,
)
from overread.assembly.known_patients import KnownPatients
from overread.assembly.order_folding import OrderLife, StoredOrder
from overread.assembly.order_store import KeptMessage, Naming
from overread.assembly.orders import Addressed, NamedOrder, Number, OrderMessage
from overread.contracts.envelope import Event
from overread.contracts.events.orders import OrderChanged, Patient, ServiceRequest
from overread.contracts.topics import ORDERS_CHANGED
from overread.runtime.inbox import Cause, Transaction

Told = tuple[Event[Any], OrderMessage]
"""What one event, an HL7 message or a statement in another form, says of one order."""


@dataclass(frozen=True)
class Change:
    """An order that reads differently since one message."""

    event: Event[Any]
    before: StoredOrder | None
    after: StoredOrder


@dataclass(frozen=True)
class Renaming:
    """A message whose patient can't be the one that its order had when it came."""

    order_id: UUID
    message_control_id: str
    before: Patient
    said: Patient


async def take(tx: Transaction, told: Sequence[Told]) -> None:
    """Fold each message into the orders that it is about, and settle what changed with the studies that are there.

    Numbers are locked first, then the rows of orders, each all at once and in one order.
    """
    for site_id in sorted({event.site_id for event, _ in told}):
        mine = [(event, message) for event, message in told if event.site_id == site_id]
        await _lock_numbers(tx, site_id, [message for _, message in mine])
        register = await _open_register(tx, site_id, mine)
        for event, message in mine:
            await register.take(event, message)
        await register.write()
        await mapping_noting.note_links(tx, site_id, [event for event, _ in mine])


async def _lock_numbers(tx: Transaction, site_id: str, messages: Sequence[OrderMessage]) -> None:
    """Hold the messages' numbers and studies, and the studies that the orders named before."""
    numbers = _numbers(messages)
    now = await order_store.studies_of_named(tx, site_id, numbers)
    accessions = {a for message in messages for a in message.accession_numbers} | {a for a, _ in now if a}
    studies = {s for message in messages for s in message.study_instance_uids} | {s for _, s in now if s}
    keys = {f"order {number}" for number in numbers} | matching.matching_keys(accessions, studies)
    await order_store.lock_matching(tx, site_id, keys)


async def _open_register(tx: Transaction, site_id: str, told: Sequence[Told]) -> "_Register":
    """Read all that the messages can be about."""
    namings = await order_store.namings(tx, site_id, _numbers([message for _, message in told]))
    order_ids = {naming.order_id for naming in namings} | {message.own_id(site_id) for _, message in told}
    lives = await order_store.lock_orders(tx, site_id, order_ids)
    kept = await order_store.kept_of(tx, site_id, lives, [event.id for event, _ in told]) if lives else set()
    return _Register(tx, site_id, lives, namings, kept)


class _Register:
    """The orders of a batch as they read while it is taken; nothing is written before the end."""

    def __init__(
        self,
        tx: Transaction,
        site_id: str,
        lives: dict[UUID, OrderLife],
        namings: Sequence[Naming],
        kept: set[tuple[UUID, UUID, str]],
    ) -> None:
        self._tx = tx
        self._site_id = site_id
        self._lives = lives
        self._kept = kept
        self._named: defaultdict[tuple[str, str], dict[tuple[str, str], UUID]] = defaultdict(dict)
        for naming in namings:
            self._named[naming.kind, naming.number][naming.suffix, naming.sender] = naming.order_id
        self._new_namings: list[Naming] = []
        self._new_messages: list[KeptMessage] = []
        self._changes: list[Change] = []
        self._renamings: list[Renaming] = []
        self._asked: list[ServiceRequest] = []
        self._touched: dict[UUID, OrderLife] = {}

    async def take(self, event: Event[Any], message: OrderMessage) -> None:
        """Fold the message into every order that it is about."""
        for order in orders.addressed(message, self._known(message), self._site_id):
            self._name(order, message)
            kept = KeptMessage(order.order_id, event.id, message)
            if kept.key not in self._kept:
                await self._fold(event, kept)

    def _known(self, message: OrderMessage) -> list[NamedOrder]:
        """Return the orders that the message's numbers name, the placer's first."""
        return [order for number in message.numbers for order in self._meant(message, number)]

    def _meant(self, message: OrderMessage, number: Number) -> list[NamedOrder]:
        """Return the orders under one number that the message is about."""
        rows = self._named.get(number[:2], {})
        named = [self._named_order(order_id, *key) for key, order_id in sorted(rows.items())]
        return bare_numbers.meant_by(message, named) if number.sender else named

    def _named_order(self, order_id: UUID, suffix: str, sender: str) -> NamedOrder:
        stored = self._lives[order_id].stored
        return NamedOrder(
            order_id=order_id,
            suffix=suffix,
            accession_number=stored.order.accession_number if stored else None,
            study_instance_uid=stored.order.study_instance_uid if stored else None,
            sender=sender,
            link_id=stored.order.link_id if stored else "",
            patient=stored.patient if stored else None,
        )

    def _name(self, order: Addressed, message: OrderMessage) -> None:
        self._lives.setdefault(order.order_id, OrderLife(order.order_id))
        for number in message.numbers:
            kind, text, sender = number
            rows = self._named[kind, text]
            if (order.suffix, sender) not in rows and not self._is_anothers(number, order, message):
                rows[order.suffix, sender] = order.order_id
                self._new_namings.append(Naming(kind, text, order.suffix, order.order_id, sender))

    def _is_anothers(self, number: Number, order: Addressed, message: OrderMessage) -> bool:
        """Say whether a bare number is another sender's, who gave it to this order: it may mean two orders of two."""
        rows = self._named[number[:2]] if number.sender else {}
        theirs = [self._named_order(order_id, *key) for key, order_id in rows.items() if order_id == order.order_id]
        return bool(theirs) and not any(bare_numbers.is_own(message, one) for one in theirs)

    async def _fold(self, event: Event[Any], kept: KeptMessage) -> None:
        life = self._lives[kept.order_id]
        if life.must_recall(kept.message):
            life.recall(await order_store.messages_about(self._tx, self._site_id, life.order_id))
        before, has_changed = life.stored, life.take(kept.message)
        if before is not None and order_folding.names_another(kept.message, before.patient):
            self._renamings.append(_renaming(before, kept.message))
        self._kept.add(kept.key)
        self._new_messages.append(kept)
        self._touched[life.order_id] = life
        if life.stored is not None and kept.message.request.universal_service_identifier is not None:
            self._asked.append(life.stored.order)
        if has_changed and life.stored is not None:
            self._changes.append(Change(event, before, life.stored))

    async def write(self) -> None:
        """Keep the messages and the orders, tell what changed, and settle it with the studies that are there.

        An order of a study is written change by change, since its cases' events tell it as it was after each.
        """
        if not self._touched:
            return
        await order_store.keep_messages(self._tx, self._site_id, self._new_messages)
        await order_store.name_orders(self._tx, self._site_id, self._new_namings)
        changed = [change.after.order for change in self._changes]
        of_studies = await order_store.orders_with_cases(self._tx, self._site_id, changed)
        await self._save(self._touched.keys() - of_studies)
        renamed = [patient for one in self._renamings for patient in (one.before, one.said)]
        told = [change.after.patient for change in self._changes]
        known = await patient_store.known(self._tx, self._site_id, *told, *renamed)
        await self._note_renamings(known, of_studies)
        ordered = [(change.after.order.order_id, change.after.patient) for change in self._changes]
        await patient_store.note_doubtful(self._tx, self._site_id, known, ordered)
        mapping = await mapping_store.current(self._tx, self._site_id)
        await mapping_noting.note_unmapped(self._tx, self._site_id, mapping, self._asked)
        await self._lock_cases(of_studies)
        for change in self._changes:
            order, patient = mapping.shown(change.after.order), known.shown(change.after.patient)
            tell(self._tx, change.event, order, change.after.revision, patient)
            if change.after.order.order_id in of_studies:
                await self._settle(change)
        await self._save(of_studies)

    async def _note_renamings(self, known: KnownPatients, of_studies: set[UUID]) -> None:
        """Let a person see what named another patient, unless ADT knows both as one, or the first as somebody else.

        An order of a study is compared with its images in any case.
        """
        named = [
            (one.order_id, one.message_control_id)
            for one in self._renamings
            if one.order_id not in of_studies
            and not known.is_doubtful(one.before)
            and patients.conflict(known.compared(one.said), known.compared(one.before))
        ]
        await patient_store.note_other_patients(self._tx, self._site_id, named)

    async def _lock_cases(self, of_studies: Iterable[UUID]) -> None:
        """Hold the cases of all changes at once: taken change by change, two batches could wait for each other."""
        theirs = {change.after.order.order_id: change.after.order for change in self._changes}
        orders_of_cases = [theirs[order_id] for order_id in sorted(of_studies)]
        found = [await order_store.cases_for_order(self._tx, self._site_id, order) for order in orders_of_cases]
        if len(found) > 1:
            await store.lock_cases(self._tx, self._site_id, {case_id for cases in found for case_id in cases})

    async def _save(self, order_ids: Iterable[UUID]) -> None:
        lives = [self._touched[order_id] for order_id in sorted(order_ids)]
        rows = [(life.stored, life.newest) for life in lives if life.stored is not None]
        if rows:
            await order_store.save_orders(self._tx, self._site_id, rows)

    async def _settle(self, change: Change) -> None:
        stored = change.after
        await order_store.save_orders(self._tx, self._site_id, [(stored, None)])
        moved = order_folding.moves_identity(change.before, stored)
        for case_id in await order_store.cases_for_order(self._tx, self._site_id, stored.order):
            await linking.order_changed(self._tx, change.event, stored, case_id, identity_moved=moved)


def _renaming(before: StoredOrder, message: OrderMessage) -> Renaming:
    said = order_folding.stated_patient(message.request.patient)
    return Renaming(before.order.order_id, message.request.message_control_id, before.patient, said)


def _numbers(messages: Sequence[OrderMessage]) -> set[str]:
    return {number for message in messages for number in (message.placer, message.filler) if number}


def tell(tx: Transaction, cause: Cause | None, order: ServiceRequest, revision: int, patient: Patient) -> None:
    """Let the order leave as it is shown now."""
    changed = OrderChanged(
        order_id=order.order_id, revision=revision, changed_at=tx.clock(), order=order, patient=patient
    )
    own_key = f"{order.order_id}/{revision}"
    tx.publish(ORDERS_CHANGED, changed, subject=str(order.order_id), own_key=own_key, caused_by=cause)
