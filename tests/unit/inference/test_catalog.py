"""The catalogue is the models' contract: wrong entries stop the start."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from overread.inference import catalog
from tests.builders.imaging import INFERENCE, lung_density_model


def _catalogue_with(tmp_path: Path, *, replace: tuple[str, str]) -> Path:
    text = (INFERENCE / "models.toml").read_text(encoding="utf-8")
    assert replace[0] in text
    for name in ("ct-lung-density", "mr-brain-volume"):
        version = tmp_path / "model_repository" / name / "1"
        version.mkdir(parents=True)
        (version / "model.py").write_text("")
    path = tmp_path / "models.toml"
    path.write_text(text.replace(*replace, 1), encoding="utf-8")
    return path


def test_shipped_catalogue_is_valid_and_its_cards_are_there() -> None:
    """What we ship loads, and each model's card lies where the catalogue says."""
    models = catalog.load(INFERENCE / "models.toml").models

    assert [model.name for model in models] == ["ct-lung-density", "mr-brain-volume"]
    assert all((INFERENCE / model.card).is_file() for model in models)


def test_shipped_model_is_told_nothing_about_the_patient() -> None:
    """Promise 5: of attributes only what the contract declares, and this one declares none."""
    assert lung_density_model().attributes == frozenset()


def test_reference_carries_the_digest_of_the_files_that_run() -> None:
    """Provenance names the files, not only a version somebody typed."""
    reference = lung_density_model().reference

    assert reference.digest == catalog.digest_of(INFERENCE / "model_repository" / "ct-lung-density" / "1")


@pytest.mark.parametrize(
    "replace",
    [
        ("attributes = []", 'attributes = ["patient_name"]'),
        ("attributes = []", 'attributes = ["study_instance_uid"]'),
        ('version = "1.0.0"', 'version = "latest"'),
        ("deadline_seconds = 900", "deadline_seconds = -1"),
        ("decimals = 0", "decimals = 40"),
        ("minimum = 1000.0, maximum = 9000.0", "minimum = 9000.0, maximum = 1000.0"),
        ('title = "CT lung density"', 'title = "CT lung density"\nsurprise = 1'),
        ('card = "model_repository', 'card = "/etc/model_repository'),
        ('card = "model_repository', 'card = "../model_repository'),
        ('voxels = "hounsfield"', 'voxels = "dicom"'),
        ("number = 1", "number = 2"),
        ('observation_sub_id = "1.2"', 'observation_sub_id = "1.1"'),
        ('observation_sub_id = "2.1"', 'observation_sub_id = "1.1"'),
        ('observation_sub_id = "1.1"', 'observation_sub_id = "one"'),
        ('observation_sub_id = "1.1"\n', ""),
        ("[[model]]", "[[model"),
    ],
)
def test_wrong_entry_is_refused(tmp_path: Path, replace: tuple[str, str]) -> None:
    """A catalogue that can't be meant stops the start with a plain error."""
    path = _catalogue_with(tmp_path, replace=replace)

    with pytest.raises(catalog.CatalogError, match=r"models\.toml"):
        catalog.load(path)


def test_missing_model_files_are_refused(tmp_path: Path) -> None:
    """A model without files can't have a digest, so it can't have run."""
    path = _catalogue_with(tmp_path, replace=('name = "ct-lung-density"', 'name = "other"'))

    with pytest.raises(catalog.CatalogError, match="no files"):
        catalog.load(path)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """A network is what the catalogue's digest says, or the start ends: its card speaks of no other."""
    path = _catalogue_with(tmp_path, replace=("[[model]]", "[[model]]"))
    (tmp_path / "model_repository" / "mr-brain-volume" / "1" / "box.onnx").write_bytes(b"other weights")

    with pytest.raises(catalog.CatalogError, match=r"mr-brain-volume: box\.onnx is missing or not the file"):
        catalog.load(path)


def test_missing_catalogue_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(catalog.CatalogError, match=r"models\.toml can't be read"):
        catalog.load(tmp_path / "models.toml")


def test_unknown_model_version_is_refused() -> None:
    """A job for a version that is not in the catalogue never guesses another."""
    shipped = catalog.load(INFERENCE / "models.toml")

    with pytest.raises(catalog.CatalogError, match=r"ct-lung-density 9\.9\.9"):
        shipped.find("ct-lung-density", "9.9.9")


def test_digest_changes_with_content_and_name_but_not_with_compiled_files(tmp_path: Path) -> None:
    """Only what decides the answer counts."""
    (tmp_path / "model.py").write_text("a")
    first = catalog.digest_of(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "model.pyc").write_text("noise")
    with_cache = catalog.digest_of(tmp_path)
    (tmp_path / "model.py").write_text("b")
    with_change = catalog.digest_of(tmp_path)
    (tmp_path / "model.py").rename(tmp_path / "other.py")
    with_rename = catalog.digest_of(tmp_path)

    assert first == with_cache
    assert len({first, with_change, with_rename}) == 3


def test_model_is_frozen() -> None:
    """A contract doesn't change while it runs."""
    with pytest.raises(ValidationError):
        lung_density_model().title = "other"  # type: ignore[misc]
