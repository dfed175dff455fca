"""What a destination would get, shown before anything is sent: by the functions that send, and judged by others' tables."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from overread.cli import deliveries, deliveries_preview
from overread.contracts import codec
from overread.contracts.errors import OverreadError
from overread.delivery import oru_form
from overread.delivery.preview import NoPreview, preview
from overread.delivery.rendering import messages_for
from overread.delivery.sequence import Status
from overread.protocols.hl7.conformance import NotConformant, require_conformance
from tests.builders.delivery import a_destination, a_fhir_destination, a_telling, an_occasion
from tests.builders.events import a_report_document, a_signed_document

FORMS = ["oru", "mdm", "order_status"]
LISTED = """
[[destination]]
name = "ris"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
forms = ["oru", "order_status"]
[destination.template]
accession_in = ["OBR-20"]
withhold_identifiers = ["NI", "BHXH"]
"""


def test_a_preview_is_what_would_be_sent_byte_for_byte() -> None:
    """REQ-OUT-24: nothing about it is made for the eye."""
    destination, document = a_destination(forms=FORMS), a_signed_document()

    shown = preview(codec.document_bytes(document), destination, an_occasion())

    sent = messages_for(a_telling(document, destination))
    assert [(one.form, one.message) for one in shown] == [(one.form, one.message) for one in sent]


def test_a_preview_of_a_draft_has_the_destinations_own_word() -> None:
    """REQ-OUT-24: `send_unverified` decides, and where it sends nothing that is said."""
    raw = codec.document_bytes(a_report_document())

    [shown] = preview(raw, a_destination(send_unverified="P"), an_occasion())

    assert (
        shown.message
        == messages_for(a_telling(status=Status.PRELIMINARY, destination=a_destination(send_unverified="P")))[0].message
    )
    with pytest.raises(NoPreview, match="send_unverified"):
        preview(raw, a_destination(send_unverified="none"), an_occasion())


def test_a_preview_shows_the_size_of_a_page_and_not_its_base64() -> None:
    """REQ-OUT-24: what is judged is the whole message; what a person sees is a line."""
    destination = a_destination(attachments={"attach": "embedded", "what": ["pdf"]})

    [shown] = preview(codec.document_bytes(a_signed_document()), destination, an_occasion())

    [whole] = [segment for segment in shown.segments if "|ED|" in segment]
    [line] = [line for line in shown.lines if "|ED|" in line]
    data = whole.split("|")[5].split("^")[4]
    assert f"^AP^PDF^Base64^{data[:40]}… ({len(data)} characters of base64)|" in line
    assert len(shown.lines) == len(shown.segments)


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        (a_fhir_destination(), "no HL7"),
        (a_destination(site_id="other"), "of that site"),
        (a_destination(template={"withhold_identifiers": ["PI"]}), "patient identifier"),
    ],
)
def test_what_can_not_be_sent_is_not_shown(destination: Any, words: str) -> None:
    """REQ-OUT-24: the sentence says why."""
    with pytest.raises(OverreadError, match=words):
        preview(codec.document_bytes(a_signed_document()), destination, an_occasion())


def test_a_rendering_that_says_something_else_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQ-OUT-24: it is read back as the gate does."""
    monkeypatch.setattr(oru_form, "read_back", lambda *_given: oru_form.content_for(a_telling(), None))

    with pytest.raises(NoPreview, match="differs"):
        preview(codec.document_bytes(a_signed_document()), a_destination(), an_occasion())


def test_a_message_that_is_none_by_the_standards_tables_is_refused() -> None:
    """REQ-OUT-24: hl7apy's word, and a long text is no fault (2.A.79)."""
    long = a_signed_document(conclusion="Phổi & màng phổi. " * 60)
    [message] = messages_for(a_telling(long))

    require_conformance(message.message)

    with pytest.raises(NotConformant):
        require_conformance(message.message.replace(b"OBR|1|", b"OBR|1|" + b"|" * 53 + b"x", 1))


def show(destination: str, file: Path) -> int:
    """Call the command as the shell does."""
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())
    told = parser.parse_args(["deliveries", "preview", destination, "--example", "--destinations", str(file)])
    return int(told.run(told))


def test_the_command_shows_an_example_without_a_stack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """REQ-OUT-24: an identifier of each kind is in the example, so that one sees which of them leave."""
    (tmp_path / "destinations.toml").write_text(LISTED, encoding="utf-8")

    assert show("ris", tmp_path / "destinations.toml") == 0

    segments = capsys.readouterr().out.splitlines()
    assert [segment[:3] for segment in segments if segment[:3] in ("MSH", "ORC", "")] == [
        "MSH",
        "ORC",
        "",
        "MSH",
        "ORC",
    ]
    assert not any(word in segment for segment in segments for word in ("001070000001", "TEST-HC-1"))
    assert any("TEST-0001^^^HIS^PI" in segment for segment in segments)


def test_the_command_names_the_destinations_that_there_are(tmp_path: Path) -> None:
    """REQ-OUT-24: a mistyped name is answered with the right ones."""
    (tmp_path / "destinations.toml").write_text(LISTED, encoding="utf-8")

    with pytest.raises(OverreadError, match="there are: ris"):
        show("rsi", tmp_path / "destinations.toml")


def test_a_stack_with_a_file_of_its_own_is_asked_for_that_file(tmp_path: Path) -> None:
    """REQ-OUT-24: the stack's own list says nothing of it."""
    (tmp_path / "config" / "delivery").mkdir(parents=True)
    (tmp_path / "config" / "delivery" / "destinations.toml").write_text("", encoding="utf-8")
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())
    told = parser.parse_args(["deliveries", "preview", "emr", "--example", "--data", str(tmp_path)])

    with pytest.raises(OverreadError, match="OVERREAD_DESTINATIONS, name that file with --destinations"):
        told.run(told)


def test_the_example_is_a_signed_report_with_an_order() -> None:
    """REQ-OUT-24: so that every form has something to say of it."""
    raw = deliveries_preview.EXAMPLE.read_bytes()

    shown = preview(raw, a_destination(forms=FORMS), an_occasion())

    assert [one.form for one in shown] == FORMS
