"""The insurance table of paraclinical results (XML4) as data: which columns a version has, and what stands in them."""

import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from overread.contracts.errors import OverreadError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,59}$")]


class TableRefused(OverreadError):
    """The table of columns can't be used."""


class Kind(StrEnum):
    """What a column takes; a moment reads yyyyMMddHHmm on the hospital's clock."""

    TEXT = "text"
    NUMBER = "number"
    MOMENT = "moment"


class Source(StrEnum):
    """What of a signed result stands in a column."""

    VISIT = "visit"
    ROW_NUMBER = "row_number"
    SERVICE = "service"
    INDEX_CODE = "index_code"
    INDEX_NAME = "index_name"
    VALUE = "value"
    UNIT = "unit"
    DESCRIPTION = "description"
    CONCLUSION = "conclusion"
    RESULTED_AT = "resulted_at"
    READER = "reader"
    EMPTY = "empty"


class Column(BaseModel):
    """One column; `longest` counts characters, 0 is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Kind
    longest: Annotated[int, Field(ge=0)]
    required: bool = False
    source: Annotated[Source, Field(alias="from")]


class Table(BaseModel):
    """One version of the table. `checked` says whether the authority's validator has taken a file of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,20}$")]
    source: str
    checked: bool
    root: Name
    list: Name
    row: Name
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]


@cache
def known_tables() -> Mapping[str, Table]:
    """Return the versions that come with Overread."""
    text = files("overread.protocols.insurance").joinpath("xml4_tables.toml").read_text(encoding="utf-8")
    return parse(text)


def parse(text: str) -> Mapping[str, Table]:
    """Return each version that `text` describes, or raise `TableRefused` with the first rule it breaks."""
    try:
        described = tomllib.loads(text).get("tables")
        if not isinstance(described, dict) or not described:
            raise TableRefused("it describes no table: [tables.VERSION]")
        return {version: _table(version, described) for version in described}
    except tomllib.TOMLDecodeError as error:
        raise TableRefused(f"it is not TOML: {error}") from error
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        raise TableRefused(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from error


def _table(version: str, described: Mapping[str, Any]) -> Table:
    own = dict(described[version])
    model = own.pop("as_in", None)
    if model is not None and (model not in described or "as_in" in described[model]):
        raise TableRefused(f"{version}: there is no table {model!r} of its own to be like")
    inherited = described[model] if model is not None else {}
    table = Table.model_validate({**inherited, **own, "version": version})
    names = [column.name for column in table.columns]
    if len(set(names)) < len(names):
        raise TableRefused(f"{version}: two columns have the same name")
    return table
