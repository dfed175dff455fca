"""What a person types wrongly is said in words, never as a traceback or the name of a class."""

from pathlib import Path

import pytest

from overread.cli import app


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what somebody is told who typed this, however it ends, but badly."""
    try:
        status = app.main(words)
    except SystemExit as ended:
        status = int(str(ended.code))
    assert status in (1, 2)
    return capsys.readouterr().err


@pytest.mark.parametrize("title", ["TOO LONG AE TITLE OF MANY", "", "   ", "CT\\1", "CHỤP"])
def test_ae_title_that_is_none_is_said(title: str, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-14: PS3.5, 6.2: our own title, and the one that is called."""
    ours = refused(capsys, "dicom", "echo", "--as", title, "--to", "OVERREAD@127.0.0.1:1")
    theirs = refused(capsys, "dicom", "echo", "--to", f"{title}@127.0.0.1:1")

    assert "is no AE title: write 1 to 16 characters" in ours
    assert "is no AE title: write 1 to 16 characters" in theirs


@pytest.mark.parametrize("port", ["99999", "-1", "x", "1.5", "²"])
@pytest.mark.parametrize("command", [("hl7", "record"), ("simulate", "pacs")], ids=" ".join)
def test_port_that_is_none_is_said(
    command: tuple[str, ...], port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-TOOL-14: nothing is made or listened to."""
    said = refused(capsys, *command, f"--port={port}", "--into", str(tmp_path / "day"))

    assert "is no port: write a whole number from 1 to 65535" in said
    assert not (tmp_path / "day").exists()


@pytest.mark.parametrize("to", ["OVERREAD@127.0.0.1:0", "OVERREAD@:104", "127.0.0.1:104", "OVERREAD@host:²"])
def test_address_that_is_none_is_said(to: str, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-14: with how one is written."""
    assert "AE@HOST:PORT, as OVERREAD@127.0.0.1:11112" in refused(capsys, "dicom", "echo", "--to", to)


@pytest.mark.parametrize("words", [("links",), ("try", "--link", "his", "a.csv")], ids=" ".join)
def test_file_of_order_links_that_cannot_be_read_is_said_with_the_reason(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """REQ-TOOL-14: what is wrong with it, and what to do."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00\x80")

    said = [refused(capsys, "orders", *words, "--links", str(file)) for file in (tmp_path / "no", tmp_path, binary)]

    assert "there is no such file: mend its name" in said[0]
    assert "it is a folder: name the file in it" in said[1]
    assert "it is not in UTF-8: save it as UTF-8" in said[2]
    assert "Error" not in "".join(said)
