"""A mapping's file is read whole or not at all: what hospitals' spreadsheets do to it, and what strangers might."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from datetime import datetime
from typing import Any

import openpyxl
import pytest

from overread.assembly import mapping_checks, mapping_files, mapping_sheets
from overread.assembly.mapping_difference import difference, merged
from overread.assembly.mapping_faults import WORDS, Faulty
from overread.assembly.mapping_rows import COLUMNS
from tests.builders.mappings import a_service, a_ward

TABLE = "kind;code;vi\nservice;CTNGUC;CT ngực\n"
EXPECTED = [("CTNGUC", "CT ngực")]


def faults(content: bytes | str, models: frozenset[str] | None = None) -> list[tuple[int, str, str]]:
    """Return what is wrong with a file, and where."""
    with pytest.raises(Faulty) as refused:
        mapping_files.read(content if isinstance(content, bytes) else content.encode(), models=models)
    return [(one.row, one.column, one.fault) for one in refused.value.faults]


def a_workbook(*rows: list[Any]) -> bytes:
    """Return a workbook as a person's program writes it."""
    book = openpyxl.Workbook()
    for row in rows:
        assert book.active is not None
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.replace("\n", "\r\n").encode("utf-16"),
        TABLE.replace(";", ",").encode(),
        TABLE.replace(";", "\t").encode(),
        b"sep=;\r\n" + TABLE.encode(),
        TABLE.replace("service", " service\N{NO-BREAK SPACE}").encode(),
        TABLE.replace("ngực", "ngu\N{COMBINING HORN}\N{COMBINING DOT BELOW}c").encode(),
        (TABLE + ";;\n\n").encode(),
        ("\n" + TABLE).encode(),
        TABLE.replace("kind;code;vi", "KIND;Code;vi;").encode(),
    ],
)
def test_csv_is_read_as_spreadsheets_write_it(content: bytes) -> None:
    """REQ-MAP-03: with or without the mark, semicolons (Vietnamese Excel), commas, tabs, UTF-16, hard blanks, NFD."""
    assert [(row.code, row.vi) for row in mapping_files.read(content)] == EXPECTED


def test_workbook_of_a_person_is_read() -> None:
    """REQ-MAP-03: numbers without fraction are codes; empty cells are empty."""
    content = a_workbook(["kind", "code", "vi"], ["service", 12, "CT ngực"], [None, None, None], ["ward", "K1", "Nội"])

    assert [row.code for row in mapping_files.read(content)] == ["12", "K1"]


@pytest.mark.parametrize(
    ("row", "column", "fault"),
    [
        ("service;A;=1+1", "vi", "formula"),
        ('service;A;"a\nb"', "vi", "control_character"),
        ("service;1.23E+11;A", "code", "shortened_number"),
        (f"service;A;{'x' * 201}", "vi", "too_long"),
        ("service;;A", "code", "empty"),
        ("service;A;", "vi", "empty"),
        (";A;A", "kind", "empty"),
        ("room;A;A", "kind", "unknown_kind"),
        ("service;A;A;;;BIG LINK", "link", "not_a_link"),
        ("service;A;A;ct", "modality", "not_a_modality"),
        ("service;A;A;;Big_Model", "models", "not_a_model"),
        ("service;A;A;;no-such-model", "models", "unknown_model"),
        ("ward;A;A;CT", "modality", "needless"),
        ("code_system;A;;;;;;", "to_system", "empty"),
        ("code_system;A;;;;;LN;1.x", "to_code", "not_an_oid"),
        ("service;A;A;;;;rad lex", "to_system", "not_a_system"),
    ],
)
def test_fault_is_told_with_its_row_and_column(row: str, column: str, fault: str) -> None:
    """REQ-MAP-04: in a file whose other rows are right."""
    head = "kind;code;vi;modality;models;link;to_system;to_code"

    found = faults(f"{head}\nservice;GOOD;Tốt\n{row}\n", models=frozenset({"ct-lung-density"}))

    assert found == [(3, column, fault)]


def test_every_fault_is_told_at_once() -> None:
    """REQ-MAP-04: who mends a file wants to do it once; a code that is there twice names the first row."""
    with pytest.raises(Faulty) as refused:
        mapping_files.read(b"kind;code;vi\nservice;A;A\nroom;B;B\nservice;A;C\nservice;D;=D\n")

    assert [one.words for one in refused.value.faults] == [
        "row 3, kind: 'room' is none of service, ward, doctor, code_system",
        "row 4, code: the same code is in row 2 already",
        "row 5, vi: a formula is never read; put its value into the cell",
    ]


