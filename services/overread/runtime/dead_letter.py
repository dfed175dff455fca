"""What is set aside: the source bytes unchanged on `<topic>.dead`, with the reason in headers, ready for replay."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from overread.contracts.topics import Topic
from overread.runtime.publisher import Outgoing

REPLAY_ATTEMPT = "replay_attempt"
MAX_REASON = 500


class DeadLetterKind(StrEnum):
    """Whose fault it is: the input's, or ours."""

    MALFORMED = "Malformed"
    DEFECT = "Defect"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """A record as it was read: where it stood, its bytes, and which replay it is (0: it came from its topic)."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    replay_attempt: int = 0


def dead_letter(
    topic: Topic,
    source: SourceRecord,
    *,
    kind: DeadLetterKind,
    reason: str,
    attempts: int,
    consumer: str,
    now: datetime,
) -> Outgoing:
    """Return the record that keeps `source` on the topic's dead-letter topic."""
    headers = {
        "kind": kind.value,
        "reason": _one_line(reason),
        "attempts": str(attempts),
        "consumer": consumer,
        "source_topic": source.topic,
        "source_partition": str(source.partition),
        "source_offset": str(source.offset),
        REPLAY_ATTEMPT: str(source.replay_attempt),
        "set_aside_at": now.isoformat(),
    }
    return Outgoing(topic.dead_name, source.key, source.value, tuple((n, v.encode()) for n, v in headers.items()))


def reason_of(letter: Outgoing) -> str:
    """Return why a record was set aside, as `dead_letter` wrote it."""
    return dict(letter.headers)["reason"].decode()


def _one_line(reason: str) -> str:
    """Return `reason` as a header can hold it: printable, and bounded."""
    return "".join(character if character.isprintable() else " " for character in reason)[:MAX_REASON]
