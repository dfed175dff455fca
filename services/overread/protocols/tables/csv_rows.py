"""Rows of a CSV file (RFC 4180, and the separators that spreadsheets write): read as a stream, each row by itself."""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from overread.protocols.tables.rows import LONGEST_VALUE, MOST_COLUMNS, Fault, FileRefused, Row
from overread.protocols.tables.text_lines import TextLine, text_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvForm:
    """How the file is written.

    Without a header line the columns are called 1, 2, 3 and so on. `wanted` are the columns that are read: a file whose
    header lacks one of them, or has it twice, is refused whole.
    """

    charset: str
    separator: str
    quote: str
    has_header: bool
    skipped_lines: int
    wanted: Collection[str]


def csv_rows(lines: Iterable[bytes], form: CsvForm) -> Iterator[Row]:
    """Yield every row that is not empty, bad ones with their fault; `FileRefused` for what is no such file.

    A row with more or fewer cells than the header has is bad: its values may stand under other columns' names.
    """
    source = _Lines(text_lines(lines, form.charset), form.skipped_lines)
    reader = csv.reader(source, delimiter=form.separator, quotechar=form.quote, strict=True)
    cells = _next(reader)
    if cells is None:
        return
    source_of_first = source.taken()
    names = _names(cells, form, source_of_first) if form.has_header else [str(n + 1) for n in range(len(cells))]
    head = source_of_first.raw if form.has_header else b""
    if not form.has_header:
        _check_names(names, form, source_of_first.line)
        yield from _row(1, cells, source_of_first, names, head)
    for number in count(1 if form.has_header else 2):
        if (cells := _next(reader)) is None:
            return
        yield from _row(number, cells, source.taken(), names, head)


@dataclass(frozen=True, slots=True)
class _Span:
    """The lines that one row took."""

    line: int
    raw: bytes
    is_text: bool


class _Lines:
    """Gives the reader its lines and keeps, until asked, what they were."""

    def __init__(self, lines: Iterator[TextLine], skipped: int) -> None:
        self._lines = lines
        self._number = sum(1 for _ in zip(range(skipped), lines, strict=False))
        self._begun = self._number + 1
        self._raw: list[bytes] = []
        self._is_text = True

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._number += 1
        self._raw.append(line.raw)
        self._is_text &= line.is_text
        return line.text.replace("\x00", "\ufffd")

    def taken(self) -> _Span:
        """Return the lines since the last time, and begin the next row's."""
        span = _Span(self._begun, b"".join(self._raw), self._is_text)
        self._begun, self._raw, self._is_text = self._number + 1, [], True
        return span


def _next(reader: Iterator[list[str]]) -> Sequence[str] | None:
    """Return the next row's cells, none for a row that can't be cut into cells, None at the end."""
    try:
        return next(reader)
    except StopIteration:
        return None
    except csv.Error:
        return ("",) * (MOST_COLUMNS + 1)  # as many cells as no row has: it is told as a row of another width


def _names(cells: Sequence[str], form: CsvForm, span: _Span) -> Sequence[str]:
    if not span.is_text:
        raise FileRefused("not_in_charset", span.line, charset=form.charset)
    if len(cells) > MOST_COLUMNS:
        raise FileRefused("header_unreadable", span.line)
    names = [cell.strip() for cell in cells]
    _check_names(names, form, span.line)
    return names


def _check_names(names: Sequence[str], form: CsvForm, line: int) -> None:
    counts = Counter(names)
    for name in form.wanted:
        if counts[name] == 0:
            raise FileRefused("column_missing", line, column=name)
        if counts[name] > 1:
            raise FileRefused("column_twice", line, column=name)


def _row(number: int, cells: Sequence[str], span: _Span, names: Sequence[str], head: bytes) -> Iterator[Row]:
    if span.is_text and not any(cell.strip() for cell in cells) and len(cells) <= MOST_COLUMNS:
        return  # spreadsheets end with lines of separators
    fault = _fault(cells, span, names)
    values = {} if fault else dict(zip(names, (cell.strip() for cell in cells), strict=True))
    yield Row(number, span.line, head + span.raw, values, fault)


def _fault(cells: Sequence[str], span: _Span, names: Sequence[str]) -> Fault | None:
    if not span.is_text:
        return Fault("row_not_in_charset")
    if len(cells) > MOST_COLUMNS:
        return Fault("row_unreadable")
    if len(cells) != len(names):
        return Fault("row_width", values={"found": len(cells), "wanted": len(names)})
    long = next((name for name, cell in zip(names, cells, strict=True) if len(cell) > LONGEST_VALUE), None)
    return Fault("value_long", column=long) if long is not None else None