def test_column_that_there_is_not_is_told_with_those_that_there_are() -> None:
    """REQ-MAP-04: `departement` is mended by who sees `department` beside it."""
    with pytest.raises(Faulty) as refused:
        mapping_files.read(b"kind;code;departement\nward;A;B\n")

    (fault,) = refused.value.faults
    assert fault.words == f"row 1: there is no column 'departement'; there are {', '.join(COLUMNS)}"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "no_rows"),
        ("kind;code;vi\nservice;A;CT đầu\n".encode("cp1258", "replace"), "not_utf8"),
        ("kind;code;vi\nservice;A;CT ngực\n".encode("cp1252", "replace"), "lost_letters"),
        (b"kind;vi\nservice;A\n", "lacks_column"),
        (b"kind;code;colour\nservice;A;red\n", "unknown_column"),
        (b"kind;code;code\nservice;A;B\n", "column_twice"),
        (b"kind;code;vi\nservice;A;A;more\n", "too_many_cells"),
        (b'kind;code;vi\nservice;A;"open\n', "not_csv"),
        (b"x" * (mapping_files.MOST_BYTES + 1), "too_large"),
        (b"kind;code\n" + b"ward;A\n" * (mapping_files.MOST_ROWS + 1), "too_many_rows"),
        (b"PK\x03\x04 and nothing more", "not_a_workbook"),
        (a_workbook(["kind", "code", "vi"], ["service", "A", "=1+1"]), "formula"),
        (a_workbook(["kind", "code", "vi"], ["service", datetime(2026, 1, 2), "A"]), "not_text"),  # noqa: DTZ001
        (a_workbook(["kind", "code", "vi"], ["service", 1.5, "A"]), "not_text"),
        (a_workbook(["kind", "code", "vi"], ["service", True, "A"]), "not_text"),
    ],
)
def test_file_that_is_no_mapping_is_refused_in_words(content: bytes, fault: str) -> None:
    """REQ-MAP-04: each fault has its sentence."""
    found = {one for _, _, one in faults(content)}

    assert found == {fault}
    assert fault in WORDS


def _repacked(change: Callable[[str, bytes], bytes]) -> bytes:
    """Return a good workbook with its parts changed."""
    packed = io.BytesIO()
    good = zipfile.ZipFile(io.BytesIO(mapping_files.as_workbook([a_service()])))
    with good, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bad:
        for name in good.namelist():
            bad.writestr(name, change(name, good.read(name)))
    return packed.getvalue()


def _with_entities(name: str, part: bytes) -> bytes:
    doctype = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>'
    return doctype + part if name.endswith("sheet1.xml") else part


def _grown(name: str, part: bytes) -> bytes:
    return part + b" " * (mapping_sheets.MOST_UNPACKED_BYTES + 1) if name.endswith("sheet1.xml") else part


@pytest.mark.parametrize(("change", "fault"), [(_with_entities, "not_a_workbook"), (_grown, "too_large")])
def test_hostile_workbook_is_refused_unopened(change: Callable[[str, bytes], bytes], fault: str) -> None:
    """REQ-MAP-04: entities that grow, and a small file that unpacks to a large one."""
    content = _repacked(change)

    assert len(content) < mapping_files.MOST_BYTES
    assert faults(content) == [(0, "", fault)]


def test_cut_or_garbled_workbooks_are_refused_and_nothing_else() -> None:
    """REQ-MAP-04: whatever the library makes of them."""
    good = mapping_files.as_workbook([a_service()])
    for at in range(4, len(good), 97):
        for bad in (good[:at], good[:at] + b"\xff\x00" + good[at + 2 :]):
            with contextlib.suppress(Faulty):  # any other error would be the server's
                mapping_files.read(bad)


def test_typed_row_is_checked_as_a_files_row_is() -> None:
    """REQ-MAP-04: what the page sends may begin with a sign that a spreadsheet runs, since nothing runs it here."""
    assert mapping_checks.checked(a_service(vi="=1+1"), None).vi == "=1+1"
    with pytest.raises(Faulty):
        mapping_checks.checked(a_service(modality="ct"), None)


def test_difference_is_told_in_words() -> None:
    """REQ-MAP-04: what comes, what changes and how, what goes."""
    before = [a_service("A"), a_service("B"), a_ward()]
    after = [a_service("A"), a_service("B", vi="CT bụng"), a_service("C", link="his", system="99HIS")]

    words = list(difference(before, after).sentences())

    assert words[0] == "1 added, 1 changed, 1 removed, 1 unchanged"
    assert words[1].startswith("added    service C (99HIS) on link his: to_code RPID16")
    assert words[2] == "changed  service B on all links: vi CT ngực -> CT bụng"
    assert words[3].startswith("removed  ward KCC on all links")


def test_added_rows_take_the_place_of_those_for_the_same_code() -> None:
    """REQ-MAP-04: and leave all others."""
    rows = merged([a_service("A"), a_service("B")], [a_service("B", vi="mới"), a_service("C")])

    assert [(row.code, row.vi) for row in rows] == [("A", "CT ngực"), ("B", "mới"), ("C", "CT ngực")]
