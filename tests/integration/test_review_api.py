"""The API of `review` on a real PostgreSQL: who may do what, and what a refusal says."""

import base64
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts import codec
from overread.contracts.events.cases import ContextChanged
from overread.contracts.events.deliveries import GateVerdict
from overread.contracts.topics import (
    AUDIT_RECORDED,
    CASES_CHANGED,
    INFERENCE_DONE,
    INFERENCE_PLANNED,
    REPORTS_SIGNED,
)
from overread.runtime import signatures
from tests.builders.events import (
    CASE_ID,
    STUDY,
    a_case,
    a_case_withdrawn,
    a_finding,
    a_gate_decided,
    a_patients_merged,
    a_study,
    a_study_ready,
    a_study_superseded,
    an_inference_done,
    an_inference_planned,
    an_order_cancelled,
)
from tests.fakes.review import OPERATOR, OTHER_READER, PASSWORD, READER, RESIDENT, ReviewBench, a_review_bench

pytestmark = pytest.mark.stack


@pytest.fixture
async def bench(stack: Any, tmp_path: Path) -> AsyncIterator[ReviewBench]:
    """Return a review of its own site with one draft."""
    root = tmp_path / "delivery" / "root.pem"
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path, site_ca_root=root) as opened:
        await opened.hears_of_a_study(a_study_ready(), an_inference_planned(), an_inference_done())
        yield opened


async def test_signed_report_is_proved_by_the_root_that_delivery_holds(bench: ReviewBench) -> None:
    """Exactly the stored bytes were signed, by a key the site's CA certified for this clinician."""
    answer = await bench.sign()

    [event] = await bench.published(REPORTS_SIGNED)
    signed = event.data
    document = base64.b64decode(signed.document_base64)
    assert bench.settings.site_ca_root is not None
    subject = signatures.check(
        document,
        base64.b64decode(signed.signature_base64),
        signed.certificate_pem,
        root_pem=bench.settings.site_ca_root.read_text(),
        site_id=bench.site_id,
        signed_at=signed.signed_at,
    )
    assert (answer.json()["state"], subject) == ("signed", READER)
    assert codec.sha256(document) == signed.digest == answer.json()["digest"]
    assert answer.json()["document"]["signed_by"]["subject"] == READER


async def test_clinicians_changes_stand_beside_the_models_own_findings(bench: ReviewBench) -> None:
    """Accept, change, reject keep the AI's own findings."""
    changed = a_finding(value="5400").model_dump(mode="json")

    answer = await bench.sign(verdict="changed", findings=[changed], conclusion="Phổi bình thường.")

    document = answer.json()["document"]
    assert [f["value"] for f in document["findings"]] == ["5400"]
    assert [f["value"] for f in document["ai_results"][0]["findings"]] == ["5512.3"]
    assert (document["verdict"], document["conclusion"]) == ("changed", "Phổi bình thường.")


async def test_rejected_findings_are_not_in_the_report(bench: ReviewBench) -> None:
    """A rejected result is kept as the model's, and stated by nobody."""
    answer = await bench.sign(verdict="rejected")

    document = answer.json()["document"]
    assert (document["findings"], len(document["ai_results"][0]["findings"])) == ([], 1)


async def test_gate_makes_it_final(bench: ReviewBench) -> None:
    """`final` means that the gate released it."""
    await bench.sign()

    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id))

    assert (await bench.report())["state"] == "final"


@pytest.mark.parametrize("body", [{"verdict": "accepted", "findings": []}, {"verdict": "changed"}])
async def test_verdict_that_does_not_fit_is_refused(bench: ReviewBench, body: dict[str, Any]) -> None:
    """Accepted means as it is; changed says what."""
    answer = await bench.sign(**body)

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:overread:problem:verdict-incomplete")


async def test_unclaimed_draft_is_not_signed(bench: ReviewBench) -> None:
    """One reads it first."""
    digest = (await bench.report())["digest"]

    answer = await bench.ask("sign", {"digest": digest, "verdict": "accepted"})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:wrong-state")


@pytest.mark.parametrize("act", ["claim", "release", "sign"])
async def test_report_of_another_reader_is_left_alone(bench: ReviewBench, act: str) -> None:
    """A claim is a promise to the others."""
    digest = (await bench.ask("claim", as_user=OTHER_READER)).json()["digest"]
    body = {"digest": digest, "verdict": "accepted"} if act == "sign" else None

    answer = await bench.ask(act, body)

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:claimed-by-another")


