"""One row of a mapping: a code of a sender, and what it is called at the site. Pure."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from overread.contracts import codec


class Kind(StrEnum):
    """What a code names."""

    SERVICE = "service"
    WARD = "ward"
    DOCTOR = "doctor"
    CODE_SYSTEM = "code_system"


class Key(NamedTuple):
    """What a row is known by: a row without link holds for all links, one without system for every system."""

    kind: Kind
    link: str
    code: str
    system: str


class MappingRow(BaseModel):
    """A sender's `code` (of `system`, on `link`) and what it means; the fields are the columns of a mapping's file.

    `to_code` and `to_system` are the site's code; `vi`, `en` and `fr` its names. A code system has its name (table
    HL70396) in `to_system` and its OID in `to_code`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    link: str = ""
    code: str
    system: str = ""
    to_code: str = ""
    to_system: str = ""
    vi: str = ""
    en: str = ""
    fr: str = ""
    modality: str = ""
    body_part: str = ""
    models: tuple[str, ...] = ()
    department: str = ""

    @property
    def key(self) -> Key:
        """Return what the row is known by."""
        return Key(self.kind, self.link, self.code, self.system)

    @property
    def name(self) -> str:
        """Return the first name that it has: Vietnamese, English, French."""
        return self.vi or self.en or self.fr

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of the columns."""
        return tuple(" ".join(self.models) if name == "models" else str(getattr(self, name)) for name in COLUMNS)


COLUMNS: tuple[str, ...] = tuple(MappingRow.model_fields)

USED: dict[Kind, frozenset[str]] = {
    Kind.SERVICE: frozenset(COLUMNS) - {"department"},
    Kind.WARD: frozenset({"kind", "link", "code", "to_code", "vi", "en", "fr", "department"}),
    Kind.DOCTOR: frozenset({"kind", "link", "code", "to_code", "vi"}),
    Kind.CODE_SYSTEM: frozenset({"kind", "link", "code", "to_code", "to_system"}),
}
"""The columns that mean something for each kind."""


def in_order(rows: Iterable[MappingRow]) -> tuple[MappingRow, ...]:
    """Return the rows in the one order in which they are kept and exported."""
    return tuple(sorted(rows, key=lambda row: row.key))


def rows_json(rows: Iterable[MappingRow]) -> bytes:
    """Return the one byte form of a mapping, which its digest is of."""
    return codec.json_bytes([row.model_dump(mode="json", exclude_defaults=True) for row in in_order(rows)])
