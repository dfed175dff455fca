"""New images after a signature: they never undo a final report, they ask a clinician a question."""

from overread.contracts.identifiers import deterministic_id
from overread.contracts.report_life import ReportState
from overread.review import queries, task_store
from overread.review.findings import Facts
from overread.review.revision import Head, Revision
from overread.review.task_store import Task
from overread.runtime.inbox import Transaction

READ_AGAIN = "read_again"
NO_CHANGE = "no_change"
NO_LONGER = "no_longer_final"


async def look(tx: Transaction, head: Head, facts: Facts, newest: Revision | None) -> Task | None:
    """Ask about images that a final report has not seen, unless that was asked before; return the open question.

    A question about a report that is no longer the newest word answers itself.
    """
    if newest is None:
        return None
    asked = await task_store.newest(tx.connection, head.site_id, head.report_id)
    if newest.state is not ReportState.FINAL:
        if asked and asked.is_open:
            await task_store.answer(tx.connection, head, NO_LONGER, reason="", actor="", now=tx.clock())
        return None
    study_revision = facts.case.study.study_revision if facts.case.study else 0
    if study_revision > max(newest.study_revision, asked.study_revision if asked else 0):
        await _ask(tx, head, study_revision)
        asked = await task_store.newest(tx.connection, head.site_id, head.report_id)
    return asked if asked and asked.is_open else None


async def _ask(tx: Transaction, head: Head, study_revision: int) -> None:
    task_id = deterministic_id("task", head.site_id, str(head.report_id), str(study_revision))
    await task_store.add(tx.connection, head, task_id, study_revision, now=tx.clock())


async def final_revision(tx: Transaction, head: Head) -> Revision | None:
    """Return the revision that is final, None when there is none: the newest may be a draft of newer images."""
    for revision in reversed(await queries.revisions_of(tx.connection, head.site_id, head.report_id)):
        if revision.state is ReportState.FINAL:
            return revision
    return None
