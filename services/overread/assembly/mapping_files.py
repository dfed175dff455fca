"""A mapping as a file: CSV or a workbook. Read whole or not at all; what is exported reads back the same. Pure.

A spreadsheet runs what begins with =, +, - or @: so such a text leaves with an apostrophe before it, and loses it again
when it is read (CSV injection). A formula is never read.
"""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from overread.assembly import mapping_checks, mapping_sheets
from overread.assembly.mapping_faults import Fault, Faulty
from overread.assembly.mapping_rows import COLUMNS, MappingRow, in_order

MOST_BYTES = 4 * 1024 * 1024
MOST_ROWS = 20_000
CSV_TYPE = "text/csv; charset=utf-8"

_SEPARATORS = ";,\t"
_LINE = re.compile(r"[^\r\n]*")
_SAYS_SEPARATOR = re.compile(r"sep=([;,\t])\r?\n", re.IGNORECASE)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

Table = Sequence[Sequence[str]]


def read(content: bytes, *, models: frozenset[str] | None = None) -> tuple[MappingRow, ...]:
    """Return the rows of a file, or raise `Faulty` with every fault; with `models`, no other may be named."""
    if len(content) > MOST_BYTES:
        raise Faulty([Fault(row=0, fault="too_large", said=f"{MOST_BYTES // 1024 // 1024} MB")])
    is_workbook = content.startswith(b"PK")
    table = mapping_sheets.table_of(content, most_rows=MOST_ROWS + 1) if is_workbook else _table_of(_text_of(content))
    if len(table) > MOST_ROWS + 1:
        raise Faulty([Fault(row=0, fault="too_many_rows", said=str(MOST_ROWS))])
    return in_order(mapping_checks.rows_of(table, models))


def as_csv(rows: Iterable[MappingRow]) -> bytes:
    """Return the rows as CSV that Excel opens by a double click: UTF-8 with its mark, semicolons."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=";", lineterminator="\r\n").writerows(_cells(rows))
    return text.getvalue().encode("utf-8-sig")


def as_workbook(rows: Iterable[MappingRow]) -> bytes:
    """Return the rows as a workbook; every cell is text."""
    return mapping_sheets.workbook_of(_cells(rows))


def _cells(rows: Iterable[MappingRow]) -> list[list[str]]:
    return [list(COLUMNS), *([mapping_checks.harmless(cell) for cell in row.cells()] for row in in_order(rows))]


def _text_of(content: bytes) -> str:
    try:
        return content.decode("utf-16") if content.startswith(_UTF_16) else content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Faulty([Fault(row=0, fault="not_utf8")]) from None


def _table_of(text: str) -> Table:
    """Return the cells; the separator is the one that the first row holds most, or that a `sep=` line names.

    Excel separates by semicolons where the comma is the decimal sign, as in Vietnamese and French.
    """
    said = _SAYS_SEPARATOR.match(text)
    body = text[said.end() :] if said else text
    head = _LINE.match(body)
    separator = said[1] if said else max(_SEPARATORS, key=(head[0] if head else "").count)
    try:
        rows = list(csv.reader(io.StringIO(body, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise Faulty([Fault(row=0, fault="not_csv", said=str(error))]) from None
    return [[], *rows] if said else rows
