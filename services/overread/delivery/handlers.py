"""One function per topic: what delivery keeps of cases, and what reports ask it to send."""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed, OverreadError, Unavailable
from overread.contracts.events.deliveries import DeliveryDone, DeliveryOutcome
from overread.contracts.events.reports import ReportChanged, ReportDocument
from overread.contracts.identifiers import deterministic_id
from overread.contracts.report_life import ReportState
from overread.contracts.topics import DELIVERIES_DONE
from overread.delivery import case_store, store
from overread.delivery.destinations import Destination
from overread.delivery.dropped import taking_back
from overread.delivery.large_messages import put_aside
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Position, Status, may_follow, must_take_back
from overread.delivery.settings import DeliverySettings
from overread.delivery.study_images import StudyImages, images_for
from overread.delivery.telling import Occasion, Telling, orders_of, read_document
from overread.protocols.hl7.oru_content import Party
from overread.runtime.consume import Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.telemetry import log

Earlier = Mapping[str, Sequence[Position]]


class Handlers:
    """Delivery's handlers, with the destinations they render for."""

    def __init__(
        self,
        settings: DeliverySettings,
        destinations: Sequence[Destination],
        *,
        images: StudyImages | None = None,
        objects: LocalObjectStore | None = None,
    ) -> None:
        self._settings = settings
        self._destinations = destinations
        self._images = images
        self._objects = objects

    async def cases_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Keep the newest of each case, for the gate to compare with."""
        await case_store.keep_newest(tx.connection, batch)

    async def case_set_aside(self, source: SourceRecord, tx: Transaction) -> None:
        """Keep that what is known of a case is not all that was told of it: no report of it is released on that."""
        await case_store.note_letter(tx.connection, source)

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
        raw = decoded(event.data.document_base64)
        earlier, previous = await self._earlier(event, tx), await self._previous(event, tx)
        if event.data.report_revision <= await self._taken_back_revision(event, tx):
            return  # it comes late: also where no destination had anything to hear of the withdrawal
        drafts = unverified_tellings(raw, self._destinations, earlier, self._occasion(tx.clock()))
        told = [replace(d, previous=previous.get(d.destination.name)) for d in drafts]
        dropped = self._dropped(read_document(raw), {d.destination.name for d in told}, earlier, previous, tx.clock())
        await self._tell([*dropped, *told], event, tx)

    def _dropped(
        self,
        document: ReportDocument,
        told: set[str],
        earlier: Earlier,
        previous: Mapping[str, ReportDocument],
        now: datetime,
    ) -> Iterator[Telling[Any]]:
        """Yield what takes back unread results under orders that are not the study's any more."""
        for destination in self._destinations:
            telling = Telling(
                document=document,
                raw=b"",
                destination=destination,
                status=Status.UNVERIFIED,
                occasion=self._occasion(now),
                earlier=earlier.get(destination.name, ()),
                previous=previous.get(destination.name),
            )
            yield from taking_back(telling, is_told=destination.name in told)

    async def _take_back(self, event: Event[ReportChanged], tx: Transaction) -> None:
        earlier, revision = await self._earlier(event, tx), event.data.report_revision
        await store.take_back(tx.connection, event.site_id, event.data.report_id, Status.CANCELLED, revision)
        sent = await store.newest_documents(tx.connection, event.site_id, event.data.report_id)
        occasion = self._occasion(tx.clock(), event.data.reason)
        await self._tell(
            [
                withdrawal_of(sent[d.name], d, earlier[d.name], occasion, report_revision=revision)
                for d in self._destinations
                if d.name in sent and must_take_back(earlier.get(d.name, ()), revision)
            ],
            event,
            tx,
        )

    async def _tell(self, tellings: Sequence[Telling[Any]], event: Event[ReportChanged], tx: Transaction) -> None:
        """Store what each destination is told; one that can't be told keeps nothing from the others, and is named."""
        for telling in tellings:
            try:
                messages = await asyncio.to_thread(messages_for, await self._with_images(telling))
            except Unavailable:
                raise
            except (OverreadError, ValueError, LookupError, TypeError, AttributeError) as error:
                self._give_up(telling, error, event, tx)
            else:
                kept = await put_aside(self._objects, event.site_id, messages)
                await store.enqueue(tx.connection, kept, _cause(event), tx.clock())

    async def _with_images(self, telling: Telling[Any]) -> Telling[Any]:
        if self._images is None:
            return telling
        return replace(telling, imaging=await images_for(self._images, telling.document, [telling.destination]))

    def _give_up(self, telling: Telling[Any], error: Exception, event: Event[ReportChanged], tx: Transaction) -> None:
        sentence = str(error) if isinstance(error, OverreadError) else f"a defect of our own ({type(error).__name__})"
        untold = not_told(telling, sentence, tx.clock())
        log.error("not_told", destination=untold.destination, report_id=str(untold.report_id), reason=sentence)
        own_key = f"not told/{untold.delivery_id}"
        tx.publish(DELIVERIES_DONE, untold, subject=str(untold.delivery_id), own_key=own_key, caused_by=event)

    async def _earlier(self, event: Event[ReportChanged], tx: Transaction) -> Earlier:
        await store.lock_report(tx.connection, event.site_id, event.data.report_id)
        return await store.positions(tx.connection, event.site_id, event.data.report_id)

    async def _taken_back_revision(self, event: Event[ReportChanged], tx: Transaction) -> int:
        return await store.taken_back_revision(tx.connection, event.site_id, event.data.report_id)

    async def _previous(self, event: Event[ReportChanged], tx: Transaction) -> Mapping[str, ReportDocument]:
        sent = await store.newest_documents(tx.connection, event.site_id, event.data.report_id)
        return {destination: read_document(raw) for destination, raw in sent.items()}

    def _occasion(self, now: datetime, reason: str = "") -> Occasion:
        return occasion_of(self._settings, now, reason)


