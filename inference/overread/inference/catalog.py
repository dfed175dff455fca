"""The models' contracts: what each accepts, is told and answers. Read once from `models.toml`, checked, then frozen."""

import hashlib
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, ValidationError, model_validator

from overread.contracts.errors import OverreadError
from overread.contracts.events.inference import Concept, ModelReference, Segment
from overread.contracts.identifiers import Sha256

MAXIMUM_AGE_YEARS = 89
"""The oldest age a model is ever told; whoever is older is told as this old."""


class CatalogError(OverreadError):
    """The catalogue of models can't be used as it is written."""


class _Entry(BaseModel):
    """A part of the catalogue: frozen, and a field it doesn't know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Range(_Entry):
    """From `minimum` to `maximum`, both included."""

    minimum: float
    maximum: float

    @model_validator(mode="after")
    def _is_ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        return self

    def __contains__(self, value: float) -> bool:
        return self.minimum <= value <= self.maximum


class Attribute(StrEnum):
    """The only attributes of a patient that a model may declare; a date, a name or a UID is none of them."""

    AGE_YEARS = "age_years"
    SEX = "sex"


class CodedConcept(_Entry):
    """A concept in a coding scheme (DICOM PS3.3, 8.8)."""

    code: str = Field(min_length=1)
    scheme: str = Field(min_length=1)
    display: str = Field(min_length=1)

    @property
    def concept(self) -> Concept:
        """Return the concept as findings carry it."""
        return Concept(code=self.code, scheme=self.scheme, display=self.display)


class Output(CodedConcept):
    """One number that the model answers: where it stands, what it means, and how it is written.

    Receivers of HL7 join a finding and its site by `observation_sub_id` (OBX-4), so no other output has the same.
    """

    tensor: str
    unit: str = Field(min_length=1)
    unit_display: str
    decimals: int = Field(ge=0, le=6)
    bounds: Range
    observation_sub_id: str = Field(pattern=r"^[1-9][0-9]{0,3}(\.[1-9][0-9]{0,3})*$", max_length=20)
    finding_site: CodedConcept | None = None
    property: CodedConcept | None = None


class Voxels(StrEnum):
    """What the numbers of a volume mean."""

    HOUNSFIELD = "hounsfield"
    INTENSITY = "intensity"


class Axes(StrEnum):
    """How a volume's axes lie.

    `series`: slice (in the order of their normal), row, column, as the images come. `patient`: to the patient's right,
    to the front, to the head, as far as the planes allow without a new grid.
    """

    SERIES = "series"
    PATIENT = "patient"


class VolumeInput(_Entry):
    """The volume that the model is sent: what its numbers mean and how its axes lie."""

    voxels: Voxels
    axes: Axes


class Segmentation(_Entry):
    """A mask that the model answers in the grid of its volume, and what each of its numbers marks."""

    tensor: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    segments: tuple[Segment, ...] = Field(min_length=1, max_length=255)

    @model_validator(mode="after")
    def _counts_from_one(self) -> Self:
        if [segment.number for segment in self.segments] != list(range(1, len(self.segments) + 1)):
            raise ValueError("segments are numbered 1, 2, 3 ... (PS3.3, C.8.20.2)")
        return self


class MrSequence(_Entry):
    """The MR sequences that the model reads: how they are named, and within which bounds they are acquired."""

    weighting: str
    words: tuple[str, ...]
    other_words: tuple[str, ...]
    acquisition_type: str
    echo_time_ms: Range


class Accepts(_Entry):
    """The series on which the model may speak; everything else it is not asked.

    Without `soft_kernels` no kernel is asked for, without `mr_sequence` no sequence, without
    `gantry_tilt_maximum_degrees` the planes may lie in any direction.
    """

    modalities: frozenset[str]
    body_part_words: tuple[str, ...]
    image_type: tuple[str, ...]
    contrast_words: tuple[str, ...]
    age_years: Range
    slices: Range
    slice_gap_mm: Range
    length_mm: Range
    slice_gap_tolerance_mm: PositiveFloat
    gantry_tilt_maximum_degrees: float | None = Field(default=None, ge=0)
    soft_kernels: Mapping[str, frozenset[str]] | None = None
    pixel_spacing_mm: Range | None = None
    mr_sequence: MrSequence | None = None


def _relative(path: str) -> str:
    if Path(path).is_absolute() or ".." in Path(path).parts:
        raise ValueError("a path in the catalogue stays beside it")
    return path


class Model(_Entry):
    """One version of one model, with the digest of the files that Triton runs for it."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    served_version: str = Field(pattern=r"^[1-9][0-9]*$")
    title: str
    manufacturer: str = ""
    intended_use: str
    card: Annotated[str, AfterValidator(_relative)]
    attributes: frozenset[Attribute]
    deadline_seconds: PositiveFloat
    time_limit_seconds: PositiveFloat
    service_seconds: PositiveFloat
    refusal_output: str
    flags_output: str
    volume: VolumeInput
    accepts: Accepts
    outputs: tuple[Output, ...] = Field(min_length=1)
    segmentations: tuple[Segmentation, ...] = ()
    weights: Mapping[str, Sha256] = Field(default_factory=dict)
    digest: str

    @property
    def reference(self) -> ModelReference:
        """Name the version as events do."""
        return ModelReference(
            name=self.name,
            version=self.version,
            title=self.title,
            digest=self.digest,
            manufacturer=self.manufacturer,
        )


