"""`overread hl7 explain`: in words, patients hidden, and never at odds with the listener."""

import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from overread.cli import app
from overread.cli.hl7_verdict import Judge
from overread.hl7_intake.settings import Link
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import parse_ack
from overread.runtime.settings import ServiceSettings
from tests.builders.events import NOON
from tests.builders.hl7 import an_omi, an_orm, an_oru
from tests.builders.patients import a_merge, an_adt
from tests.builders.results import a_monitor_reading, a_result, an_appointment, an_obx
from tests.fakes.hl7_intake import FakeBroker, an_intake

PATIENT = ("BN000123", "001099012345", "THỬ NGHIỆM", "NGUYỄN VĂN", "19990512", "Ho kéo dài", "V0077")

FAULTS = {
    "no patient": an_omi(without="PID"),
    "no patient number": an_omi(without="PID-3"),
    "no control ID": an_omi(without="MSH-10"),
    "unknown control": an_orm(control="QQ"),
    "no order control": an_orm(without="ORC-1"),
    "no service": an_omi(without="OBR-4"),
    "no order": an_omi(without=("ORC", "OBR", "TQ1", "IPC")),
    "bad birth date": an_omi(put={"PID-7": "12/05/1999"}),
    "another type": an_omi(put={"MSH-9": "QRY^A19"}),
    "no type": an_omi(put={"MSH-9": ""}),
    "another event": an_omi(put={"MSH-9": "OMI^O99"}),
    "another processing ID": an_omi(processing_id="X"),
    "another version": an_omi(put={"MSH-12": "9.9"}),
    "undeclared UTF-8": an_omi(charset="utf-8", put={"MSH-18": ""}),
    "an unknown charset": an_omi(put={"MSH-18": "KLINGON"}),
    "a batch": b"BHS|^~\\&|HIS\r" + an_omi(),
    "two messages": an_omi() + an_omi(),
    "no message": b"hello",
    "nothing": b"",
    "too large": an_omi(clinical="x" * 2000),
}


