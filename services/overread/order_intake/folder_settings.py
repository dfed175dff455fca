"""What a link that drops files into a folder may be told."""

import fnmatch
import re
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from overread.order_intake.columns import Codes, Columns
from overread.order_intake.link_names import own_name
from overread.order_intake.order_rows import Reading
from overread.order_intake.words import Language
from overread.protocols.tables.csv_rows import CsvForm
from overread.protocols.tables.text_lines import checked_charset
from overread.protocols.tables.xml_rows import XmlForm, checked_place, checked_row_path

UNFINISHED: Sequence[str] = (".*", "~*", "*.tmp", "*.part", "*.partial", "*.filepart", "*.crdownload", "*.writing")
"""Names of files that somebody still writes, whatever the link's pattern is."""

LinkName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"), AfterValidator(own_name)]


def _pattern(pattern: str) -> str:
    if not pattern or "/" in pattern or "\\" in pattern or pattern in (".", ".."):
        raise ValueError("it is a pattern of names in the folder itself, as *.csv")
    return pattern


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError("there is no such time zone; write for example Asia/Ho_Chi_Minh") from None
    return name


class FolderLink(BaseModel):
    """One folder that a HIS or RIS drops files of orders into."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    link_id: LinkName = Field(
        description="Its name in logs, metrics and events; it is never changed.", examples=["his-csv"]
    )
    folder: Path = Field(description="Where the files are dropped.", examples=["/srv/orders/his"])
    pattern: Annotated[str, AfterValidator(_pattern)] = Field(
        default="*.csv", description="Names of the files that are taken.", examples=["order_*.csv"]
    )
    format: Literal["csv", "xml"] = Field(default="csv", description="What the files are.")
    columns: Columns = Field(description="Which column or element holds what.")
    codes: Codes = Field(default=Codes(), description="What the sender's own words mean.")
    charset: str = Field(
        default="",
        description="Character set, as for an HL7 link: `TCVN3`, `VNI`, `cp1258`; empty is UTF-8, or of XML what it declares.",
    )
    separator: str = Field(
        default=",", min_length=1, max_length=1, description="Between the cells of CSV.", examples=[";"]
    )
    quote: str = Field(default='"', min_length=1, max_length=1, description="Around cells that hold a separator.")
    has_header: bool = Field(
        default=True, description="Whether the first line names the columns; else they are 1, 2, 3."
    )
    skipped_lines: int = Field(default=0, ge=0, le=1000, description="Lines before the header.")
    row_element: str = Field(
        default="", description="Path of the element that is one order, from XML's root.", examples=["Orders/Order"]
    )
    date_formats: tuple[str, ...] = Field(
        default=("%d/%m/%Y", "%Y-%m-%d", "%Y%m%d"),
        min_length=1,
        description="Of dates, as Python's `strptime` has them.",
    )
    time_formats: tuple[str, ...] = Field(
        default=(
            "%d/%m/%Y %H:%M",
            "%d/%m/%Y %H:%M:%S",
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%dT%H:%M:%S%z",
            "%Y%m%d%H%M%S",
            "%Y%m%d%H%M",
        ),
        description="Of dates with a time.",
    )
    time_zone: Annotated[str, AfterValidator(_zone)] | None = Field(
        default=None, description="Of times; else the hospital's."
    )
    assigning_authority: str = Field(default="", description="Who gave the record numbers (PID-3.4).", examples=["BVX"])
    placer_namespace: str = Field(default="", description="Who gave the placer's numbers (ORC-2.2).", examples=["HIS"])
    filler_namespace: str = Field(default="", description="Who gave the filler's numbers (ORC-3.2).", examples=["RIS"])
    service_coding_system: str = Field(default="", description="Of `service_code`.", examples=["99HIS"])
    modality: str = Field(default="", description="Of rows that name none.", examples=["DX"])
    is_synthetic: bool = Field(default=False, description="Whether all of it is a test.")
    language: Language = Field(default="vi", description="Of the reasons that go back.")
    order_by: Literal["name", "time"] = Field(default="name", description="Which file comes first.")
    settle_seconds: float = Field(
        default=5.0,
        ge=0,
        description="A file is taken once size and time have stayed the same so long; 0 for senders that rename.",
    )
    poll_seconds: float = Field(default=5.0, ge=0.1, le=3600, description="How often the folder is looked at.")
    files_per_round: int = Field(default=50, ge=1, le=1000, description="Most files of one look.")
    maximum_file_bytes: int = Field(default=16 * 1024 * 1024, ge=1, le=1024**3)
    maximum_rows: int = Field(default=50_000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _fits_its_format(self) -> Self:
        if self.charset:
            checked_charset(self.charset)
        if self.format == "xml":
            checked_row_path(self.row_element)
            for field, place in self.columns.named().items():
                try:
                    checked_place(place)
                except ValueError as error:
                    raise ValueError(f"columns.{field}: {error}") from None
        elif self.separator == self.quote or {self.separator, self.quote} & set("\r\n"):
            raise ValueError("separator and quote are two signs, neither of which ends a line")
        return self

    @model_validator(mode="after")
    def _reads_one_date_one_way(self) -> Self:
        orders = {
            tuple(re.findall(r"%[dm]", form))
            for form in (*self.date_formats, *self.time_formats)
            if "%d/%m" in form or "%m/%d" in form
        }
        if len(orders) > 1:
            raise ValueError("date_formats: with %d/%m and %m/%d both, 03/04 could be two days; leave one out")
        return self

    def takes(self, name: str) -> bool:
        """Say whether a file of this name is one of the link's, and not one that is being written."""
        is_unfinished = any(fnmatch.fnmatch(name.lower(), pattern) for pattern in UNFINISHED)
        return fnmatch.fnmatch(name, self.pattern) and not is_unfinished

    def csv_form(self) -> CsvForm:
        """Return how the link's CSV is written."""
        return CsvForm(
            charset=self.charset or "UTF-8",
            separator=self.separator,
            quote=self.quote,
            has_header=self.has_header,
            skipped_lines=self.skipped_lines,
            wanted=tuple(dict.fromkeys(self.columns.named().values())),
        )

    def xml_form(self) -> XmlForm:
        """Return how the link's XML is written; a path is its column's name."""
        return XmlForm(
            charset=self.charset, row=self.row_element, places={place: place for place in self.columns.named().values()}
        )

    def reading(self, hospital: tzinfo) -> Reading:
        """Return how its rows become orders."""
        return Reading(
            columns=self.columns,
            codes=self.codes,
            date_formats=self.date_formats,
            time_formats=self.time_formats,
            time_zone=ZoneInfo(self.time_zone) if self.time_zone else hospital,
            assigning_authority=self.assigning_authority,
            placer_namespace=self.placer_namespace,
            filler_namespace=self.filler_namespace,
            service_coding_system=self.service_coding_system,
            modality=self.modality,
            is_synthetic=self.is_synthetic,
        )
