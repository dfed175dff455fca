"""`review` on a real PostgreSQL: drafts, their states, and the database's own guard."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from overread.contracts.events.deliveries import GateVerdict
from overread.contracts.events.inference import Decision, InferenceDone, PlannedModel
from overread.contracts.report_life import ReportState, allowed_pairs
from overread.contracts.topics import CASES_CHANGED, INFERENCE_DONE, INFERENCE_PLANNED, REPORTS_CHANGED, REPORTS_SIGNED
from overread.review import store, timers, transitions
from tests.builders.events import (
    NOON,
    a_case_withdrawn,
    a_delivery_done,
    a_finding,
    a_gate_decided,
    a_model,
    a_patient_corrected,
    a_study,
    a_study_ready,
    an_event,
    an_inference_done,
    an_inference_planned,
    an_order_cancelled,
)
from tests.fakes.review import ReviewBench, a_review_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review of its own site."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as opened:
        yield opened


async def test_draft_opens_when_every_planned_job_ended(bench: ReviewBench) -> None:
    """The last answer opens the draft; before it there is none."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned())
    before = await bench.states()

    await bench.hears(INFERENCE_DONE, an_inference_done())

    assert (before, await bench.states()) == ([], ["drafted"])


async def test_results_before_their_case_and_plan_give_the_same_draft(bench: ReviewBench) -> None:
    """Topics have no order between each other."""
    await bench.hears(INFERENCE_DONE, an_inference_done())
    await bench.hears(INFERENCE_PLANNED, an_inference_planned())

    await bench.hears(CASES_CHANGED, a_study_ready())

    assert await bench.states() == ["drafted"]


async def test_result_twice_has_one_effect(bench: ReviewBench) -> None:
    """The same event again, and the same result under another id, change nothing."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned())
    event = an_event(an_inference_done(), site_id=bench.site_id)
    await bench.hears_events(INFERENCE_DONE, event, event)
    await bench.hears_events(INFERENCE_DONE, event)

    await bench.hears(INFERENCE_DONE, an_inference_done())

    assert (await bench.states(), len(await bench.published(REPORTS_CHANGED))) == (["drafted"], 1)


async def test_first_plan_of_a_revision_wins(bench: ReviewBench) -> None:
    """A second plan of the same study revision is not a plan."""
    other = PlannedModel(model=a_model(name="other"), decision=Decision.JOB)
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_planned(planned=(other,)))

    await bench.hears(INFERENCE_DONE, an_inference_done())

    assert await bench.states() == ["drafted"]


async def test_deadline_opens_the_draft_and_names_the_missing_model(bench: ReviewBench) -> None:
    """A reader is not kept waiting for a model that does not answer."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned())
    bench.clock.pass_by(minutes=11)

    await timers.open_due_drafts(bench.service, bench.settings)

    assert (await bench.report())["document"]["ai_results"][0]["reasons"] == ["no answer before the deadline"]


async def test_late_result_supersedes_the_open_draft(bench: ReviewBench) -> None:
    """A later result makes a new draft revision, and the claimed one on screen is void."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned())
    bench.clock.pass_by(minutes=11)
    await timers.open_due_drafts(bench.service, bench.settings)
    seen = (await bench.ask("claim")).json()["digest"]

    await bench.hears(INFERENCE_DONE, an_inference_done())

    refused = await bench.ask("sign", {"digest": seen, "verdict": "accepted"})
    assert (await bench.states(), refused.status_code) == (["superseded", "drafted"], 409)
    assert refused.json()["type"] == "urn:overread:problem:stale-digest"


async def test_plan_without_any_job_opens_a_draft_that_says_why(bench: ReviewBench) -> None:
    """'No model applies' is an outcome too."""
    none = PlannedModel(model=a_model(), decision=Decision.NOT_APPLICABLE, reasons=("the kernel is sharp",))

    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(planned=(none,)))

    document = (await bench.report())["document"]
    assert document["ai_results"][0]["reasons"] == ["the kernel is sharp"]
    assert document["conclusion"] == "Không có mô hình nào đọc lượt chụp này."


async def test_corrected_patient_gives_an_open_report_a_new_draft(bench: ReviewBench) -> None:
    """The document names the patient as the case does."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())

    await bench.hears(CASES_CHANGED, a_patient_corrected())

    report = await bench.report()
    assert await bench.states() == ["superseded", "drafted"]
    assert report["document"]["patient"]["given_name"] == "NGUYỄN THỊ"


