"""A small workbook that would fill the memory is refused before it is built; one that Excel made wide is read."""

import asyncio
import io
import zipfile
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import openpyxl
import pytest

from overread.assembly import mapping_files
from overread.assembly.mapping_api import MappingApi
from overread.assembly.mapping_faults import Fault, Faulty

SHEET = (
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
)
HEADER = '<row r="1">' + "".join(f'<c t="str"><v>{name}</v></c>' for name in ("kind", "code", "vi")) + "</row>"


def a_workbook(rows: str, *, encoding: str = "utf-8", prolog: str = "") -> bytes:
    """Return a workbook whose sheet holds these rows as they are written."""
    book, content = io.BytesIO(), io.BytesIO()
    openpyxl.Workbook().save(book)
    declared = f'<?xml version="1.0" encoding="{encoding}"?>{prolog}'
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            is_sheet = part.filename.endswith("sheet1.xml")
            made = (declared + SHEET.format(rows)).encode(encoding)
            target.writestr(part.filename, made if is_sheet else source.read(part))
    return content.getvalue()


def fault_of(content: bytes) -> str:
    """Return what the file is refused for."""
    with pytest.raises(Faulty) as refused:
        mapping_files.read(content)
    [fault] = refused.value.faults
    return fault.fault


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "koi8-r"])
@pytest.mark.parametrize(
    "rows",
    [
        "<row>" + "<c><v>1</v></c>" * 30_000 + "</row>",
        "<row>" + "<c><v>row></v></c>" * 30_000 + "</row>",
        "<row>" + "<row/>" * 30_000 + "</row>",
        '<x:row xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main">' + "<x:c/>" * 30_000 + "</x:row>",
        "<row/>" * 1_300_000,
    ],
    ids=["cells", "text", "rows in it", "prefix", "rows"],
)
def test_workbook_of_more_cells_than_a_mapping_has_is_refused_unbuilt(rows: str, encoding: str) -> None:
    """REQ-MAP-10: 28 kB may say 800,000 cells, in any encoding that a reader of XML knows."""
    content = a_workbook(rows, encoding=encoding)

    assert len(content) < mapping_files.MOST_BYTES
    assert fault_of(content) == "too_large"


@pytest.mark.parametrize(("encoding", "prolog"), [("utf-8", " " * 5_000), ("utf-16", " " * 5_000), ("koi8-r", "")])
def test_document_type_is_refused_wherever_it_stands(encoding: str, prolog: str) -> None:
    """REQ-MAP-04: entities that grow, also behind a page of blanks."""
    doctype = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>'

    assert fault_of(a_workbook(HEADER, encoding=encoding, prolog=prolog + doctype)) == "not_a_workbook"


def test_row_that_was_coloured_as_a_whole_is_read() -> None:
    """REQ-MAP-10: Excel names each of its 16,384 columns then."""
    row = "".join(f'<c t="str"><v>{text}</v></c>' for text in ("service", "A", "CT")) + '<c s="1"/>' * 16_381

    [read] = mapping_files.read(a_workbook(f'{HEADER}<row r="2">{row}</row>'))

    assert (read.code, read.vi) == ("A", "CT")


async def test_files_are_read_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-MAP-10: two people who import the largest file at once take the memory of one."""
    nothing: Any = None
    api, steps = MappingApi(nothing, timedelta(days=1), None), []

    async def read(*_: object, **__: object) -> None:
        steps.append("begins")
        await asyncio.sleep(0)
        steps.append("ends")
        raise Faulty([Fault(row=0, fault="no_rows")])

    async def body() -> bytes:
        return b""

    monkeypatch.setattr(asyncio, "to_thread", read)
    request: Any = SimpleNamespace(body=body)
    await asyncio.gather(api.check(request), api.check(request))

    assert steps == ["begins", "ends"] * 2
