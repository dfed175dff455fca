"""Messages of other people's systems: each is cut and read, or refused with a reason, and the same each time."""

from collections import Counter
from pathlib import Path

import pytest

from overread.cli.hl7_verdict import Judge
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.acknowledgement import acknowledge, code_for, mode_of, parse_ack
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import read_orders
from overread.protocols.hl7.tokenise import BYTE_ORDER_MARK, read_header, tokenise
from overread.runtime.settings import ServiceSettings
from tests.builders.hl7 import HANOI, NOON
from tests.fakes.hl7_intake import FakeBroker, an_intake

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def messages(corpus: Path) -> list[bytes]:
    return [message for path in sorted(corpus.glob("hl7/**/*.hl7")) for message in _split(path.read_bytes())]


def _split(content: bytes) -> list[bytes]:
    """A file may hold several messages; a message as it is, and each part of a file that holds more."""
    plain = content.removeprefix(BYTE_ORDER_MARK).replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    first, *others = plain.split(b"\rMSH|")
    return [content, *([first, *(b"MSH|" + other for other in others)] if others else [])]


def _outcome(raw: bytes) -> str:
    try:
        message = tokenise(raw)
        said = [value.text for s in message for n in range(1, 40) for value in s.field(n).repetitions]
    except HL7Error as error:
        return f"{error.condition.value} at {error.location}"
    assert "\ufffd" not in "".join(said)
    return "tokenised"


def test_every_message_is_read_or_refused_with_a_reason(messages: list[bytes]) -> None:
    """No crash, the same outcome twice, and nearly all of them readable."""
    outcomes = [_outcome(message) for message in messages]

    again = [_outcome(message) for message in messages]

    counts = Counter(outcomes)
    print(counts)  # noqa: T201 - the figures are what one wants to see with -s
    assert again == outcomes
    assert counts["tokenised"] >= 0.97 * len(messages)


def test_every_message_gets_one_answer_that_names_it(messages: list[bytes]) -> None:
    """MSA-2 is MSH-10 wherever MSH could be read."""
    for raw in messages:
        header = read_header(raw)

        answer = parse_ack(acknowledge(header, code_for(mode_of(header)), now=NOON, control_id="OVR1"))

        assert answer.message_control_id.encode("ascii", "backslashreplace").decode() == header.message_control_id


def test_every_order_is_read_or_refused_with_a_reason(messages: list[bytes]) -> None:
    """ORM and OMG of other systems: laboratory orders among them, which have what an order needs."""
    counts: Counter[str] = Counter()
    for raw in messages:
        try:
            message = tokenise(raw)
            if message.header.message_code in ("ORM", "OMI", "OMG"):
                counts[f"{len(read_orders(message, time_zone=HANOI))} orders"] += 1
        except HL7Error as error:
            counts[f"{error.condition.value} at {error.location}"] += 1

    print(counts)  # noqa: T201 - the figures are what one wants to see with -s
    assert counts["1 orders"] > 0


async def test_explain_says_of_every_message_what_the_listener_says(messages: list[bytes]) -> None:
    """REQ-TOOL-01: `overread hl7 explain` judges by the intake's own rules: code and condition are the answer's, on every message."""
    judge = Judge(Link(), ServiceSettings())
    for raw in messages:
        answer = await an_intake(FakeBroker()).begin(raw)
        verdict = judge(raw, NOON)

        heard = parse_ack(answer) if answer is not None else None
        condition = str(verdict.error.condition.value) if verdict.error else ""
        assert verdict.is_answered is (heard is not None)
        assert heard is None or (heard.code, heard.error_condition) == (verdict.code, condition)
