"""The plan for a study revision: for every model a job, or why not. Pure, and the same whenever it is made again."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from uuid import UUID

from overread.contracts.errors import Malformed
from overread.contracts.events.cases import Case, Study
from overread.contracts.events.inference import Decision, InferencePlanned, InferenceRequested, PlannedModel
from overread.contracts.events.orders import OrderStatus
from overread.contracts.identifiers import deterministic_id
from overread.contracts.manifest import Manifest
from overread.inference import applicability
from overread.inference.applicability import Applicable, NotApplicable, Withheld
from overread.inference.catalog import Catalog, Model
from overread.routing.rules import Rules, lane_of

NO_RULE = "no rule sends this study to the model"
CANCELLED = "every order of the study was cancelled"


def plan(
    case: Case, manifest: Manifest, catalog: Catalog, rules: Rules, *, site_id: str, ready_at: datetime
) -> tuple[InferencePlanned, tuple[InferenceRequested, ...]]:
    """Return the plan of the case's newest study revision and the jobs that it asks for.

    `ready_at` is the time of `StudyReady`: deadlines count from it, so a repeat gives the same plan.
    """
    study = _study_of(case)
    series = [
        applicability.summarise([(i.attributes, i.transfer_syntax_uid) for i in one.instances])
        for one in manifest.series
    ]
    age = _age_years(case, study)
    decided = [(model, _decide(model, case, series, rules, age, site_id)) for model in catalog.models]
    seconds = max((model.deadline_seconds for model, p in decided if p.decision is Decision.JOB), default=0)
    planned = InferencePlanned(
        case_id=case.case_id,
        study_instance_uid=case.study_instance_uid,
        study_revision=study.study_revision,
        rules_digest=rules.digest,
        planned=tuple(p for _, p in decided),
        deadline=ready_at + timedelta(seconds=seconds),
    )
    return planned, tuple(_jobs(case, study, decided, rules, ready_at))


def _study_of(case: Case) -> Study:
    if case.study is None:
        raise Malformed("a study that is ready has a complete revision")
    return case.study


def _decide(
    model: Model,
    case: Case,
    series: list[applicability.SeriesSummary],
    rules: Rules,
    age_years: int | None,
    site_id: str,
) -> PlannedModel:
    offer = rules.offer(model.name, case)
    if offer is None:
        return PlannedModel(model=model.reference, decision=Decision.NOT_APPLICABLE, reasons=(NO_RULE,))
    judged = _judged(model, case, series, age_years, site_id)
    return judged.model_copy(update={"offered_by": offer.why})


def _judged(
    model: Model, case: Case, series: list[applicability.SeriesSummary], age_years: int | None, site_id: str
) -> PlannedModel:
    """Return what the model's own contract says of a study that it is offered."""
    if case.orders and all(order.status is OrderStatus.CANCELLED for order in case.orders):
        return PlannedModel(model=model.reference, decision=Decision.WITHHELD, reasons=(CANCELLED,))
    match applicability.judge_study(model, series, patient_age_years=age_years):
        case NotApplicable(reasons):
            return PlannedModel(model=model.reference, decision=Decision.NOT_APPLICABLE, reasons=reasons)
        case Withheld(reasons, uid):
            return PlannedModel(
                model=model.reference, decision=Decision.WITHHELD, reasons=reasons, series_instance_uid=uid or None
            )
        case Applicable(uid):
            return PlannedModel(
                model=model.reference,
                decision=Decision.JOB,
                series_instance_uid=uid,
                job_id=job_id(site_id, case, model),
            )


def job_id(site_id: str, case: Case, model: Model) -> UUID:
    """Return the one job of a study revision and model version."""
    revision = str(case.study.study_revision if case.study else 0)
    return deterministic_id("job", site_id, str(case.case_id), revision, model.name, model.version)


def _jobs(
    case: Case, study: Study, decided: list[tuple[Model, PlannedModel]], rules: Rules, ready_at: datetime
) -> Iterator[InferenceRequested]:
    for model, planned in decided:
        offer = rules.offer(model.name, case)
        if planned.job_id is not None and planned.series_instance_uid is not None and offer is not None:
            yield InferenceRequested(
                case_id=case.case_id,
                job_id=planned.job_id,
                study_instance_uid=case.study_instance_uid,
                study_revision=study.study_revision,
                manifest_key=study.manifest_key,
                series_instance_uid=planned.series_instance_uid,
                model=model.reference,
                lane=lane_of(offer, case),
                deadline=ready_at + timedelta(seconds=model.deadline_seconds),
            )


def _age_years(case: Case, study: Study) -> int | None:
    """Return the patient's age in whole years on the day of the study, None when either date is unknown."""
    born = case.patient.birth_date
    try:
        taken = date.fromisoformat(study.study_date_time[:10])
    except ValueError:
        return None
    if born is None or taken < born:
        return None
    return taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
