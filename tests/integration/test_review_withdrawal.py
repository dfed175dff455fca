"""A final report is taken back by a signature; images that come late ask a question, and stop a stale signature."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from overread.contracts import codec
from overread.contracts.events.deliveries import GateVerdict
from overread.contracts.events.orders import PatientIdentifier
from overread.contracts.events.reports import ReportDocument
from overread.contracts.topics import CASES_CHANGED, INFERENCE_PLANNED, REPORTS_CHANGED, REPORTS_SIGNED
from overread.runtime import signatures
from tests.builders.events import (
    CASE_ID,
    a_gate_decided,
    a_patient,
    a_patient_corrected,
    a_patients_merged,
    a_service_request,
    a_study,
    a_study_ready,
    a_study_superseded,
    an_inference_done,
    an_inference_planned,
    an_order_changed_on_case,
)
from tests.fakes.review import READER, RESIDENT, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack

WHY = {"reason": "Nhầm bên trái và bên phải", "is_wrong_patient": False}


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review of its own site with one final report."""
    root = tmp_path / "delivery" / "root.pem"
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path, site_ca_root=root) as opened:
        await opened.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        await opened.sign()
        await opened.hears_of_a_delivery(a_gate_decided(report_id=opened.report_id))
        yield opened


async def withdrawn(bench: ReviewBench, **changed: Any) -> httpx.Response:
    """Withdraw the final report that is shown."""
    digest = (await bench.report())["digest"]
    return await bench.ask("withdraw-final", {"digest": digest} | WHY | changed)


async def new_images(bench: ReviewBench, *, are_read: bool = True) -> None:
    """Let the study grow by late images, read by the model or not yet."""
    await bench.hears(CASES_CHANGED, a_study_superseded(study=a_study(study_revision=1)))
    await bench.hears(CASES_CHANGED, a_study_ready(revision=3, study=a_study(study_revision=2)))
    await bench.hears(INFERENCE_PLANNED, an_inference_planned(study_revision=2))
    if are_read:
        await bench.hears_of_a_study(
            a_study_ready(revision=3, study=a_study(study_revision=2)),
            an_inference_planned(study_revision=2),
            an_inference_done(study_revision=2),
        )


async def the_row(bench: ReviewBench) -> dict[str, Any]:
    """Return the case's row, open or done."""
    async with bench.client() as client:
        [row] = (await client.get("/api/v1/worklist", params={"view": "all"})).json()["items"]
        shown: dict[str, Any] = row
        return shown


async def answered(bench: ReviewBench, answer: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """Answer the open question."""
    task_id = (await the_row(bench))["task"]["task_id"]
    return await bench.ask(f"tasks/{task_id}/{answer}", body)


async def test_final_is_withdrawn_by_a_signature_that_delivery_can_prove(bench: ReviewBench) -> None:
    """REQ-REV-01: a signed document of its own, over the final's revision, as the gate's next submission."""
    answer = await withdrawn(bench)

    signed, withdrawal = [event.data for event in await bench.published(REPORTS_SIGNED)]
    document = base64.b64decode(withdrawal.document_base64)
    said = ReportDocument.model_validate_json(document)
    assert bench.settings.site_ca_root is not None
    subject = signatures.check(
        document,
        base64.b64decode(withdrawal.signature_base64),
        withdrawal.certificate_pem,
        root_pem=bench.settings.site_ca_root.read_text(),
        site_id=bench.site_id,
        signed_at=withdrawal.signed_at,
    )
    assert (answer.status_code, answer.json()["state"], subject) == (200, "withdrawn", READER)
    assert (withdrawal.report_revision, withdrawal.submission) == (signed.report_revision, signed.submission + 1)
    assert codec.sha256(document) == withdrawal.digest == answer.json()["digest"]
    assert said.withdrawal is not None
    assert (said.withdrawal.reason, said.findings, said.verdict) == (WHY["reason"], (), "accepted")
    assert str(WHY["reason"]) in said.conclusion
    assert [event.data.state for event in await bench.published(REPORTS_CHANGED)][-1] == "withdrawn"


@pytest.mark.parametrize(
    ("how", "status", "kind"),
    [
        ({"digest": "0" * 64}, 409, "stale-digest"),
        ({"reason": "  "}, 422, "invalid-request"),
    ],
)
async def test_withdrawal_of_what_was_not_seen_is_refused(
    bench: ReviewBench, how: dict[str, Any], status: int, kind: str
) -> None:
    """The digest is that of the final document; a reason is owed to every receiver."""
    answer = await withdrawn(bench, **how)

    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:overread:problem:{kind}")
    assert (await bench.report())["state"] == "final"


async def test_withdrawal_asks_for_entitlement_and_a_fresh_sign_in(bench: ReviewBench) -> None:
    """It is a signature like the first one."""
    body = {"digest": (await bench.report())["digest"]} | WHY
    resident = await bench.ask("withdraw-final", body, as_user=RESIDENT)
    async with bench.client() as client:
        bench.clock.pass_by(seconds=bench.settings.signing_session_seconds - 1)
        bench.clock.pass_by(seconds=2)
        old = await client.post(f"/api/v1/reports/{bench.report_id}/withdraw-final", json=body)

    assert (resident.status_code, old.status_code) == (403, 401)


async def test_report_that_is_not_final_is_not_withdrawn_by_signature(stack: Any, tmp_path: Path) -> None:
    """What has not left needs no withdrawal that leaves."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as bench:
        await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        digest = (await bench.report())["digest"]

        answer = await bench.ask("withdraw-final", {"digest": digest} | WHY)

    assert answer.status_code == 409


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reports SET state = 'withdrawn' WHERE site_id = $1",
        "UPDATE reports SET state = 'withdrawn', withdrawal_digest = repeat('0', 64) WHERE site_id = $1",
    ],
)
async def test_database_withdraws_no_final_without_its_signature(bench: ReviewBench, statement: str) -> None:
    """The trigger asks for the withdrawal's own row, over this very final."""
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="not withdrawn without a signature"):
        await bench.service.pool.execute(statement, bench.site_id)


