"""Which MR series the brain volume model may see, and the reason when not."""

import math
from typing import Any

import pytest

from overread.inference.applicability import Applicable, NotApplicable, Withheld, judge, judge_study
from tests.builders.imaging import a_chest_series, brain_volume_model, lung_density_model
from tests.builders.t1 import a_brain_series

TILT = math.radians(12)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"series_description": "3D T1 TFE SAG", "protocol_name": "WIP T1W_3D_TFE", "sequence_name": None},
        {"series_description": "Ax BRAVO", "protocol_name": "CEREBRAL", "sequence_name": None},
        {"series_description": "T1 3D sọ não", "body_part_examined": None, "study_description": "MRI SỌ NÃO"},
        {"body_part_examined": None, "study_description": "IRM cérébrale CERVEAU"},
        {
            "orientations": ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0),),
            "positions": tuple((0.0, 0.0, n * 1.0) for n in range(176)),
        },
        {
            "orientations": ((0.0, math.cos(TILT), math.sin(TILT), 0.0, math.sin(TILT), -math.cos(TILT)),),
            "convolution_kernels": (),
        },
    ],
)
def test_unenhanced_adult_t1_in_3d_is_applicable(changes: dict[str, Any]) -> None:
    """Any maker's name for the sequence, any direction of the planes, oblique ones too."""
    assert judge(brain_volume_model(), a_brain_series(**changes)) == Applicable("2.25.1000.3")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modality": "CT"}, "modality CT, expected MR"),
        ({"body_part_examined": "KNEE", "study_description": "MR KNEE"}, "neither body part nor description"),
        (
            {"series_description": "SAG", "protocol_name": None, "sequence_name": None},
            "names a T1-weighted sequence",
        ),
        ({"series_description": "AX FLAIR", "protocol_name": "T1"}, "another sequence, FLAIR"),
        ({"series_description": "3D TOF", "protocol_name": "HEAD"}, "another sequence, TOF"),
        ({"series_description": "T2 SPACE SAG"}, "another sequence, T2"),
        ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, "localizer"),
    ],
)
def test_other_images_are_not_applicable(changes: dict[str, Any], reason: str) -> None:
    """Nothing is wrong with them; the model doesn't read them."""
    verdict = judge(brain_volume_model(), a_brain_series(**changes))

    assert isinstance(verdict, NotApplicable)
    assert reason in verdict.reasons[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"patient_age_years": 3}, "age is outside 18 to 120"),
        ({"patient_age_years": None}, "age is not known"),
        ({"contrast_agent": "GADOVIST"}, "contrast agent"),
        ({"series_description": "T1 MPRAGE POST"}, "speaks of contrast"),
        ({"study_description": "MRI SỌ NÃO CÓ TIÊM THUỐC"}, "speaks of contrast"),
        ({"mr_acquisition_type": "2D"}, "not acquired in 3D"),
        ({"mr_acquisition_type": None}, "not acquired in 3D"),
        ({"echo_times_ms": (90.0,)}, "echo time of 90 ms is not that of a T1-weighted"),
        ({"echo_times_ms": ()}, "echo time is not given"),
        ({"echo_times_ms": (2.0, 4.0)}, "echo time is not given or not the same"),
        ({"slices": 24, "gap": 6.0}, "24 slices"),
        ({"gap": 3.0}, "gap of 3.00 mm"),
        ({"positions": tuple((n**1.05, 0.0, 0.0) for n in range(176))}, "uneven"),
        ({"positions": tuple((n * 1.0, n * 0.1, 0.0) for n in range(176))}, "slanted by 5.7 degrees"),
        ({"slices": 90}, "covers 89 mm"),
        ({"pixel_spacings": ((3.0, 3.0),)}, "pixel spacing of 3.00 mm"),
        ({"image_type": ("DERIVED", "SECONDARY", "MPR")}, "image type"),
        ({"number_of_frames": 176}, "multi-frame"),
        ({"burned_in_annotation": "YES"}, "burnt"),
        ({"transfer_syntaxes": frozenset({"1.2.840.10008.1.2.4.50"})}, "lossy"),
    ],
)
def test_guard_withholds_and_says_why(changes: dict[str, Any], reason: str) -> None:
    """A head, but not one on which the model may speak."""
    verdict = judge(brain_volume_model(), a_brain_series(**changes))

    assert isinstance(verdict, Withheld)
    assert any(reason in said for said in verdict.reasons), verdict.reasons


def test_t1_of_a_whole_examination_is_chosen() -> None:
    """Among localizer, T2 and FLAIR the T1 series is the one that is asked about."""
    others = [
        a_brain_series(series_instance_uid=f"2.25.{n}", series_number=n, series_description=text, gap=0.8)
        for n, text in enumerate(("AX T2", "SAG FLAIR 3D", "SWI"), start=1)
    ]

    assert judge_study(brain_volume_model(), [*others, a_brain_series()]) == Applicable("2.25.1000.3")


def test_each_model_keeps_to_its_own_images() -> None:
    """A chest CT is nothing to the brain model, a brain MR nothing to the lung model."""
    assert isinstance(judge(brain_volume_model(), a_chest_series()), NotApplicable)
    assert isinstance(judge(lung_density_model(), a_brain_series()), NotApplicable)
