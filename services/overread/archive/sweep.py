"""After an intake's restart: the objects that it stored and did not come to tell are told now.

The synced object is its own outbox. Event ids follow from the content, so telling twice is harmless. Nothing is deleted.
"""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import PurePosixPath
from uuid import UUID

from overread.archive import store
from overread.contracts import codec
from overread.contracts.envelope import Body, event_of
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HintKind, InstanceStored, StudyHint
from overread.contracts.identifiers import deterministic_id, instance_event_id
from overread.contracts.topics import DICOM_RECEIVED
from overread.protocols.dicom.attributes import read_header
from overread.protocols.dicom.part10 import split
from overread.protocols.dicom.sop_classes import is_accompanying
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore, ObjectMissing
from overread.runtime.publisher import Outgoing
from overread.runtime.retry import or_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import child_traceparent, log

POLL_SECONDS = 0.5
MARGIN = timedelta(minutes=2)
BATCH = 200

_RECEIPT = re.compile(r"[0-9a-f]{64}")


class Sweeper:
    """Looks through the objects once for each restart, when every event told so far has been read."""

    def __init__(self, service: Service, objects: LocalObjectStore, *, fallback_charset: str) -> None:
        self._service = service
        self._objects = objects
        self._fallback_charset = fallback_charset

    async def run(self) -> None:
        """Sweep until cancelled; what is away is waited for."""
        while True:
            try:
                await self.tick()
            except Unavailable as away:
                log.warning("sweep_waits", reason=str(away))
            await asyncio.sleep(POLL_SECONDS)

    async def tick(self) -> None:
        """Do the sweep that is due, if any."""
        async with self._service.transaction() as tx:
            sweep = await store.next_sweep(tx)
        if sweep is None:
            return
        mine = self._service.consumptions[DICOM_RECEIVED.name].assigned_partitions()
        if not mine or not await self._service.has_read_to_the_end(DICOM_RECEIVED, mine):
            return
        told = await self._tell(sweep)
        async with self._service.transaction() as tx:
            await store.end_sweep(tx, sweep)
        log.info("sweep_done", intake=sweep.intake, told=told)

    async def _tell(self, sweep: store.Sweep) -> int:
        since = sweep.checkpoint - MARGIN if sweep.checkpoint else datetime.fromtimestamp(0, UTC)
        keys = self._objects.objects_stored_since(f"{sweep.site_id}/studies", since.timestamp())
        async with self._service.transaction() as tx:
            again = await store.keys_set_aside(tx, sweep.site_id)
        instances = chain(again, (key for key in keys if _is_instance(key)))
        told = 0
        while batch := await asyncio.to_thread(_next, instances):
            async with self._service.transaction() as tx:
                for key in await store.not_held(tx, sweep.site_id, batch):
                    told += await self._is_told(tx, sweep, key)
        return told

    async def _is_told(self, tx: Transaction, sweep: store.Sweep, key: str) -> bool:
        """Tell of one object; one that can't be read as an instance is set aside, loudly, and stops no other."""
        reason = await self._why_not_told(tx, sweep, key)
        if reason is None:
            return True
        await store.set_aside(tx, sweep.site_id, key, reason)
        log.error("object_set_aside", object_digest=codec.sha256(key.encode()), reason=reason)
        return False

    async def _why_not_told(self, tx: Transaction, sweep: store.Sweep, key: str) -> str | None:
        try:
            defect = await or_defect(self._tell_one(tx, sweep, key), object_digest=codec.sha256(key.encode()))
        except Malformed as fault:
            return f"Malformed: {fault}"
        except ObjectMissing:
            return "the object is no longer there"
        return f"Defect: {defect.name} in archive" if defect else None

    async def _tell_one(self, tx: Transaction, sweep: store.Sweep, key: str) -> None:
        content = await self._objects.get(key)
        stored = await asyncio.to_thread(self._event, sweep, key, content)
        trace = child_traceparent(sweep.traceparent)
        event_id = instance_event_id(sweep.site_id, stored.sop_instance_uid, stored.digest)
        instance = _outgoing(tx, sweep, stored, trace, event_id)
        hint = StudyHint(
            study_instance_uid=stored.study_instance_uid,
            kind=HintKind.ASSOCIATION_CLOSED,
            calling_ae_title=stored.calling_ae_title,
            association_id=stored.association_id,
            sop_instance_uids=(stored.sop_instance_uid,),
            is_orderly=False,
        )
        tx.outgoing += [instance, _outgoing(tx, sweep, hint, trace, deterministic_id("swept", str(event_id)))]

    def _event(self, sweep: store.Sweep, key: str, content: bytes) -> InstanceStored:
        file = split(content)
        header = read_header([file.data_set], file.transfer_syntax_uid, fallback_charset=self._fallback_charset)
        return InstanceStored(
            study_instance_uid=header.study_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            transfer_syntax_uid=file.transfer_syntax_uid,
            object_key=key,
            digest=PurePosixPath(key).name,
            size_bytes=len(content),
            received_at=sweep.restarted_at,
            calling_ae_title=file.source_application_entity_title,
            association_id=sweep.id,
            is_accompanying=is_accompanying(header.sop_class_uid, manufacturer=header.attributes.manufacturer),
            attributes=header.attributes,
        )


def _outgoing(tx: Transaction, sweep: store.Sweep, body: Body, trace: str, event_id: UUID) -> Outgoing:
    event = event_of(
        body,
        source="archive",
        time=tx.clock(),
        subject=sweep.intake,
        site_id=sweep.site_id,
        traceparent=trace,
        own_key="",
        caused_by=sweep.id,
        event_id=event_id,
    )
    return Outgoing(DICOM_RECEIVED.name, DICOM_RECEIVED.key_of(event), codec.encode(event))


def _is_instance(key: str) -> bool:
    """Say whether the key is `{site}/studies/{study}/{sop}/{receipt}` of an instance, not of a manifest or a stray."""
    parts = key.split("/")
    return len(parts) == 5 and parts[3] != "manifests" and bool(_RECEIPT.fullmatch(parts[4]))


def _next(keys: Iterator[str]) -> list[str]:
    return list(islice(keys, BATCH))
