"""What runs beside the handlers: the gate's queue and one sender for each destination, in one process at a time."""

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from overread.contracts import topics
from overread.contracts.errors import Unavailable
from overread.contracts.events.deliveries import GateDecided, GateVerdict
from overread.delivery import case_store, gate, store
from overread.delivery.breaker import Breaker
from overread.delivery.destinations import (
    Destination,
    DicomDestination,
    FhirDestination,
    Hl7Destination,
)
from overread.delivery.dispatch_store import RightToSend, sole_dispatcher
from overread.delivery.fhir_sender import FhirChannel
from overread.delivery.folder_sender import FolderChannel
from overread.delivery.handlers import not_told, occasion_of
from overread.delivery.hl7_sender import MllpChannel
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.large_messages import ObjectsAway, put_aside
from overread.delivery.sending import Channel, Patience, Sender
from overread.delivery.sequence import Status
from overread.delivery.settings import DeliverySettings
from overread.delivery.stored_outbox import Endings, StoredOutbox
from overread.delivery.study_images import StudyImages, images_for
from overread.delivery.telling import UnreadableDocument, read_document
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import GATE_DECISIONS, log

if TYPE_CHECKING:
    from overread.delivery.imaging import Imaging

REQUESTS_AT_ONCE = 50
IDLE_SECONDS = 1.0
AWAY_SECONDS = 0.5
WATCH_SECONDS = 2.0
OWN_WAIT_SECONDS = 5.0
"""How long a report is put off that waits for something of its own, so that the others are judged meanwhile."""

Verdict = gate.Released | gate.Held | gate.Wait | None
"""What became of a request; None when it was decided meanwhile."""

Judge = Callable[[gate.ReleaseRequest, gate.Circumstances], gate.Released | gate.Held | gate.Wait]


