from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Decision, InferenceDone, InferencePlanned, Outcome, PlannedModel
from overread.contracts.events.orders import OrderStatus
from overread.contracts.events.reports import SeenCase
from overread.contracts.report_life import ReportAction, ReportState, next_state
from overread.review import findings
from overread.review.findings import CloseReadElsewhere, Decided, Draft, Facts, Hold, Note, Withdraw
from overread.review.revision import Revision, report_id_for
from tests.builders.events import (
    NOON,
    SITE,
    a_case,
    a_finding,
    a_model,
    a_patient,
    a_service_request,
    a_study,
    an_elsewhere_reading,
    an_inference_done,
    an_inference_planned,
)


def some_facts(
    case: Case | None = None,
    plan: InferencePlanned | None = None,
    results: tuple[InferenceDone, ...] = (an_inference_done(),),
    language: str = "vi",
) -> Facts:
    """Return a case with its plan and one answer."""
    return Facts(
        site_id=SITE, case=case or a_case(), plan=plan or an_inference_planned(), results=results, language=language
    )


def a_revision(state: ReportState, facts: Facts | None = None, **changed: Any) -> Revision:
    """Return the revision that `facts` gave, in `state`."""
    draft = findings.due_draft(facts or some_facts(), report_revision=1, now=NOON)
    assert draft is not None
    fields: dict[str, Any] = {
        "site_id": SITE,
        "report_id": draft.document.report_id,
        "report_revision": 1,
        "case_id": draft.document.case_id,
        "study_revision": draft.document.study_revision,
        "identity_version": draft.document.identity_version,
        "state": state,
        "reason": "",
        "changed_by": "",
        "claimed_by": "",
        "claimed_at": None,
        "document": b"",
        "digest": "",
        "basis": draft.basis,
        "signed_digest": "",
        "drafted_at": NOON,
        "changed_at": NOON,
    }
    return Revision(**fields | changed)


def decided(newest: Revision | None, facts: Facts, now: datetime = NOON) -> Decided | None:
    """Return what `facts` ask for at noon."""
    return findings.decide(newest, facts, now=now)


def test_first_draft_states_the_models_findings() -> None:
    """A draft's findings are the models' own, and so are its `ai_results`."""
    decision = decided(None, some_facts())

    assert isinstance(decision, Draft)
    document = decision.document
    assert document.findings == document.ai_results[0].findings == (a_finding(),)
    assert (document.report_id, document.report_revision) == (report_id_for(SITE, document.case_id), 1)
    assert (document.signed_by, document.signed_at, document.verdict) == (None, None, None)


def test_no_draft_before_every_planned_job_ended() -> None:
    """A missing answer is waited for until the deadline, and no longer."""
    facts = some_facts(results=())

    waiting, due = decided(None, facts), decided(None, facts, facts.plan.deadline if facts.plan else NOON)

    assert waiting is None
    assert isinstance(due, Draft)
    assert due.document.ai_results[0].reasons == (findings.NO_ANSWER,)


@pytest.mark.parametrize("study", [None, a_study(study_revision=2)])
def test_no_draft_of_a_study_revision_without_its_plan(study: Any) -> None:
    """An old plan says nothing of new images."""
    assert decided(None, some_facts(a_case(study=study))) is None


def test_same_facts_ask_for_nothing_again() -> None:
    """A repeat has no second effect, at whatever time it comes."""
    newest = a_revision(ReportState.DRAFTED)

    assert decided(newest, some_facts(), NOON + timedelta(hours=1)) is None


@pytest.mark.parametrize("progress", [{"status": OrderStatus.COMPLETED}, {"scheduled_at": NOON}])
def test_progress_of_an_order_asks_for_no_new_draft(progress: dict[str, Any]) -> None:
    """How far an order got, and when it was to begin, change nothing of what is on screen."""
    facts = some_facts(a_case(orders=(a_service_request(**progress),)))

    assert decided(a_revision(ReportState.IN_REVIEW), facts) is None