class Catalog(_Entry):
    """All models, in the order of the file."""

    models: tuple[Model, ...]

    @model_validator(mode="after")
    def _has_unique_names(self) -> Self:
        keys = [(model.name, model.version) for model in self.models]
        if len(set(keys)) != len(keys):
            raise ValueError("a model version is listed twice")
        return self

    @model_validator(mode="after")
    def _has_a_sub_id_for_each_output(self) -> Self:
        owners: dict[str, tuple[str, str]] = {}
        for model in self.models:
            for output in model.outputs:
                own = (model.name, output.code)
                if owners.setdefault(output.observation_sub_id, own) != own:
                    raise ValueError(f"two outputs have the sub-ID {output.observation_sub_id}")
        return self

    def find(self, name: str, version: str) -> Model:
        """Return that model version, or raise `CatalogError`."""
        for model in self.models:
            if (model.name, model.version) == (name, version):
                return model
        raise CatalogError(f"the catalogue has no model {name} {version}")


def load(path: Path) -> Catalog:
    """Read `path`; the model repository lies beside it in `model_repository/`.

    Raises `CatalogError` with the place of the first fault, so that a wrong catalogue stops the start, not a study.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = [entry | {"digest": digest_of(_folder(path, entry))} for entry in document.get("model", [])]
        catalog = Catalog.model_validate({"models": entries})
    except ValidationError as error:
        first = error.errors()[0]
        raise CatalogError(f"{path.name}, {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise CatalogError(f"{path.name} can't be read: {error}") from error
    for model in catalog.models:
        _check_weights(model, _folder(path, {"name": model.name, "served_version": model.served_version}))
    return catalog


def digest_of(version_folder: Path) -> str:
    """Return the SHA-256 over names and contents of all files of a model version, in the order of their names."""
    total = hashlib.sha256()
    for file in sorted(_files_of(version_folder), key=lambda file: file.relative_to(version_folder).as_posix()):
        name = file.relative_to(version_folder).as_posix()
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{content}  {name}\n".encode())
    return total.hexdigest()


def _files_of(version_folder: Path) -> list[Path]:
    files = [file for file in version_folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    if not files:
        raise CatalogError(f"the model repository has no files in {version_folder.parent.name}/{version_folder.name}")
    return files


def _check_weights(model: Model, folder: Path) -> None:
    """Refuse weights other than those that the model's card speaks of."""
    for name, expected in model.weights.items():
        file = folder / _relative(name)
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise CatalogError(f"{model.name}: {name} is missing or not the file that the catalogue names")


def _folder(path: Path, entry: Mapping[str, object]) -> Path:
    return path.parent / "model_repository" / str(entry.get("name")) / str(entry.get("served_version"))
