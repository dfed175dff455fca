"""What a clinician may add when the models missed it: a short list of codes, by modality."""

import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

from overread.contracts.events.inference import Finding

SCHEME = "SCT"


class OfferedFinding(BaseModel):
    """One entry: the finding as it is stated, and its name in the page's languages."""

    model_config = ConfigDict(frozen=True)

    finding: Finding
    labels: dict[str, str]


class _Presence(BaseModel):
    code: str
    scheme: str
    display: str


class _Entry(BaseModel):
    code: str
    display: str
    labels: dict[str, str]
    modalities: frozenset[str] = frozenset()


class _File(BaseModel):
    presence: _Presence
    finding: tuple[_Entry, ...]


def offered(modalities: Iterable[str]) -> list[OfferedFinding]:
    """Return what fits any of the study's modalities, in the order of the file."""
    wanted = frozenset(modalities)
    file = _read()
    return [
        _offered(entry, file.presence) for entry in file.finding if not entry.modalities or entry.modalities & wanted
    ]


@cache
def _read() -> _File:
    text = (resources.files("overread.review") / "finding_codes.toml").read_text(encoding="utf-8")
    return _File.model_validate(tomllib.loads(text))


def _offered(entry: _Entry, presence: _Presence) -> OfferedFinding:
    finding = Finding(
        code=entry.code,
        scheme=SCHEME,
        display=entry.display,
        coded_value=presence.code,
        coded_value_scheme=presence.scheme,
        coded_value_display=presence.display,
    )
    return OfferedFinding(finding=finding, labels=entry.labels)
