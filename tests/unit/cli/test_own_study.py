"""`demo --study DIR`: a user's own images, as they are, and an order made for them."""

from io import BytesIO
from pathlib import Path
from typing import cast

import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset

from overread.cli.demo_study import own_study
from overread.contracts.errors import OverreadError
from tests.builders.events import NOON
from tests.builders.imaging import a_phantom, file_bytes


def a_folder(folder: Path, *, study: str = "", has_accession: bool = True) -> Path:
    """Write two images as a user's disk has them: in folders, beside files that are no images."""
    for number, dataset in enumerate(a_phantom(slices=8, size=64).datasets[:2]):
        inner = folder / f"series{number}"
        inner.mkdir(parents=True)
        (inner / "IM1").write_bytes(file_bytes(_changed(dataset, study if number else "", has_accession)))
    (folder / "DICOMDIR.txt").write_text("no image")
    return folder


def _changed(dataset: FileDataset, study: str, has_accession: bool) -> FileDataset:  # noqa: FBT001
    changed = dcmread(BytesIO(file_bytes(dataset)))
    changed.StudyInstanceUID = study or changed.StudyInstanceUID
    changed.AccessionNumber = changed.AccessionNumber if has_accession else ""
    return changed


def test_images_are_sent_as_they_are_with_an_order_of_their_own(tmp_path: Path) -> None:
    """The order names their study, accession number and patient; MSH-11 is P, since they may be a patient's."""
    study = own_study(a_folder(tmp_path), NOON)

    assert [file_bytes(cast("FileDataset", dataset)) for dataset in study.datasets] == [
        path.read_bytes() for path in sorted(tmp_path.rglob("IM1"))
    ]
    assert (study.study_instance_uid, study.accession_number) == ("2.25.1000", "ACC0001")
    assert study.order.split("|")[10] == "P"
    assert all(word in study.order for word in ("2.25.1000", "ACC0001", "TEST0001", "24627-2"))


def test_images_without_accession_number_get_one_for_their_order(tmp_path: Path) -> None:
    """They then meet by the StudyInstanceUID."""
    study = own_study(a_folder(tmp_path, has_accession=False), NOON)

    assert study.accession_number.startswith("DEMO")
    assert study.accession_number in study.order


def test_folder_with_two_studies_is_not_guessed_about(tmp_path: Path) -> None:
    """One sentence says what is wanted."""
    folder = a_folder(tmp_path, study="2.25.2000")

    with pytest.raises(OverreadError, match="holds 2 studies"):
        own_study(folder, NOON)