class GateKeeper:
    """Puts each signed document before the gate until it is released or held."""

    def __init__(
        self,
        service: Service,
        settings: DeliverySettings,
        destinations: Sequence[Destination],
        *,
        judge: Judge = gate.check,
        images: StudyImages | None = None,
        objects: LocalObjectStore | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._destinations = destinations
        self._judge = judge
        self._images = images
        self._objects = objects
        self._woken = asyncio.Event()
        self._waits_because = ""

    def wake(self) -> None:
        """Look for requests now."""
        self._woken.set()

    async def run(self) -> None:
        """Judge until cancelled."""
        while True:
            self._woken.clear()
            is_waiting = await self.judge_pending()
            await self._rest(self._settings.gate_retry_seconds if is_waiting else IDLE_SECONDS)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def judge_pending(self) -> bool:
        """Judge what waits, oldest first; say whether something still waits."""
        is_waiting = False
        due = await store.pending_requests(self._service.pool, REQUESTS_AT_ONCE, self._service.clock())
        for request, cause in due:
            verdict = await or_any_defect(self._judge_one(request, cause), report_id=str(request.report_id))
            if isinstance(verdict, Defect):
                verdict = await self._hold_defective(request, cause, verdict)
            is_waiting |= isinstance(verdict, gate.Wait)
            if isinstance(verdict, gate.Wait) and verdict.is_its_own:
                until = self._service.clock() + timedelta(seconds=OWN_WAIT_SECONDS)
                await store.put_off(self._service.pool, cause, until)
            self._note(verdict, request)
        return is_waiting

    async def _judge_one(self, request: gate.ReleaseRequest, cause: store.StoredCause) -> Verdict:
        """Judge one request; images or a disk that are away keep it alone waiting, whatever was begun is undone."""
        try:
            return await self._judge_with_images(request, cause)
        except ObjectsAway as away:
            return gate.Wait(str(away), is_its_own=True)

    async def _judge_with_images(self, request: gate.ReleaseRequest, cause: store.StoredCause) -> Verdict:
        has_read = await self._has_read_to_the_end(request)
        root_pem = await asyncio.to_thread(_root, self._settings.site_ca_root)
        imaging = await self._imaging(request)
        async with self._service.transaction() as tx:
            return await self._verdict(tx, request, cause, has_read=has_read, root_pem=root_pem, imaging=imaging)

    async def _imaging(self, request: gate.ReleaseRequest) -> "Imaging | None":
        """Return the images where somebody takes DICOM; None when they can't be read: the gate then holds the report."""
        if self._images is None:
            return None
        try:
            return await images_for(self._images, read_document(request.document), self._destinations)
        except UnreadableDocument:
            return None  # the gate says so itself

    async def _hold_defective(
        self, request: gate.ReleaseRequest, cause: store.StoredCause, defect: Defect
    ) -> gate.Held | None:
        """Hold a report that the gate can't judge, so that a person hears of it and the next one gets its turn."""
        held = gate.Held(f"the gate met a defect of its own ({defect.name})", is_defect=True)
        async with self._service.transaction() as tx:
            await store.lock_report(tx.connection, request.site_id, request.report_id)
            if await store.lock_pending(tx.connection, cause) is None:
                return None
            await self._decide(tx, request, cause, GateVerdict.HELD, held.reason)
        return held

    async def _has_read_to_the_end(self, request: gate.ReleaseRequest) -> bool:
        """Ask the broker for the end before the projection is read: what came before the question is then in it."""
        partition = await case_store.partition_of(self._service.pool, request.site_id, request.case_id)
        # A case that nobody spoke of yet may come on any partition.
        asked = range(topics.CASES_CHANGED.partitions) if partition is None else (partition,)
        try:
            return await self._service.has_read_to_the_end(topics.CASES_CHANGED, list(asked))
        except Unavailable:
            return False

    async def _verdict(
        self,
        tx: Transaction,
        request: gate.ReleaseRequest,
        cause: store.StoredCause,
        *,
        has_read: bool,
        root_pem: str | None,
        imaging: "Imaging | None",
    ) -> Verdict:
        await store.lock_report(tx.connection, request.site_id, request.report_id)
        locked = await store.lock_pending(tx.connection, cause)
        if locked is None:
            return None
        found = await case_store.case_of(tx.connection, request.site_id, request.case_id)
        sent = await store.newest_documents(tx.connection, request.site_id, request.report_id)
        known = gate.Circumstances(
            root_pem=root_pem,
            has_read_to_the_end=has_read,
            has_case_letter=await case_store.has_letter(tx.connection, request.site_id, request.case_id),
            case=found.case if found else None,
            superseded_revision=found.superseded_revision if found else 0,
            released_revision=await store.released_revision(tx.connection, request.site_id, request.report_id),
            earlier=await store.positions(tx.connection, request.site_id, request.report_id),
            destinations=self._destinations,
            occasion=occasion_of(self._settings, tx.clock()),
            previous={destination: read_document(raw) for destination, raw in sent.items()},
            previous_raw=sent,
            imaging=imaging,
        )
        verdict = await asyncio.to_thread(self._judge, locked, known)
        match verdict:
            case gate.Released(messages=messages, takes_back=takes_back, untold=untold):
                await self._decide(tx, request, cause, GateVerdict.RELEASED, "")
                for each in untold:
                    _say_untold(each, cause, tx)
                if takes_back:
                    told = (request.site_id, request.report_id, Status.WITHDRAWN, request.report_revision)
                    await store.take_back(tx.connection, *told)
                kept = await put_aside(self._objects, request.site_id, messages)
                await store.enqueue(tx.connection, kept, cause, tx.clock())
            case gate.Held(reason=reason):
                await self._decide(tx, request, cause, GateVerdict.HELD, reason)
            case gate.Wait():
                pass
        return verdict

    async def _decide(
        self,
        tx: Transaction,
        request: gate.ReleaseRequest,
        cause: store.StoredCause,
        verdict: GateVerdict,
        reason: str,
    ) -> None:
        await store.decide(tx.connection, cause, verdict, reason, tx.clock())
        decided = GateDecided(
            case_id=request.case_id,
            report_id=request.report_id,
            report_revision=request.report_revision,
            verdict=verdict,
            reason=reason,
            decided_at=tx.clock(),
            submission=request.submission,
        )
        own_key = f"{cause.id}/{verdict.value}"
        tx.publish(topics.DELIVERIES_DONE, decided, subject=str(request.report_id), own_key=own_key, caused_by=cause)

    def _note(self, verdict: Verdict, request: gate.ReleaseRequest) -> None:
        report = {"report_id": str(request.report_id), "report_revision": request.report_revision}
        match verdict:
            case gate.Released(messages=messages):
                GATE_DECISIONS.labels("released").inc()
                log.info("gate_released", messages=len(messages), **report)
            case gate.Held(reason=reason, is_defect=is_defect):
                GATE_DECISIONS.labels("held").inc()
                write = log.error if is_defect else log.warning
                write("gate_held", reason=reason, **report)
            case gate.Wait(reason=reason):
                if reason != self._waits_because:
                    log.info("gate_waits", reason=reason, **report)
            case None:
                pass
        self._waits_because = verdict.reason if isinstance(verdict, gate.Wait) else ""


def _say_untold(untold: gate.Untold, cause: store.StoredCause, tx: Transaction) -> None:
    """Say to the other services that a destination beside the result is not told."""
    said = not_told(untold.telling, untold.reason, tx.clock())
    log.error("not_told", destination=said.destination, report_id=str(said.report_id), reason=untold.reason)
    own_key = f"not told/{said.delivery_id}"
    tx.publish(topics.DELIVERIES_DONE, said, subject=str(said.delivery_id), own_key=own_key, caused_by=cause)


def channel_to(destination: Destination, patience: Patience) -> Channel:
    """Return the way to a destination, by the protocol of its kind."""
    match destination:
        case Hl7Destination():
            return MllpChannel(destination, patience)
        case FhirDestination():
            return FhirChannel(destination, patience)
        case InsuranceDestination():
            return FolderChannel(destination)
        case DicomDestination():
            # Imported here: DICOM's libraries cost a second, and a site may send none at all.
            from overread.delivery.dicom_sender import DicomChannel  # noqa: PLC0415

            return DicomChannel(destination, patience)
    assert_never(destination)


class Dispatch:
    """Gate and senders, run by the one process that holds the lock."""

    def __init__(
        self,
        service: Service,
        settings: DeliverySettings,
        destinations: Sequence[Destination],
        *,
        images: StudyImages | None = None,
        objects: LocalObjectStore | None = None,
    ) -> None:
        self._service = service
        self._gate_keeper = GateKeeper(service, settings, destinations, images=images, objects=objects)
        self._patience = _patience(settings)
        self._destinations = destinations
        self._objects = objects
        self._senders: list[Sender] = []

    async def run(self) -> None:
        """Run until cancelled; when the database goes away, everything stops and begins anew."""
        while True:
            try:
                await self._run_while_connected()
            except* Unavailable as away:
                log.warning("dispatch_waits", reason=str(away.exceptions[0]))
            await asyncio.sleep(AWAY_SECONDS)

    async def _run_while_connected(self) -> None:
        async with sole_dispatcher(self._service.pool, self._wake) as right:
            # A group that is cut short leaves its task marked as cancelled, and by that mark CPython before 3.11.3 turns
            # every later timeout of the task into its cancellation (gh-102780): hence a task of its own.
            await asyncio.create_task(self._run_with(right))

    async def _run_with(self, right: RightToSend) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._gate_keeper.run())
            endings = Endings(self._service, group.create_task)
            self._senders = [self._sender_to(destination, right, endings) for destination in self._destinations]
            for sender in self._senders:
                group.create_task(sender.run())
            group.create_task(_watch(right))

    def _sender_to(self, destination: Destination, right: RightToSend, endings: Endings) -> Sender:
        outbox = StoredOutbox(self._service, destination, right, self._objects, endings)
        return Sender(
            channel_to(destination, self._patience),
            outbox,
            self._patience,
            jitter=random.random,
            breaker=Breaker(
                failures_to_open=destination.failures_to_open,
                probe_seconds=destination.probe_seconds,
            ),
            keep=outbox.keep_state,
            clock=self._service.clock,
        )

    def _wake(self) -> None:
        self._gate_keeper.wake()
        for sender in self._senders:
            sender.wake()


def _patience(settings: DeliverySettings) -> Patience:
    return Patience(
        connect_seconds=settings.connect_seconds,
        acknowledgment_seconds=settings.acknowledgment_seconds,
        first_retry_seconds=settings.first_retry_seconds,
        longest_retry_seconds=settings.longest_retry_seconds,
        longest_refusal_seconds=settings.longest_refusal_seconds,
    )


async def _watch(right: RightToSend) -> None:
    """End with `Unavailable` when the connection that holds the lock is lost."""
    while True:
        await right.require()
        await asyncio.sleep(WATCH_SECONDS)


def _root(path: Path | None) -> str | None:
    """Return the site CA's root as it is on disk now; None while it is not there or can't be read."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
