from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest

from overread.contracts.errors import Malformed
from overread.contracts.events.cases import Case
from overread.contracts.events.inference import Decision, InferencePlanned, InferenceRequested, Lane, PlannedModel
from overread.contracts.events.orders import OrderStatus
from overread.contracts.manifest import Manifest
from overread.inference import catalog
from overread.inference.catalog import Catalog
from overread.routing import planning, rules
from overread.routing.rules import Rules
from overread.routing.settings import DEFAULT_RULES
from tests.builders.events import NOON, SITE, a_case, a_patient, a_service_request, a_study
from tests.builders.imaging import INFERENCE
from tests.builders.manifests import a_manifest

CATALOG: Catalog = catalog.load(INFERENCE / "models.toml")
RULES: Rules = rules.load(DEFAULT_RULES)
NO_RULES = RULES.model_copy(update={"rules": ()})


def planned(
    case: Case | None = None, manifest: Manifest | None = None, *, with_rules: Rules = RULES, **how: Any
) -> tuple[InferencePlanned, Sequence[InferenceRequested]]:
    """Return the plan of a chest CT, a fault by keyword."""
    known: dict[str, Any] = {"site_id": SITE, "ready_at": NOON} | how
    return planning.plan(case or a_case(), manifest or a_manifest(), CATALOG, with_rules, **known)


def the_model(plan: InferencePlanned) -> PlannedModel:
    """Return what a plan says of the lung density model."""
    (model,) = (model for model in plan.planned if model.model.name == "ct-lung-density")
    return model


def test_study_that_fits_becomes_a_job() -> None:
    """The job names the series, the manifest and the deadline; its id is in the plan."""
    plan, jobs = planned()

    (job,) = jobs
    model = the_model(plan)
    assert (model.decision, model.job_id, model.series_instance_uid) == (
        Decision.JOB,
        job.job_id,
        job.series_instance_uid,
    )
    assert (job.manifest_key, job.study_revision, job.lane) == (a_study().manifest_key, 1, Lane.ROUTINE)
    assert job.deadline == plan.deadline == NOON + timedelta(seconds=900)
    assert plan.rules_digest == RULES.digest


def test_study_is_offered_to_its_own_model_and_the_plan_names_the_other() -> None:
    """A chest CT makes one job; that nobody asks the brain model is in the plan, with the reason."""
    plan, jobs = planned()

    reasons = {model.model.name: model.reasons for model in plan.planned}
    assert [job.model.name for job in jobs] == ["ct-lung-density"]
    assert reasons == {"ct-lung-density": (), "mr-brain-volume": (planning.NO_RULE,)}


def test_brain_mr_is_a_job_of_the_brain_model() -> None:
    """The shipped rules send MR studies to it, and its own guards let the right series through."""
    study = a_study(modalities=("MR",), body_part_examined="BRAIN", study_description="MR BRAIN")
    header = {
        "modality": "MR", "body_part_examined": "BRAIN", "study_description": "MR BRAIN", "convolution_kernel": (),
        "series_description": "T1 3D", "mr_acquisition_type": "3D", "echo_time": 4.0, "image_type": ("ORIGINAL", "PRIMARY"),
        "pixel_spacing": (1.0, 1.0),
    }  # fmt: skip

    plan, jobs = planned(a_case(study=study), _with_gaps_of_two_mm(a_manifest(**header)))

    assert [(job.model.name, job.lane) for job in jobs] == [("mr-brain-volume", Lane.ROUTINE)], plan.planned


def _with_gaps_of_two_mm(manifest: Manifest) -> Manifest:
    (series,) = manifest.series
    instances = tuple(
        instance.model_copy(
            update={
                "attributes": instance.attributes.model_copy(update={"image_position_patient": (0.0, 0.0, 2.0 * n)})
            }
        )
        for n, instance in enumerate((*series.instances, *series.instances)[:90])
    )
    return manifest.model_copy(update={"series": (series.model_copy(update={"instances": instances}),)})


def test_same_study_gives_the_same_plan_and_the_same_ids() -> None:
    """Routing keeps no state: a repeat is recognised by its ids."""
    assert planned() == planned()


@pytest.mark.parametrize(
    "other",
    [
        {"site_id": "other"},
        {"case": a_case(study=a_study(study_revision=2))},
        {"case": a_case(case_id=uuid4())},
    ],
)
def test_other_site_case_or_revision_is_another_job(other: dict[str, Any]) -> None:
    """One job a case, study revision and model version."""
    assert the_model(planned(**other)[0]).job_id != the_model(planned()[0]).job_id


def test_model_that_no_rule_names_is_not_applicable_and_says_so() -> None:
    """The plan is told also when it is empty; its deadline is then now."""
    plan, jobs = planned(with_rules=NO_RULES)

    model = the_model(plan)
    assert (model.decision, model.reasons, list(jobs)) == (Decision.NOT_APPLICABLE, (planning.NO_RULE,), [])
    assert plan.deadline == NOON


def test_images_of_another_kind_are_not_applicable() -> None:
    """Each reason is told."""
    plan, jobs = planned(manifest=a_manifest(modality="MR"))

    model = the_model(plan)
    assert (model.decision, model.reasons, list(jobs)) == (
        Decision.NOT_APPLICABLE,
        ("modality MR, expected CT",),
        [],
    )


