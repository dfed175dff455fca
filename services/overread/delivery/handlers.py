"""One function per topic: what delivery keeps of cases, and what reports ask it to send."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed
from overread.contracts.events.reports import ReportChanged
from overread.contracts.report_life import ReportState
from overread.delivery import store
from overread.delivery.destinations import Hl7Destination, SendUnverified
from overread.delivery.rendering import Occasion, OutboundMessage, messages_for, orders_of, read_document
from overread.delivery.sequence import Position, may_follow, must_take_back
from overread.delivery.settings import DeliverySettings
from overread.protocols.hl7.oru_content import Party, ResultStatus
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.telemetry import log

Earlier = Mapping[str, Sequence[Position]]


class Handlers:
    """Delivery's handlers, with the destinations they render for."""

    def __init__(self, settings: DeliverySettings, destinations: Sequence[Hl7Destination]) -> None:
        self._settings = settings
        self._destinations = destinations

    async def cases_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Keep the newest of each case, for the gate to compare with."""
        await store.keep_newest(tx.connection, batch)

    async def reports_signed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Put each signed document before the gate; nothing is judged here, and the same submission is one request."""
        for delivered in batch:
            signed = delivered.event.data
            document, signature = decoded(signed.document_base64), decoded(signed.signature_base64)
            if not await store.ask_release(tx.connection, delivered.event, document, signature):
                log.info("release_asked_before", report_id=str(signed.report_id), submission=signed.submission)

    async def reports_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Send a new draft as an unverified result where that is wanted, and take back what was withdrawn.

        No state said here lets a signed report out: only `reports.signed` reaches the gate.
        """
        # One order for the locks of a batch, so that two batches never wait for each other.
        for delivered in sorted(batch, key=lambda d: str(d.event.data.report_id)):
            match delivered.event.data.state:
                case ReportState.DRAFTED:
                    await self._send_unverified(delivered.event, tx)
                case ReportState.WITHDRAWN:
                    await self._take_back(delivered.event, tx)
                case _:
                    pass

    async def _send_unverified(self, event: Event[ReportChanged], tx: Transaction) -> None:
        if not event.data.document_base64:
            return
        earlier = await self._earlier(event, tx)
        document = decoded(event.data.document_base64)
        messages = unverified_messages(document, self._destinations, earlier, self._occasion(tx.clock()))
        await store.enqueue(tx.connection, messages, _cause(event), tx.clock())

    async def _take_back(self, event: Event[ReportChanged], tx: Transaction) -> None:
        earlier = await self._earlier(event, tx)
        revision = event.data.report_revision
        for destination in self._destinations:
            shown = earlier.get(destination.name, ())
            if not must_take_back(shown, revision):
                continue
            sent = await store.newest_document(tx.connection, event.site_id, destination.name, event.data.report_id)
            if sent is not None:
                occasion = self._occasion(tx.clock(), event.data.reason)
                messages = messages_for(sent, destination, ResultStatus.CANCELLED, occasion, report_revision=revision)
                await store.enqueue(tx.connection, messages, _cause(event), tx.clock())

    async def _earlier(self, event: Event[ReportChanged], tx: Transaction) -> Earlier:
        await store.lock_report(tx.connection, event.site_id, event.data.report_id)
        return await store.positions(tx.connection, event.site_id, event.data.report_id)

    def _occasion(self, now: datetime, reason: str = "") -> Occasion:
        return occasion_of(self._settings, now, reason)


def occasion_of(settings: DeliverySettings, now: datetime, reason: str = "") -> Occasion:
    """Return who sends, when, and on whose clock."""
    sending = Party(
        application=settings.sending_application, facility=settings.sending_facility or settings.site_id.upper()
    )
    return Occasion(sending=sending, time_zone=settings.time_zone, now=now, reason=reason)


def unverified_messages(
    raw: bytes, destinations: Iterable[Hl7Destination], earlier: Earlier, occasion: Occasion
) -> list[OutboundMessage]:
    """Return the draft `raw` for each destination that takes results nobody has confirmed, under its own word."""
    document = read_document(raw)
    has_order = bool(orders_of(document))
    messages: list[OutboundMessage] = []
    for destination in destinations:
        if destination.send_unverified is SendUnverified.NONE:
            continue
        status = ResultStatus(destination.send_unverified.value)
        following = Position(report_revision=document.report_revision, status=status)
        takes_it = destination.takes(document.site_id, has_order=has_order)
        if takes_it and may_follow(earlier.get(destination.name, ()), following):
            messages.extend(messages_for(raw, destination, status, occasion))
    return messages


def decoded(text: str) -> bytes:
    """Return the bytes behind base64, or raise `Malformed`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("a document or signature is not base64") from error


def _cause(event: Event[ReportChanged]) -> store.StoredCause:
    return store.StoredCause(id=event.id, site_id=event.site_id, traceparent=event.traceparent)