@pytest.mark.parametrize("statement", ["UPDATE withdrawals SET subject = 'x'", "DELETE FROM withdrawals"])
async def test_withdrawal_is_never_changed(bench: ReviewBench, statement: str) -> None:
    """A signature stays as it was given."""
    await withdrawn(bench)

    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="never changed"):
        await bench.service.pool.execute(f"{statement} WHERE site_id = $1", bench.site_id)


async def test_gates_answer_to_a_withdrawal_is_kept_and_a_held_one_is_sent_again(bench: ReviewBench) -> None:
    """The state stays withdrawn; a withdrawal that the gate held is put before it anew, as the next submission."""
    await withdrawn(bench)
    held = a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD, reason="not now", submission=2)
    await bench.hears_of_a_delivery(held)

    again = await bench.ask("resubmit")
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, submission=3))
    once_more = await bench.ask("resubmit")

    submissions = [event.data.submission for event in await bench.published(REPORTS_SIGNED)]
    assert (submissions, again.json()["state"], once_more.status_code) == ([1, 2, 3], "withdrawn", 409)
    assert (await bench.report())["state"] == "withdrawn"


async def test_late_images_ask_a_question_and_leave_the_final_alone(bench: ReviewBench) -> None:
    """They never undo a final; the row says that newer images came."""
    await new_images(bench)

    row = await the_row(bench)
    assert ((await bench.report())["state"], row["status"], row["task"]["kind"]) == (
        "final",
        "new_images",
        "new_images",
    )
    assert await bench.states() == ["final"]


async def test_reading_the_new_images_opens_a_draft_and_signing_it_replaces_the_final(bench: ReviewBench) -> None:
    """The final stays what it is until the next revision is signed."""
    await new_images(bench)

    answer = await answered(bench, "read-again")
    between = await bench.states()
    await bench.sign()

    assert (answer.json()["state"], answer.json()["claimed_by"]) == ("in_review", READER)
    assert answer.json()["document"]["study_revision"] == 2
    assert (between, await bench.states()) == (["final", "in_review"], ["replaced", "signed"])


async def test_new_images_are_read_again_only_once_the_models_have_read_them(bench: ReviewBench) -> None:
    """No draft without its findings, nor a question answered by half."""
    await new_images(bench, are_read=False)

    answer = await answered(bench, "read-again")

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:case-moved")
    assert (await the_row(bench))["status"] == "new_images"


async def test_no_change_needs_a_reason_and_closes_the_question(bench: ReviewBench) -> None:
    """Answered once; the same images ask no second time, later ones do."""
    await new_images(bench)

    bare = await answered(bench, "no-change", {"reason": ""})
    task_id = (await the_row(bench))["task"]["task_id"]
    done = await answered(bench, "no-change", {"reason": "cùng hình ảnh, thêm một lát cắt"})
    twice = await bench.ask(f"tasks/{task_id}/no-change", {"reason": "x"})
    closed = await the_row(bench)
    await bench.hears(CASES_CHANGED, a_study_ready(revision=4, study=a_study(study_revision=3)))

    assert (bare.status_code, done.status_code, twice.status_code) == (422, 200, 409)
    assert (closed["status"], closed["task"]) == ("final", None)
    assert (await the_row(bench))["task"]["study_revision"] == 3


