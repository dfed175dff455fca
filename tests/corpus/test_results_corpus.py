"""Results and appointments of other people's systems: each is read, or refused with a reason, and the same each time."""

from collections import Counter
from pathlib import Path

import pytest

from overread.protocols.hl7.contents import check_content
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.observation_report import read_observation_reports
from overread.protocols.hl7.siu import read_appointment
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import HANOI

pytestmark = pytest.mark.corpus

MOST_REFUSED = 0.02


def _outcome(raw: bytes) -> str:
    """Return what the door and the reader say; they must agree."""
    try:
        message = tokenise(raw)
    except HL7Error:
        return "no message"
    if message.header.message_code not in {"ORU", "SIU"}:
        return "another type"
    try:
        check_content(message, time_zone=HANOI)
    except HL7Error as error:
        return f"refused: {error.condition.value} at {error.location}"
    if message.header.message_code == "SIU":
        return f"SIU {read_appointment(message, time_zone=HANOI).booking.value}"
    reports = read_observation_reports(message, time_zone=HANOI)
    return f"ORU of {sum(len(report.results) for report in reports)} observations"


def test_every_result_and_appointment_is_read_or_refused_with_a_reason(corpus: Path) -> None:
    """REQ-LAB-05: no crash, the same twice, and hardly any refused."""
    messages = [path.read_bytes() for path in sorted(corpus.glob("hl7/**/*.hl7"))]

    outcomes = [_outcome(raw) for raw in messages]

    again = [_outcome(raw) for raw in messages]
    counts = Counter(outcomes)
    print(counts)  # noqa: T201 - the figures are what one wants to see with -s
    of_others = [one for one in outcomes if one not in {"no message", "another type"}]
    assert again == outcomes
    assert len(of_others) > 0
    assert sum(one.startswith("refused") for one in of_others) <= MOST_REFUSED * len(of_others)
