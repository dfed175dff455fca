"""The worklist on a real PostgreSQL: what each row says, in which order, and when it changed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from overread.contracts.events.cases import StudyReady
from overread.contracts.events.inference import Decision, Outcome, PlannedModel
from overread.contracts.identifiers import case_id_for, deterministic_id
from overread.contracts.topics import CASES_CHANGED
from overread.review import timers
from tests.builders.events import (
    NOON,
    SITE,
    a_case,
    a_gate_decided,
    a_model,
    a_patient,
    a_service_request,
    a_study,
    an_inference_done,
    an_inference_planned,
)
from tests.fakes.review import OTHER_READER, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review of its own site, with nothing in it."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as opened:
        yield opened


async def a_case_comes(bench: ReviewBench, number: int, *, priority: str = "R", **how: Any) -> str:
    """Let a whole case come and return its id; `planned` and `results` say what the models did."""
    study_uid = f"1.2.826.0.1.3680043.10.1338.{number}"
    case_id = case_id_for(SITE, study_uid)
    order = a_service_request(
        order_id=deterministic_id("order", str(number)), accession_number=f"ACC{number}", priority=priority
    )
    study = a_study(study_instance_uid=study_uid)
    patient = a_patient(family_name=how.pop("family_name", "NGUYỄN VĂN"), given_name=how.pop("given_name", "THỬ"))
    case = a_case(case_id=case_id, study_instance_uid=study_uid, orders=(order,), study=study, patient=patient)
    plan = an_inference_planned(
        case_id=case_id, study_instance_uid=study_uid, planned=how.pop("planned", an_inference_planned().planned)
    )
    results = how.pop("results", (an_inference_done(),))
    told = [result.model_copy(update={"case_id": case_id, "study_instance_uid": study_uid}) for result in results]
    await bench.hears_of_a_study(StudyReady(case_id=case_id, case=case), plan, *told)
    return str(case_id)


async def rows(bench: ReviewBench, **asked: Any) -> list[dict[str, Any]]:
    """Return the rows that are shown."""
    async with bench.client() as client:
        answer = await client.get("/api/v1/worklist", params=asked)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


async def test_rows_tell_three_kinds_of_no_finding_apart(bench: ReviewBench) -> None:
    """*AI found nothing*, *AI did not run, because*, *not meant for this patient*."""
    withheld = PlannedModel(model=a_model(), decision=Decision.WITHHELD, reasons=("the patient is younger than 18",))
    failed = an_inference_done(outcome=Outcome.FAILED, findings=(), reasons=("the model did not answer",))
    await a_case_comes(bench, 1, results=(an_inference_done(findings=()),))
    await a_case_comes(bench, 2, results=(failed,))
    await a_case_comes(bench, 3, planned=(withheld,), results=())
    await a_case_comes(bench, 4)
    await a_case_comes(bench, 5, planned=(), results=())

    said = {row["accession_numbers"][0]: (row["ai"]["kind"], row["ai"]["line"]) for row in await rows(bench)}

    assert said == {
        "ACC1": ("nothing", ""),
        "ACC2": ("did_not_run", "the model did not answer"),
        "ACC3": ("not_for_this_patient", "the patient is younger than 18"),
        "ACC4": ("found", "Lung volume 5512.3 mL"),
        "ACC5": ("none", ""),
    }


async def test_stat_comes_first_then_the_longest_waiting(bench: ReviewBench) -> None:
    """What can't be read yet stands below what can."""
    for number, priority in ((1, "R"), (2, "S"), (3, "R"), (4, "A")):
        await a_case_comes(bench, number, priority=priority)
        bench.clock.pass_by(minutes=1)
    await a_case_comes(bench, 5, priority="S", results=())

    shown = await rows(bench)

    assert [row["accession_numbers"][0] for row in shown] == ["ACC2", "ACC4", "ACC1", "ACC3", "ACC5"]
    assert [row["status"] for row in shown][-1] == "waiting_for_ai"
    assert [row["is_stat"] for row in shown] == [True, False, False, False, True]


async def test_pages_follow_each_other_without_gap_or_double(bench: ReviewBench) -> None:
    """A cursor, not an offset: rows that come meanwhile shift nothing."""
    for number in range(1, 6):
        await a_case_comes(bench, number)

    async with bench.client() as client:
        first = (await client.get("/api/v1/worklist", params={"limit": 3})).json()
        second = (await client.get("/api/v1/worklist", params={"limit": 3, "after": first["next"]})).json()
        wrong = await client.get("/api/v1/worklist", params={"after": "eHh4"})

    ids = [row["case_id"] for row in (*first["items"], *second["items"])]
    assert (len(ids), len(set(ids)), second["next"], first["total"]) == (5, 5, None, 5)
    assert wrong.status_code == 422