async def test_older_case_revision_changes_nothing(bench: ReviewBench) -> None:
    """A consumer drops what is not newer."""
    await bench.hears_of_a_study(a_patient_corrected(), an_inference_planned(), an_inference_done())

    await bench.hears(CASES_CHANGED, a_study_ready())

    assert await bench.states() == ["drafted"]


@pytest.mark.parametrize("ending", [an_order_cancelled(), a_case_withdrawn()])
async def test_open_report_of_a_cancelled_order_or_withdrawn_case_is_withdrawn(bench: ReviewBench, ending: Any) -> None:
    """Nobody is asked to read what nobody wants."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())

    await bench.hears(CASES_CHANGED, ending)

    assert await bench.states() == ["withdrawn"]


@pytest.mark.parametrize("change", [an_order_cancelled(), a_patient_corrected(), a_case_withdrawn()])
async def test_change_after_the_signature_holds_the_report(bench: ReviewBench, change: Any) -> None:
    """Signed and not yet released: a person decides."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.sign()

    await bench.hears(CASES_CHANGED, change)

    assert await bench.states() == ["held"]


async def test_final_report_stays_final_whatever_comes_later(bench: ReviewBench) -> None:
    """Late images and corrections never undo a final; that the case is another one now stands in its history, once."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.sign()
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id))

    await bench.hears_of_a_study(
        a_study_ready(revision=3, identity_version=3, study=a_study(study_revision=2)),
        an_inference_planned(study_revision=2),
        an_inference_done(study_revision=2),
    )

    noted = [step["reason"] for step in (await bench.report())["history"] if step["action"] == "case moved"]
    assert await bench.states() == ["final"]
    assert noted == ["patient or order changed after the report was final, which stays as it is (identity 3)"]


async def test_gate_that_holds_leaves_a_held_report_to_confirm_again(bench: ReviewBench) -> None:
    """Re-confirmation is a new draft of what is known now, in the reader's hands, and signed anew."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.sign()
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD, reason="moved"))
    await bench.hears(CASES_CHANGED, a_patient_corrected())

    taken = await bench.ask("confirm-again")

    signed = await bench.sign()
    assert (taken.status_code, taken.json()["state"], taken.json()["report_revision"]) == (200, "in_review", 2)
    assert (signed.json()["state"], await bench.states()) == ("signed", ["superseded", "signed"])
    assert signed.json()["document"]["patient"]["given_name"] == "NGUYỄN THỊ"
    assert [event.data.report_revision for event in await bench.published(REPORTS_SIGNED)] == [1, 2]


async def test_report_events_count_up_without_a_gap(bench: ReviewBench) -> None:
    """Each aggregate has a monotonic revision; a consumer drops what is not newer."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.ask("claim")
    await bench.hears(CASES_CHANGED, a_patient_corrected())

    events = [event.data for event in await bench.published(REPORTS_CHANGED)]

    assert [event.revision for event in events] == [1, 2, 3, 4]
    assert [event.state for event in events] == ["drafted", "in_review", "superseded", "drafted"]
    assert [bool(event.document_base64) for event in events] == [True, False, False, True]


async def test_delivery_shows_in_the_report(bench: ReviewBench) -> None:
    """Success at each destination is delivery's state, and the reader sees it."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())

    await bench.hears_of_a_delivery(a_delivery_done(report_id=bench.report_id))

    assert [d["outcome"] for d in (await bench.report())["deliveries"]] == ["acknowledged"]


