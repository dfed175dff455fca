"""The file of links while the service runs: followed once it stands still, and never half."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from overread.hl7_intake.link_file import LOOKS_BEFORE_RETRY, LinkFile
from overread.hl7_intake.links import LinksRefused
from overread.hl7_intake.reception import Reception
from overread.hl7_intake.settings import HL7IntakeSettings, Link

ONE = '[[link]]\nlink_id = "his"\n'
TWO = ONE.replace("his", "ris") + 'port = 2581\n[[link]]\nlink_id = "lis"\n'


class FakeReception(Reception):
    """Notes which links it was given."""

    def __init__(self) -> None:
        self.given: list[list[str]] = []
        self.failure: LinksRefused | None = None

    async def apply(self, links: Sequence[Link]) -> None:
        if self.failure is not None:
            raise self.failure
        self.given.append([link.link_id for link in links])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "links.toml"
    path.write_text(ONE)
    return path


def write(file: Path, text: str) -> None:
    file.write_text(text)


def take_away(file: Path) -> None:
    file.unlink()


def followed(file: Path | None) -> tuple[LinkFile, FakeReception]:
    reception = FakeReception()
    return LinkFile(HL7IntakeSettings(site_id="site", hl7_links=file), reception), reception


async def looks(link_file: LinkFile, number: int) -> None:
    for _ in range(number):
        await link_file.look()


async def test_the_file_is_followed_once_it_has_stood_still(file: Path) -> None:
    """An editor writes in pieces: half a file would take links away for a moment."""
    link_file, reception = followed(file)
    await link_file.open()
    await looks(link_file, 3)

    write(file, TWO[:30])
    await looks(link_file, 1)
    write(file, TWO)
    await looks(link_file, 1)
    before = list(reception.given)
    await looks(link_file, 3)

    assert before == [["his"]]
    assert reception.given == [["his"], ["ris", "lis"]]


async def test_a_file_that_can_not_be_used_changes_nothing_and_says_so_once(file: Path) -> None:
    """Log and readiness have the sentence; with the file mended, readiness is back."""
    link_file, reception = followed(file)
    await link_file.open()

    with capture_logs() as logs:
        write(file, '[[link]]\nlink_id = "his"\nidle_second = 1\n')
        await looks(link_file, 2 * LOOKS_BEFORE_RETRY)
    fault = link_file.fault
    write(file, ONE)
    await looks(link_file, 2)

    assert fault == f"{file}, line 3, link his, idle_second: there is no such setting; write idle_seconds"
    assert [(line["event"], line["reason"]) for line in logs] == [("links_refused", fault)]
    assert (link_file.fault, reception.given) == (None, [["his"], ["his"]])


async def test_a_file_that_is_taken_away_changes_nothing(file: Path) -> None:
    """A volume that is not mounted for a minute is no order to close every link."""
    link_file, reception = followed(file)
    await link_file.open()

    take_away(file)
    await looks(link_file, 2)

    assert link_file.fault == f"{file}: there is no such file: mend its name, or make it by `overread link add`"
    assert reception.given == [["his"]]


async def test_what_could_not_be_done_is_tried_again_in_a_while(file: Path) -> None:
    """A port that somebody else had is free again: nobody has to touch the file."""
    link_file, reception = followed(file)
    reception.failure = LinksRefused("link his, port: nobody can listen on it")
    await link_file.open()

    reception.failure = None
    await looks(link_file, LOOKS_BEFORE_RETRY + 1)

    assert (link_file.fault, reception.given) == (None, [["his"]])


async def test_a_wrong_file_at_the_start_opens_nothing_until_it_is_mended(file: Path) -> None:
    """The service lives, is not ready, and says why: a restart would say it no better."""
    write(file, "")
    link_file, reception = followed(file)
    await link_file.open()
    fault = link_file.fault

    write(file, ONE)
    await looks(link_file, 2)

    assert fault is not None
    assert (link_file.fault, reception.given) == (None, [["his"]])


async def test_without_a_file_a_port_that_is_taken_ends_the_start() -> None:
    """As before there were files: the supervisor starts it again, and nobody waits for a file to change."""
    link_file, reception = followed(None)
    reception.failure = LinksRefused("link default, port: nobody can listen on 2575")

    with pytest.raises(LinksRefused, match="2575"):
        await link_file.open()


async def test_a_renewed_certificate_is_taken_without_a_word_in_the_file(file: Path) -> None:
    """Certificates are renewed by a machine, which writes no configuration."""
    certificate = file.with_name("mllp.pem")
    write(certificate, "old")
    write(file, f'{ONE}port = 2581\ntls_certificate = "{certificate}"\n')
    link_file, reception = followed(file)
    await link_file.open()
    await looks(link_file, 3)

    write(certificate, "renewed")
    await looks(link_file, 2)

    assert reception.given == [["his"], ["his"]]
