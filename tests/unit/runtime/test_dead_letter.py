"""What is set aside keeps its bytes, and comes back for the one who set it aside."""

import pytest

from overread.contracts.topics import TOPICS, Topic
from overread.runtime.dead_letter import (
    MAX_REASON,
    DeadLetterKind,
    SourceRecord,
    dead_letter,
)
from overread.runtime.inbox import headers_from_json, headers_to_json
from overread.runtime.publisher import Outgoing
from tests.builders.events import NOON

SOURCE = SourceRecord(
    topic="cases.changed", partition=3, offset=41, key=b"k", value=b"\xff\x00 bytes", replay_attempt=2
)
CASES = next(topic for topic in TOPICS if topic.name == SOURCE.topic)


def set_aside(source: SourceRecord = SOURCE, *, topic: Topic = CASES, reason: str = "not JSON") -> Outgoing:
    """Return the dead letter of `source`."""
    return dead_letter(
        topic, source, kind=DeadLetterKind.MALFORMED, reason=reason, attempts=1, consumer="review", now=NOON
    )


def test_dead_letter_keeps_bytes_and_key_unchanged() -> None:
    """Nothing vanishes: an operator can look at exactly what came."""
    letter = set_aside()

    assert (letter.topic, letter.key, letter.value) == ("cases.changed.dead", b"k", b"\xff\x00 bytes")


def test_dead_letter_says_why_and_where_from() -> None:
    """Kind, reason, attempts, reader and place are in the headers."""
    headers = {name: value.decode() for name, value in set_aside().headers}

    assert headers == {
        "kind": "Malformed",
        "reason": "not JSON",
        "attempts": "1",
        "consumer": "review",
        "source_topic": "cases.changed",
        "source_partition": "3",
        "source_offset": "41",
        "replay_attempt": "2",
        "set_aside_at": "2026-11-22T12:00:00+00:00",
    }


@pytest.mark.parametrize("reason", ["a\x00b", "a\r\nb", "x" * 100_000])
def test_any_reason_fits_a_header_and_the_outbox(reason: str) -> None:
    """A NUL has no place in jsonb: a reason that could not be stored would hold its partition for ever."""
    header = dict(set_aside(reason=reason).headers)["reason"].decode()

    assert header.isprintable()
    assert len(header) <= MAX_REASON


def test_headers_come_back_from_the_outbox_as_they_went() -> None:
    """What the relay sends is what the handler wrote."""
    headers = (("reason", "không đọc được".encode()), ("attempts", b"5"))

    assert headers_from_json(headers_to_json(headers)) == headers
