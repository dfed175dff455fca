"""Opening a case for reading: the claim, the view and everything beside it, in one call."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from overread.contracts.events.cases import Case
from overread.contracts.events.reports import ReportDocument
from overread.contracts.manifest import Manifest
from overread.contracts.report_life import ReportAction, ReportState
from overread.review import audit, listing, reading, store, task_store, worklist_store
from overread.review.desk import Desk, view_of
from overread.review.finding_codes import offered
from overread.review.identity import Identity
from overread.review.images import Images, Segmentation, images_view
from overread.review.model_cards import Cards, read_cards
from overread.review.reading import NotSignable, ReadingView, RowView, SegmentationList, Signing, TaskView
from overread.review.refusals import ClaimedByAnother, NotFound, Superseded, WrongState
from overread.review.revision import OPEN_STATES, Head, report_id_for
from overread.review.transitions import Act, apply
from overread.review.views import ReportView
from overread.review.worklist_store import Listed
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore, ObjectMissing

CLAIMABLE = frozenset({ReportState.DRAFTED, ReportState.REJECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the database knows of a case, read in one transaction."""

    report: ReportView | None
    case: Case
    listed: Listed
    task: task_store.Task | None
    is_superseded: bool


class ReadingDesk:
    """Shows cases to readers; what is decided is the desk's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        root = desk.settings.object_root
        self._images = Images(LocalObjectStore(root)) if root else None
        self._cards: Cards | None = None

    async def cards(self) -> Cards:
        """Return the models' cards, read at the first question."""
        if self._cards is None:
            self._cards = await asyncio.to_thread(read_cards, self._desk.settings.models_file)
        return self._cards

    async def open(self, reader: Identity, report_id: UUID) -> ReadingView:
        """Return the case for reading, claimed when it can be and the reader may sign it."""
        reader.must_read()
        async with self._desk.service.transaction() as tx:
            head = await store.lock_report(tx.connection, reader.site_id, report_id)
            newest = await store.newest_revision(tx.connection, reader.site_id, report_id)
            if head is None or newest is None:
                raise NotFound
            if newest.state in CLAIMABLE and reader.may_sign:
                await apply(tx, head, newest, Act(action=ReportAction.CLAIM, reason="", actor=reader.subject))
                await listing.refresh(tx, head, language=self._desk.settings.language)
            told = await self._told(tx, reader, head, "open")
        return await self._reading(reader, told)

    async def show(self, reader: Identity, report_id: UUID) -> ReadingView:
        """Return the case of a report, unclaimed."""
        reader.must_read()
        async with self._desk.service.transaction() as tx:
            newest = await store.newest_revision(tx.connection, reader.site_id, report_id)
            if newest is None:
                raise NotFound
            head = Head(site_id=reader.site_id, report_id=report_id, case_id=newest.case_id, report_revision=0)
            told = await self._told(tx, reader, head, "view")
        return await self._reading(reader, told)

    async def show_case(self, reader: Identity, case_id: UUID) -> ReadingView:
        """Return a case, with or without a report."""
        reader.must_read()
        report_id = report_id_for(reader.site_id, case_id)
        head = Head(site_id=reader.site_id, report_id=report_id, case_id=case_id, report_revision=0)
        async with self._desk.service.transaction() as tx:
            told = await self._told(tx, reader, head, "view")
        return await self._reading(reader, told)

    async def segmentations(self, reader: Identity, report_id: UUID) -> SegmentationList:
        """Return each segmentation with the images on which something is marked."""
        document = await self._document(reader, report_id)
        manifest = await self._manifest(document, None)
        views = reading.segmentation_views(document, manifest)
        marked = []
        for view, (_, artefact) in zip(views, reading.segmentations_of(document), strict=True):
            segmentation = await self._stored().segmentation(artefact)
            marked.append(
                reading.MarkedSegmentation(**view.model_dump(), sop_instance_uids=segmentation.uids_with_something)
            )
        return SegmentationList(items=marked)

    async def segmentation(self, reader: Identity, report_id: UUID, index: int) -> Segmentation:
        """Return one segmentation, or raise `NotFound`."""
        found = reading.segmentations_of(await self._document(reader, report_id))
        if not 0 <= index < len(found):
            raise NotFound("the report has no such segmentation")
        try:
            return await self._stored().segmentation(found[index][1])
        except ObjectMissing as missing:
            raise NotFound("the segmentation is no longer stored") from missing

    def _stored(self) -> Images:
        if self._images is None:
            raise NotFound("this installation keeps no images")
        return self._images

    async def _document(self, reader: Identity, report_id: UUID) -> ReportDocument:
        """Return the newest revision's document; frames are no view of their own: opening the case was recorded."""
        reader.must_read()
        async with self._desk.service.transaction() as tx:
            newest = await store.newest_revision(tx.connection, reader.site_id, report_id)
        if newest is None:
            raise NotFound
        return ReportDocument.model_validate_json(newest.document)

    async def _told(self, tx: Transaction, reader: Identity, head: Head, action: str) -> Told:
        case = await store.case_of(tx.connection, head.site_id, head.case_id)
        listed = await worklist_store.of_case(tx.connection, head.site_id, head.case_id)
        if case is None or listed is None:
            raise NotFound
        newest = await store.newest_revision(tx.connection, head.site_id, head.report_id)
        task = await task_store.newest(tx.connection, head.site_id, head.report_id)
        audit.record(
            tx,
            actor=reader.subject,
            action=action,
            object_type="report" if newest else "case",
            object_id=str(head.report_id if newest else head.case_id),
            case_id=head.case_id,
        )
        return Told(
            report=await view_of(tx, reader, newest) if newest else None,
            case=case,
            listed=listed,
            task=task if task and task.is_open else None,
            is_superseded=await listing.is_superseded(tx, head),
        )

    async def _reading(self, reader: Identity, told: Told) -> ReadingView:
        document = told.report.document if told.report else None
        manifest = await self._manifest(document, told.case)
        study = told.case.study
        are_all = bool(
            study and manifest and study.study_revision == manifest.study_revision and not told.is_superseded
        )
        fresh_until = reader.auth_time + self._desk.session_limit
        return ReadingView(
            report=told.report,
            case=told.case,
            row=row_view(told.listed, reader),
            models=reading.model_views(told.listed.row.ai.models, document, await self.cards()),
            images=images_view(manifest, are_all=are_all) if manifest else None,
            segmentations=reading.segmentation_views(document, manifest),
            finding_codes=offered(study.modalities if study else ()),
            task=_task_view(told.task, reader),
            not_signable=not_signable(told, reader),
            signing=Signing(
                may_sign=reader.may_sign, is_fresh=self._desk.service.clock() <= fresh_until, fresh_until=fresh_until
            ),
        )

    async def _manifest(self, document: ReportDocument | None, case: Case | None) -> Manifest | None:
        """Return the list of the images that the report is about, or, without a report, of the newest."""
        key, digest = _manifest_place(document, case)
        if not key or self._images is None:
            return None
        try:
            return await self._images.manifest(key, digest)
        except ObjectMissing:
            return None


