"""What the recorder says to each message."""

import argparse

import pytest

from overread.cli import app
from overread.cli.mllp_answers import Script, script
from overread.protocols.hl7.acknowledgement import parse_ack
from tests.builders.hl7 import an_omi, an_orm


def code_of(answer: bytes | None) -> str:
    return parse_ack(answer).code.value if answer is not None else "silence"


def test_each_message_gets_the_next_answer_and_the_last_goes_on() -> None:
    """What does a sender do that is refused once, and once not heard?"""
    answers = Script(script("aa, AE,none,CA"))

    assert [code_of(answers(an_omi())) for _ in range(5)] == ["AA", "AE", "silence", "CA", "CA"]


def test_as_asked_follows_msh_15_and_a_named_answer_does_not() -> None:
    """HL7 v2.5.1, 2.9.3; who waits for AA in enhanced mode is told so whatever MSH-15 says."""
    nothing = an_omi(put={"MSH-15": "NE", "MSH-16": "NE"})

    asked = [code_of(Script(("asked",))(raw)) for raw in (an_orm(), an_omi(), nothing)]
    told = [code_of(Script(("AA",))(raw)) for raw in (an_orm(), an_omi(), nothing)]

    assert (asked, told) == (["AA", "CA", "silence"], ["AA", "AA", "AA"])


@pytest.mark.parametrize("text", ["", "AB", "AA,", "AA AE"])
def test_what_is_no_answer_is_told_with_what_there_is(text: str) -> None:
    """The list of codes stands in the sentence."""
    with pytest.raises(argparse.ArgumentTypeError, match="is no answer: write AA, AE, AR, CA, CE, CR, none or asked"):
        script(text)


def test_a_receiver_behind_answers_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """--forward brings the real answers: one of ours beside them would be a lie."""
    words = ["--port", "0", "--into", "day", "--forward", "127.0.0.1:1", "--answer", "AA"]

    status = app.main(["hl7", "record", *words])

    assert (status, "leave --answer out" in capsys.readouterr().err) == (1, True)
