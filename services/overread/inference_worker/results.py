"""How a job's end is told. Pure."""

from dataclasses import dataclass
from datetime import datetime

from overread.contracts.events.inference import Artefact, Finding, InferenceDone, Outcome
from overread.inference_worker.store import Job


@dataclass(frozen=True)
class Answered:
    """What a model said, and the stored objects that it made."""

    findings: tuple[Finding, ...] = ()
    artefacts: tuple[Artefact, ...] = ()


def ended_with(job: Job, answered: Answered, *, ended_at: datetime) -> InferenceDone:
    """Return the end of a job that the model answered; no finding is an answer too."""
    return _done(job, Outcome.COMPLETED, (), answered, ended_at)


def ended_without_findings(job: Job, outcome: Outcome, reason: str, *, ended_at: datetime) -> InferenceDone:
    """Return the end of a job that has no answer, with the reason why."""
    return _done(job, outcome, (reason,), Answered(), ended_at)


def _done(
    job: Job, outcome: Outcome, reasons: tuple[str, ...], answered: Answered, ended_at: datetime
) -> InferenceDone:
    requested = job.requested
    return InferenceDone(
        case_id=requested.case_id,
        job_id=requested.job_id,
        study_instance_uid=requested.study_instance_uid,
        study_revision=requested.study_revision,
        model=requested.model,
        outcome=outcome,
        reasons=reasons,
        findings=answered.findings,
        artefact_keys=tuple(artefact.key for artefact in answered.artefacts),
        artefacts=answered.artefacts,
        started_at=job.started_at,
        ended_at=ended_at,
    )