async def test_claim_that_nobody_ends_expires(bench: ReviewBench) -> None:
    """A reader who went away does not keep a report from the others."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.ask("claim")
    bench.clock.pass_by(seconds=bench.settings.claim_seconds + 1)

    await timers.free_expired_claims(bench.service, bench.settings)

    assert await bench.states() == ["drafted"]


async def test_defect_at_one_row_leaves_the_timers_to_the_others(
    bench: ReviewBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours that one case meets is logged; the next case's draft opens."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned())
    bench.clock.pass_by(minutes=11)
    due, unforeseen = store.due_plans, uuid4()
    settle = transitions.settle

    async def one_more(connection: Any, now: Any) -> list[tuple[str, Any]]:
        return [(bench.site_id, unforeseen), *await due(connection, now)]

    async def failing(tx: Any, head: Any, *rest: Any, **named: Any) -> None:
        if head.case_id == unforeseen:
            raise ValueError("nobody foresaw this")
        await settle(tx, head, *rest, **named)

    monkeypatch.setattr(store, "due_plans", one_more)
    monkeypatch.setattr(timers, "settle", failing)

    await timers.open_due_drafts(bench.service, bench.settings)

    assert await bench.states() == ["drafted"]


async def test_two_models_of_one_batch_give_one_draft(bench: ReviewBench) -> None:
    """What is known decides, so a batch is one step."""
    models = [a_model(), a_model(name="other")]
    plan = an_inference_planned(planned=tuple(PlannedModel(model=m, decision=Decision.JOB) for m in models))
    results: list[InferenceDone] = [an_inference_done(model=m, findings=(a_finding(code=m.name),)) for m in models]
    await bench.hears_of_a_study(a_study_ready(), plan)

    await bench.hears(INFERENCE_DONE, *results)

    findings = (await bench.report())["document"]["findings"]
    assert (await bench.states(), [f["code"] for f in findings]) == (["drafted"], ["ct-lung-density", "other"])


async def _force(bench: ReviewBench, sql: str, *values: Any) -> str:
    """Return what the database says to `sql` behind the service's back; what it lets through is undone."""
    try:
        async with bench.service.pool.acquire() as connection, connection.transaction():
            await connection.execute(sql, *values)
            _undo()
    except asyncpg.IntegrityConstraintViolationError as refused:
        return str(refused)
    except _LetThrough:
        pass
    return ""


class _LetThrough(Exception):
    """The database took it."""


def _undo() -> None:
    raise _LetThrough


async def test_database_refuses_every_pair_of_states_that_the_table_does_not_have(bench: ReviewBench) -> None:
    """The second guard: a trigger made from the same table."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    allowed = {following for state, following in allowed_pairs() if state is ReportState.DRAFTED}
    sql = "UPDATE reports SET state = $2 WHERE site_id = $1"

    taken = {state for state in ReportState if not await _force(bench, sql, bench.site_id, state.value)}

    assert taken == allowed | {ReportState.DRAFTED}


async def test_database_refuses_signed_without_a_signature_of_this_document(bench: ReviewBench) -> None:
    """No row becomes signed, and no signed row another document's, without its signature row."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.ask("claim")
    sql = "UPDATE reports SET state = 'signed', signed_digest = digest WHERE site_id = $1"
    unsigned = await _force(bench, sql, bench.site_id)
    await bench.sign()

    changed = await _force(bench, "UPDATE reports SET signed_digest = digest WHERE site_id = $1", bench.site_id)

    assert unsigned == "a report does not become signed without a signature"
    assert changed == "the document of a report revision is never changed"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE reports SET document = 'x' WHERE site_id = $1",
        "UPDATE reports SET digest = 'x' WHERE site_id = $1",
        "DELETE FROM reports WHERE site_id = $1",
        "UPDATE signatures SET document = 'x' WHERE site_id = $1",
        "DELETE FROM signatures WHERE site_id = $1",
        "DELETE FROM report_history WHERE site_id = $1",
    ],
)
async def test_database_keeps_documents_and_signatures_as_they_are(bench: ReviewBench, sql: str) -> None:
    """What was shown and what was signed can be proved later."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    await bench.sign()

    assert "never changed" in await _force(bench, sql, bench.site_id)


async def test_database_takes_a_new_report_only_as_drafted(bench: ReviewBench) -> None:
    """A report can't begin signed."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
    sql = (
        "INSERT INTO reports SELECT site_id, report_id, 2, case_id, study_revision, identity_version, $2, reason,"
        " changed_by, claimed_by, claimed_at, document, digest, basis, signed_digest, drafted_at, changed_at"
        " FROM reports WHERE site_id = $1"
    )

    taken = [state for state in ReportState if not await _force(bench, sql, bench.site_id, state.value)]

    assert taken == [ReportState.DRAFTED]


async def test_gate_decision_about_a_strange_report_is_malformed(bench: ReviewBench) -> None:
    """It can never work, so it goes to the dead letter and nothing else happens."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())

    await bench.hears_of_a_delivery(a_gate_decided(report_id=uuid4(), decided_at=NOON))

    dead = await bench.service.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'deliveries.done.dead'")
    assert (dead >= 1, await bench.states()) == (True, ["drafted"])
