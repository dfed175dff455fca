"""Rows of the insurance table of paraclinical results: a file for each insured order, once signed."""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest

from overread.cli import deliveries
from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.events.orders import CodedElement
from overread.contracts.events.reports import ReportDocument, Withdrawal
from overread.delivery import folder_sender, gate
from overread.delivery.destinations import DestinationsRefused, load, parse
from overread.delivery.folder_sender import FolderChannel
from overread.delivery.gate import Held, Released
from overread.delivery.insurance_destination import InsuranceDestination
from overread.delivery.insurance_form import FORM, InsuranceForm
from overread.delivery.preview import NoPreview, preview
from overread.delivery.rendering import messages_for
from overread.delivery.sending import NotTaken, Taken
from overread.delivery.sequence import Position, Status
from overread.delivery.store import OutboundRow
from overread.delivery.telling import OutboundMessage, Telling
from overread.protocols.insurance import xml4
from tests.builders.delivery import (
    a_destination,
    a_release_request,
    a_telling,
    an_occasion,
    an_outbound_row,
    some_circumstances,
)
from tests.builders.events import a_case, a_patient, a_signed_document
from tests.builders.insurance import INSURED, ORDER, a_folder

COLUMNS = [
    *("MA_LK", "STT", "MA_DICH_VU", "MA_CHI_SO", "TEN_CHI_SO", "GIA_TRI"),
    *("DON_VI_DO", "MO_TA", "KET_LUAN", "NGAY_KQ", "MA_BS_DOC_KQ", "DU_PHONG"),
]
LISTED = """
[[destination]]
name = "insurance"
kind = "xml4"
url = "file:///srv/insurance"
{entry}
"""


def an_insured_document(**changed: Any) -> ReportDocument:
    """Return a signed report of an insured patient's visit."""
    return a_signed_document(**{"patient": INSURED, "orders": (ORDER,)} | changed)


def told(document: ReportDocument | None = None, status: Status = Status.FINAL, **changed: Any) -> Telling[Any]:
    """Return what the folder is told."""
    destination = changed.pop("destination", a_folder())
    return a_telling(document or an_insured_document(), destination, status=status, **changed)


def rows_of(message: OutboundMessage) -> list[dict[str, str]]:
    """Return the rows as any reader of XML sees them; the columns are there in the table's order."""
    listed = ET.fromstring(message.message).findall("DSACH_CHI_TIET_CLS/CHI_TIET_CLS")
    assert all([child.tag for child in row] == COLUMNS for row in listed)
    return [{child.tag: child.text or "" for child in row} for row in listed]


def as_earlier(*messages: OutboundMessage) -> tuple[Position, ...]:
    """Return the messages as the folder has them."""
    return tuple(
        Position(
            report_revision=m.report_revision, status=m.status, form=m.form, message_control_id=m.message_control_id
        )
        for m in messages
    )


def test_a_signed_result_is_a_row_in_words_and_one_for_each_named_number() -> None:
    """REQ-OUT-32: visit, service, conclusion, time on the hospital's clock, and who read it, by the insurance's numbers."""
    [message] = messages_for(told())

    words, number = rows_of(message)
    common = {
        "MA_LK": "TEST-V-1",
        "MA_DICH_VU": "18.9999.0001",
        "KET_LUAN": "Thể tích phổi 5512,3 mL.",
        "NGAY_KQ": "202611221905",
        "MA_BS_DOC_KQ": "000001/TEST-CCHN",
        "DU_PHONG": "",
    }
    in_words = {
        "STT": "1",
        "MO_TA": "Lung volume: 5512.3 mL",
        "MA_CHI_SO": "",
        "TEN_CHI_SO": "",
        "GIA_TRI": "",
        "DON_VI_DO": "",
    }
    measured = {
        "STT": "2",
        "MO_TA": "",
        "MA_CHI_SO": "CT.01",
        "TEN_CHI_SO": "Lung volume",
        "GIA_TRI": "5512.3",
        "DON_VI_DO": "mL",
    }
    assert words == common | in_words
    assert number == common | measured


