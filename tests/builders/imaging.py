"""Series of images, their summaries and the models that may see them; all people in them are invented."""

import importlib.util
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

from pydicom.dataset import FileDataset

from overread.contracts.events.inference import Artefact, ArtefactKind
from overread.embedded.phantom import Phantom, PhantomStudy, SyntheticPatient, make_phantom
from overread.inference import catalog, preprocessing
from overread.inference.applicability import SeriesSummary

INFERENCE = Path(__file__).parents[2] / "inference"
TOKEN = UUID("6d0d1d3c-6f0e-4b8f-9d5e-0d6b1f2a3c4d")
A_PATIENT = SyntheticPatient(
    patient_id="TEST0001", patient_name="TEST^PATIENT", birth_date=date(1960, 1, 1), sex="M", age_years=66
)
A_STUDY = PhantomStudy(
    study_instance_uid="2.25.1000",
    series_instance_uid="2.25.1000.2",
    accession_number="ACC0001",
    acquired_at=datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
)


@cache
def a_phantom(*, slices: int = 72, size: int = 128, seed: int = 1, emphysema_share: float = 0.08) -> Phantom:
    """Return a coarse chest phantom, quick to make and to measure."""
    return make_phantom(
        patient=A_PATIENT, study=A_STUDY, slices=slices, size=size, seed=seed, emphysema_share=emphysema_share
    )


def file_bytes(dataset: FileDataset) -> bytes:
    """Return `dataset` as the bytes of a Part 10 file."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_volume(files: Iterable[bytes]) -> preprocessing.Volume:
    """Read a CT series as the lung density model is shown it."""
    return preprocessing.read_series(files, lung_density_model().volume).volume


def brain_volume_model() -> catalog.Model:
    """Return the brain volume model as the shipped catalogue describes it."""
    return catalog.load(INFERENCE / "models.toml").find("mr-brain-volume", "1.0.0")


def lung_density_model() -> catalog.Model:
    """Return the lung density model as the shipped catalogue describes it."""
    return catalog.load(INFERENCE / "models.toml").find("ct-lung-density", "1.0.0")


def an_artefact(**changes: Any) -> Artefact:
    """Return what is said of a stored lung mask."""
    known = {
        "kind": ArtefactKind.SEGMENTATION,
        "key": "site/artefacts/job/lungs.npz",
        "digest": "0" * 64,
        "series_instance_uid": "2.25.1000.2",
        "segments": lung_density_model().segmentations[0].segments,
    }
    return Artefact.model_validate(known | changes)


def densitometry() -> ModuleType:
    """Load the maths of the lung density model from the model repository, without Triton."""
    return _of_the_repository("ct-lung-density", "densitometry")


def brain_volume() -> ModuleType:
    """Load the maths of the brain volume model from the model repository, without Triton and without its networks."""
    return _of_the_repository("mr-brain-volume", "brain_volume")


@cache
def _of_the_repository(model: str, module_name: str) -> ModuleType:
    path = INFERENCE / "model_repository" / model / "1" / f"{module_name}.py"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def a_chest_series(**changes: Any) -> SeriesSummary:
    """Return the summary of a chest CT that the lung density model may see, a fault by keyword."""
    slices = changes.pop("slices", 80)
    gap = changes.pop("gap", 4.0)
    facts: dict[str, Any] = {
        "series_instance_uid": "2.25.1000.2",
        "series_number": 2,
        "modality": "CT",
        "body_part_examined": "CHEST",
        "study_description": "CT CHEST WO CONTRAST",
        "series_description": "AXIAL SOFT",
        "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "convolution_kernels": ("STANDARD",),
        "manufacturer": "GE MEDICAL SYSTEMS",
        "positions": tuple((0.0, 0.0, gap * number) for number in range(slices)),
        "orientations": ((1.0, 0.0, 0.0, 0.0, 1.0, 0.0),),
        "pixel_spacings": ((0.8, 0.8),),
        "sizes": ((512, 512),),
        "gantry_tilt_degrees": 0.0,
        "patient_age_years": 66,
        "patient_sex": "M",
        "transfer_syntaxes": frozenset({"1.2.840.10008.1.2.1"}),
    }
    return SeriesSummary(**(facts | changes))
