"""Which marks of models stand behind a report."""

from overread.contracts.events.inference import Artefact, ArtefactKind, Outcome
from overread.contracts.events.reports import ModelResult, ReportDocument


def stated(document: ReportDocument) -> tuple[tuple[ModelResult, Artefact], ...]:
    """Return what models marked, of those of whose findings the report still states at least one."""
    standing = (
        result
        for result in document.ai_results
        if result.outcome is Outcome.COMPLETED and any(finding in document.findings for finding in result.findings)
    )
    return tuple(
        (result, artefact)
        for result in standing
        for artefact in result.artefacts
        if artefact.kind is ArtefactKind.SEGMENTATION
    )
