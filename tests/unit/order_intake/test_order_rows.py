"""A row becomes a statement about one order, or has a reason; nothing is guessed."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from overread.contracts.events.order_statements import OrderAction, OrderNumber, OrderStatement, RequestPriority
from overread.contracts.events.orders import CodedElement, PatientIdentifier
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.order_rows import RowRefused
from overread.order_intake.words import SENTENCES, said
from overread.protocols.tables.rows import Fault, Row
from tests.builders.order_files import COLUMNS, ROW, a_folder_link

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


def read(link: FolderLink | None = None, **changed: str) -> OrderStatement:
    link = link or a_folder_link(Path("/orders"))
    return link.reading(HANOI).statement(Row(1, 2, b"", {**ROW, **changed}))


def fault(link: FolderLink | None = None, **changed: str) -> tuple[str, str]:
    with pytest.raises(RowRefused) as refused:
        read(link, **changed)
    return refused.value.fault.sentence, refused.value.fault.column


def test_a_row_says_all_that_its_columns_hold() -> None:
    """REQ-NON-21: the mapping of a folder's columns is data."""
    statement = read()

    assert statement.placer == OrderNumber(number="CD001", namespace="HIS")
    assert statement.accession_number == "CD001"
    assert statement.action is OrderAction.CHANGE
    assert statement.priority is RequestPriority.STAT
    assert statement.service == CodedElement(identifier="XQ01", text="X-quang ngực thẳng", coding_system="99HIS")
    assert statement.modality == "DX"
    assert statement.scheduled_at == datetime(2026, 11, 26, 2, 30, tzinfo=UTC)
    assert statement.patient.identifiers == (
        PatientIdentifier(id_number="BN999001", assigning_authority="BVX", identifier_type_code="MR"),
        PatientIdentifier(id_number="999199000001", assigning_authority="VNBCA", identifier_type_code="NI"),
    )
    assert (statement.patient.family_name, statement.patient.given_name) == ("THỬ", "NGHIỆM VĂN AN")
    assert (statement.patient.birth_date, statement.patient.sex) == (date(1999, 5, 12), "M")


def test_an_empty_cell_says_nothing() -> None:
    """Empty is not deleted: what was known stays."""
    statement = read(CCCD="", NgaySinh="", GioiTinh=" ", HenLuc="", UuTien="", ChanDoan="")

    assert len(statement.patient.identifiers) == 1
    assert (statement.patient.birth_date, statement.patient.sex) == (None, "")
    assert (statement.scheduled_at, statement.priority, statement.clinical_information) == (None, None, None)
    assert statement.cleared == ()


@pytest.mark.parametrize(
    ("said_as", "action"), [("Hủy", "cancel"), ("HỦY", "cancel"), ("mới", "new"), ("CA", "cancel")]
)
def test_what_a_word_means_is_the_links(said_as: str, action: str) -> None:
    assert read(TrangThai=said_as).action == action


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"SoPhieu": ""}, ("no_order_number", "SoPhieu")),
        ({"MaBN": "", "CCCD": ""}, ("no_patient_number", "MaBN")),
        ({"MaDV": "", "TenDV": ""}, ("no_service", "MaDV")),
        ({"NgaySinh": "31/02/1999"}, ("no_date", "NgaySinh")),
        ({"NgaySinh": "05/12/99"}, ("no_date", "NgaySinh")),
        ({"NgaySinh": "12/05/0199"}, ("no_date", "NgaySinh")),
        ({"HenLuc": "mai"}, ("no_date", "HenLuc")),
        ({"GioiTinh": "X"}, ("code_unknown", "GioiTinh")),
        ({"TrangThai": "?"}, ("code_unknown", "TrangThai")),
        ({"UuTien": "9"}, ("code_unknown", "UuTien")),
        ({"SoPhieu": "9" * 200}, ("value_not_allowed", "SoPhieu")),
        ({"HoTen": "AN\nBN2"}, ("value_of_two_lines", "HoTen")),
        ({"ChanDoan": "ho\0"}, ("value_of_control", "ChanDoan")),
        ({"HoTen": "AN\x1b"}, ("value_of_control", "HoTen")),
    ],
)
def test_what_can_not_be_meant_is_told_with_its_column(changed: dict[str, str], expected: tuple[str, str]) -> None:
    """REQ-NON-24: a bad row is never guessed; its reason names row and column."""
    assert fault(None, **changed) == expected


def test_a_clinical_question_may_have_several_lines() -> None:
    assert read(ChanDoan="ho\nsốt").clinical_information == "ho\nsốt"


def test_a_fault_of_the_row_itself_is_told_as_it_is() -> None:
    with pytest.raises(RowRefused) as refused:
        a_folder_link(Path("/orders")).reading(HANOI).statement(Row(1, 2, b"", {}, Fault("row_unreadable")))

    assert refused.value.fault == Fault("row_unreadable")


def test_a_study_instance_uid_that_is_none_is_told_with_its_column() -> None:
    link = a_folder_link(Path("/orders"), columns={**COLUMNS, "study_instance_uid": "UID"})

    assert fault(link, UID="1.2.x") == ("value_not_allowed", "UID")


def test_date_and_time_may_stand_in_two_columns_of_another_zone() -> None:
    link = a_folder_link(
        Path("/orders"),
        columns={**COLUMNS, "scheduled_at": "Ngay", "scheduled_time": "Gio"},
        time_zone="Europe/Paris",
    )

    assert read(link, Ngay="26/11/2026", Gio="09:30").scheduled_at == datetime(2026, 11, 26, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"columns": {**COLUMNS, "placer_order_number": None}}, "placer_order_number or filler_order_number"),
        ({"date_formats": ["%d/%m/%Y", "%m/%d/%Y"]}, "03/04 could be two days"),
        ({"pattern": "../*.csv"}, "names in the folder itself"),
        ({"charset": "UTF-16"}, "UTF-16 says so"),
        ({"charset": "nonsense"}, "no character set"),
        ({"time_zone": "Hanoi"}, "no such time zone"),
        ({"separator": '"'}, "two signs"),
        ({"format": "xml"}, "a row is"),
        ({"format": "xml", "row_element": "a/b", "columns": {**COLUMNS, "sex": "//x"}}, "columns.sex: a place is"),
        ({"codes": {"sexes": {"1": "Nam"}}}, "M, F, O or U"),
        ({"folders": 1}, "Extra inputs"),
    ],
)
def test_a_setting_that_can_not_be_meant_is_told(changed: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        a_folder_link(Path("/orders"), **changed)


@pytest.mark.parametrize("key", SENTENCES)
def test_each_sentence_is_said_in_three_languages(key: str) -> None:
    values = dict.fromkeys(("charset", "column", "found", "wanted", "limit", "formats"), "X")

    assert len({said(key, language, values) for language in ("vi", "en", "fr")}) == 3


@pytest.mark.parametrize("name", ["a.csv.tmp", ".a.csv", "~$a.csv", "a.csv.filepart", "a.xml"])
def test_a_name_that_is_still_written_is_not_taken(name: str) -> None:
    assert not a_folder_link(Path("/orders"), pattern="*.csv").takes(name)
    assert name == "a.xml" or not a_folder_link(Path("/orders"), pattern="*").takes(name)
