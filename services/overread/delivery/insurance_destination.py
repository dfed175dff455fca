"""A folder that takes rows of the insurance table of paraclinical results (XML4)."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from overread.contracts.identifiers import nfc
from overread.delivery.receiver import Receiver, SendUnverified
from overread.protocols.insurance.tables import Table, TableRefused, known_tables, parse


@cache
def tables_in(path: Path | None) -> Mapping[str, Table]:
    """Return the versions that a site's own file describes, as it was when it was first read; without one, ours."""
    if path is None:
        return known_tables()
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TableRefused(f"{path} can't be read: {type(error).__name__}") from error


class InsuranceDestination(Receiver):
    """A folder that takes rows of the insurance table XML4: `url` reads file:///PATH, a folder that exists.

    `table` is the version of the table, out of `table_file` where one is named. What has an entry in `services` (code of
    the order), `readers` (subject of the signer) or `indices` (code of a finding) stands under that; a code and a reader
    without one stand as they are, a finding without one has no row of its own.
    """

    kind: Literal["xml4"]
    table: str = "3176"
    table_file: Path | None = None
    insurance: Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(min_length=1)] = (
        "HC",
        "BHXH",
    )
    services: Mapping[str, str] = Field(default_factory=dict)
    readers: Mapping[str, str] = Field(default_factory=dict)
    indices: Mapping[str, str] = Field(default_factory=dict)
    send_unverified: Literal[SendUnverified.NONE] = SendUnverified.NONE

    @field_validator("url")
    @classmethod
    def _names_a_folder(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "file" or parts.netloc or not Path(unquote(parts.path)).is_absolute() or parts.query:
            raise ValueError("must read file:///PATH, a folder on this machine")
        return url

    @model_validator(mode="after")
    def _has_its_table(self) -> Self:
        try:
            tables = tables_in(self.table_file)
        except TableRefused as error:
            raise ValueError(f"table_file: {error}") from error
        if self.table not in tables:
            raise ValueError(f"there is no table {self.table!r}; there are: {', '.join(tables)}")
        return self

    @property
    def is_beside_the_result(self) -> bool:
        """Say yes: a row that is missing is mended later, a result that is held is not read."""
        return True

    @property
    def columns(self) -> Table:
        """Return the table's version."""
        return tables_in(self.table_file)[self.table]

    @property
    def folder(self) -> Path:
        """Return where the files go."""
        return Path(unquote(self.parts.path))

    def is_insurance(self, assigning_authority: str, identifier_type_code: str) -> bool:
        """Say whether an identifier is the number by which the insurance knows the patient."""
        return bool({nfc(assigning_authority).strip(), nfc(identifier_type_code).strip()} & set(self.insurance))

    def reader_of(self, subject: str) -> str:
        """Return MA_BS_DOC_KQ of who signed."""
        return nfc(self.readers.get(subject, subject)).strip()