@pytest.mark.parametrize(
    ("changed", "description", "conclusion"),
    [
        ({"findings": ()}, "Thể tích phổi 5512,3 mL.", "Thể tích phổi 5512,3 mL."),
        ({"conclusion": ""}, "Lung volume: 5512.3 mL", "Lung volume: 5512.3 mL"),
    ],
)
def test_a_result_in_words_has_description_and_conclusion(
    changed: dict[str, Any], description: str, conclusion: str
) -> None:
    """REQ-OUT-32: of imaging the insurance wants both; the one that there is stands for the other."""
    telling = told(an_insured_document(**changed))

    [message] = messages_for(telling)

    [written] = InsuranceForm().write(telling)
    assert list(InsuranceForm().unlike(written, telling)) == []
    words = rows_of(message)[0]
    assert (words["MO_TA"], words["KET_LUAN"]) == (description, conclusion)


def test_a_file_says_that_its_table_is_not_checked_and_names_nobody() -> None:
    """REQ-OUT-33: in the file, where a reader of the table passes over it; no name in it, none in the file's name."""
    [message] = messages_for(told())

    head = xml4.head_of(message.message)
    assert (head["table"], head["checked"]) == ("3176", "not checked against the authority's validator")
    assert "THỬ NGHIỆM".encode() not in message.message
    assert b"TEST-HC-1" not in message.message
    assert message.message_control_id == f"{head['result']}-1-F"


@pytest.mark.parametrize(
    ("patient", "visit", "status"),
    [
        (a_patient(), "TEST-V-1", Status.FINAL),
        (INSURED, "", Status.FINAL),
        (INSURED, "TEST-V-1", Status.UNVERIFIED),
    ],
)
def test_what_is_not_insured_has_no_visit_or_is_not_signed_makes_no_row(
    patient: Any, visit: str, status: Status
) -> None:
    """REQ-OUT-32: the table is of insured visits, and of what a clinician signed."""
    order = ORDER.model_copy(update={"visit_number": visit})

    assert messages_for(told(an_insured_document(patient=patient, orders=(order,)), status)) == ()


def test_each_order_has_a_file_of_its_own() -> None:
    """REQ-OUT-32: a visit each, and one that has none is left out."""
    others = (
        ORDER.model_copy(update={"order_id": UUID(int=2), "visit_number": "TEST-V-2"}),
        ORDER.model_copy(update={"order_id": UUID(int=3), "visit_number": ""}),
    )

    messages = messages_for(told(an_insured_document(orders=(ORDER, *others))))

    assert [{row["MA_LK"] for row in rows_of(message)} for message in messages] == [{"TEST-V-1"}, {"TEST-V-2"}]


def test_a_correction_stands_in_place_of_the_file_before_and_a_withdrawal_leaves_no_row() -> None:
    """REQ-OUT-34: the table has no column for either, so the file says which it replaces; nothing follows a withdrawal."""
    [first] = messages_for(told())
    corrected = told(an_insured_document(report_revision=2), Status.CORRECTED, earlier=as_earlier(first))
    [second] = messages_for(corrected)
    taking_back = an_insured_document(report_revision=2, withdrawal=Withdrawal(reason="Nhầm."), findings=())

    [third] = messages_for(told(taking_back, Status.WITHDRAWN, earlier=as_earlier(first, second)))
    nothing = messages_for(told(taking_back, Status.WITHDRAWN, earlier=()))

    replaced = [xml4.head_of(message.message)["replaces"] for message in (first, second, third)]
    assert replaced == ["", first.message_control_id, second.message_control_id]
    assert (len(rows_of(second)), rows_of(third)) == (2, [])
    assert [message.message_control_id[-3:] for message in (first, second, third)] == ["1-F", "2-C", "2-W"]
    assert nothing == ()


def test_a_table_of_the_sites_own_says_which_columns_there_are(tmp_path: Path) -> None:
    """REQ-OUT-33: a new decree is a file, not a release."""
    described = """
[tables.2027]
source = "TEST"
checked = true
root = "BANG"
list = "DS"
row = "DONG"
columns = [
  { name = "MA_LK", kind = "text", longest = 20, required = true, from = "visit" },
  { name = "KQ", kind = "text", longest = 0, from = "conclusion" },
]
"""
    (tmp_path / "tables.toml").write_text(described, encoding="utf-8")
    folder = a_folder(table="2027", table_file=tmp_path / "tables.toml")
    telling = told(destination=folder)

    [written] = InsuranceForm().write(telling)

    root = ET.fromstring(written.message)
    assert [(child.tag, child.text) for child in root.find("DS/DONG") or ()] == [
        ("MA_LK", "TEST-V-1"),
        ("KQ", "Thể tích phổi 5512,3 mL."),
    ]
    assert xml4.head_of(written.message)["checked"] == "yes"
    assert "conclusion" not in list(InsuranceForm().unlike(written, telling))


