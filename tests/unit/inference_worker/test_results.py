from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from overread.contracts.events.cases import CaseBody
from overread.contracts.events.inference import Outcome
from overread.contracts.events.orders import OrderStatus
from overread.inference_worker import jobs, results
from overread.inference_worker.handlers import cancelled_by
from overread.inference_worker.results import Answered
from overread.inference_worker.store import Job
from tests.builders.events import (
    NOON,
    SITE,
    TRACEPARENT,
    a_case_withdrawn,
    a_finding,
    a_patient_corrected,
    a_service_request,
    a_study,
    a_study_ready,
    a_study_superseded,
    an_inference_requested,
    an_order_cancelled,
    an_order_linked,
)
from tests.builders.imaging import an_artefact

LATER = NOON + timedelta(seconds=3)


def a_job(**changed: Any) -> Job:
    """Return a claimed job."""
    known: dict[str, Any] = {
        "id": UUID(int=1),
        "site_id": SITE,
        "traceparent": TRACEPARENT,
        "requested": an_inference_requested(),
        "attempts": 1,
        "lease": UUID(int=2),
        "started_at": NOON,
    }
    return Job(**(known | changed))


def test_answer_names_its_job_revision_and_model() -> None:
    """Provenance: what was read, by which version, from when to when."""
    done = results.ended_with(a_job(), Answered((a_finding(),), (an_artefact(),)), ended_at=LATER)

    asked = an_inference_requested()
    assert (done.job_id, done.case_id, done.study_revision) == (asked.job_id, asked.case_id, asked.study_revision)
    assert (done.model, done.outcome, done.findings) == (asked.model, Outcome.COMPLETED, (a_finding(),))
    assert (done.started_at, done.ended_at, done.reasons) == (NOON, LATER, ())
    assert (done.artefacts, done.artefact_keys) == ((an_artefact(),), (an_artefact().key,))


def test_no_finding_is_an_answer_too() -> None:
    """Nothing found is completed, not failed."""
    assert results.ended_with(a_job(), Answered(), ended_at=LATER).outcome is Outcome.COMPLETED


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.CANCELLED])
def test_end_without_findings_says_why(outcome: Outcome) -> None:
    """Every accepted input ends in one visible outcome."""
    done = results.ended_without_findings(a_job(), outcome, "a reason", ended_at=LATER)

    assert (done.outcome, done.reasons, done.findings) == (outcome, ("a reason",), ())


TWO_ORDERS = (a_service_request(status=OrderStatus.CANCELLED), a_service_request(order_id=UUID(int=7)))

CANCELLING: list[tuple[str, CaseBody, tuple[int, str]]] = [
    ("late images end the superseded revision", a_study_superseded(), (1, "more images came for the study")),
    ("a withdrawn case ends its newest revision", a_case_withdrawn(), (1, "the case was withdrawn")),
    ("a cancelled order ends what was read for it", an_order_cancelled(), (1, "the order was cancelled")),
    ("one of two orders is still wanted", an_order_cancelled(orders=TWO_ORDERS), (0, "")),
    ("a case without a complete study has no jobs", a_case_withdrawn(study=None), (0, "the case was withdrawn")),
    ("a third revision", a_case_withdrawn(study=a_study(study_revision=3)), (3, "the case was withdrawn")),
    ("a study that is ready", a_study_ready(), (0, "")),
    ("a link infers nothing again and ends nothing", an_order_linked(), (0, "")),
    ("a corrected patient", a_patient_corrected(), (0, "")),
]


@pytest.mark.parametrize(("body", "expected"), [c[1:] for c in CANCELLING], ids=[c[0] for c in CANCELLING])
def test_case_events_cancel_what_no_longer_needs_an_answer(body: CaseBody, expected: tuple[int, str]) -> None:
    """Up to which study revision jobs are pointless, and why."""
    assert cancelled_by(body) == expected


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("NoAnswer", "the model did not answer in its time, 3 attempts"),
        ("WorkerLost", "the worker was lost each time while it read the study, 3 attempts"),
        ("KeyError", "KeyError while reading the study, 3 attempts"),
    ],
)
def test_reason_of_a_failure_is_a_sentence(name: str, sentence: str) -> None:
    """A reader sees it in the draft."""
    assert jobs._failed(name) == sentence