@pytest.mark.parametrize("state", [ReportState.DRAFTED, ReportState.IN_REVIEW, ReportState.REJECTED])
@pytest.mark.parametrize(
    "facts",
    [
        some_facts(a_case(identity_version=2, patient=a_patient(given_name="NGUYỄN THỊ"))),
        some_facts(results=(an_inference_done(outcome=Outcome.FAILED, findings=(), reasons=("timed out",)),)),
    ],
)
def test_news_ask_for_a_new_draft_while_the_report_is_open(state: ReportState, facts: Facts) -> None:
    """A later result, and another patient, make a new draft revision."""
    decision = decided(a_revision(state), facts)

    assert isinstance(decision, Draft)
    assert decision.document.report_revision == 2


@pytest.mark.parametrize("state", [ReportState.REPLACED, ReportState.HELD])
def test_news_never_touch_a_report_that_left_or_waits_for_a_person(state: ReportState) -> None:
    """A final is undone by nothing but a signature."""
    facts = some_facts(a_case(identity_version=2, is_withdrawn=True))

    assert decided(a_revision(state), facts) is None


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (a_case(identity_version=2), "patient or order changed"),
        (a_case(identity_version=2, is_withdrawn=True), "the case was withdrawn"),
    ],
    ids=["moved", "withdrawn"],
)
def test_what_becomes_of_a_case_after_its_report_was_final_is_noted(case: Case, said: str) -> None:
    """A final is undone by nothing but a signature; its readers are told that the case is another one now."""
    noted = decided(a_revision(ReportState.FINAL), some_facts(case))

    assert decided(a_revision(ReportState.FINAL), some_facts()) is None
    assert noted == Note(f"{said} after the report was final, which stays as it is (identity 2)")


def test_case_that_a_clinician_saw_when_they_let_the_report_go_is_not_noted() -> None:
    """Who let it go knew it; what comes after that is noted."""
    released = replace(a_revision(ReportState.FINAL), released_by="dr.test", released_case_revision=7)

    assert decided(released, some_facts(a_case(identity_version=2, revision=7))) is None
    assert isinstance(decided(released, some_facts(a_case(identity_version=2, revision=8))), Note)


