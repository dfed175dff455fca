"""`overread link add`: each answer is checked at once, and the file is whole before and after."""

import io
import stat
from pathlib import Path

import pytest

from overread.cli import app
from overread.cli.link_questions import QUESTIONS
from overread.cli.link_sheet import sheet
from overread.hl7_intake import links
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from tests.unit.cli.test_hl7_explain import ENGLISH

CATCH_ALL = '# everybody else\n[[link]]\nlink_id = "rest"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "links.toml"


def added(file: Path, *words: str) -> int:
    return app.main(["link", "add", "--file", str(file), *words])


def read(file: Path) -> list[Link]:
    return [*links.load(HL7IntakeSettings(site_id="site", hl7_links=file))]


def typing(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))


def test_options_alone_make_a_link_and_ask_nothing(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-TOOL-11: what has its usual value does not stand in the file; the vendor's sheet is printed."""
    status = added(file, "--name", "ris-old", "--applications", "RIS", "--charset", "TCVN3", "--acks", "aa", "--yes")

    said = capsys.readouterr().out
    (link,) = read(file)
    assert status == 0
    assert (link.allowed_applications, link.fallback_charset) == (("RIS",), "TCVN3")
    assert link.answers_application_ack_on_the_line is True
    assert file.read_text().count("=") == 4
    assert ("port 2575" in said, "AA, also where MSH-15 or MSH-16 is filled" in said) == (True, True)
    assert "OVERREAD_HL7_LINKS=" in said


def test_a_wrong_answer_is_told_and_asked_again(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-TOOL-11: at once, in the words of `overread links`; nothing is lost of what was answered before."""
    typing(
        monkeypatch,
        *("HIS 1", "his", "2575", "2581", "", "10.20.0.1/16", "10.20.0.0/16"),
        *("HIS|BVX", "TCVN-3", "", "OBR18", "ZPA-3.2, OBR-18", "maybe", "", "aa", "P", "vn", "vi", ""),
    )

    status = added(file)

    said = capsys.readouterr().out
    assert status == 0
    for words in (
        "it must be of small letters",
        "2575 is a default port",
        "write 10.20.0.0/16 for the network",
        'write fallback_charset = "TCVN3"',
        "a place is IPC, OBR, ORC or a Z segment",
        "maybe is neither standard nor aa",
        "MSH-11 is P, T or D",
        "it must be 'vi', 'en' or 'fr'",
        "Cách cấu hình bên gửi của kênh his",
    ):
        assert words in said
    (link,) = read(file)
    assert (link.port, link.language, [*link.processing_ids]) == (2581, "vi", ["P"])
    assert link.accession_places == ("ZPA-3.2", "OBR-18")


def test_names_and_ports_of_others_are_taken(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Told at the option that is wrong, before anything is written."""
    file.write_text('[[link]]\nlink_id = "his"\nport = 2581\n')
    before = file.read_text()

    statuses = [
        added(file, "--name", "his", "--yes"),
        added(file, "--name", "ris", "--port", "8080", "--yes"),
        added(file, "--name", "ris", "--port", "2581", "--yes"),
    ]

    told = capsys.readouterr().err.splitlines()
    assert (statuses, file.read_text()) == ([1, 1, 1], before)
    assert [line.split(":")[1].strip() for line in told] == ["--name", "--port", "--applications"]
    assert "8080 is Overread's own port for HTTP" in told[1]


def test_a_link_goes_before_the_one_that_would_take_all_of_it(file: Path) -> None:
    """The first that lets a sender in takes its message: behind a link for everybody the new one would get nothing."""
    file.write_text(f'[[link]]\nlink_id = "his"\nallowed_applications = ["HIS"]\n\n{CATCH_ALL}')

    status = added(file, "--name", "ris", "--applications", "RIS", "--yes")

    assert (status, [link.link_id for link in read(file)]) == (0, ["his", "ris", "rest"])
    assert file.read_text().endswith(CATCH_ALL)


def test_a_link_of_a_port_with_tls_has_its_certificates(file: Path, tmp_path: Path) -> None:
    """Links on one port share them: nobody has to look them up."""
    file.write_text(
        f'[[link]]\nlink_id = "a"\nport = 2581\nallowed_applications = ["A"]\ntls_certificate = "{tmp_path}"\n'
    )

    status = added(file, "--name", "b", "--port", "2581", "--applications", "B", "--yes")

    assert (status, read(file)[1].tls_certificate) == (0, tmp_path)


def test_a_certificate_that_is_not_there_is_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The intake would refuse the file."""
    status = added(file, "--name", "a", "--port", "2581", "--tls-certificate", "none.pem", "--yes")

    assert (status, file.exists()) == (1, False)
    assert "--tls-certificate: none.pem: there is no such file" in capsys.readouterr().err


def test_help_leaves_names_of_the_standard_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """MSH-11 and TLS are not mSH-11 and tLS."""
    with pytest.raises(SystemExit):
        app.main(["link", "add", "--help"])

    said = capsys.readouterr().out
    assert ("MSH-11 that is taken" in said, "TLS certificate" in said) == (True, True)


@pytest.mark.parametrize("answers", [(), ("his", "", "")])
def test_answers_that_end_too_soon_write_nothing(
    answers: tuple[str, ...], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed terminal is no consent."""
    typing(monkeypatch, *answers)

    assert (added(file), file.exists()) == (1, False)


def test_no_and_a_dry_run_write_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look first."""
    typing(monkeypatch, *["" for _ in QUESTIONS][:7], "no")

    refused = added(file, "--name", "his", "--port", "shared", "--tls-certificate", "none")
    dry = added(file, "--name", "his", "--yes", "--dry-run")

    assert (refused, dry, file.exists()) == (0, 0, False)


def test_the_file_is_replaced_whole_and_keeps_its_mode(file: Path) -> None:
    """Who could read it before can do so after; nothing half lies beside it."""
    file.write_text('[[link]]\nlink_id = "his"\nport = 2581\n')
    file.chmod(0o640)

    added(file, "--name", "ris", "--port", "2582", "--yes")

    assert (stat.S_IMODE(file.stat().st_mode), [path.name for path in file.parent.iterdir()]) == (0o640, ["links.toml"])


def test_a_wrong_file_is_refused_before_anything_is_asked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its own sentence."""
    file.write_text("[[link]]\nlink_id = his\n")

    assert (added(file), "write link_id =" in capsys.readouterr().err) == (1, True)


def test_questions_are_about_settings_that_there_are() -> None:
    """A setting that is renamed takes its question with it."""
    assert {question.setting for question in QUESTIONS} <= set(Link.model_fields)
    assert len({question.option for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("language", ["vi", "fr"])
def test_the_sheet_is_in_the_links_language(language: str) -> None:
    """The vendor's people read it."""
    files = {"tls_certificate": "c.pem", "tls_client_ca": "ca.pem", "port": 2581}
    told = {"allowed_peers": ["10.0.0.0/8"], "allowed_applications": ["HIS"], "fallback_charset": "VNI"}
    link = Link.model_validate({"language": language, **files, **told})

    said = [*sheet(link, HL7IntakeSettings(site_id="site"))]

    assert [line for line in said if ENGLISH.search(line)] == []
    assert len(said) >= 9
