"""A reader of another system has reported: what becomes of our report, on a real PostgreSQL and through the API."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from overread.contracts.report_life import ReportState
from overread.contracts.topics import CASES_CHANGED, REPORTS_CHANGED
from tests.builders.events import (
    a_case,
    a_context_changed,
    a_gate_decided,
    a_read_elsewhere,
    a_study_ready,
    an_inference_done,
    an_inference_planned,
)
from tests.fakes.review import ReviewBench, a_review_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review of its own site, with nothing in it."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as opened:
        yield opened


async def a_draft(bench: ReviewBench) -> None:
    """Let a case come whose model has answered."""
    await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())


async def the_row(bench: ReviewBench, view: str) -> dict[str, Any]:
    """Return the one row of the worklist."""
    async with bench.client() as client:
        [row] = (await client.get("/api/v1/worklist", params={"view": view})).json()["items"]
        return dict(row)


async def test_draft_is_closed_and_the_worklist_says_by_whom(bench: ReviewBench) -> None:
    """REQ-ELS-01: nobody is asked for it any more; its unverified result is told nothing, only that it is superseded."""
    await a_draft(bench)
    await bench.ask("claim")

    await bench.hears(CASES_CHANGED, a_read_elsewhere())

    row = await the_row(bench, "done")
    assert (row["status"], row["read_elsewhere_by"], row["reason"]) == (
        "read_elsewhere",
        "MẪU MINH CHÂU",
        "read elsewhere",
    )
    assert (await bench.states(), (await bench.report())["allowed_actions"]) == (["superseded"], [])
    assert [event.data.state for event in await bench.published(REPORTS_CHANGED)][-1] is ReportState.SUPERSEDED


async def test_no_draft_opens_while_the_case_is_read_elsewhere(bench: ReviewBench) -> None:
    """The models' answers come after the reader's report: they are kept, and nobody is asked."""
    read = a_case(read_elsewhere=a_read_elsewhere().case.read_elsewhere)

    await bench.hears_of_a_study(
        a_study_ready(read_elsewhere=read.read_elsewhere), an_inference_planned(), an_inference_done()
    )

    assert (await bench.states(), (await the_row(bench, "done"))["status"]) == ([], "read_elsewhere")


async def test_signed_report_stays_signed_and_hears_of_it_once(bench: ReviewBench) -> None:
    """REQ-ELS-02: before and after the gate."""
    await a_draft(bench)
    await bench.sign()

    await bench.hears(CASES_CHANGED, a_read_elsewhere())
    signed = await bench.states()
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id))
    await bench.hears(CASES_CHANGED, a_read_elsewhere(revision=3))

    heard = [step for step in (await bench.report())["history"] if step["action"] == "read_elsewhere"]
    assert (signed, await bench.states(), len(heard)) == (["signed"], ["final"], 1)


async def test_draft_opens_again_when_the_other_report_is_taken_back(bench: ReviewBench) -> None:
    """REQ-ELS-03: the case waits for a reader once more."""
    await a_draft(bench)
    await bench.hears(CASES_CHANGED, a_read_elsewhere())

    await bench.hears(CASES_CHANGED, a_read_elsewhere(revision=3, read_elsewhere=None))

    assert (await bench.states(), (await the_row(bench, "open"))["status"]) == (["superseded", "drafted"], "drafted")


async def test_laboratory_value_is_shown_and_changes_no_draft(bench: ReviewBench) -> None:
    """REQ-LAB-01: a new value beside the study makes no new draft and voids no digest on screen."""
    await a_draft(bench)
    before = (await bench.report())["digest"]

    await bench.hears(CASES_CHANGED, a_context_changed())

    async with bench.client() as client:
        shown: httpx.Response = await client.get(f"/api/v1/cases/{(await bench.report())['case_id']}/reading")
    assert shown.json()["case"]["laboratory"][0]["value"] == "126"
    assert (await bench.states(), (await bench.report())["digest"]) == (["drafted"], before)
