"""How a report changes state: the head locked first, the table asked, row and event written in one transaction."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from overread.contracts import codec
from overread.contracts.events.inference import InferenceDone, InferencePlanned
from overread.contracts.events.reports import ReportChanged
from overread.contracts.report_life import OPENING_STATE, ReportAction, ReportState, next_state
from overread.contracts.topics import REPORTS_CHANGED
from overread.review import findings, queries, store
from overread.review.revision import OPEN_STATES, Head, Revision
from overread.runtime.inbox import Cause, Transaction

MACHINE = ""
"""The actor of what nobody did: an event or a timer led to it."""

CASE_MOVED = "case moved"
"""What stands in the history of a final report whose case became another; it is none of the table's actions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is done to a report, by whom and why."""

    action: ReportAction
    reason: str
    actor: str = MACHINE
    cause: Cause | None = None


async def apply(tx: Transaction, head: Head, revision: Revision, act: Act, *, signed_digest: str = "") -> Revision:
    """Do what the table says, or raise `TransitionRefused`.

    An action that is ignored, or that leaves the state as it is, is recorded and changes nothing.
    The caller holds the lock on `head`.
    """
    now = tx.clock()
    following = next_state(revision.state, act.action)
    await store.add_step(tx.connection, revision, _step(revision.state, following, act, now))
    if following is None or following is revision.state:
        return revision
    is_claimed = following is ReportState.IN_REVIEW
    changed = replace(
        revision,
        state=following,
        reason=act.reason,
        changed_by=act.actor,
        claimed_by=act.actor if is_claimed else "",
        claimed_at=now if is_claimed else None,
        signed_digest=signed_digest or revision.signed_digest,
        changed_at=now,
    )
    await store.save_state(tx.connection, changed)
    await _publish(tx, head, changed, act.cause or head.cause)
    return changed


async def open_draft(tx: Transaction, head: Head, draft: findings.Draft, cause: Cause | None) -> Revision:
    """Add the next revision of the report, drafted; the open one before it is superseded."""
    await _supersede_open(tx, head, cause)
    document = draft.document
    content = codec.document_bytes(document)
    revision = Revision(
        site_id=head.site_id,
        report_id=head.report_id,
        report_revision=document.report_revision,
        case_id=head.case_id,
        study_revision=document.study_revision,
        identity_version=document.identity_version,
        state=OPENING_STATE,
        reason="",
        changed_by=MACHINE,
        claimed_by="",
        claimed_at=None,
        document=content,
        digest=codec.sha256(content),
        basis=draft.basis,
        signed_digest="",
        drafted_at=document.drafted_at,
        changed_at=document.drafted_at,
    )
    await store.insert_draft(tx.connection, revision)
    await _publish(tx, head, revision, cause or head.cause, document=content)
    return revision


async def settle(tx: Transaction, head: Head, cause: Cause | None, *, language: str) -> None:
    """Bring the case's report to what is known now: open a draft, withdraw or hold it, or leave it.

    What is known decides, not which event said it last, so the order of events does not matter.
    """
    facts = await facts_of(tx, head, language=language)
    if facts is not None:
        await _carry_out(tx, head, facts, cause)
    await store.plans_are_drafted(tx.connection, head, now=tx.clock())


async def _carry_out(tx: Transaction, head: Head, facts: findings.Facts, cause: Cause | None) -> None:
    newest = await store.newest_revision(tx.connection, head.site_id, head.report_id)
    decision = findings.decide(newest, facts, now=tx.clock())
    match decision:
        case None:
            pass
        case findings.Draft():
            await open_draft(tx, head, decision, cause)
        case findings.Withdraw(reason) if newest:
            await apply(tx, head, newest, Act(action=ReportAction.WITHDRAW, reason=reason, cause=cause))
        case findings.Hold(reason) if newest:
            await apply(tx, head, newest, Act(action=ReportAction.HOLD, reason=reason, cause=cause))
        case findings.Note(reason) if newest:
            await _note_once(tx, newest, reason)
        case findings.CloseReadElsewhere() if newest:
            await _close_read_elsewhere(tx, head, newest, cause)
        case findings.Withdraw() | findings.Hold() | findings.Note() | findings.CloseReadElsewhere():
            pass
        case _:
            assert_never(decision)


async def _close_read_elsewhere(tx: Transaction, head: Head, newest: Revision, cause: Cause | None) -> None:
    """Do what the table says of a report that a reader of another system has made; a revision hears it once."""
    act = Act(action=ReportAction.READ_ELSEWHERE, reason=findings.READ_ELSEWHERE, cause=cause)
    known = await queries.history_of(tx.connection, newest.site_id, newest.report_id)
    if (newest.report_revision, act.action.value) not in {(s["report_revision"], s["action"]) for s in known}:
        await apply(tx, head, newest, act)


async def _note_once(tx: Transaction, final: Revision, reason: str) -> None:
    """Keep in the report's history, once, what a reader of it should know; the report itself is not touched."""
    known = await queries.history_of(tx.connection, final.site_id, final.report_id)
    if (CASE_MOVED, reason) in {(step["action"], step["reason"]) for step in known}:
        return
    state = final.state.value
    step = store.Step(action=CASE_MOVED, from_state=state, to_state=state, actor=MACHINE, reason=reason, at=tx.clock())
    await store.add_step(tx.connection, final, step)


async def facts_of(tx: Transaction, head: Head, *, language: str) -> findings.Facts | None:
    """Return all that a draft of the case rests on, None while the case itself is unknown."""
    case = await store.case_of(tx.connection, head.site_id, head.case_id)
    if case is None:
        return None
    plan: InferencePlanned | None = None
    results: Sequence[InferenceDone] = ()
    if case.study is not None:
        place = (head.site_id, head.case_id, case.study.study_revision)
        plan = await store.plan_of(tx.connection, *place)
        results = await store.results_of(tx.connection, *place)
    superseded = await store.superseded_revision_of(tx.connection, head.site_id, head.case_id)
    return findings.Facts(
        site_id=head.site_id,
        case=case,
        plan=plan,
        results=results,
        language=language,
        superseded_revision=superseded,
    )


async def _supersede_open(tx: Transaction, head: Head, cause: Cause | None) -> None:
    newest = await store.newest_revision(tx.connection, head.site_id, head.report_id)
    if newest is not None and newest.state in OPEN_STATES:
        act = Act(action=ReportAction.SUPERSEDE, reason="a newer draft takes its place", cause=cause)
        await apply(tx, head, newest, act)


def _step(state: ReportState, following: ReportState | None, act: Act, now: datetime) -> store.Step:
    return store.Step(
        action=act.action.value,
        from_state=state.value,
        to_state=(following or state).value,
        actor=act.actor,
        reason=act.reason,
        at=now,
    )


async def _publish(
    tx: Transaction, head: Head, revision: Revision, cause: Cause | None, *, document: bytes = b""
) -> None:
    """Announce the state. Only a new draft travels here; a signed document leaves on `reports.signed` alone."""
    number = await store.next_event_revision(tx.connection, head)
    body = ReportChanged(
        case_id=head.case_id,
        report_id=head.report_id,
        report_revision=revision.report_revision,
        revision=number,
        state=revision.state,
        reason=revision.reason,
        digest=revision.shown_digest,
        document_base64=base64.b64encode(document).decode(),
    )
    tx.publish(
        REPORTS_CHANGED, body, subject=str(head.report_id), own_key=f"{head.report_id}/{number}", caused_by=cause
    )
