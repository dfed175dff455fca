"""The phantom: what the demo and the tests send instead of a patient."""

import time
from pathlib import Path

from pydicom import dcmread

from overread.embedded.phantom import make_phantom
from overread.inference.applicability import Applicable, SeriesSummary, judge
from tests.builders.imaging import A_PATIENT, A_STUDY, a_chest_series, a_phantom, file_bytes, lung_density_model


def _summary() -> SeriesSummary:
    datasets = a_phantom().datasets
    return a_chest_series(
        manufacturer=datasets[0].Manufacturer,
        convolution_kernels=(datasets[0].ConvolutionKernel,),
        study_description=datasets[0].StudyDescription,
        series_description=datasets[0].SeriesDescription,
        positions=tuple(tuple(float(value) for value in dataset.ImagePositionPatient) for dataset in datasets),
    )


def test_same_arguments_give_the_same_bytes() -> None:
    """A repeated demo sends identical objects, so that a receiver can tell a repeat from a conflict."""
    first = make_phantom(patient=A_PATIENT, study=A_STUDY, slices=8, size=64)
    second = make_phantom(patient=A_PATIENT, study=A_STUDY, slices=8, size=64)

    assert [file_bytes(a) for a in first.datasets] == [file_bytes(b) for b in second.datasets]


def test_phantom_is_accepted_by_the_model_it_is_made_for() -> None:
    """The demo's images pass every guard as real ones must."""
    verdict = judge(lung_density_model(), _summary())

    assert isinstance(verdict, Applicable)


def test_written_series_names_order_and_says_it_is_synthetic(tmp_path: Path) -> None:
    """Each file is a Part 10 file with the order's accession number, and nobody can take it for a patient's."""
    paths = a_phantom().write_series(tmp_path / "series")

    image = dcmread(paths[0])
    assert len(paths) == 72
    assert image.AccessionNumber == A_STUDY.accession_number
    assert image.StudyInstanceUID == A_STUDY.study_instance_uid
    assert "PHANTOM" in image.StudyDescription
    assert "SYNTHETIC" in image.SeriesDescription


def test_sop_instance_uids_are_unique_and_short_enough() -> None:
    """A UID has at most 64 characters (PS3.5, 9.1)."""
    uids = [dataset.SOPInstanceUID for dataset in a_phantom().datasets]

    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 64 for uid in uids)


def test_phantom_is_built_quickly() -> None:
    """The demo waits for it; a generous bound, for a busy machine."""
    start = time.perf_counter()

    make_phantom(patient=A_PATIENT, study=A_STUDY, seed=99)

    assert time.perf_counter() - start < 10
