"""The chapter *Sending* of docs/hl7.md: its settings are taken, its commands exist, its message is what would be sent."""

import argparse
import re
import shlex
from itertools import product
from pathlib import Path

import pytest

from overread.cli import deliveries
from overread.contracts.errors import OverreadError
from overread.delivery.destinations import Hl7Destination, parse
from overread.delivery.hl7_sender import answer_of
from overread.delivery.refusals import CONTENT_ERRORS
from overread.delivery.sending import NotTaken
from overread.embedded.places import CHECKOUT
from overread.protocols.hl7.acknowledgement import Acknowledgment, AcknowledgmentCode

_CHAPTER = (
    (CHECKOUT / "docs" / "hl7.md").read_text(encoding="utf-8").partition("\n## Sending\n")[2].partition("\n## ")[0]
)
_BLOCK = r"^```{}\n(.*?)^```$"
SETTINGS = re.findall(_BLOCK.format("toml"), _CHAPTER, re.MULTILINE | re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)[2:]
    for block in re.findall(_BLOCK.format("sh"), _CHAPTER, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
(SHOWN,) = re.findall(r"^```\n(MSH.*?)^```$", _CHAPTER, re.MULTILINE | re.DOTALL)
SOME_ID = "39c97e28-3191-5177-82e3-bfdd0bda8bef"
NEW_EACH_TIME = (6, 9)
"""MSH-7 and MSH-10: when it was rendered, and what is numbered by that destination."""


def a_destination_of(settings: str) -> Hl7Destination:
    """Return the one destination of a block."""
    [destination] = parse(settings, site_id="site")
    assert isinstance(destination, Hl7Destination)
    return destination


def test_every_setting_of_the_chapter_is_taken() -> None:
    """REQ-OUT-16, REQ-OUT-20: as the file that it is an example of."""
    refusing, templated, attaching = map(a_destination_of, SETTINGS)

    assert {key: value.value for key, value in refusing.refusals.items()} == {
        "AE 204": "retry",
        "AR": "hold",
        "AE 101": "give_up",
    }
    assert templated.template.withhold_identifiers == ("NI", "BHXH")
    assert (attaching.attachments.attach.value, attaching.attachments.over_cap.value) == ("embedded", "pointer")


def test_the_defaults_are_those_of_the_table() -> None:
    """REQ-OUT-16: 100 to 105 and 200 to 205 are given up, all else comes again."""
    named = {str(number) for span in (range(100, 106), range(200, 206)) for number in span}
    conditions = ("", "206", "207", "E-LOCKED", *named)

    for code, condition in product((AcknowledgmentCode.AE, AcknowledgmentCode.CR), conditions):
        answer = answer_of(
            Acknowledgment(code=code, message_control_id="1", text="", error_condition=condition, error_location=""), {}
        )
        assert isinstance(answer, NotTaken)
        assert answer.treatment.value == ("give_up" if condition in named else "retry")
    assert named - CONTENT_ERRORS == set()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_of_the_chapter_exists(words: list[str]) -> None:
    """REQ-OUT-17, REQ-OUT-18, REQ-OUT-24: with the options that stand there."""
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())

    told = parser.parse_args([SOME_ID if word == "ID" else word for word in words])

    assert callable(told.run)


def test_the_message_of_the_chapter_is_what_the_preview_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQ-OUT-24: but for its time and its number."""
    monkeypatch.chdir(tmp_path)
    Path("destinations.toml").write_text(SETTINGS[1], encoding="utf-8")
    parser = argparse.ArgumentParser()
    deliveries.add_to(parser.add_subparsers())
    [words] = [words for words in COMMANDS if "preview" in words]

    told = parser.parse_args(words)
    told.run(told)

    messages = capsys.readouterr().out.split("\n\n")
    [order_status] = [message for message in messages if "|ORM^O01^ORM_O01|" in message]
    assert timeless(order_status) == timeless(SHOWN)


def timeless(message: str) -> list[str]:
    """Return the segments without what is new in each message."""
    header, *others = message.strip().split("\n")
    fields = header.split("|")
    return ["|".join(field for number, field in enumerate(fields) if number not in NEW_EACH_TIME), *others]


def test_a_setting_that_names_nothing_stops_at_once() -> None:
    """REQ-OUT-16: as the chapter says of an entry that names no refusal."""
    with pytest.raises(OverreadError):
        parse(SETTINGS[0].replace('"AR"', '"NAK"'), site_id="site")