def test_guard_withholds_and_names_the_series() -> None:
    """Right kind of images, but outside the intended use."""
    plan, jobs = planned(manifest=a_manifest(convolution_kernel=("LUNG",)))

    model = the_model(plan)
    assert (model.decision, bool(model.series_instance_uid), list(jobs)) == (Decision.WITHHELD, True, [])
    assert "kernel" in model.reasons[0]


def test_burnt_in_text_is_withheld() -> None:
    """Promise 5: what may name somebody in its pixels is not sent."""
    plan, _ = planned(manifest=a_manifest(burned_in_annotation="YES"))

    assert the_model(plan).decision is Decision.WITHHELD


@pytest.mark.parametrize(
    ("statuses", "decision"),
    [
        ([OrderStatus.CANCELLED], Decision.WITHHELD),
        ([OrderStatus.CANCELLED, OrderStatus.ACTIVE], Decision.JOB),
        ([OrderStatus.COMPLETED], Decision.JOB),
        ([], Decision.JOB),
    ],
)
def test_study_that_nobody_wants_any_more_is_withheld(statuses: list[OrderStatus], decision: Decision) -> None:
    """Cancelled before the study was whole: nothing is inferred; a study needs no order, though."""
    case = a_case(orders=tuple(a_service_request(status=status) for status in statuses))

    assert the_model(planned(case)[0]).decision is decision


def test_urgent_order_makes_a_stat_job() -> None:
    """The lane goes with the job."""
    (job,) = planned(a_case(orders=(a_service_request(priority="S"),)))[1]

    assert job.lane is Lane.STAT


def a_case_of(born: date | None, taken: str) -> Case:
    """Return a case whose images don't say an age."""
    return a_case(patient=a_patient(birth_date=born), study=a_study(study_date_time=taken))


AGES: list[tuple[str, date | None, str, int | None]] = [
    ("the day before the birthday", date(2000, 11, 23), "2026-11-22T10:00:00", 25),
    ("the birthday", date(2000, 11, 22), "2026-11-22T10:00:00", 26),
    ("born on a leap day", date(2000, 2, 29), "2026-02-28", 25),
    ("no birth date", None, "2026-11-22", None),
    ("no study date", date(2000, 1, 1), "", None),
    ("half a study date", date(2000, 1, 1), "2026-11", None),
    ("no day of the calendar", date(2000, 1, 1), "2026-02-30", None),
    ("born after the study", date(2026, 11, 23), "2026-11-22", None),
]


@pytest.mark.parametrize(("born", "taken", "age"), [case[1:] for case in AGES], ids=[case[0] for case in AGES])
def test_age_is_that_of_the_day_of_the_study(born: date | None, taken: str, age: int | None) -> None:
    """Whole years; what can't be known is not guessed."""
    case = a_case_of(born, taken)

    assert planning._age_years(case, case.study or a_study()) == age


@pytest.mark.parametrize(
    ("born", "decision"), [(date(2010, 1, 1), Decision.WITHHELD), (date(1960, 1, 1), Decision.JOB)]
)
def test_age_of_the_order_guards_where_the_images_say_none(born: date, decision: Decision) -> None:
    """Guards on age run before."""
    plan, _ = planned(a_case_of(born, "2026-11-22"), a_manifest(patient_age_years=None))

    assert the_model(plan).decision is decision


def test_age_that_nobody_knows_is_withheld() -> None:
    """An adult's model does not guess."""
    plan, _ = planned(a_case_of(None, "2026-11-22"), a_manifest(patient_age_years=None))

    assert the_model(plan).reasons == ("the patient's age is not known",)


def test_ready_without_a_complete_revision_is_malformed() -> None:
    """It can never work, however often it is tried."""
    with pytest.raises(Malformed):
        planned(a_case(study=None))


def test_model_that_the_mapping_names_is_offered_the_study_as_by_a_rule() -> None:
    """REQ-MAP-07: the plan says why it went there, by the sender's own code."""
    order = a_service_request(models=("ct-lung-density",))

    plan, jobs = planned(a_case(orders=(order,)), with_rules=NO_RULES)

    assert len(jobs) == 1
    assert the_model(plan).offered_by == "the mapping of service CTCHEST^^L names the model"


def test_models_own_contract_judges_what_the_mapping_offers() -> None:
    """REQ-MAP-07: a mapping never takes a guard away."""
    order = a_service_request(models=("ct-lung-density",))

    plan, jobs = planned(a_case(orders=(order,)), a_manifest(patient_age_years=11), with_rules=NO_RULES)

    assert not jobs
    assert the_model(plan).decision is not Decision.JOB
    assert the_model(plan).reasons
    assert the_model(plan).offered_by


def test_cancelled_order_offers_nothing() -> None:
    """REQ-MAP-07: nor does one without a mapping; the plan says that nothing did."""
    cancelled = a_service_request(models=("ct-lung-density",), status=OrderStatus.CANCELLED)

    plan, jobs = planned(a_case(orders=(cancelled, a_service_request(order_id=uuid4()))), with_rules=NO_RULES)

    assert not jobs
    assert (the_model(plan).reasons, the_model(plan).offered_by) == ((planning.NO_RULE,), "")


def test_rule_comes_before_the_mapping() -> None:
    """REQ-MAP-07: with its lane; the plan names it."""
    order = a_service_request(models=("ct-lung-density",))

    plan, _ = planned(a_case(orders=(order,)))

    assert the_model(plan).offered_by == "rule 'chest CT'"