async def test_claiming_twice_changes_nothing(bench: ReviewBench) -> None:
    """A repeated request after a lost answer is no fault."""
    first = await bench.ask("claim")

    second = await bench.ask("claim")

    assert (first.status_code, second.status_code, second.json()["changed_at"]) == (
        200,
        200,
        first.json()["changed_at"],
    )


async def test_old_sign_in_does_not_sign(bench: ReviewBench) -> None:
    """Signing asks for a fresh session."""
    async with bench.client() as client:
        digest = (await client.post(f"/api/v1/reports/{bench.report_id}/claim")).json()["digest"]
        bench.clock.pass_by(seconds=bench.settings.signing_session_seconds + 1)

        answer = await client.post(
            f"/api/v1/reports/{bench.report_id}/sign", json={"digest": digest, "verdict": "accepted"}
        )

    assert (answer.status_code, answer.json()["type"]) == (401, "urn:overread:problem:session-too-old")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_reader_without_the_entitlement_does_not_sign(bench: ReviewBench) -> None:
    """Reading is not signing."""
    digest = (await bench.ask("claim", as_user=RESIDENT)).json()["digest"]

    answer = await bench.ask("sign", {"digest": digest, "verdict": "accepted"}, as_user=RESIDENT)

    assert answer.status_code == 403
    assert "sign" not in (await bench.report(as_user=RESIDENT))["allowed_actions"]


async def test_new_images_refuse_the_signature_until_their_draft(bench: ReviewBench) -> None:
    """The document must be about the images there are."""
    claimed = (await bench.ask("claim")).json()
    await bench.hears(CASES_CHANGED, a_study_ready(revision=2, study=a_study(study_revision=2)))

    answer = await bench.ask("sign", {"digest": claimed["digest"], "verdict": "accepted"})

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:case-moved")


async def test_rejected_draft_can_be_claimed_again(bench: ReviewBench) -> None:
    """Nothing leaves, and somebody else may look."""
    await bench.ask("claim")
    rejected = await bench.ask("reject", {"reason": "poor_image_quality", "comment": "motion"})

    again = await bench.ask("claim", as_user=OTHER_READER)

    assert (rejected.json()["state"], rejected.json()["reason"]) == ("rejected", "poor_image_quality: motion")
    assert again.json()["state"] == "in_review"


async def test_held_report_is_released_or_withdrawn_by_a_person(bench: ReviewBench) -> None:
    """Order cancelled after signing and before release: a person decides."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))
    held = await bench.report()
    refused = await bench.ask("confirm-again")

    withdrawn = await bench.ask("withdraw", {"reason": "the order was cancelled by the ward"})

    assert held["allowed_actions"] == ["confirm-again", "release-held", "withdraw"]
    assert (refused.status_code, withdrawn.json()["state"]) == (409, "withdrawn")


@pytest.mark.parametrize(
    ("act", "body"), [("confirm-again", None), ("release-held", {"reason": "x"}), ("withdraw", {"reason": "x"})]
)
async def test_held_report_is_not_decided_before_the_gate_answers(
    bench: ReviewBench, act: str, body: dict[str, Any] | None
) -> None:
    """The gate may be letting it out at this moment: a withdrawn report would then be final at the EMR."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())

    answer = await bench.ask(act, body)

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:overread:problem:gate-not-answered")
    assert (await bench.report())["allowed_actions"] == ["resubmit"]


async def test_gate_that_released_a_held_report_makes_it_final(bench: ReviewBench) -> None:
    """It had let it out before it heard of the hold."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())

    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id))

    assert (await bench.states(), (await bench.ask("withdraw", {"reason": "x"})).status_code) == (["final"], 409)


async def test_person_lets_a_held_report_go_before_the_gate_not_past_it(bench: ReviewBench) -> None:
    """Signed again, the same bytes with the clinician's name; held a second time it is held, and final by the gate."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())
    held = a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD, reason="an order was cancelled")
    await bench.hears_of_a_delivery(held)

    first = await bench.ask("release-held", {"reason": "the ward wants it"})
    await bench.hears_of_a_delivery(held.model_copy(update={"submission": 2}))
    again = await bench.states()
    await bench.ask("release-held", {"reason": "the ward wants it"}, as_user=OTHER_READER)
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, submission=3))

    signed = [event.data for event in await bench.published(REPORTS_SIGNED)]
    assert (first.json()["state"], again, await bench.states()) == ("signed", ["held"], ["final"])
    assert [(each.submission, each.released_by) for each in signed] == [(1, ""), (2, READER), (3, OTHER_READER)]
    assert [each.released_case_revision for each in signed] == [None, 2, 2]
    assert len({(each.document_base64, each.signature_base64, each.certificate_pem) for each in signed}) == 1