def judged(folder: InsuranceDestination, document: ReportDocument) -> gate.Released | gate.Held | gate.Wait:
    """Put a signed report for an EMR and the folder before the gate."""
    known = some_circumstances(
        case=a_case(patient=document.patient, orders=document.orders), destinations=(a_destination(), folder)
    )
    return gate.check(a_release_request(document), known)


def test_the_gate_releases_rows_beside_the_result() -> None:
    """REQ-OUT-32, REQ-REV-03: read back and compared as every form is."""
    verdict = judged(a_folder(), an_insured_document())

    assert isinstance(verdict, Released), verdict
    assert [message.form for message in verdict.messages] == ["oru", FORM]


@pytest.mark.parametrize("number", ["", "x" * 21])
def test_a_row_that_the_table_can_not_take_holds_no_result(number: str) -> None:
    """REQ-OUT-35: care does not wait for it: the EMR has its result, and the folder is named with the column."""
    order = ORDER.model_copy(update={"service": CodedElement(identifier=number, text="CT ngực")})

    verdict = judged(a_folder(services={}), an_insured_document(orders=(order,)))

    assert isinstance(verdict, Released), verdict
    assert [message.form for message in verdict.messages] == ["oru"]
    [untold] = verdict.untold
    assert (untold.telling.destination.name, "MA_DICH_VU" in untold.reason) == ("insurance", True)


@pytest.mark.parametrize(
    ("said", "instead", "different"),
    [
        (b"<MA_LK>TEST-V-1", b"<MA_LK>TEST-V-9", "visit"),
        ("<KET_LUAN>Thể".encode(), "<KET_LUAN>Không thể".encode(), "conclusion"),
        (b"000001/TEST", b"000002/TEST", "signer"),
        (b"5512.3</GIA_TRI>", b"5512.4</GIA_TRI>", "rows"),
        (b'status="F"', b'status="C"', "status"),
    ],
)
def test_a_row_that_was_changed_is_found(said: bytes, instead: bytes, different: str) -> None:
    """REQ-REV-03: what is written is read back and compared with what was signed."""
    telling = told()
    [written] = InsuranceForm().write(telling)
    assert said in written.message

    changed = replace(written, message=written.message.replace(said, instead))

    assert different in list(InsuranceForm().unlike(changed, telling))
    assert list(InsuranceForm().unlike(written, telling)) == []


def as_row(sent: OutboundMessage, **changed: Any) -> OutboundRow:
    """Return the message as its sender sees it."""
    fields = {
        "destination": "insurance",
        "form": FORM,
        "message": sent.message,
        "message_digest": sent.message_digest,
        "message_control_id": sent.message_control_id,
    }
    return an_outbound_row(**fields | changed)


def names_in(folder: Path) -> list[str]:
    """Return the names of what is there."""
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_is_there_whole_with_what_it_is_beside_it_once(tmp_path: Path) -> None:
    """REQ-OUT-35: the same file again is left, another under its name is refused, and no half of one is seen."""
    [message] = messages_for(told())
    row, channel = as_row(message), FolderChannel(a_folder(str(tmp_path)))

    await channel.connect()
    answers = [await channel.exchange(row), await channel.exchange(row)]
    other = await channel.exchange(as_row(message, message=b"other"))

    beside = json.loads((tmp_path / f"{row.message_control_id}.json").read_text(encoding="utf-8"))
    assert answers == [Taken(), Taken()]
    assert isinstance(other, NotTaken)
    assert other.is_content_fault
    assert (tmp_path / f"{row.message_control_id}.xml").read_bytes() == message.message
    assert (beside["sha256"], beside["status"], beside["replaces"]) == (codec.sha256(message.message), "F", "")
    assert names_in(tmp_path) == [f"{row.message_control_id}.json", f"{row.message_control_id}.xml"]


