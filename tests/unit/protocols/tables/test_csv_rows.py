"""CSV files as hospitals write them: separators, old character sets, spreadsheets' habits, and bad rows among good ones."""

import codecs
import io
from collections.abc import Sequence

import pytest

from overread.protocols.tables.csv_rows import CsvForm, csv_rows
from overread.protocols.tables.rows import FileRefused, Row
from overread.protocols.tables.text_lines import checked_charset

NAME = "THỬ NGHIỆM ĐẶNG"


def read(content: bytes, **changed: object) -> list[Row]:
    form = {
        "charset": "UTF-8",
        "separator": ",",
        "quote": '"',
        "has_header": True,
        "skipped_lines": 0,
        "wanted": ("id", "name"),
        **changed,
    }
    return list(csv_rows(io.BytesIO(content), CsvForm(**form)))  # type: ignore[arg-type]


def faults(rows: Sequence[Row]) -> list[tuple[int, str]]:
    return [(row.line, row.fault.sentence) for row in rows if row.fault]


@pytest.mark.parametrize("charset", ["UTF-8", "TCVN3", "VNI", "VISCII", "cp1258"])
def test_rows_of_every_vietnamese_charset_read_the_same(charset: str) -> None:
    """REQ-NON-22: a folder's character sets are those of an HL7 link."""
    name = "thử nghiệm đặng" if charset == "TCVN3" else "Nguyễn Đặng"
    written = b"id,name\n1," + _written(name, charset) + b"\n"

    rows = read(written, charset=charset)

    assert [row.values for row in rows] == [{"id": "1", "name": name}]


def _written(text: str, charset: str) -> bytes:
    if charset == "cp1258":  # a letter, then its tone as a sign of its own
        return "Nguyê\u0303n Đă\u0323ng".encode("cp1258")
    return text.encode(charset)


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_more_than_the_link(charset: str) -> None:
    content = f"id\tname\r\n1\t{NAME}\r\n".encode(charset)

    rows = read(content, charset="TCVN3", separator="\t")

    assert [row.values for row in rows] == [{"id": "1", "name": NAME}]


def test_a_line_in_another_charset_spoils_no_other() -> None:
    """Quarantine, never mojibake: UTF-8 under the name of TCVN3 is no text."""
    content = b"id,name\n1,AN\n2," + NAME.encode() + b"\n3,CUONG\n"

    rows = read(content, charset="TCVN3")

    assert [row.values["id"] for row in rows if not row.fault] == ["1", "3"]
    assert faults(rows) == [(3, "row_not_in_charset")]


def test_a_row_of_another_width_is_bad_since_its_values_may_have_moved() -> None:
    rows = read(b"id,name,ward\n1,AN,A\n2,BINH,B,C\n3,CUONG\n4,DUNG,D\n")

    assert [row.values["id"] for row in rows if not row.fault] == ["1", "4"]
    assert faults(rows) == [(3, "row_width"), (4, "row_width")]


def test_quotes_hold_separators_and_line_ends() -> None:
    rows = read(b'id;name\n1;"A;\nB ""C"""\n2;D\n', separator=";")

    assert [row.values["name"] for row in rows] == ['A;\nB "C"', "D"]
    assert [row.line for row in rows] == [2, 4]


def test_a_quote_that_never_ends_takes_no_row_into_another() -> None:
    rows = read(b'id,name\n1,AN\n2,"BINH\n3,CUONG\n')

    assert [row.values["id"] for row in rows if not row.fault] == ["1"]
    assert faults(rows) == [(3, "row_unreadable")]


def test_empty_lines_of_a_spreadsheet_are_no_rows() -> None:
    assert [row.line for row in read(b"id,name\n1,AN\n,\n\n2,BINH\n , \n")] == [2, 5]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"id,ward\n1,A\n", "column_missing"),
        (b"id,name,name\n1,A,B\n", "column_twice"),
        (b"id,n\xffme\n", "not_in_charset"),
    ],
)
def test_a_header_without_each_wanted_column_once_refuses_the_file(content: bytes, sentence: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read(content)

    assert (refused.value.sentence, refused.value.line) == (sentence, 1)


def test_columns_without_a_header_have_numbers() -> None:
    rows = read(b"report of the day\n1,AN\n", has_header=False, skipped_lines=1, wanted=("1", "2"))

    assert [(row.line, row.values) for row in rows] == [(2, {"1": "1", "2": "AN"})]


def test_a_rows_bytes_can_be_read_again_by_themselves() -> None:
    """What is kept of a row is its header and its line, as they came."""
    content = codecs.BOM_UTF8 + f'id,name\n1,{NAME}\n2,"B\nC"\n'.encode()

    rows = read(content)

    assert [read(row.raw)[0].values for row in rows] == [row.values for row in rows]


def test_an_empty_file_has_no_rows() -> None:
    assert read(b"") == []
    assert read(b"id,name\n") == []


@pytest.mark.parametrize("charset", ["UTF-16", "utf-32-le", "nonsense"])
def test_a_charset_that_lines_can_not_have_is_no_setting(charset: str) -> None:
    with pytest.raises(ValueError, match=r"UTF-16|no character set"):
        checked_charset(charset)
