"""Which series a model may see: wrong kind is not applicable, a failed guard is withheld, and each says why."""

import math
from typing import Any

import pytest

from overread.contracts.events.intake import InstanceAttributes
from overread.inference.applicability import Applicable, NotApplicable, Withheld, judge, judge_study, summarise
from tests.builders.imaging import a_chest_series, lung_density_model

TILT = math.radians(18.5)


def test_soft_unenhanced_adult_chest_is_applicable() -> None:
    """The series that the model is for."""
    verdict = judge(lung_density_model(), a_chest_series())

    assert verdict == Applicable("2.25.1000.2")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modality": "MR"}, "modality MR"),
        ({"modality": None}, "modality not given"),
        ({"body_part_examined": "HEAD", "study_description": "CT HEAD"}, "body part"),
        ({"body_part_examined": None, "study_description": None}, "body part"),
        ({"body_part_examined": None, "study_description": "khảo sát phối hợp"}, "body part"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "localizer"),
    ],
)
def test_other_kind_of_series_is_not_applicable(changes: dict[str, Any], reason: str) -> None:
    """Nothing is wrong with these images; the model just doesn't read them."""
    verdict = judge(lung_density_model(), a_chest_series(**changes))

    assert isinstance(verdict, NotApplicable)
    assert reason in verdict.reasons[0]