@pytest.mark.parametrize(
    ("moved", "is_noted"),
    [({}, False), ({"study": a_study(study_revision=2)}, False), ({"identity_version": 3}, True)],
    ids=["a value", "images", "patient or order"],
)
def test_final_report_that_a_clinician_let_go_is_noted_only_for_patient_and_order(
    moved: dict[str, Any],
    is_noted: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """A laboratory's value after a release is no change of patient or order; images raise a task and no note."""
    seen = SeenCase.of(a_case(identity_version=2), 0)
    final = replace(a_revision(ReportState.FINAL), released_by="dr.test", released_case_revision=7, released_case=seen)

    decision = decided(final, some_facts(a_case(**{"identity_version": 2, "revision": 8} | moved)))

    assert isinstance(decision, Note) is is_noted


def test_signed_report_is_held_when_the_identity_moved() -> None:
    """Order or patient changed after the signature: a person looks again."""
    moved = some_facts(a_case(identity_version=2))

    assert decided(a_revision(ReportState.SIGNED), some_facts()) is None
    assert isinstance(decided(a_revision(ReportState.SIGNED), moved), Hold)


@pytest.mark.parametrize(
    "facts",
    [
        replace(some_facts(), superseded_revision=1),
        some_facts(a_case(study=a_study(study_revision=2)), an_inference_planned(study_revision=2)),
    ],
    ids=["arriving", "complete"],
)
def test_signed_report_is_held_when_newer_images_came(facts: Facts) -> None:
    """What the gate counts as moved counts here: before it answered nobody is told that nothing happened."""
    decision = decided(a_revision(ReportState.SIGNED), facts)

    assert decision == Hold("newer images came after the signature")


@pytest.mark.parametrize(("seen", "is_held"), [(3, False), (2, True), (None, True)])
def test_clinicians_word_answers_for_the_case_that_was_seen(seen: int | None, is_held: bool) -> None:  # noqa: FBT001 - a row of the table
    """Released although it had moved; what moves after that is held again."""
    moved = some_facts(a_case(revision=3, identity_version=2))
    released = a_revision(ReportState.SIGNED, released_by="dr.test", released_case_revision=seen)

    assert isinstance(decided(released, moved), Hold) is is_held


@pytest.mark.parametrize(
    ("moved", "is_held"),
    [
        ({}, False),
        ({"identity_version": 3}, True),
        ({"study": a_study(study_revision=2)}, True),
        ({"is_withdrawn": True}, True),
    ],
    ids=["a value", "patient or order", "images", "withdrawn"],
)
def test_clinicians_word_stands_while_nothing_moves_that_a_report_rests_on(
    moved: dict[str, Any],
    is_held: bool,  # noqa: FBT001 - a row of the table
) -> None:
    """A laboratory's value that lands before the gate looked raises the revision, and holds nothing again."""
    seen = SeenCase.of(a_case(identity_version=2), 0)
    released = a_revision(ReportState.SIGNED, released_by="dr.test", released_case_revision=3, released_case=seen)

    decision = decided(released, some_facts(a_case(**{"identity_version": 2, "revision": 4} | moved)))

    assert isinstance(decision, Hold) is is_held


def test_clinicians_word_falls_with_newer_images_that_arrive() -> None:
    """They were on nobody's screen."""
    seen = SeenCase.of(a_case(identity_version=2), 0)
    released = a_revision(ReportState.SIGNED, released_by="dr.test", released_case_revision=3, released_case=seen)
    arriving = replace(some_facts(a_case(identity_version=2, revision=4)), superseded_revision=1)

    assert isinstance(decided(released, arriving), Hold)


def test_cancelled_order_withdraws_only_when_no_other_order_wants_the_report() -> None:
    """A study read for two orders is still wanted by the other one."""
    cancelled = a_service_request(status=OrderStatus.CANCELLED)
    both = some_facts(a_case(orders=(cancelled, a_service_request()), identity_version=2))
    none = some_facts(a_case(orders=(cancelled,), identity_version=2))

    assert isinstance(decided(a_revision(ReportState.DRAFTED), both), Draft)
    assert isinstance(decided(a_revision(ReportState.DRAFTED), none), Withdraw)


def test_study_without_an_order_is_drafted() -> None:
    """A study needs no order."""
    assert isinstance(decided(None, some_facts(a_case(orders=()))), Draft)


def test_report_that_a_person_withdrew_stays_withdrawn_while_the_case_is_the_same() -> None:
    """REQ-LIF-11: a later answer of a model does not undo a person's decision."""
    newest = a_revision(ReportState.WITHDRAWN, changed_by="dr.test")
    answered = some_facts(results=(an_inference_done(findings=(a_finding(value="4000"),)),))

    assert decided(newest, some_facts()) is None
    assert decided(newest, answered) is None


def test_report_that_a_person_withdrew_is_drafted_anew_for_another_patient_and_for_other_images() -> None:
    """REQ-LIF-11: it was withdrawn for the wrong patient; the right one's images are not read yet."""
    newest = a_revision(ReportState.WITHDRAWN, changed_by="dr.test")
    corrected = some_facts(a_case(identity_version=2, patient=a_patient(given_name="NGUYỄN THỊ")))
    imaged = some_facts(
        a_case(study=a_study(study_revision=2)),
        an_inference_planned(study_revision=2),
        (an_inference_done(study_revision=2),),
    )

    anew = decided(newest, corrected)
    assert isinstance(anew, Draft)
    assert (anew.document.report_revision, anew.document.identity_version) == (2, 2)
    assert anew.document.patient.given_name == "NGUYỄN THỊ"
    assert isinstance(decided(newest, imaged), Draft)


@pytest.mark.parametrize(("verdict", "is_drafted"), [("", False), ("held", False), ("released", True)])
def test_new_draft_waits_until_the_signed_withdrawal_is_out(verdict: str, is_drafted: bool) -> None:  # noqa: FBT001
    """REQ-LIF-11: a withdrawal that the gate holds can be sent again only while it is the newest word."""
    newest = a_revision(
        ReportState.WITHDRAWN, changed_by="dr.test", withdrawal_digest="0" * 64, gate_verdict=verdict, submission=2
    )

    decision = decided(newest, some_facts(a_case(identity_version=2)))

    assert isinstance(decision, Draft) is is_drafted


def test_report_withdrawn_with_its_order_comes_back_with_another_order() -> None:
    """The machine's own withdrawal ends with its reason."""
    newest = a_revision(ReportState.WITHDRAWN)

    assert isinstance(decided(newest, some_facts(a_case(identity_version=3))), Draft)


def test_result_of_a_model_that_was_not_planned_is_not_stated() -> None:
    """The first plan of a revision wins."""
    stray = an_inference_done(model=a_model(name="stray"), findings=(a_finding(code="STRAY"),))

    decision = decided(None, some_facts(results=(an_inference_done(), stray)))

    assert isinstance(decision, Draft)
    assert [finding.code for finding in decision.document.findings] == ["OR-LUNG-VOLUME"]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.CANCELLED])
