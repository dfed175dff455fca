"""`overread links`, and the chapter of docs/hl7.md that it goes with."""

import re
from pathlib import Path

import pytest

from overread.cli import app
from overread.cli.links import settings_table
from overread.embedded.places import CHECKOUT
from overread.hl7_intake import links
from overread.hl7_intake.settings import HL7IntakeSettings, Link

DOCUMENT = (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8")
EXAMPLE = next(block for block in re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL) if "[[link]]" in block)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Type a command; return its exit status and what it wrote to both streams."""
    status = app.main(["links", *words])
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "links.toml"
    path.write_text('[[link]]\nlink_id = "his"\nport = 2581\nallowed_applications = ["HIS|BVX"]\nidle_seconds = 60\n')
    return path


def test_links_are_listed_with_what_they_have_of_their_own(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a link: where, from whom, and what differs from the usual."""
    status, out, _ = said(capsys, "--file", str(file))

    assert status == 0
    assert [line.split(maxsplit=4) for line in out.splitlines()[1:2]] == [
        ["his", "2581", "all", "HIS|BVX", "idle_seconds = 60.0"]
    ]
    assert out.endswith(f"1 link, {file}\n")


def test_the_file_of_the_environment_is_the_default(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the intake would read."""
    monkeypatch.setenv("OVERREAD_HL7_LINKS", str(file))

    assert said(capsys)[1].endswith(f"1 link, {file}\n")


def test_a_wrong_file_is_one_sentence_and_status_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """File, link, setting, and what to write."""
    file.write_text(file.read_text().replace("idle_seconds", "idle_secondes"))

    status, out, err = said(capsys, "--file", str(file))

    assert (status, out) == (1, "")
    assert err == f"overread: {file}, line 5, link his, idle_secondes: there is no such setting; write idle_seconds\n"


def test_a_wrong_setting_of_the_environment_is_one_sentence_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name, and where to look."""
    monkeypatch.setenv("OVERREAD_MLLP_LINK", '{"answers_application": true}')

    status, out, err = said(capsys)

    assert (status, out) == (1, "")
    assert err.startswith("overread: OVERREAD_MLLP_LINK, answers_application: ")
    assert err.count("\n") == 1
    assert "there is no such setting" in err
    assert "write answers_application_ack_on_the_line" in err


def test_a_certificate_that_can_not_be_used_is_found_here_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The intake would refuse the file: who checks it must hear so."""
    file.write_text(f'[[link]]\nlink_id = "his"\nport = 2581\ntls_certificate = "{file}"\n')

    status, _, err = said(capsys, "--file", str(file))

    assert (status, f"port 2581, {file}: " in err) == (1, True)


def test_the_example_of_the_document_is_a_file_that_is_taken() -> None:
    """Whoever copies it begins with something that works."""
    read = links.parse(EXAMPLE, HL7IntakeSettings(site_id="site"))

    assert [link.link_id for link in read] == ["his-bvx", "ris-old", "lis", "bedside"]


def test_the_document_lists_each_setting_as_the_model_has_it() -> None:
    """`./run overread links --settings` writes the table."""
    table = "\n".join(settings_table())

    assert f"\n\n{table}\n\n" in DOCUMENT
    assert table.count("\n") == len(Link.model_fields) + 1


def test_a_processing_id_that_there_is_not_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link that takes `aa` alone would refuse every message (table HL70103)."""
    file.write_text('[[link]]\nlink_id = "his"\nprocessing_ids = ["aa"]\n')

    status, _, err = said(capsys, "--file", str(file))

    assert status == 1
    assert "line 3, link his, processing_ids: MSH-11 is P, T or D" in err