def explained(raw: bytes, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    (folder / "message.hl7").write_bytes(raw)
    status = app.main(["hl7", "explain", str(folder / "message.hl7"), *words])
    return status, capsys.readouterr().out


def test_an_order_is_said_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the order asks, where the accession number was found, and the answer that the sender would get."""
    status, said = explained(an_orm(), tmp_path, capsys)

    assert status == 0
    assert "ORC-1   Order control                           NW = new order" in said
    assert "The accession number ACC26112200123 was found in OBR-18." in said
    assert "The answer would be AA: taken." in said


@pytest.mark.parametrize("raw", [an_omi(), an_orm(), an_oru(), an_omi(put={"MSH-18": ""})], ids=lambda raw: raw[37:40])
def test_no_patient_is_shown_unless_asked_for(raw: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-02: whoever helps at the line needs no name, number, date or finding."""
    _, hidden = explained(raw, tmp_path, capsys)
    _, shown = explained(raw, tmp_path, capsys, "--show-patient")

    assert [secret for secret in PATIENT if secret in hidden] == []
    assert "BN000123" in shown


@pytest.mark.parametrize("raw", FAULTS.values(), ids=FAULTS.keys())
async def test_explain_says_what_the_listener_says_to_a_wrong_message(raw: bytes) -> None:
    """REQ-TOOL-01: a tool that judged by rules of its own would one day say "taken" where the sender gets AE."""
    intake = an_intake(FakeBroker(), maximum_frame_bytes=1500)
    answer = await (intake.refuse_oversize(raw[:2048]) if len(raw) > 1500 else intake.begin(raw))

    verdict = Judge(Link(maximum_frame_bytes=1500), ServiceSettings())(raw, NOON)

    assert answer is not None
    heard = parse_ack(answer)
    assert verdict.error is not None
    assert (verdict.code, str(verdict.error.condition.value)) == (heard.code, heard.error_condition)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("no patient number", "at PID^1^3"),
        ("no patient number", "put the record number into PID-3"),
        ("undeclared UTF-8", "Let the sender write UNICODE UTF-8 into MSH-18"),
        ("undeclared UTF-8", "(0xE1) is no text in ascii, in PID-5. It seems to be utf-8"),
        ("unknown control", "ORC^1^1"),
        ("another version", "add it to the link's versions"),
        ("no type", "MSH-9 is empty"),
        ("no type", "write the type of the message into MSH-9, as ORM^O01"),
        ("a batch", "TAKEN"),
        ("no message", "does not begin with an MSH segment"),
    ],
)
def test_a_wrong_message_is_told_what_to_change(
    fault: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The issue: `explain` on a wrong message says what is wrong, where, and what to change."""
    _, said = explained(FAULTS[fault], tmp_path, capsys)

    assert words in said


def test_one_refused_message_of_several_makes_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can ask: 0 when all would be taken, 1 when one would not."""
    blocks = mllp.encode(an_omi()) + mllp.encode(an_omi(without="PID-3"))

    status, said = explained(blocks, tmp_path, capsys, "--brief")

    assert status == 1
    assert ("== message 2 of 2 ==" in said, said.count("TAKEN"), said.count("REFUSED")) == (True, 1, 1)


def test_a_message_may_come_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What somebody copied out of a log, with line feeds."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(an_omi().replace(b"\r", b"\n"))))

    status = app.main(["hl7", "explain", "-"])

    assert (status, "Segments end in line feeds" in capsys.readouterr().out) == (0, True)


def test_a_legacy_sender_is_read_with_its_charset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--charset` is the link's fallback_charset: the same bytes are refused without it."""
    raw = an_orm(charset="cp1258", put={"MSH-18": "", "ORC-12": "", "PID-5": "THU^Đ", "OBR-13": ""})

    without, _ = explained(raw, tmp_path, capsys)
    with_charset, _ = explained(raw, tmp_path, capsys, "--charset", "cp1258")

    assert (without, with_charset) == (1, 0)


def test_an_unknown_charset_is_said_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error is one sentence, with what to do next."""
    (tmp_path / "message.hl7").write_bytes(an_omi())

    status = app.main(["hl7", "explain", str(tmp_path / "message.hl7"), "--charset", "klingon"])

    assert (status, "klingon is no charset" in capsys.readouterr().err) == (1, True)


def test_control_characters_reach_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal obeys escape sequences: a sender's name must not move the cursor."""
    _, said = explained(an_omi(put={"MSH-3": "HIS\x1b[2J"}), tmp_path, capsys)

    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("language", "mark", "words"),
    [
        ("vi", "TỪ CHỐI", "Bên gửi cần ghi số hồ sơ người bệnh vào PID-3"),
        ("fr", "REFUSÉ", "L'émetteur doit mettre le numéro de dossier"),
    ],
)
def test_a_refusal_is_said_in_the_language_of_the_sender(
    language: str, mark: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The vendor's people read Vietnamese: what is wrong, and what to change."""
    _, english = explained(FAULTS["no patient number"], tmp_path, capsys)
    _, said = explained(FAULTS["no patient number"], tmp_path, capsys, "--language", language)

    assert words in said
    assert next(line for line in said.splitlines() if mark in line) not in english


ENGLISH = re.compile(
    r"\b(the|is|are|of|was|were|would|not|hidden|sender|answer|found|without|which|given|it|in|taken|refused|kept|number"
    r"|name|identifier|field|order|send|let|must|message type|a date)\b"
)
WHOLE = {
    "OMI": an_omi(),
    "ORM": an_orm(),
    "ORU": an_oru(),
    "an old charset": an_orm(charset="cp1258", put={"MSH-18": "", "ORC-12": "", "PID-5": "THU^Đ", "OBR-13": ""}),
    "ADT": an_adt(event="A08"),
    "merge": a_merge(0, ("BN000123^^^BVX^MR", "BN000999^^^BVX^MR")),
    "appointment": an_appointment(),
    "laboratory": a_result(an_obx()),
    "bedside": a_monitor_reading(),
    "no accession": an_orm(put={"OBR-18": "", "OBR-3": "", "ORC-3": "", "PID-6": '""'}, without="ZDS"),
    "two orders": an_omi(without="PV1") + an_omi()[an_omi().index(b"ORC|") :],
    "line feeds": an_omi().replace(b"\r", b"\n"),
    "a stray line": an_omi() + b"of a text\r",
    "one letter": an_omi(put={"PID-24": "Y"}),
    "a long text": an_omi(clinical="x" * 500),
    "a byte order mark": b"\xef\xbb\xbf" + an_omi(),
    "blocks": mllp.encode(an_omi()) + b"??" + mllp.encode(an_omi(without="PID-3"))[:-2],
}


@pytest.mark.parametrize("language", ["vi", "fr"])
@pytest.mark.parametrize("raw", [*FAULTS.values(), *WHOLE.values()], ids=[*FAULTS, *WHOLE])
def test_all_of_it_is_said_in_one_language(
    raw: bytes, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-TOOL-10: segments, fields, codes, what becomes of it, what is wrong, what to change: nothing in English."""
    _, said = explained(raw, tmp_path, capsys, "--language", language)

    ours = said.replace("(accession number)", "")
    assert [line for line in ours.splitlines() if ENGLISH.search(line)] == []
    assert "“" not in ours  # a name of the standard that has none in the language


@pytest.mark.parametrize("language", ["vi", "fr"])
def test_a_link_is_explained_in_its_own_language(
    language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --language it is that of the link's answers."""
    links = tmp_path / "links.toml"
    links.write_text(f'[[link]]\nlink_id = "his"\nlanguage = "{language}"\n', encoding="utf-8")

    _, of_link = explained(an_omi(), tmp_path, capsys, "--links", str(links))
    _, asked = explained(an_omi(), tmp_path, capsys, "--language", language)

    assert of_link.splitlines()[1:] == asked.splitlines()


def test_a_message_is_judged_by_the_link_that_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its versions, its senders, its places of the accession number."""
    links = tmp_path / "links.toml"
    links.write_text(
        '[[link]]\nlink_id = "his"\nallowed_applications = ["HIS"]\naccession_places = ["OBR-20"]\n'
        '[[link]]\nlink_id = "ris"\nallowed_applications = ["RIS"]\nlanguage = "vi"\n',
        encoding="utf-8",
    )
    raw = an_orm(put={"OBR-18": "", "OBR-20": "ACC7"})

    his = explained(raw, tmp_path, capsys, "--links", str(links), "--link", "his")
    ris = explained(raw, tmp_path, capsys, "--links", str(links), "--link", "ris")
    of_ris = an_orm(put={"MSH-3": "RIS"})
    unnamed = explained(of_ris, tmp_path, capsys, "--links", str(links), "--brief")
    unknown = app.main(["hl7", "explain", str(links), "--links", str(links), "--link", "lis"])

    assert (his[0], "ACC7 was found in OBR-20" in his[1]) == (0, True)
    assert (ris[0], "allowed_applications" in ris[1], unknown) == (1, True, 1)
    assert (unnamed[0], unnamed[1].splitlines()[0].split()) == (0, ["kênh:", "ris"])