async def test_draft_is_not_signed_while_newer_images_arrive(stack: Any, tmp_path: Path) -> None:
    """What was drafted without them says nothing about them; the next draft may be signed."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as bench:
        await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        await bench.hears(CASES_CHANGED, a_study_superseded(study=a_study(study_revision=1)))

        refused = await bench.sign()
        async with bench.client() as client:
            shown = (await client.get(f"/api/v1/cases/{CASE_ID}/reading")).json()
        await new_images(bench)
        signed = await bench.sign()

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:overread:problem:superseded")
    assert shown["not_signable"]["kind"] == "superseded"
    assert (signed.status_code, signed.json()["report_revision"]) == (200, 2)


async def test_report_withdrawn_for_the_wrong_patient_is_drafted_anew_for_the_right_one(bench: ReviewBench) -> None:
    """REQ-LIF-11: the images are the same, and still unread for the patient whose they are."""
    await withdrawn(bench, is_wrong_patient=True)
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, submission=2))
    before = await bench.states()

    await bench.hears(CASES_CHANGED, a_patient_corrected(revision=9))

    drafted = await bench.report()
    row = await the_row(bench)
    signed = await bench.sign()
    assert (before, drafted["state"], drafted["report_revision"], row["status"]) == (
        ["withdrawn"],
        "drafted",
        2,
        "drafted",
    )
    assert drafted["document"]["patient"]["given_name"] == "NGUYỄN THỊ"
    assert (signed.status_code, await bench.states()) == (200, ["withdrawn", "signed"])


async def test_patient_who_was_corrected_before_the_withdrawal_is_drafted_once_it_is_out(bench: ReviewBench) -> None:
    """REQ-LIF-11: first nobody has the wrong report any more, then the right one is read."""
    await bench.hears(CASES_CHANGED, a_patient_corrected(revision=9))
    await withdrawn(bench, is_wrong_patient=True)
    held = a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD, reason="not now", submission=2)
    await bench.hears_of_a_delivery(held)
    await bench.hears(CASES_CHANGED, a_patient_corrected(revision=10))
    while_it_is_held = await bench.states()

    again = await bench.ask("resubmit")
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, submission=3))

    assert (while_it_is_held, again.status_code) == (["withdrawn"], 200)
    assert await bench.states() == ["withdrawn", "drafted"]


async def test_draft_that_was_withdrawn_comes_back_for_another_patient(stack: Any, tmp_path: Path) -> None:
    """REQ-LIF-11: a person took it back, for the patient whom it named."""
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path) as bench:
        await bench.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        await bench.ask("withdraw", {"reason": "not this patient's images"})
        before = await bench.states()

        await bench.hears(CASES_CHANGED, a_patient_corrected(revision=9))

        assert (before, await bench.states()) == (["withdrawn"], ["withdrawn", "drafted"])


async def orders_are(bench: ReviewBench, revision: int, *numbers: int) -> None:
    """Let the case have these orders from now on."""
    orders = tuple(a_service_request(order_id=UUID(int=number)) for number in numbers)
    await bench.hears(
        CASES_CHANGED, an_order_changed_on_case(revision=revision, identity_version=revision, orders=orders)
    )


async def test_order_detached_from_a_final_report_asks_a_clinician_and_leaves_the_final_alone(
    bench: ReviewBench,
) -> None:
    """REQ-DSK-09: withdraw or read again; a person with the right to sign decides, nothing happens by itself."""
    await orders_are(bench, 9)

    row = await the_row(bench)
    assert (row["status"], row["task"]["kind"], await bench.states()) == ("other_order", "other_order", ["final"])


async def test_question_about_orders_answers_itself_when_they_are_as_before(bench: ReviewBench) -> None:
    """REQ-DSK-09: a detachment that was undone asks nothing."""
    document = (await bench.report())["document"]
    numbers = [UUID(order["order_id"]).int for order in document["orders"]]
    await orders_are(bench, 9)
    await orders_are(bench, 10, *numbers)

    assert (await the_row(bench))["task"] is None


async def test_read_again_under_other_orders_is_signed_as_the_next_revision(bench: ReviewBench) -> None:
    """REQ-DSK-09: the correction says whose order it answers now."""
    await orders_are(bench, 9, 77)

    answer = await answered(bench, "read-again")
    await bench.sign()

    assert [order["order_id"] for order in answer.json()["document"]["orders"]] == [str(UUID(int=77))]
    assert await bench.states() == ["replaced", "signed"]


async def test_report_withdrawn_for_its_order_is_drafted_anew_and_asks_no_more(bench: ReviewBench) -> None:
    """REQ-DSK-09: the withdrawal is signed, then the images are read for whose they are."""
    await orders_are(bench, 9)
    await withdrawn(bench, is_wrong_patient=True)
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, submission=2))

    row = await the_row(bench)
    assert (await bench.states(), row["status"], row["task"]) == (["withdrawn", "drafted"], "drafted", None)


ANOTHER: dict[str, Any] = {
    "patient": a_patient(
        identifiers=(PatientIdentifier(id_number="TEST-9999", assigning_authority="HIS"),),
        family_name="KHÁC",
        given_name="NGƯỜI",
    )
}


async def same_orders(bench: ReviewBench) -> tuple[Any, ...]:
    """Return the orders that the final report answers."""
    document = (await bench.report())["document"]
    return tuple(a_service_request(order_id=UUID(order["order_id"])) for order in document["orders"])


async def test_order_that_becomes_another_patients_under_a_final_report_asks_a_clinician(bench: ReviewBench) -> None:
    """REQ-DSK-09: the order is the same, whose it is is not; when it is the first patient's again nothing is asked."""
    orders = await same_orders(bench)
    changed = {"orders": orders} | ANOTHER
    await bench.hears(CASES_CHANGED, an_order_changed_on_case(revision=9, identity_version=9, **changed))
    asked = await the_row(bench)
    await bench.hears(CASES_CHANGED, an_order_changed_on_case(revision=10, identity_version=10, orders=orders))

    assert (asked["status"], asked["task"]["kind"], await bench.states()) == ("other_order", "other_order", ["final"])
    assert (await the_row(bench))["task"] is None


