"""Promise 5: models never learn who the patient is."""

import dataclasses
import inspect
from uuid import NAMESPACE_DNS, UUID, uuid1, uuid5

import numpy as np
import pytest

from overread.inference.catalog import Attribute
from overread.inference.deidentify import ModelRequest, NotAnonymous, build_request
from overread.inference.preprocessing import Volume
from tests.builders.imaging import A_PATIENT, A_STUDY, a_phantom, file_bytes, lung_density_model, read_volume

TOKEN = UUID("6d0d1d3c-6f0e-4b8f-9d5e-0d6b1f2a3c4d")
VOLUME = Volume(np.zeros((4, 4, 4), dtype=np.int16), (1.0, 1.0, 1.0))


def test_request_has_room_for_nothing_but_declared_things() -> None:
    """A new field here is a decision about privacy, and fails this test first."""
    fields = {field.name for field in dataclasses.fields(ModelRequest)}
    parameters = set(inspect.signature(build_request).parameters)

    assert fields == {"job_token", "pixels", "spacing_mm", "age_years", "sex"}
    assert parameters == {"model", "volume", "job_token", "age_years", "sex"}


def test_no_identifier_of_the_images_is_in_the_request() -> None:
    """Name, IDs, dates, accession number and UIDs of the files are in no byte that is sent."""
    volume = read_volume(file_bytes(dataset) for dataset in a_phantom().datasets)
    secrets = (
        A_PATIENT.patient_id,
        A_PATIENT.patient_name,
        A_STUDY.accession_number,
        A_STUDY.study_instance_uid,
        A_STUDY.series_instance_uid,
        "19600101",
        "20261122",
    )

    request = build_request(lung_density_model(), volume, job_token=TOKEN, age_years=66, sex="M")

    sent = (
        request.pixels.tobytes()
        + repr((request.job_token, request.spacing_mm, request.age_years, request.sex)).encode()
    )
    assert not any(secret.encode() in sent for secret in secrets)


def test_undeclared_attributes_are_left_out() -> None:
    """The shipped model declares none, so it is told none."""
    request = build_request(lung_density_model(), VOLUME, job_token=TOKEN, age_years=66, sex="M")

    assert request.age_years is None
    assert request.sex is None


@pytest.mark.parametrize(
    ("age_years", "told"), [(0, 0), (66, 66), (89, 89), (90, 89), (104, 89), (-1, 0), (None, None)]
)
def test_age_is_capped_at_89(age_years: int | None, told: int | None) -> None:
    """The very old are few enough to be found by their age."""
    model = lung_density_model().model_copy(update={"attributes": frozenset({Attribute.AGE_YEARS})})

    request = build_request(model, VOLUME, job_token=TOKEN, age_years=age_years, sex="F")

    assert request.age_years == told
    assert request.sex is None


@pytest.mark.parametrize(
    ("sex", "told"), [("M", "M"), ("F", "F"), ("O", "O"), ("TEST^PATIENT", None), ("", None), (None, None)]
)
def test_sex_is_one_of_three_letters_or_absent(sex: str | None, told: str | None) -> None:
    """Free text in the field goes nowhere (PS3.3, C.7.1.1)."""
    model = lung_density_model().model_copy(update={"attributes": frozenset({Attribute.SEX})})

    request = build_request(model, VOLUME, job_token=TOKEN, sex=sex)

    assert request.sex == told


@pytest.mark.parametrize("token", [uuid5(NAMESPACE_DNS, "2.25.1000"), uuid1()])
def test_token_that_could_be_traced_back_is_refused(token: UUID) -> None:
    """A name-based ID can be recomputed from a study UID, a time-based one tells when and where."""
    with pytest.raises(NotAnonymous):
        build_request(lung_density_model(), VOLUME, job_token=token)


@pytest.mark.parametrize(
    "voxels",
    [
        np.zeros((4, 4), dtype=np.int16),
        np.zeros((4, 4, 4), dtype=np.int32),
        np.zeros((4, 4, 4), dtype=np.float32),
        np.ma.masked_array(np.zeros((4, 4, 4), dtype=np.int16)),
        np.array([[["TEST^PATIENT"]]]),
    ],
)
def test_pixels_are_plain_numbers(voxels: np.ndarray) -> None:
    """An array that can carry anything else doesn't cross."""
    with pytest.raises(NotAnonymous):
        build_request(lung_density_model(), Volume(voxels, (1.0, 1.0, 1.0)), job_token=TOKEN)
