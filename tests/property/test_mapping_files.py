"""What is exported reads back the same, whatever stands in it; and a spreadsheet runs none of it."""

import csv
import io
import unicodedata

import openpyxl
from hypothesis import given, settings
from hypothesis import strategies as st

from overread.assembly import mapping_files
from overread.assembly.mapping_rows import Kind, MappingRow

_LETTERS = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"), exclude_characters="\ufeff")
_RISKY = st.sampled_from(["=1+1", "+84", "-", "@SUM", "'=x", "''+1", '"', '";', ";", ",", "0012", "1/2", "Khoa Nội"])
texts = st.one_of(_RISKY, st.text(_LETTERS, max_size=20)).map(lambda text: unicodedata.normalize("NFC", text).strip())
codes = texts.filter(bool)
names = texts.filter(lambda text: "?" not in text)


@st.composite
def rows(draw: st.DrawFn) -> MappingRow:
    """Return any row that a file may hold."""
    kind = draw(st.sampled_from(Kind))
    link = draw(st.sampled_from(["", "his", "ris-2"]))
    said: dict[str, object] = {"kind": kind, "link": link, "code": draw(codes)}
    match kind:
        case Kind.SERVICE:
            models = draw(st.lists(st.sampled_from(["ct-lung-density", "mr-brain-volume"]), unique=True))
            said |= {"system": draw(texts), "vi": draw(names.filter(bool)), "fr": draw(names), "models": tuple(models)}
        case Kind.WARD:
            said |= {"department": draw(names.filter(bool)), "en": draw(names)}
        case Kind.DOCTOR:
            said |= {"to_code": draw(codes), "vi": draw(names)}
        case Kind.CODE_SYSTEM:
            said |= {"to_system": "LN", "to_code": draw(st.sampled_from(["", "2.16.840.1.113883.6.1"]))}
    return MappingRow.model_validate(said)


mappings = st.lists(rows(), max_size=8, unique_by=lambda row: row.key)


@settings(max_examples=200, deadline=None)
@given(mappings)
def test_csv_reads_back_as_it_was_exported(mapping: list[MappingRow]) -> None:
    """REQ-MAP-03: and no cell begins as a formula does."""
    content = mapping_files.as_csv(mapping)

    read = mapping_files.read(content)

    assert sorted(read, key=lambda row: row.key) == sorted(mapping, key=lambda row: row.key)
    cells = [cell for row in csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=";") for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@settings(max_examples=60, deadline=None)
@given(mappings)
def test_workbook_reads_back_as_it_was_exported(mapping: list[MappingRow]) -> None:
    """REQ-MAP-03: and every cell is text."""
    content = mapping_files.as_workbook(mapping)

    read = mapping_files.read(content)

    assert sorted(read, key=lambda row: row.key) == sorted(mapping, key=lambda row: row.key)
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