@pytest.mark.parametrize("text", ["nguyen van", "NGUYỄN", "đỗ", "acc2", "do thi"])
async def test_search_knows_names_without_their_diacritics(bench: ReviewBench, text: str) -> None:
    """A reader types what is quickest."""
    await a_case_comes(bench, 1, family_name="NGUYỄN VĂN", given_name="THỬ")
    await a_case_comes(bench, 2, family_name="ĐỖ THỊ", given_name="NGHIỆM")

    found = [row["accession_numbers"][0] for row in await rows(bench, q=text)]

    assert found == (["ACC1"] if "ng" in text.lower() and "nghi" not in text else ["ACC2"])


async def test_unchanged_list_is_not_sent_again(bench: ReviewBench) -> None:
    """A page may ask every few seconds: 304 until something has changed, and that is not a view to record."""
    await a_case_comes(bench, 1)
    async with bench.client() as client:
        first = await client.get("/api/v1/worklist")
        same = await client.get("/api/v1/worklist", headers={"If-None-Match": first.headers["etag"]})
        await bench.ask("open", as_user=OTHER_READER)
        await a_case_comes(bench, 2)
        other = await client.get("/api/v1/worklist", headers={"If-None-Match": first.headers["etag"]})

    assert (first.status_code, same.status_code, other.status_code) == (200, 304, 200)
    assert other.json()["version"] > first.json()["version"]


async def test_claim_signature_and_release_move_the_row(bench: ReviewBench) -> None:
    """What a reader does is on every screen."""
    await a_case_comes(bench, 1)
    report_id = (await rows(bench))[0]["report_id"]
    bench.report_id = type(bench.report_id)(report_id)

    await bench.ask("claim", as_user=OTHER_READER)
    [claimed] = await rows(bench)
    await bench.ask("release", as_user=OTHER_READER)
    await bench.sign()
    case_id = type(bench.report_id)((await rows(bench, view="done"))[0]["case_id"])
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, case_id=case_id))
    [done] = await rows(bench, view="done")

    assert (claimed["status"], claimed["claimed_by"], claimed["claimed_by_me"]) == ("in_review", OTHER_READER, False)
    assert (await rows(bench), done["status"], done["signed_by"]) == ([], "final", "BÁC SĨ THỬ")


async def test_deadline_turns_waiting_into_did_not_run(bench: ReviewBench) -> None:
    """A model that never answers is named, not left out."""
    await a_case_comes(bench, 1, results=())
    [before] = await rows(bench)

    bench.clock.pass_by(seconds=timedelta(minutes=11).total_seconds())
    await timers.open_due_drafts(bench.service, bench.settings)

    [after] = [row for row in await rows(bench) if row["case_id"] == before["case_id"]]
    assert (before["status"], before["ai"]["kind"]) == ("waiting_for_ai", "waiting")
    assert (after["status"], after["ai"]["line"]) == ("drafted", "no answer before the deadline")


async def test_cases_of_before_the_worklist_get_their_row(bench: ReviewBench) -> None:
    """An upgrade loses nobody."""
    await a_case_comes(bench, 1)
    await bench.service.pool.execute("DELETE FROM worklist WHERE site_id = $1", bench.site_id)

    await timers.fill_worklist(bench.service, bench.settings)

    assert [row["accession_numbers"] for row in await rows(bench)] == [["ACC1"]]


async def test_row_of_a_case_twice_has_one_effect(bench: ReviewBench) -> None:
    """An event that is told again changes nothing, and wakes nobody."""
    await a_case_comes(bench, 1)
    async with bench.client() as client:
        before = (await client.get("/api/v1/worklist")).json()["version"]
        await bench.hears(CASES_CHANGED, await _the_same(bench))
        after = (await client.get("/api/v1/worklist")).json()["version"]

    assert before == after


async def _the_same(bench: ReviewBench) -> Any:
    study_uid = "1.2.826.0.1.3680043.10.1338.1"
    raw = await bench.service.pool.fetchval("SELECT snapshot FROM cases WHERE site_id = $1", bench.site_id)
    case = a_case().model_validate_json(raw)
    return StudyReady(case_id=case_id_for(SITE, study_uid), case=case)


def test_noon_is_before_the_deadline() -> None:
    """The bench's clock begins at noon, ten minutes before the plan's deadline."""
    assert an_inference_planned().deadline - NOON == timedelta(minutes=10)
