"""Rows of the insurance table of paraclinical results as an XML file: equal rows give equal bytes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree as ET

from overread.contracts.errors import Malformed
from overread.contracts.identifiers import nfc
from overread.protocols.insurance.tables import Column, Kind, Source, Table

NAME = "overread"
NOT_CHECKED = "not checked against the authority's validator"
_NOT_XML = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SAID = re.compile(r'([a-z_]+)="([^"]*)"')

Row = Mapping[Source, str]
"""What stands in a row, by what it is; what is missing is empty."""


class RowRefused(Malformed):
    """The result can't be said in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What one file says: which result in which state, the file that it stands in place of, and its rows.

    Without rows it takes back those of the file that it replaces: the table has no column for that.
    """

    result: str
    revision: int
    status: str
    replaces: str = ""
    rows: tuple[Row, ...] = field(default=())


def moment(at: datetime) -> str:
    """Write a time as the table has it (yyyyMMddHHmm), on the clock that `at` is on."""
    return f"{at:%Y%m%d%H%M}"


def render(content: Rows, table: Table) -> bytes:
    """Write the file in UTF-8; raise `RowRefused` where a column can't hold what it should."""
    root = ET.Element(table.root)
    listed = ET.SubElement(root, table.list)
    for number, row in enumerate(content.rows, 1):
        _add(listed, {**row, Source.ROW_NUMBER: str(number)}, table)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<?{NAME} {_said(content, table)}?>\n{body}\n'.encode()


def _said(content: Rows, table: Table) -> str:
    """Say what no column says, where a reader of the table passes over it."""
    said = {
        "table": table.version,
        "checked": "yes" if table.checked else NOT_CHECKED,
        "result": content.result,
        "revision": str(content.revision),
        "status": content.status,
        "replaces": content.replaces,
    }
    return " ".join(f'{name}="{value}"' for name, value in said.items())


def _add(listed: ET.Element, row: Row, table: Table) -> None:
    element = ET.SubElement(listed, table.row)
    for column in table.columns:
        ET.SubElement(element, column.name).text = _value(column, row.get(column.source, ""))


def _value(column: Column, said: str) -> str:
    plain = _NOT_XML.sub(" ", nfc(said.replace("\r\n", "\n").replace("\r", "\n"))).strip()
    sentence = next(_broken_rules(column, plain), None)
    if sentence:
        raise RowRefused(f"{column.name} {sentence}")
    return plain


def _broken_rules(column: Column, said: str) -> Iterator[str]:
    if column.required and not said:
        yield "must not be empty"
    if column.longest and len(said) > column.longest:
        yield f"takes {column.longest} characters, and this has {len(said)}"
    if said and column.kind is Kind.NUMBER and not re.fullmatch(r"[0-9]+", said):
        yield "takes digits"
    if said and column.kind is Kind.MOMENT and not _is_moment(said):
        yield "takes a time as yyyyMMddHHmm"


def _is_moment(said: str) -> bool:
    try:
        return bool(re.fullmatch(r"[0-9]{12}", said)) and bool(datetime.strptime(said, "%Y%m%d%H%M"))  # noqa: DTZ007 - local
    except ValueError:
        return False


def head_of(raw: bytes) -> Mapping[str, str]:
    """Return what the file says of itself before its table."""
    head = raw.partition(f"<?{NAME} ".encode())[2].partition(b"?>")[0]
    return dict(_SAID.findall(head.decode("utf-8")))


def read(raw: bytes, table: Table) -> Rows:
    """Read a file of ours back, column by column in the table's order, or raise `RowRefused`."""
    said = head_of(raw)
    try:
        root = ET.fromstring(raw)  # noqa: S314 - our own bytes
        revision = int(said["revision"])
        content = Rows(
            result=said["result"],
            revision=revision,
            status=said["status"],
            replaces=said["replaces"],
            rows=tuple(_read_row(element, table) for element in root.findall(f"{table.list}/{table.row}")),
        )
    except (ET.ParseError, KeyError, ValueError) as error:
        raise RowRefused("the file does not read as one of ours") from error
    if root.tag != table.root or said.get("table") != table.version:
        raise RowRefused("the file is of another table")
    return content


def _read_row(element: ET.Element, table: Table) -> Row:
    _require_columns([child.tag for child in element], table)
    values = ((column.source, element.findtext(column.name) or "") for column in table.columns)
    return {source: value for source, value in values if value and source is not Source.ROW_NUMBER}


def _require_columns(names: Sequence[str], table: Table) -> None:
    if list(names) != [column.name for column in table.columns]:
        raise RowRefused("a row has other columns than the table")