async def test_patient_of_a_final_report_who_was_merged_is_no_other_patient(bench: ReviewBench) -> None:
    """REQ-DSK-09: the hospital says that both are one; so it stays, whatever the case's next event is."""
    changed = {"orders": await same_orders(bench)} | ANOTHER
    merged = a_patients_merged(revision=9, identity_version=9, **changed)
    prior = (ReportDocument.model_validate((await bench.report())["document"]).patient.identifiers[0].id_number,)

    await bench.hears(CASES_CHANGED, merged.model_copy(update={"prior_identifiers": prior}))
    await bench.hears(CASES_CHANGED, an_order_changed_on_case(revision=10, identity_version=10, **changed))

    row = await the_row(bench)
    assert (row["status"], row["task"]) == ("final", None)


async def test_order_detached_while_a_newer_draft_is_read_asks_about_the_final(bench: ReviewBench) -> None:
    """REQ-DSK-09: the draft may be rejected, and the final stands under an order that is not the case's."""
    await new_images(bench)
    await answered(bench, "read-again")

    await orders_are(bench, 9)
    while_drafted = await the_row(bench)
    await bench.ask("claim")
    rejected = await bench.ask("reject", {"reason": "wrong_patient", "comment": ""})
    row = await the_row(bench)
    done = await answered(bench, "no-change", {"reason": "the order was a repeat"})

    assert (while_drafted["status"], while_drafted["task"]["kind"]) == ("drafted", "other_order")
    assert (rejected.status_code, row["task"]["kind"], (await bench.states())[0]) == (200, "other_order", "final")
    assert (done.status_code, (await the_row(bench))["task"]) == (200, None)


async def test_draft_under_the_other_orders_that_is_signed_answers_the_question(bench: ReviewBench) -> None:
    """REQ-DSK-09: the next revision takes the final's place."""
    await new_images(bench)
    await answered(bench, "read-again")
    detached = an_order_changed_on_case(revision=9, identity_version=9, orders=(), study=a_study(study_revision=2))
    await bench.hears(CASES_CHANGED, detached)
    asked = await the_row(bench)

    await bench.sign()
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, report_revision=3))

    assert asked["task"]["kind"] == "other_order"
    row = await the_row(bench)
    assert (row["status"], row["task"], await bench.states()) == ("final", None, ["replaced", "superseded", "final"])
