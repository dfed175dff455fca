"""Workbooks (.xlsx, ECMA-376) as tables of text: what a stranger made is opened within bounds, what we make runs nothing."""

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from xml.etree.ElementTree import ParseError

from openpyxl import Workbook, load_workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from overread.assembly.mapping_faults import Fault, Faulty
from overread.assembly.workbook_parts import MOST_IN_A_ROW, Counter, Declares, Overfull

MOST_UNPACKED_BYTES = 32 * 1024 * 1024
MOST_PARTS = 200
CHUNK_BYTES = 64 * 1024
MOST_COLUMNS = 40
SHEET = "mapping"
WORKBOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    InvalidFileException,
    ParseError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OSError,
    EOFError,
    NotImplementedError,  # a packing that the library does not know
    RuntimeError,  # a part under a password
)
"""What the library raises at a file that is no workbook, whatever is wrong with it."""


def table_of(content: bytes, *, most_rows: int) -> list[list[str]]:
    """Return the first sheet's cells as text, at most one row more than `most_rows`, or raise `Faulty`."""
    _check_bounds(content)
    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        if isinstance(sheet, ReadOnlyWorksheet):
            sheet.reset_dimensions()  # what the file says of its size may be untrue
        rows = sheet.iter_rows(max_row=most_rows + 1, max_col=MOST_COLUMNS)
        faults: list[Fault] = []
        table = [list(_texts(number, row, faults)) for number, row in enumerate(rows, start=1)]
    except _BROKEN:
        raise Faulty([Fault(row=0, fault="not_a_workbook")]) from None
    if faults:
        raise Faulty(faults)
    return table


def _check_bounds(content: bytes) -> None:
    """Refuse what would unpack or grow to more than a mapping is, before anything of it is built."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            _count(packed)
    except Overfull:
        said = f"{MOST_UNPACKED_BYTES // 1024 // 1024} MB unpacked, or than {MOST_IN_A_ROW} cells in a row"
        raise Faulty([Fault(row=0, fault="too_large", said=said)]) from None
    except (Declares, *_BROKEN):
        raise Faulty([Fault(row=0, fault="not_a_workbook")]) from None


def _count(packed: zipfile.ZipFile) -> None:
    parts, counter = packed.infolist(), Counter()
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > MOST_UNPACKED_BYTES:
        raise Overfull
    for part in parts:
        counter.count(_chunks(packed, part))


def _chunks(packed: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    with packed.open(part) as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def _texts(number: int, row: Sequence[Any], faults: list[Fault]) -> Iterator[str]:
    for at, cell in enumerate(row):
        value = cell.value
        if isinstance(value, str) and cell.data_type != "f":
            yield value
        elif value is None or (isinstance(value, int) and not isinstance(value, bool)):
            yield "" if value is None else str(value)
        elif isinstance(value, float) and value.is_integer():
            yield str(int(value))
        else:
            faults.append(
                Fault(row=number, column=_letter(at), fault="formula" if cell.data_type == "f" else "not_text")
            )
            yield ""


def _letter(at: int) -> str:
    return chr(ord("A") + at) if at < 26 else f"A{chr(ord('A') + at - 26)}"


def workbook_of(cells: Iterable[Sequence[str]]) -> bytes:
    """Return the cells as a workbook of one sheet, in which every cell is text."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(SHEET)
    sheet.freeze_panes = "A2"
    for row in cells:
        sheet.append([_text_cell(sheet, text) for text in row])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _text_cell(sheet: Any, text: str) -> Cell:
    cell = WriteOnlyCell(sheet, value=text)
    cell.data_type = "s"
    cell.number_format = "@"
    return cell
