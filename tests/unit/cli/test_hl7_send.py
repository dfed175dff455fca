"""What `overread hl7 send` says of one exchange."""

import pytest

from overread.cli.hl7_send import said
from overread.cli.mllp_line import Heard
from overread.protocols.hl7.acknowledgement import Acknowledgment, AcknowledgmentCode
from tests.builders.hl7 import an_omi

KEPT = Heard(
    Acknowledgment(code=AcknowledgmentCode.CA, message_control_id="A1", text="", error_condition="", error_location=""),
    seconds=0.1,
)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("OMI^O23^OMI_O23", "A1  OMI^O23  CA"), ("ACK", "A1  ACK  CA"), ("", "A1  MSH-9 is empty  CA")],
)
def test_type_of_a_message_is_said_as_it_is(kind: str, words: str) -> None:
    """Where there is none it says so, and prints no separator in its place."""
    line = said(an_omi(control_id="A1", put={"MSH-9": kind}), KEPT, has_times=False)

    assert line.startswith(words)


def test_accept_answer_promises_no_other() -> None:
    """MSH-16 may ask for none (HL7 v2.5.1, 2.9.3.2): what CA says is that the message is kept."""
    line = said(an_omi(put={"MSH-15": "AL", "MSH-16": "NE"}), KEPT, has_times=False)

    assert line.endswith("CA: kept safely")
