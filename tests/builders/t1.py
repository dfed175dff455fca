"""The T1 template as a series under an invented identity, where set-up has fetched it."""

from functools import cache
from typing import Any

import pytest

from overread.embedded.places import StackError
from overread.embedded.t1_template import T1Study, make_t1_study
from overread.inference.applicability import SeriesSummary
from tests.builders.imaging import A_PATIENT, A_STUDY


def a_t1_study() -> T1Study:
    """Return the template's images, or skip with a word."""
    try:
        return _t1_study()
    except StackError as missing:
        pytest.skip(str(missing))


@cache
def _t1_study() -> T1Study:
    return make_t1_study(patient=A_PATIENT, study=A_STUDY)


def a_brain_series(**changes: Any) -> SeriesSummary:
    """Return the summary of a sagittal T1 series that the brain volume model may see, a fault by keyword."""
    slices = changes.pop("slices", 176)
    gap = changes.pop("gap", 1.0)
    facts: dict[str, Any] = {
        "series_instance_uid": "2.25.1000.3",
        "series_number": 3,
        "modality": "MR",
        "body_part_examined": "BRAIN",
        "study_description": "MR BRAIN WO CONTRAST",
        "series_description": "SAG MPRAGE",
        "protocol_name": "SAG MPRAGE",
        "sequence_name": "*tfl3d1_16ns",
        "image_type": ("ORIGINAL", "PRIMARY", "M", "ND", "NORM"),
        "manufacturer": "SIEMENS",
        "positions": tuple((gap * number, 0.0, 0.0) for number in range(slices)),
        "orientations": ((0.0, 1.0, 0.0, 0.0, 0.0, -1.0),),
        "pixel_spacings": ((1.0, 1.0),),
        "sizes": ((256, 256),),
        "mr_acquisition_type": "3D",
        "echo_times_ms": (2.52,),
        "patient_age_years": 45,
        "patient_sex": "F",
        "transfer_syntaxes": frozenset({"1.2.840.10008.1.2.1"}),
    }
    return SeriesSummary(**(facts | changes))