def test_job_that_did_not_complete_is_named_with_its_reason(outcome: Outcome) -> None:
    """What could not be read is said, not left out."""
    result = an_inference_done(outcome=outcome, findings=(), reasons=("sharp kernel",))

    decision = decided(None, some_facts(results=(result,), language="en"))

    assert isinstance(decision, Draft)
    assert decision.document.ai_results[0].reasons == ("sharp kernel",)
    assert decision.document.conclusion == "No result from: CT lung density 1.0.0."


@pytest.mark.parametrize(
    ("language", "conclusion"),
    [
        ("vi", "Kết quả tự động (CT lung density 1.0.0): Lung volume 5512.3 mL."),
        ("en", "Automatic result (CT lung density 1.0.0): Lung volume 5512.3 mL."),
        ("fr", "Résultat automatique (CT lung density 1.0.0) : Lung volume 5512.3 mL."),
    ],
)
def test_conclusion_is_a_sentence_in_the_sites_language(language: str, conclusion: str) -> None:
    """Pages and reports are in Vietnamese, English and French."""
    decision = decided(None, some_facts(language=language))

    assert isinstance(decision, Draft)
    assert decision.document.conclusion == conclusion


def test_plan_without_a_job_gives_a_draft_that_says_why() -> None:
    """'No model applies' is an outcome too."""
    plan = an_inference_planned(
        planned=(PlannedModel(model=a_model(), decision=Decision.WITHHELD, reasons=("burnt-in text",)),)
    )

    decision = decided(None, some_facts(plan=plan, results=(), language="en"))

    assert isinstance(decision, Draft)
    assert decision.document.ai_results[0].reasons == ("burnt-in text",)
    assert decision.document.conclusion == "No model read this study."


def test_text_of_a_document_is_in_normal_form_c() -> None:
    """One byte form inside: decomposed Vietnamese is composed before it is signed."""
    decomposed = a_patient(family_name="NGUYE\u0302\u0303N")

    decision = decided(None, some_facts(a_case(patient=decomposed)))

    assert isinstance(decision, Draft)
    assert decision.document.patient.family_name == "NGUYỄN"


def test_report_of_another_system_closes_what_nobody_has_signed() -> None:
    """REQ-ELS-01: an open draft is closed as read elsewhere, and none opens while that report stands."""
    facts = some_facts(a_case(read_elsewhere=an_elsewhere_reading()))

    for state in (ReportState.DRAFTED, ReportState.IN_REVIEW, ReportState.REJECTED):
        assert decided(a_revision(state), facts) == CloseReadElsewhere()
    assert decided(None, facts) is None


@pytest.mark.parametrize("state", [ReportState.SIGNED, ReportState.FINAL])
def test_what_is_signed_hears_of_a_report_of_another_system_and_stays(state: ReportState) -> None:
    """REQ-ELS-02: the table ignores it for a signed report, so that it is recorded and no more."""
    facts = some_facts(a_case(read_elsewhere=an_elsewhere_reading()))

    assert decided(a_revision(state), facts) == CloseReadElsewhere()
    assert next_state(state, ReportAction.READ_ELSEWHERE) is None


def test_order_that_moved_holds_a_signed_report_also_when_it_was_read_elsewhere() -> None:
    """What keeps a report from leaving comes first."""
    case = a_case(identity_version=2, read_elsewhere=an_elsewhere_reading())

    assert isinstance(decided(a_revision(ReportState.SIGNED), some_facts(case)), Hold)


def test_draft_opens_again_when_the_other_report_is_taken_back() -> None:
    """REQ-ELS-03: the same facts are news again, since nobody has read the case."""
    closed = a_revision(ReportState.SUPERSEDED)

    decision = decided(closed, some_facts())

    assert isinstance(decision, Draft)
    assert decision.document.report_revision == closed.report_revision + 1
