"""From the model's answer to findings whose digits no later step changes."""

import math

import pytest

from overread.inference.postprocessing import Answer, ImplausibleAnswer, ModelRefused, as_decimal_digits, findings
from tests.builders.imaging import lung_density_model


def _answer(**changes: float | str) -> Answer:
    answer: dict[str, float | str] = {
        "LUNG_VOLUME": 5539.6373,
        "MEAN_HU": -813.7128,
        "LAA_950": 0.37047,
        "PERC15": -889.0,
        "QC_FLAGS": "",
        "REFUSAL": "",
    }
    return answer | changes


def test_numbers_become_findings_with_unit_and_rounding_of_the_catalogue() -> None:
    """Order, code, digits and unit are the catalogue's."""
    found = findings(lung_density_model(), _answer(), series_instance_uid="2.25.2")

    assert [(finding.code, finding.value, finding.unit) for finding in found] == [
        ("lung-volume-ct", "5540", "ml"),
        ("lung-mean-attenuation", "-814", "[hnsf'U]"),
        ("lung-laa-950", "0.4", "%"),
        ("lung-perc15", "-889", "[hnsf'U]"),
    ]
    assert {finding.series_instance_uid for finding in found} == {"2.25.2"}


def test_finding_says_where_it_is_and_what_its_number_measures() -> None:
    """Site, property and sub-ID are the catalogue's: renderings have nothing else to take them from."""
    found = findings(lung_density_model(), _answer())

    assert {finding.finding_site.code for finding in found if finding.finding_site} == {"39607008"}
    assert all(finding.finding_site for finding in found)
    assert [finding.property and finding.property.code for finding in found] == ["118565006", "112181", None, None]
    assert [finding.observation_sub_id for finding in found] == ["1.1", "1.2", "1.3", "1.4"]


def test_quality_flag_is_a_finding_too() -> None:
    """A reader sees what the model was unsure of."""
    found = findings(lung_density_model(), _answer(QC_FLAGS="airway_not_found"))

    assert found[-1].coded_value == "airway-not-found"
    assert found[-1].coded_value_display == "airway not found"


def test_refusal_is_raised_with_the_models_reason() -> None:
    """A refusal is an outcome, not a number."""
    with pytest.raises(ModelRefused, match="no lung was found"):
        findings(lung_density_model(), _answer(LUNG_VOLUME=math.nan, REFUSAL="no lung was found inside the body"))


@pytest.mark.parametrize(
    "changes",
    [{"LUNG_VOLUME": 9630.0}, {"LUNG_VOLUME": math.nan}, {"LAA_950": 100.5}, {"PERC15": math.inf}, {"MEAN_HU": "-800"}],
)
def test_answer_out_of_bounds_is_never_shown(changes: dict[str, float | str]) -> None:
    """A model that breaks its contract says nothing, not something."""
    with pytest.raises(ImplausibleAnswer):
        findings(lung_density_model(), _answer(**changes))


def test_missing_output_is_never_shown_as_partial_findings() -> None:
    """All numbers or none."""
    answer = {name: value for name, value in _answer().items() if name != "PERC15"}

    with pytest.raises(ImplausibleAnswer, match="15th percentile"):
        findings(lung_density_model(), answer)


@pytest.mark.parametrize(
    ("value", "decimals", "digits"),
    [
        (0.5, 0, "0"),
        (1.5, 0, "2"),
        (-0.04, 1, "0.0"),
        (1e-7, 2, "0.00"),
        (12345.678, 1, "12345.7"),
        (1e6, 0, "1000000"),
    ],
)
def test_digits_have_no_exponent_and_no_negative_zero(value: float, decimals: int, digits: str) -> None:
    """What is written is what every format repeats."""
    assert as_decimal_digits(value, decimals) == digits