def _manifest_place(document: ReportDocument | None, case: Case | None) -> tuple[str, str]:
    if document and document.manifest_key:
        return document.manifest_key, document.manifest_digest
    study = case.study if case else None
    return (study.manifest_key, study.manifest_digest) if study else ("", "")


def row_view(listed: Listed, reader: Identity) -> RowView:
    """Return a row as this reader sees it."""
    return RowView(
        **listed.row.model_dump(),
        waiting_since=listed.waiting_since,
        changed_at=listed.changed_at,
        claimed_by_me=listed.row.claimed_by == reader.subject,
    )


def _task_view(task: task_store.Task | None, reader: Identity) -> TaskView | None:
    if task is None:
        return None
    return TaskView(
        task_id=task.task_id,
        kind=task.kind,
        study_revision=task.study_revision,
        raised_at=task.raised_at,
        may_answer=reader.may_sign,
    )


def not_signable(told: Told, reader: Identity) -> NotSignable | None:
    """Return why this draft can't be signed by this reader now, beside entitlement and a fresh sign-in."""
    report = told.report
    if report is None:
        return None
    if report.state not in OPEN_STATES:
        return NotSignable(kind=WrongState.kind, detail=f"the report is {report.state}")
    if told.is_superseded:
        return NotSignable(kind=Superseded.kind, detail=(Superseded.__doc__ or "").strip())
    if report.claimed_by and report.claimed_by != reader.subject:
        return NotSignable(kind=ClaimedByAnother.kind, detail=(ClaimedByAnother.__doc__ or "").strip())
    return None
