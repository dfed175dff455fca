"""What a reader sees of one case, in one answer: report, images, models, order, and what may be done next."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Artefact, ArtefactKind, Finding, Outcome, Segment
from overread.contracts.events.reports import ModelResult, ReportDocument
from overread.contracts.manifest import Manifest
from overread.review.finding_codes import OfferedFinding
from overread.review.images import ImagesView
from overread.review.model_cards import Cards
from overread.review.views import ReportView
from overread.review.worklist import AiKind, ModelLine, Row


class RowView(Row):
    """A row of the worklist as one reader sees it."""

    waiting_since: datetime
    changed_at: datetime
    claimed_by_me: bool


class ModelView(BaseModel):
    """One model's part: what it said or why it did not, what it is for, and what it is not for."""

    name: str
    version: str
    title: str
    kind: AiKind
    decision: str
    outcome: Outcome | None
    reasons: list[str]
    intended_use: str
    not_for: list[str]
    card: str | None
    findings: list[Finding]
    finding_indexes: list[int]


class ModelName(BaseModel):
    """Which model version."""

    name: str
    version: str
    title: str


class SegmentationView(BaseModel):
    """One segmentation of a series; its frames are fetched one by one."""

    index: int
    model: ModelName
    series_instance_uid: str
    rows: int | None
    columns: int | None
    segments: list[Segment]


class MarkedSegmentation(SegmentationView):
    """A segmentation with the images on which something is marked."""

    sop_instance_uids: list[str]


class SegmentationList(BaseModel):
    """All segmentations of a report's models."""

    items: list[MarkedSegmentation]


class TaskView(BaseModel):
    """The open question about the report."""

    task_id: UUID
    kind: str
    study_revision: int
    raised_at: datetime
    may_answer: bool


class NotSignable(BaseModel):
    """Why nobody, or not this reader, may sign now."""

    kind: str
    detail: str


class Signing(BaseModel):
    """Whether the reader may sign, and whether the sign-in is fresh enough."""

    may_sign: bool
    is_fresh: bool
    fresh_until: datetime


class ReadingView(BaseModel):
    """Everything a reader needs of one case."""

    report: ReportView | None
    case: Case
    row: RowView
    models: list[ModelView]
    images: ImagesView | None
    segmentations: list[SegmentationView]
    finding_codes: list[OfferedFinding]
    task: TaskView | None
    not_signable: NotSignable | None
    signing: Signing


def model_views(lines: Sequence[ModelLine], document: ReportDocument | None, cards: Cards) -> list[ModelView]:
    """Return each planned model; with a document, as that document has it."""
    results = {(r.model.name, r.model.version): r for r in (document.ai_results if document else ())}
    return [_model_view(line, results.get((line.name, line.version)), document, cards) for line in lines]


def _model_view(
    line: ModelLine, result: ModelResult | None, document: ReportDocument | None, cards: Cards
) -> ModelView:
    card = cards.get((line.name, line.version))
    findings = list(result.findings) if result else []
    return ModelView(
        name=line.name,
        version=line.version,
        title=line.title,
        kind=line.kind,
        decision=result.decision if result else "",
        outcome=result.outcome if result else None,
        reasons=line.reasons,
        intended_use=card.intended_use if card else "",
        not_for=list(card.limits) if card else [],
        card=f"/api/v1/models/{line.name}/{line.version}/card" if card else None,
        findings=findings,
        finding_indexes=_indexes(findings, document),
    )


def _indexes(findings: Sequence[Finding], document: ReportDocument | None) -> list[int]:
    """Return the places in the report at which the model's findings stand unchanged."""
    stated = document.findings if document else ()
    return [index for index, finding in enumerate(stated) if finding in findings]


def segmentations_of(document: ReportDocument | None) -> list[tuple[ModelResult, Artefact]]:
    """Return the models' segmentations, in the order that numbers them."""
    results = document.ai_results if document else ()
    return [(r, artefact) for r in results for artefact in r.artefacts if artefact.kind is ArtefactKind.SEGMENTATION]


def segmentation_views(document: ReportDocument | None, manifest: Manifest | None) -> list[SegmentationView]:
    """Return what a viewer must know before it asks for frames."""
    return [
        _segmentation_view(index, result, artefact, manifest)
        for index, (result, artefact) in enumerate(segmentations_of(document))
    ]


def _segmentation_view(
    index: int, result: ModelResult, artefact: Artefact, manifest: Manifest | None
) -> SegmentationView:
    series = manifest.series if manifest else ()
    of_series = (one.instances[0] for one in series if one.series_instance_uid == artefact.series_instance_uid)
    first = next(of_series, None)
    return SegmentationView(
        index=index,
        model=ModelName(name=result.model.name, version=result.model.version, title=result.model.title),
        series_instance_uid=artefact.series_instance_uid,
        rows=first.attributes.rows if first else None,
        columns=first.attributes.columns if first else None,
        segments=list(artefact.segments),
    )