async def test_word_on_a_held_report_is_about_the_case_that_was_seen(bench: ReviewBench) -> None:
    """A merge that lands between look and word refuses it; one that lands between word and gate holds the report again."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))
    seen = (await bench.report())["case_revision"]
    await bench.hears(CASES_CHANGED, a_patients_merged(revision=3, identity_version=3))

    refused = await bench.ask("release-held", {"reason": "the ward wants it", "case_revision": seen})
    taken = await bench.ask("release-held", {"reason": "the ward wants it", "case_revision": seen + 1})
    await bench.hears(CASES_CHANGED, a_patients_merged(revision=4, identity_version=4))

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:overread:problem:stale-case")
    assert (taken.json()["state"], await bench.states()) == ("signed", ["held"])
    assert [each.data.released_case_revision for each in await bench.published(REPORTS_SIGNED)] == [None, seen + 1]


async def test_word_on_a_held_report_outlives_a_laboratorys_value(bench: ReviewBench) -> None:
    """It lands between word and gate, and changes nothing that a report rests on: before the gate, and once it is final."""
    await bench.sign()
    cancelled = an_order_cancelled()
    await bench.hears(CASES_CHANGED, cancelled)
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))
    await bench.ask("release-held", {"reason": "the ward wants it"})
    value = cancelled.case.model_copy(update={"revision": cancelled.case.revision + 1})

    await bench.hears(CASES_CHANGED, ContextChanged(case_id=value.case_id, case=value))

    before = await bench.states()
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, submission=2))
    assert (before, await bench.states()) == (["signed"], ["final"])


async def test_word_that_is_sent_again_is_about_the_same_case(bench: ReviewBench) -> None:
    """Its event was set aside on the way: what the clinician saw is part of the submission."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))
    await bench.ask("release-held", {"reason": "the ward wants it"})

    await bench.ask("resubmit")

    signed = [event.data for event in await bench.published(REPORTS_SIGNED)]
    assert signed[-1] == signed[-2]


async def test_held_report_is_not_drafted_again_while_newer_images_arrive(bench: ReviewBench) -> None:
    """A draft of images that are out of date could not be signed."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, a_study_superseded(study=a_study(study_revision=1)))
    states = await bench.states()
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))

    early = await bench.ask("confirm-again")
    await bench.hears(CASES_CHANGED, a_study_ready(revision=3, study=a_study(study_revision=2)))
    await bench.hears(INFERENCE_PLANNED, an_inference_planned(study_revision=2))
    await bench.hears(INFERENCE_DONE, an_inference_done(study_revision=2))
    shown = await bench.ask("confirm-again")

    assert (states, early.status_code, early.json()["type"]) == (["held"], 409, "urn:overread:problem:case-moved")
    assert (shown.json()["state"], shown.json()["document"]["study_revision"]) == ("in_review", 2)


async def test_withdrawn_case_holds_a_report_that_a_person_let_go(bench: ReviewBench) -> None:
    """What the clinician knew of was a moved case, not one that is gone."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))
    await bench.ask("release-held", {"reason": "the ward wants it"})

    await bench.hears(CASES_CHANGED, a_case_withdrawn(revision=9, case=a_case(revision=9, is_withdrawn=True)))

    assert await bench.states() == ["held"]


async def test_signed_report_is_sent_again_when_its_event_was_set_aside(bench: ReviewBench) -> None:
    """The same bytes under an id of its own; the state, the signature and the document stay as they are."""
    await bench.sign()
    before = await bench.report()

    answers = [await bench.ask("resubmit"), await bench.ask("resubmit", as_user=OPERATOR)]

    events = await bench.published(REPORTS_SIGNED)
    after = await bench.report()
    assert [answer.json()["repeats"] for answer in answers] == [1, 2]
    assert (len({event.id for event in events}), len({event.data.model_dump_json() for event in events})) == (3, 1)
    assert {k: v for k, v in after.items() if k != "history"} == {k: v for k, v in before.items() if k != "history"}
    assert [step["action"] for step in after["history"]][-2:] == ["resubmit", "resubmit"]


async def test_operator_sends_a_report_again_without_seeing_it(bench: ReviewBench) -> None:
    """Looking after the system is not reading reports."""
    await bench.sign()

    answer = await bench.ask("resubmit", as_user=OPERATOR)

    assert set(answer.json()) == {"report_id", "report_revision", "state", "submission", "repeats"}


