"""The acceptance protocol: every type, every finding, no patient, and signature lines."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from overread.cli import app
from tests.builders.hl7 import an_omi, an_orm
from tests.unit.cli.test_hl7_explain import ENGLISH

PATIENT = ("BN000123", "001099012345", "NGHIỆM", "NGUYỄN VĂN", "19990512", "1999-05-12", "Ho kéo dài")


class Texts(HTMLParser):
    """Reads a page: its cells, row by row, and that each element is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data


def a_protocol(folder: Path, *messages: bytes, words: tuple[str, ...] = ()) -> tuple[int, str]:
    (folder / "day.hl7").write_bytes(b"".join(messages))
    status = app.main(["hl7", "acceptance", str(folder / "day.hl7"), "--out", str(folder / "out.html"), *words])
    return status, (folder / "out.html").read_text(encoding="utf-8")


def test_each_type_and_each_finding_has_its_row(tmp_path: Path) -> None:
    """REQ-TOOL-08: how many came and would be taken; what was found, where, what to change, and in which messages."""
    wrong = [an_orm(control_id=f"W{number}", without="PID-3") for number in range(7)]

    status, page = a_protocol(tmp_path, an_omi(control_id="R1"), an_orm(control_id="R2"), *wrong)

    rows = Texts(page).rows
    assert status == 1
    assert ["ORM^O01", "8", "1", "7"] in rows
    assert ["OMI^O23", "1", "1", "0"] in rows
    (finding,) = (row for row in rows if len(row) == 5 and row[1] == "7")
    assert "AE 101, required field missing (PID^1^3)" in finding[2]
    assert "put the record number into PID-3" in finding[3]
    assert finding[4] == "W0, W1, W2, W3, W4"


def test_a_day_without_a_refusal_is_accepted(tmp_path: Path) -> None:
    """0, and the page says so; three sides sign."""
    status, page = a_protocol(tmp_path, an_omi(control_id="R1"), an_orm(control_id="R2"))

    assert (status, "Every message would be taken." in page) == (0, True)
    assert [row[0] for row in Texts(page).rows[-3:]] == [
        "Hospital",
        "Sender's maker",
        "Overread",
    ]


def test_no_patient_stands_in_the_protocol(tmp_path: Path) -> None:
    """REQ-TOOL-02: it leaves the hospital in a vendor's hands."""
    _, page = a_protocol(tmp_path, an_omi(), an_orm(put={"PID-7": "12.5.1999"}), an_orm(put={"MSH-18": ""}))

    assert [secret for secret in PATIENT if secret in page] == []


def test_what_a_sender_writes_is_text_on_the_page(tmp_path: Path) -> None:
    """A control ID or a service must not become markup in somebody's browser."""
    evil = "<script>alert(1)</script>"

    _, page = a_protocol(tmp_path, an_orm(control_id=evil, service=f"{evil}^{evil}^L", without="PID-3"))

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2


def test_it_is_judged_by_the_link_in_its_language(tmp_path: Path) -> None:
    """The vendor's people read what is wrong in Vietnamese."""
    links = tmp_path / "links.toml"
    links.write_text('[[link]]\nlink_id = "ris-old"\nallowed_applications = ["RIS"]\nlanguage = "vi"\n')

    status, page = a_protocol(tmp_path, an_orm(), words=("--links", str(links), "--link", "ris-old"))

    assert (status, "ris-old" in page, "allowed_applications của kênh" in page) == (1, True, True)


def test_a_page_that_can_not_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence with what to do next."""
    (tmp_path / "day.hl7").write_bytes(an_omi())

    status = app.main(["hl7", "acceptance", str(tmp_path / "day.hl7"), "--out", str(tmp_path / "none" / "out.html")])

    assert (status, "name another by --out" in capsys.readouterr().err) == (1, True)


def test_of_several_links_one_is_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A protocol is one link's."""
    links = tmp_path / "links.toml"
    links.write_text(
        '[[link]]\nlink_id = "his"\nallowed_applications = ["HIS"]\n[[link]]\nlink_id = "ris"\n', encoding="utf-8"
    )
    (tmp_path / "day.hl7").write_bytes(an_omi())
    words = ["hl7", "acceptance", str(tmp_path / "day.hl7"), "--out", str(tmp_path / "out.html")]

    unnamed = app.main([*words, "--links", str(links)])
    named = app.main([*words, "--links", str(links), "--link", "his"])

    assert (unnamed, named, "by --link" in capsys.readouterr().err) == (1, 0, True)


def test_how_text_was_read_and_what_was_answered_stand_there(tmp_path: Path) -> None:
    """REQ-TOOL-08: an old charset and an AA in enhanced mode are what a link is signed for."""
    links = tmp_path / "links.toml"
    links.write_text(
        '[[link]]\nlink_id = "his"\nfallback_charset = "cp1258"\nanswers_application_ack_on_the_line = true\n'
    )
    old = an_orm(charset="cp1258", put={"MSH-18": "", "ORC-12": "", "PID-5": "THU^Đ", "OBR-13": ""})

    _, page = a_protocol(tmp_path, an_omi(), old, an_orm(without="PID-3"), words=("--links", str(links)))

    rows = Texts(page).rows
    assert [row for row in rows if "utf-8" in row or "cp1258" in row] == [
        ["UNICODE UTF-8", "utf-8", "2"],
        ["(empty)", "cp1258", "1"],
    ]
    assert ["enhanced, MSH-15 AL, MSH-16 NE", "AA", "1"] in rows
    assert ["original", "AE", "1"] in rows


@pytest.mark.parametrize("language", ["vi", "fr"])
def test_the_protocol_is_in_one_language(language: str, tmp_path: Path) -> None:
    """REQ-TOOL-10: who signs has read it."""
    day = (an_omi(), an_omi().replace(b"\r", b"\n"), an_orm(without="PID-3"), an_orm(put={"MSH-18": "KLINGON"}))

    _, page = a_protocol(tmp_path, *day, words=("--language", language))

    texts = re.sub(r"<style>.*?</style>|<[^>]+>|\(accession number\)", " ", page, flags=re.DOTALL)
    assert [line for line in texts.splitlines() if ENGLISH.search(line)] == []
