"""XML files of orders: elements and attributes by path, old character sets, and nothing that an entity could bring in."""

import io

import pytest

from overread.protocols.tables.rows import FileRefused, Row
from overread.protocols.tables.xml_rows import XmlForm, checked_place, checked_row_path, xml_rows

PLACES = {
    "number": "@no",
    "name": "Patient/Name",
    "record": "Patient/Id[@type='MR']",
    "citizen": "Patient/Id[@type='NI']",
    "unit": "Weight/@unit",
}
ORDER = """<h:Order xmlns:h="urn:x" no="1"><Patient><Name>THỬ <b>NGHIỆM</b></Name>
<Id type="MR">BN1</Id><Id type="NI">001099012345</Id></Patient><Weight unit="kg">5</Weight></h:Order>"""


def read(content: bytes, *, charset: str = "", row: str = "Orders/Order") -> list[Row]:
    return list(xml_rows(io.BytesIO(content), XmlForm(charset=charset, row=row, places=PLACES)))


def test_columns_are_found_by_path_whatever_the_name_space() -> None:
    rows = read(f"<Orders>\n{ORDER}\n<Order no='2'/></Orders>".encode())

    assert rows[0].values == {
        "number": "1",
        "name": "THỬ NGHIỆM",
        "record": "BN1",
        "citizen": "001099012345",
        "unit": "kg",
    }
    assert rows[1].values == {"number": "2", "name": "", "record": "", "citizen": "", "unit": ""}
    assert [row.line for row in rows] == [2, 4]


@pytest.mark.parametrize(
    ("written", "charset"),
    [
        ("<?xml version='1.0' encoding='windows-1252'?>", "TCVN3"),  # what an old exporter declares, and what it writes
        ("<?xml version='1.0'?>", "VNI"),
    ],
)
def test_an_old_charset_of_the_link_is_read_whatever_the_file_declares(written: str, charset: str) -> None:
    body = "<Orders><Order no='1'><Patient><Name>nguyễn đặng</Name></Patient></Order></Orders>"

    rows = read(written.encode() + b"\n" + body.encode(charset), charset=charset)

    assert rows[0].values["name"] == "nguyễn đặng"


def test_what_the_file_declares_is_read_where_the_link_says_nothing() -> None:
    content = "<?xml version='1.0' encoding='iso-8859-1'?><Orders><Order no='é'/></Orders>".encode("latin-1")

    assert read(content)[0].values["number"] == "é"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Orders><Order no='&e;'/></Orders>", "document_type"),
        (b"<!DOCTYPE x SYSTEM 'http://127.0.0.1/x.dtd'><Orders/>", "document_type"),
        (b"<Orders><Order no='&e;'/></Orders>", "not_well_formed"),
        (b"<Orders><Order no='1'>", "not_well_formed"),
        (b"", "not_well_formed"),
        (b"<Orders>\xff</Orders>", "not_well_formed"),
        (b"<?xml version='1.0' encoding='nonsense'?><Orders/>", "not_well_formed"),
        (b"<a>" * 40, "too_deep"),
        (b"<Orders><Order>" + b"<x/>" * 6_000, "too_deep"),
    ],
)
def test_what_is_no_plain_xml_is_refused_whole(content: bytes, sentence: str) -> None:
    """REQ-NON-23: no document type, so no entity, no file and no address that a file could name."""
    with pytest.raises(FileRefused) as refused:
        read(content)

    assert refused.value.sentence == sentence


def test_a_path_that_meets_two_elements_makes_the_row_bad() -> None:
    rows = read(b"<Orders><Order><Patient><Name>A</Name><Name>B</Name></Patient></Order><Order no='2'/></Orders>")

    assert [(row.fault.sentence, row.fault.column) for row in rows if row.fault] == [("place_twice", "name")]
    assert rows[1].values["number"] == "2"


@pytest.mark.parametrize("place", ["", "//Order", "Patient/..", "a[1]", 'a[@b="c"]', "@a/b", "document('x')"])
def test_a_place_that_is_no_path_is_no_setting(place: str) -> None:
    with pytest.raises(ValueError, match="a place is"):
        checked_place(place)
    with pytest.raises(ValueError, match="a row is"):
        checked_row_path(f"{place}[")


@pytest.mark.parametrize("place", [*PLACES.values(), "a/b/@c", ".", "Id[@system='http://x/y']", "Id[use='old']/Value"])
def test_a_path_is_a_place(place: str) -> None:
    assert checked_place(place) == place
