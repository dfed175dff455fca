"""Keeps the worklist true: the row of a case is written in the transaction that changed anything about it."""

from overread.contracts.events.reports import ReportDocument
from overread.review import store, tasks, worklist, worklist_store
from overread.review.revision import SIGNED_STATES, Head, Revision
from overread.review.task_store import Task
from overread.review.transitions import facts_of
from overread.review.worklist import TaskLine
from overread.runtime.inbox import Transaction


async def refresh(tx: Transaction, head: Head, *, language: str) -> None:
    """Write the case's row as it is now; ask about images that a final report has not seen."""
    facts = await facts_of(tx, head, language=language)
    if facts is None:
        return
    newest = await store.newest_revision(tx.connection, head.site_id, head.report_id)
    task = await tasks.look(tx, head, facts, newest)
    row = worklist.row_of(
        facts,
        newest,
        line_of(task) if task else None,
        is_superseded=await is_superseded(tx, head),
        signed_by=await _signed_by(tx, newest),
        now=tx.clock(),
    )
    await worklist_store.put(tx.connection, head.site_id, row, now=tx.clock())


async def is_superseded(tx: Transaction, head: Head) -> bool:
    """Say whether newer images of the study are arriving than those of its newest complete revision."""
    case = await store.case_of(tx.connection, head.site_id, head.case_id)
    superseded = await store.superseded_revision_of(tx.connection, head.site_id, head.case_id)
    return superseded >= (case.study.study_revision if case and case.study else 1)


def line_of(task: Task) -> TaskLine:
    """Return the question as a row shows it."""
    return TaskLine(task_id=task.task_id, kind=task.kind, study_revision=task.study_revision, raised_at=task.raised_at)


async def _signed_by(tx: Transaction, newest: Revision | None) -> str:
    if newest is None or newest.state not in SIGNED_STATES:
        return ""
    signature = await store.signature_of(tx.connection, newest)
    signer = ReportDocument.model_validate_json(signature.document).signed_by if signature else None
    return f"{signer.family_name} {signer.given_name}".strip() if signer else ""
