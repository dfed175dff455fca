"""What is shown of all that laboratories and bedside devices tell: a list of concepts, as data (observation_codes.toml)."""

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field

from overread.contracts.events.orders import CodedElement

DEVICE_SYSTEM = "MDC"
"""The nomenclature of devices (ISO/IEEE 11073-10101): what is said in it comes from the bedside."""


class Concept(BaseModel):
    """One thing that is observed: how long a value of it is of use, and under which codes it comes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    window_days: int = Field(gt=0)
    codes: tuple[str, ...]
    is_bedside: bool = False

    @property
    def window(self) -> timedelta:
        """Return how old a value may be."""
        return timedelta(days=self.window_days)


class _File(BaseModel):
    concept: tuple[Concept, ...]


@cache
def concepts() -> Mapping[str, Concept]:
    """Return every concept by its name, in the order of the file."""
    text = resources.files("overread.assembly").joinpath("observation_codes.toml").read_text(encoding="utf-8")
    return {concept.name: concept for concept in _File.model_validate(tomllib.loads(text)).concept}


@cache
def _by_code() -> Mapping[str, Concept]:
    return {code: concept for concept in concepts().values() for code in concept.codes}


def concept_of(code: CodedElement, alternate: CodedElement | None, local: Mapping[str, str]) -> Concept | None:
    """Return what the code means: by the site's own list, else by ours; either of OBX-3's two codes will do."""
    for said in (code, *([alternate] if alternate else [])):
        for name in (f"{said.identifier}^{said.coding_system}", said.identifier):
            if name in local:
                return concepts().get(local[name])
        if concept := _by_code().get(f"{said.identifier}^{said.coding_system}"):
            return concept
    return None


def is_bedside(code: CodedElement, concept: Concept | None) -> bool:
    """Say whether a device at the bedside says it."""
    return concept.is_bedside if concept else code.coding_system == DEVICE_SYSTEM