async def test_held_report_whose_gate_never_heard_of_it_is_sent_again(bench: ReviewBench) -> None:
    """Set aside on its way and held meanwhile: without this nobody could ever decide about it."""
    await bench.sign()
    await bench.hears(CASES_CHANGED, an_order_cancelled())

    sent = await bench.ask("resubmit", as_user=OPERATOR)
    await bench.hears_of_a_delivery(a_gate_decided(report_id=bench.report_id, verdict=GateVerdict.HELD))
    refused = await bench.ask("resubmit")

    assert (sent.json()["state"], refused.json()["type"]) == ("held", "urn:overread:problem:gate-answered")


@pytest.mark.parametrize(("user", "status"), [(RESIDENT, 403), (READER, 409)])
async def test_unsigned_report_is_sent_by_nobody(bench: ReviewBench, user: str, status: int) -> None:
    """REQ-REV-01: there is nothing to send before the signature."""
    answer = await bench.ask("resubmit", as_user=user)

    assert (answer.status_code, await bench.published(REPORTS_SIGNED)) == (status, [])


async def test_signed_report_is_not_withdrawn(bench: ReviewBench) -> None:
    """It is on its way: withdrawing it needs a signature of its own."""
    await bench.sign()

    answer = await bench.ask("withdraw", {"reason": "second thoughts"})

    assert answer.status_code == 409


async def test_report_is_found_by_accession_number_study_and_state(bench: ReviewBench) -> None:
    """An outside client knows the accession number."""
    async with bench.client() as client:
        asked = [
            {"accession_number": "TEST-ACC-1"},
            {"study_instance_uid": STUDY, "state": "drafted"},
            {"accession_number": "TEST-ACC-2"},
            {"state": "final"},
        ]

        found = [len((await client.get("/api/v1/reports", params=p)).json()["items"]) for p in asked]

    assert found == [1, 1, 0, 0]


async def test_case_shows_plan_results_and_report(bench: ReviewBench) -> None:
    """A case says what was planned and what came of it."""
    async with bench.client() as client:
        case = (await client.get(f"/api/v1/cases/{CASE_ID}")).json()
        listed = (await client.get("/api/v1/cases", params={"limit": 1})).json()

    assert (case["plan"]["planned"][0]["decision"], len(case["results"])) == ("job", 1)
    assert case["report"]["report_id"] == str(bench.report_id)
    assert (listed["items"][0]["case_id"], isinstance(listed["next"], int)) == (str(CASE_ID), True)


IDENTIFIER = str(CASE_ID)
NOT_DESCRIBED = [
    ("get", "/metrics"),
    ("get", "/dicom-web/studies/1.2/series/1.3/metadata"),
    ("get", "/ops/flow"),
    ("get", "/"),
    ("get", "/case/1"),
    ("get", "/auth/configuration"),
]


@pytest.mark.parametrize("username", [OPERATOR, RESIDENT, READER])
async def test_wrong_role_is_refused_on_every_route(bench: ReviewBench, username: str) -> None:
    """An operator reads no report, a reader runs no operation, and who may not sign decides nothing."""
    description = bench.api.openapi()
    routes = [(method, path) for path, methods in description["paths"].items() for method in methods]
    not_yours = _not_for(username)
    body = {"digest": "0" * 64, "reason": "other", "verdict": "accepted", "places": ["a.dead/0/0"]}
    async with bench.client(username) as client:
        answers = {
            path: (await client.request(method, _addressed(path), json=body)).status_code
            for method, path in [*routes, *NOT_DESCRIBED]
            if not_yours(path)
        }

    assert len(answers) >= 3
    assert {path: status for path, status in answers.items() if status != 403} == {}


def _addressed(path: str) -> str:
    """Return an address of that route."""
    return path.format_map(defaultdict(lambda: IDENTIFIER, index="0"))


SIGNERS_ONLY = (
    "sign",
    "confirm-again",
    "release-held",
    "withdraw",
    "withdraw-final",
    "resubmit",
    "read-again",
    "no-change",
)


def _not_for(username: str) -> Callable[[str], bool]:
    """Return which routes are not for a user of the bench."""
    match username:
        case "ops.test":
            mine = ("/api/v1/me", "/resubmit")
            return lambda path: path.startswith(("/api/v1/", "/dicom-web")) and not path.endswith(mine)
        case "resident.test":
            found = frozenset({"read-again", "no-change", "resubmit", "confirm-again"})
            return lambda path: path.rpartition("/")[2] in set(SIGNERS_ONLY) - found
        case _:
            return lambda path: path.startswith(("/ops", "/metrics"))


