"""Timers: when a wait is over, the study gets its next revision, its manifest, and `StudyReady` leaves."""

import asyncio
from datetime import timedelta
from uuid import UUID

from overread.assembly import image_store, store
from overread.contracts import codec
from overread.contracts.errors import OverreadError, Unavailable
from overread.contracts.events.cases import CompletenessBasis, SeriesSummary, Study, StudyReady
from overread.contracts.events.intake import InstanceStored
from overread.contracts.manifest import Manifest, ManifestInstance, ManifestSeries
from overread.contracts.topics import CASES_CHANGED, DICOM_RECEIVED
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.retry import Defect, or_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import log

TICK_SECONDS = 0.1
AWAY_SECONDS = 1.0
DEFECT_WAIT = timedelta(seconds=30)
MOST_SERIES = 250
"""As many as an event lists: of 256 KiB they take a tenth."""


class Timekeeper:
    """Fires the timers of the partitions that this process reads.

    A timer fires only when all that the broker held in its partition at this moment has been read: an image that was
    already on its way sets the timer anew first.
    """

    def __init__(self, service: Service, objects: LocalObjectStore) -> None:
        self._service = service
        self._objects = objects

    async def run(self) -> None:
        """Look for due timers until cancelled; what is away is waited for."""
        while True:
            try:
                await self.tick()
                await asyncio.sleep(TICK_SECONDS)
            except Unavailable as away:
                log.warning("timers_wait", reason=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def tick(self) -> None:
        """Complete every study whose wait is over."""
        mine = self._service.consumptions[DICOM_RECEIVED.name].assigned_partitions()
        async with self._service.transaction() as tx:
            due = await image_store.due_timers(tx, tx.clock(), mine)
        for timer in due:
            if await self._service.has_read_to_the_end(DICOM_RECEIVED, [timer.partition]):
                await self._fire(timer)

    async def _fire(self, timer: image_store.Timer) -> None:
        """Complete one study; one that can't be completed waits, and stops no other."""
        try:
            failed = await or_defect(self._complete(timer), case_id=str(timer.case_id))
        except Unavailable:
            raise
        except OverreadError as fault:
            log.error("study_not_ready", case_id=str(timer.case_id), reason=str(fault))
            failed = Defect(type(fault).__name__)
        if failed is not None:
            async with self._service.transaction() as tx:
                await image_store.postpone(tx, timer, tx.clock() + DEFECT_WAIT)

    async def _complete(self, timer: image_store.Timer) -> None:
        async with self._service.transaction() as tx:
            await self._complete_in(tx, timer)

    async def _complete_in(self, tx: Transaction, timer: image_store.Timer) -> None:
        case = await store.lock_case(tx, timer.site_id, timer.case_id)
        if case is None or not await image_store.lock_timer(tx, timer):
            return
        images = await image_store.images(tx, timer.site_id, timer.case_id)
        manifest = make_manifest(case, images)
        content = manifest.to_bytes()
        digest = codec.sha256(content)
        key = f"{timer.site_id}/studies/{case.study_instance_uid}/manifests/{manifest.study_revision}-{digest}"
        await self._objects.put(key, [content])
        study = _study(manifest, images, key, digest, CompletenessBasis(timer.basis))
        now = await store.change_case(tx, timer.site_id, case, identity_moved=False, study=study)
        await image_store.end_wait(tx, timer.site_id, timer.case_id)
        ready = StudyReady(case_id=now.case_id, case=now)
        last = await image_store.last_image_event(tx, timer.site_id, timer.case_id)
        tx.publish(
            CASES_CHANGED,
            ready,
            subject=str(now.case_id),
            own_key=ready_key(timer.site_id, now.case_id, study.study_revision),
            caused_by=last,
        )
        log.info("study_ready", case_id=str(now.case_id), instances=study.instance_count, basis=timer.basis)


def ready_key(site_id: str, case_id: UUID, study_revision: int) -> str:
    """Return the own key of a `StudyReady`: one a study revision."""
    return f"{site_id}/{case_id}/ready/{study_revision}"


def make_manifest(case: store.CaseRow, images: list[InstanceStored]) -> Manifest:
    """Return the next revision's manifest: series by UID, instances by SOPInstanceUID."""
    by_series: dict[str, list[ManifestInstance]] = {}
    for image in images:
        by_series.setdefault(image.attributes.series_instance_uid, []).append(
            ManifestInstance(
                sop_instance_uid=image.sop_instance_uid,
                sop_class_uid=image.sop_class_uid,
                transfer_syntax_uid=image.transfer_syntax_uid,
                object_key=image.object_key,
                digest=image.digest,
                attributes=image.attributes,
            )
        )
    return Manifest(
        study_instance_uid=case.study_instance_uid,
        study_revision=(case.study.study_revision if case.study else 0) + 1,
        series=tuple(
            ManifestSeries(series_instance_uid=uid, instances=tuple(by_series[uid])) for uid in sorted(by_series)
        ),
    )


def _study(manifest: Manifest, images: list[InstanceStored], key: str, digest: str, basis: CompletenessBasis) -> Study:
    headers = [image.attributes for image in images]
    return Study(
        study_instance_uid=manifest.study_instance_uid,
        study_revision=manifest.study_revision,
        manifest_key=key,
        manifest_digest=digest,
        modalities=tuple(sorted({header.modality for header in headers if header.modality})),
        body_part_examined=next((h.body_part_examined for h in headers if h.body_part_examined), ""),
        study_description=next((h.study_description for h in headers if h.study_description), ""),
        study_date_time=next((h.study_date_time for h in headers if h.study_date_time), ""),
        series_count=len(manifest.series),
        instance_count=len(images),
        completeness_basis=basis,
        series=summaries(manifest),
    )


def summaries(manifest: Manifest) -> tuple[SeriesSummary, ...]:
    """Return the study's series for those who can't read the manifest; none where an event has no room for them."""
    if len(manifest.series) > MOST_SERIES:
        return ()
    return tuple(
        SeriesSummary(
            series_instance_uid=series.series_instance_uid,
            modality=next((i.attributes.modality for i in series.instances if i.attributes.modality), ""),
            instance_count=len(series.instances),
        )
        for series in manifest.series
    )
