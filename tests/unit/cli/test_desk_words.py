"""The desk by command says what the desk's page says, in the hospital's time."""

import json

import pytest

from overread.cli import app, desk_words, hospital_time
from overread.embedded.places import CHECKOUT

PAGE = json.loads((CHECKOUT / "web" / "src" / "words" / "en.json").read_text(encoding="utf-8"))


def of_page(prefix: str) -> dict[str, str]:
    """Return the page's words that begin with a prefix."""
    return {name.removeprefix(prefix): words for name, words in PAGE.items() if name.startswith(prefix)}


def test_reasons_are_the_words_of_the_page() -> None:
    """Whoever reads one and then the other reads the same."""
    assert of_page("desk.fits.") == desk_words.FITS
    assert of_page("desk.slip.") == desk_words.SLIPS


def test_reason_names_the_slip() -> None:
    reason = {"code": "accession_near", "params": {"slip": "transposed"}}

    assert desk_words.why(reason) == "accession numbers nearly the same (two characters changed places)"


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-26T09:00:00Z", "2026-11-26 16:00:00"),
        ("2026-11-26T09:00:00.123456+00:00", "2026-11-26 16:00:00"),
        ("2026-11-26T16:05:00", "2026-11-26 16:05:00"),
        ("2026-13-45", "2026-13-45"),
        (None, "–"),
    ],
)
def test_moment_is_said_in_the_hospitals_time(moment: str | None, words: str) -> None:
    assert hospital_time.said(moment) == words


@pytest.mark.parametrize("words", [("show", "123"), ("attach", "123", "456"), ("show", "123", "--order-first")])
def test_what_is_no_id_is_told_where_ids_are(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Before anybody signs in."""
    status = app.main(["desk", *words])

    assert status == 1
    assert "123 is no case and no order: take its id from `overread desk list`" in capsys.readouterr().err