async def test_every_route_of_the_api_asks_for_a_token(bench: ReviewBench) -> None:
    """Page shell, issuer and health are open; nothing else is."""
    description = bench.api.openapi()
    routes = [(method, path) for path, methods in description["paths"].items() for method in methods]
    async with bench.client(None) as client:
        answers = {
            path: (await client.request(method, _addressed(path))).status_code
            for method, path in [*routes, *NOT_DESCRIBED]
        }

    open_routes = {path for path, status in answers.items() if status in {200, 503}}
    assert open_routes == {"/", "/case/1", "/healthz", "/readyz", "/auth/configuration"}
    assert {status for path, status in answers.items() if path not in open_routes} == {401}


async def test_report_of_another_site_does_not_exist(bench: ReviewBench, stack: Any, tmp_path: Path) -> None:
    """Every query begins with the site of the token, and a token of another site is refused."""
    (tmp_path / "other").mkdir()
    async with a_review_bench(stack.endpoints.dsn("review"), tmp_path / "other") as other, other.client() as client:
        found = await client.get(f"/api/v1/reports/{bench.report_id}")
        token = client.headers["Authorization"]

    async with bench.client(None) as client:
        strange = await client.get("/api/v1/reports", headers={"Authorization": token})
    assert (found.status_code, strange.status_code) == (404, 401)


async def test_operator_sees_metrics_and_no_patient(bench: ReviewBench) -> None:
    """Looking after the system is not reading reports."""
    async with bench.client(OPERATOR) as client:
        reports = await client.get("/api/v1/reports")
        metrics = await client.get("/metrics")
        status = await client.get("/ops/status")

    assert (reports.status_code, metrics.status_code) == (403, 200)
    assert status.json()["reports"] == {"drafted": 1}


async def test_each_view_and_decision_leaves_an_audit_record(bench: ReviewBench) -> None:
    """Also what was refused, and without a word about the patient."""
    await bench.report()
    await bench.ask("sign", {"digest": "0" * 64, "verdict": "accepted"})

    recorded = [event.data for event in await bench.published(AUDIT_RECORDED)]

    acts = [(record.actor, record.action, record.outcome) for record in recorded if record.action != "sign-in"]
    assert acts == [(READER, "view", "done"), (READER, "sign", "refused")]
    assert "NGUYỄN" not in "".join(record.model_dump_json() for record in recorded)


async def test_refusal_is_a_problem_document_without_what_was_sent(bench: ReviewBench) -> None:
    """RFC 9457; a wrong field is named, its value is not."""
    async with bench.client() as client:
        unknown = await client.get(f"/api/v1/reports/{uuid4()}")
        wrong = await client.post(f"/api/v1/reports/{bench.report_id}/sign", json={"digest": "NGUYEN VAN A"})
        host = await client.get("/api/v1/reports", headers={"Host": "evil.example"})
        large = await client.post(f"/api/v1/reports/{bench.report_id}/claim", content=b" " * 200_000)

    assert unknown.headers["content-type"] == "application/problem+json"
    assert set(unknown.json()) == {"type", "title", "status", "detail", "next_step"}
    assert (unknown.status_code, wrong.status_code, host.status_code, large.status_code) == (404, 422, 400, 413)
    assert "NGUYEN" not in wrong.text


async def test_wrong_password_is_refused_and_soon_no_longer_tried(bench: ReviewBench) -> None:
    """Guessing is bounded, also for the one who knows the password at last."""
    form = {"grant_type": "password", "username": READER, "password": "wrong"}
    async with bench.client(None) as client:
        wrong = [(await client.post("/issuer/token", data=form)).status_code for _ in range(6)]

        right = await client.post("/issuer/token", data=form | {"password": PASSWORD})

    assert (wrong, right.status_code) == ([400] * 5 + [429], 429)


async def test_issuer_describes_itself(bench: ReviewBench) -> None:
    """OpenID Connect Discovery 1.0, section 4; the keys are public ones."""
    async with bench.client(None) as client:
        described = (await client.get("/issuer/.well-known/openid-configuration")).json()
        keys = (await client.get("/issuer/jwks.json")).json()["keys"]

    assert described["issuer"] == bench.settings.issuer_url
    assert ("d" in keys[0], keys[0]["kty"]) == (False, "EC")