@pytest.mark.parametrize(
    "text", ["CT LUNG", "CHEST^ROUTINE", "CT lồng ngực", "CT LONG NGUC", "Chụp CLVT phổi", "TDM THORAX"]
)
def test_chest_is_recognised_in_descriptions_of_three_languages(text: str) -> None:
    """BodyPartExamined is often empty; the description then decides."""
    verdict = judge(lung_density_model(), a_chest_series(body_part_examined=None, study_description=text))

    assert isinstance(verdict, Applicable)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"convolution_kernels": ("FC51",), "manufacturer": "TOSHIBA"}, "kernel FC51"),
        ({"convolution_kernels": ("LUNG",)}, "kernel LUNG"),
        ({"convolution_kernels": ("STANDARD",), "manufacturer": "NOBODY"}, "kernel STANDARD"),
        ({"convolution_kernels": ()}, "kernel is not given"),
        ({"convolution_kernels": ("STANDARD", "LUNG")}, "not the same"),
        ({"gantry_tilt_degrees": 18.5}, "tilted by 18.5"),
        ({"orientations": ((1.0, 0.0, 0.0, 0.0, math.cos(TILT), -math.sin(TILT)),)}, "tilted by 18.5"),
        ({"positions": tuple((0.0, number * 1.0, number * 4.0) for number in range(80))}, "tilted by 14.0"),
        ({"positions": tuple((0.0, 0.0, number**1.02 * 4.0) for number in range(80))}, "uneven"),
        ({"positions": tuple((0.0, 0.0, number // 2 * 4.0) for number in range(120))}, "uneven"),
        ({"positions": (None,) * 80}, "where they lie"),
        ({"sizes": ((512, 512), (256, 256))}, "differ in size"),
        ({"orientations": ((1.0, 0, 0, 0, 1.0, 0), (0, 1.0, 0, 0, 0, -1.0))}, "differ in size"),
        ({"gap": 7.0}, "gap of 7.00 mm"),
        ({"slices": 12}, "12 slices"),
        ({"slices": 41, "gap": 2.0}, "covers 80 mm"),
        ({"contrast_agent": "NON IONIC"}, "contrast agent"),
        ({"study_description": "CT CHEST PULMONARY ANGIO WITH IV CON"}, "speaks of contrast"),
        ({"study_description": "CT NGỰC CÓ TIÊM THUỐC"}, "speaks of contrast"),
        ({"study_description": "CT NGUC CO TIEM THUOC"}, "speaks of contrast"),
        ({"patient_age_years": 12}, "age is outside"),
        ({"patient_age_years": None}, "age is not known"),
        ({"image_type": ("DERIVED", "SECONDARY", "REFORMATTED")}, "image type"),
        ({"image_type": ()}, "image type"),
        ({"number_of_frames": 100}, "multi-frame"),
        ({"burned_in_annotation": "YES"}, "burnt"),
        ({"transfer_syntaxes": frozenset({"1.2.840.10008.1.2.4.50"})}, "1.2.840.10008.1.2.4.50"),
    ],
)
def test_guard_withholds_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    """The right kind of image, but the number would be wrong or the patient is not one the model knows."""
    verdict = judge(lung_density_model(), a_chest_series(**changes))

    assert isinstance(verdict, Withheld)
    assert len(verdict.reasons) == 1
    assert reason in verdict.reasons[0]


def test_every_failed_guard_is_named() -> None:
    """A technician mends all of it at once."""
    verdict = judge(lung_density_model(), a_chest_series(patient_age_years=5, slices=10, contrast_agent="X"))

    assert isinstance(verdict, Withheld)
    assert len(verdict.reasons) == 3


@pytest.mark.parametrize(
    "text", ["CT CHEST WO IV CONT", "CT CHEST W/O CONTRAST", "CHEST WITHOUT CONTRAST", "CT NGỰC KHÔNG TIÊM"]
)
def test_unenhanced_description_is_not_taken_for_contrast(text: str) -> None:
    """`without contrast` holds the word contrast."""
    verdict = judge(lung_density_model(), a_chest_series(study_description=text))

    assert isinstance(verdict, Applicable)


def test_finest_applicable_series_is_chosen_whatever_the_order() -> None:
    """Scout, sharp series and thick series stand aside; the choice doesn't depend on arrival."""
    thick = a_chest_series(series_instance_uid="2.25.3", series_number=3, gap=5.0)
    thin = a_chest_series(series_instance_uid="2.25.4", series_number=4, gap=2.5, slices=120)
    sharp = a_chest_series(series_instance_uid="2.25.5", gap=1.25, slices=240, convolution_kernels=("LUNG",))
    scout = a_chest_series(series_instance_uid="2.25.1", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    study = [scout, thick, sharp, thin]

    verdicts = {judge_study(lung_density_model(), order) for order in (study, study[::-1])}

    assert verdicts == {Applicable("2.25.4")}


def test_study_with_only_guarded_series_is_withheld() -> None:
    """`withheld` outranks `not applicable`: somebody expects an answer here."""
    sharp = a_chest_series(series_instance_uid="2.25.5", convolution_kernels=("LUNG",))
    scout = a_chest_series(series_instance_uid="2.25.1", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))

    verdict = judge_study(lung_density_model(), [scout, sharp])

    assert isinstance(verdict, Withheld)
    assert verdict.series_instance_uid == "2.25.5"


def test_study_without_series_is_not_applicable() -> None:
    """Also an empty study gets its outcome."""
    assert judge_study(lung_density_model(), []) == NotApplicable(("the study has no series",))


def test_age_from_the_order_fills_a_header_without_one_but_never_replaces_it() -> None:
    """The header's own age binds."""
    unknown, child = a_chest_series(patient_age_years=None), a_chest_series(patient_age_years=9)

    from_order = judge_study(lung_density_model(), [unknown], patient_age_years=40)
    from_header = judge_study(lung_density_model(), [child], patient_age_years=40)

    assert isinstance(from_order, Applicable)
    assert isinstance(from_header, Withheld)


def test_summary_keeps_what_differs_between_images() -> None:
    """One contrast slice, one tilted slice or one burnt-in slice counts for the series."""
    plain = InstanceAttributes(
        series_instance_uid="2.25.2",
        modality="CT",
        image_type=("ORIGINAL", "PRIMARY", "AXIAL", "HELIX"),
        rows=4,
        columns=4,
    )
    odd = plain.model_copy(
        update={
            "contrast_bolus_agent": "X",
            "gantry_detector_tilt": -12.0,
            "burned_in_annotation": "YES",
            "convolution_kernel": ("Br40d", "3"),
            "number_of_frames": 3,
        }
    )

    summary = summarise([(plain, "1.2.840.10008.1.2"), (odd, "1.2.840.10008.1.2.1")])

    assert summary.number_of_instances == 2
    assert summary.contrast_agent == "X"
    assert summary.gantry_tilt_degrees == 12.0
    assert summary.burned_in_annotation == "YES"
    assert summary.convolution_kernels == ("Br40d",)
    assert summary.number_of_frames == 3
    assert len(summary.transfer_syntaxes) == 2
    assert summary.image_type[:3] == ("ORIGINAL", "PRIMARY", "AXIAL")


def test_series_of_mixed_image_types_is_not_taken_for_axial() -> None:
    """A localizer filed in the same series makes the series odd."""
    axial = InstanceAttributes(series_instance_uid="2.25.2", image_type=("ORIGINAL", "PRIMARY", "AXIAL"))
    scout = axial.model_copy(update={"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")})

    summary = summarise([(axial, "1.2.840.10008.1.2.1"), (scout, "1.2.840.10008.1.2.1")])

    assert summary.image_type == ("MIXED",)