async def test_a_folder_that_is_not_there_is_away(tmp_path: Path) -> None:
    """REQ-OUT-35: a share that is not mounted; nothing is made in its place, and nothing is given up."""
    with pytest.raises(Unavailable):
        await FolderChannel(a_folder(str(tmp_path / "none"))).connect()
    with pytest.raises(Unavailable):
        folder_sender.put(tmp_path / "none", as_row(messages_for(told())[0]))

    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "entry",
    [
        'table = "9999"',
        'table_file = "/nowhere/tables.toml"',
        'send_unverified = "R"',
        "insurance = []",
        'url = "file://host/share"',
        'url = "https://bhyt.example"',
        'url = "file:relative"',
    ],
)
def test_a_setting_that_can_not_be_used_stops_at_once(entry: str) -> None:
    """REQ-OUT-33: no table of that version, or no folder."""
    listed = LISTED.format(entry=entry)
    if entry.startswith("url"):
        listed = listed.replace('url = "file:///srv/insurance"\n', "")

    with pytest.raises(DestinationsRefused):
        parse(listed, site_id="site")


def test_a_preview_shows_the_file_without_a_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-OUT-24: of the example, an insured one."""
    monkeypatch.chdir(tmp_path)
    Path("destinations.toml").write_text(LISTED.format(entry='table = "4750"'), encoding="utf-8")
    assert isinstance(load(Path("destinations.toml"), site_id="site")[0], InsuranceDestination)
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())

    told = parser.parse_args(["deliveries", "preview", "insurance", "--example", "--destinations", "destinations.toml"])
    told.run(told)

    shown = capsys.readouterr()
    assert '<?overread table="4750" checked="not checked' in shown.out
    assert "<MA_LK>TEST-V-1</MA_LK>" in shown.out
    assert "which nobody has checked" in shown.err


@pytest.mark.parametrize("version", ["130", "4750", "3176"])
def test_every_known_version_takes_a_result_and_is_marked_unchecked(version: str) -> None:
    """REQ-OUT-33: until the authority's validator has taken one."""
    table = a_folder(table=version).columns

    [message] = messages_for(told(destination=a_folder(table=version)))

    assert (table.checked, [column.name for column in table.columns]) == (False, COLUMNS)
    assert xml4.head_of(message.message)["table"] == version


def test_an_order_that_is_answered_no_more_leaves_no_row() -> None:
    """REQ-OUT-34, REQ-DSK-10: its file is replaced without a row, before the other order's file comes."""
    other = ORDER.model_copy(update={"order_id": UUID(int=2), "visit_number": "TEST-V-2"})
    before, after = an_insured_document(), an_insured_document(report_revision=2, orders=(other,))
    [first] = messages_for(told(before))
    known = some_circumstances(
        case=a_case(patient=INSURED, orders=(other,)),
        destinations=(a_folder(),),
        released_revision=1,
        earlier={"insurance": as_earlier(first)},
        previous={"insurance": before},
    )

    verdict = gate.check(a_release_request(after), known)

    assert isinstance(verdict, Released), verdict
    assert [(m.status, m.report_revision, len(rows_of(m))) for m in verdict.messages] == [
        (Status.WITHDRAWN, 1, 0),
        (Status.CORRECTED, 2, 2),
    ]
    heads = [xml4.head_of(message.message) for message in verdict.messages]
    assert [head["replaces"] for head in heads] == [first.message_control_id, ""]
    assert heads[0]["result"] != heads[1]["result"]


def test_held_is_what_the_result_itself_can_not_say() -> None:
    """REQ-OUT-35: only what is beside the result is passed over."""
    verdict = judged(a_folder(), an_insured_document(conclusion="", findings=()))

    assert isinstance(verdict, Held)


def test_the_folders_group_reads_the_files(tmp_path: Path) -> None:
    """REQ-OUT-33: the HIS takes them under an account of its own, whatever our umask is."""
    before = os.umask(0o077)
    try:
        folder_sender.put(tmp_path, as_row(messages_for(told())[0]))
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"patient": INSURED.model_copy(update={"identifiers": ()})}, "no insurance number: .* HC, BHXH"),
        ({"orders": (ORDER.model_copy(update={"visit_number": " "}),)}, r"no visit number \(PV1-19\)"),
        ({"orders": ()}, "no order"),
    ],
)
def test_a_preview_of_a_result_without_a_row_says_which_reason_it_has(changed: dict[str, Any], words: str) -> None:
    """REQ-OUT-33: one of them, not all that there could be."""
    raw = codec.document_bytes(an_insured_document(**changed))

    with pytest.raises(NoPreview, match=words):
        preview(raw, a_folder(unsolicited=True), an_occasion())