def occasion_of(settings: DeliverySettings, now: datetime, reason: str = "") -> Occasion:
    """Return who sends, when, and on whose clock."""
    sending = Party(
        application=settings.sending_application, facility=settings.sending_facility or settings.site_id.upper()
    )
    return Occasion(sending=sending, time_zone=settings.time_zone, now=now, reason=reason)


def unverified_tellings(
    raw: bytes, destinations: Iterable[Destination], earlier: Earlier, occasion: Occasion
) -> list[Telling[Any]]:
    """Return the draft `raw` for each destination that takes results nobody has confirmed, under its own word."""
    document = read_document(raw)
    has_order = bool(orders_of(document))
    tellings: list[Telling[Any]] = []
    for destination in destinations:
        status, before = destination.send_unverified.status, earlier.get(destination.name, ())
        if status is None or not destination.takes(document.site_id, has_order=has_order):
            continue
        if may_follow(before, Position(report_revision=document.report_revision, status=status)):
            tellings.append(
                Telling(
                    document=document,
                    raw=raw,
                    destination=destination,
                    status=status,
                    occasion=occasion,
                    earlier=before,
                )
            )
    return tellings


def withdrawal_of(
    sent: bytes,
    destination: Destination,
    earlier: Sequence[Position],
    occasion: Occasion,
    *,
    report_revision: int,
) -> Telling[Any]:
    """Return what takes back the document `sent`; it is of a later revision when the newest draft never left."""
    document = read_document(sent).model_copy(update={"report_revision": report_revision})
    return Telling(
        document=document,
        raw=sent,
        destination=destination,
        status=Status.CANCELLED,
        occasion=occasion,
        earlier=earlier,
    )


def not_told(telling: Telling[Any], reason: str, now: datetime) -> DeliveryDone:
    """Return the word that a destination was not told, since its form can't say it."""
    document, destination = telling.document, telling.destination
    report = (document.site_id, str(document.report_id), str(document.report_revision))
    return DeliveryDone(
        case_id=document.case_id,
        report_id=document.report_id,
        report_revision=document.report_revision,
        delivery_id=deterministic_id("not told", *report, destination.name, telling.status.value),
        destination=destination.name,
        form=destination.kind,
        status=telling.status.value,
        outcome=DeliveryOutcome.GIVEN_UP,
        reason=reason,
        attempts=0,
        message_digest=codec.sha256(b""),
        message_control_id="",
        ended_at=now,
    )


def decoded(text: str) -> bytes:
    """Return the bytes behind base64, or raise `Malformed`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("a document or signature is not base64") from error


def _cause(event: Event[ReportChanged]) -> store.StoredCause:
    return store.StoredCause(id=event.id, site_id=event.site_id, traceparent=event.traceparent)
