"""MLLP framing (HL7 Transport Specification: MLLP, Releases 1 and 2), as a state machine over bytes.

A block is ``0x0B`` + content + ``0x1C 0x0D``. Bytes go in as they arrive, events come out; no socket is known here.
Release 2 adds a commit acknowledgment to each block of content: a block whose content is one byte, ``06`` or ``15``.
"""

from dataclasses import dataclass
from enum import Enum, auto

from overread.contracts.errors import Malformed

START_BLOCK = b"\x0b"
END_BLOCK = b"\x1c"
CARRIAGE_RETURN = b"\r"
COMMITTED = b"\x06"
NOT_COMMITTED = b"\x15"
HEAD_BYTES = 2048

_RESTART = START_BLOCK + b"MSH"


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole block; `payload` is its content without the framing bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that stood outside any block; one event for each piece, in the order of the stream."""

    content: bytes

    @property
    def is_blank(self) -> bool:
        """True when there is only white space, which many senders put between blocks."""
        return not self.content.strip()


@dataclass(frozen=True, slots=True)
class Oversize:
    """A block longer than the limit; its `head` is kept so that it can be answered, the rest is let go."""

    head: bytes


@dataclass(frozen=True, slots=True)
class HalfFrame:
    """A block that began and never ended; `has_end_block` when only the last carriage return is missing."""

    content: bytes
    has_end_block: bool = False


Event = Frame | Garbage | Oversize | HalfFrame


class _State(Enum):
    OUTSIDE = auto()
    INSIDE = auto()
    DISCARDING = auto()


class FrameDecoder:
    """Turns a stream of bytes into blocks; the answer does not depend on how the stream was cut.

    Work and memory grow with the bytes fed, whatever the chunks: nothing is scanned twice, and no more than
    `max_frame_bytes` of content is ever held.
    """

    def __init__(self, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes
        self._buffer = bytearray()
        self._scanned = 0
        self._state = _State.OUTSIDE

    @property
    def is_inside_frame(self) -> bool:
        """True while a block has begun and its end has not come; the time-out on half a frame watches this."""
        return self._state is not _State.OUTSIDE

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes of the stream and return what they complete, in order."""
        if not self._buffer and self._state is _State.OUTSIDE and self._is_one_frame(data):
            return _whole_and_half(data[1:-2])
        self._buffer += data
        events: list[Event] = []
        while self._step(events):
            pass
        return events

    def _is_one_frame(self, data: bytes) -> bool:
        """Tell the usual case, a block in one piece: the same as what the steps would find, sooner."""
        is_framed = data.startswith(START_BLOCK) and data.endswith(END_BLOCK + CARRIAGE_RETURN)
        fits = len(data) - 3 <= self.max_frame_bytes
        return is_framed and fits and data.find(END_BLOCK) == len(data) - 2

    def close(self) -> HalfFrame | None:
        """End the stream: a block that was cut off comes out, and the decoder is as new."""
        content, inside = bytes(self._buffer), self._state is _State.INSIDE
        self._leave_frame(len(self._buffer))
        if not inside:
            return None
        has_end_block = content.endswith(END_BLOCK)
        return HalfFrame(content[:-1] if has_end_block else content, has_end_block)

    def _step(self, events: list[Event]) -> bool:
        """Move on by one event or one change of state; false when more bytes are needed."""
        if self._state is _State.OUTSIDE:
            return self._enter_frame(events)
        end = self._end_of_frame()
        if end is None:
            self._limit_buffer(events)
            return False
        self._emit_frame(end, events)
        return True

    def _enter_frame(self, events: list[Event]) -> bool:
        start = self._buffer.find(START_BLOCK)
        stray = len(self._buffer) if start < 0 else start
        if stray:
            events.append(Garbage(self._copy(stray)))
        if start < 0:
            self._buffer.clear()
            return False
        del self._buffer[: start + 1]
        self._state = _State.INSIDE
        return True

    def _end_of_frame(self) -> int | None:
        """Where the content ends, or None; remembers how far it has looked."""
        while (end := self._buffer.find(END_BLOCK, self._scanned)) >= 0:
            if end + 1 == len(self._buffer):
                self._scanned = end
                return None
            # Some senders leave the carriage return out and begin the next block at once.
            if self._buffer[end + 1] in b"\r\x0b":
                return end
            self._scanned = end + 1
        self._scanned = len(self._buffer)
        return None

    def _limit_buffer(self, events: list[Event]) -> None:
        waiting_end = self._buffer.endswith(END_BLOCK)
        if len(self._buffer) - waiting_end > self.max_frame_bytes:
            self._report_oversize(events)
        if self._state is _State.DISCARDING:
            del self._buffer[: len(self._buffer) - waiting_end]
            self._scanned = 0

    def _report_oversize(self, events: list[Event]) -> None:
        if self._state is _State.INSIDE:
            events.append(Oversize(self._copy(min(HEAD_BYTES, self.max_frame_bytes))))
        self._state = _State.DISCARDING

    def _emit_frame(self, end: int, events: list[Event]) -> None:
        if end > self.max_frame_bytes:
            self._report_oversize(events)
        if self._state is _State.INSIDE:
            events.extend(_whole_and_half(self._copy(end)))
        self._leave_frame(end + (2 if self._buffer[end + 1] == CARRIAGE_RETURN[0] else 1))

    def _leave_frame(self, used: int) -> None:
        del self._buffer[:used]
        self._scanned = 0
        self._state = _State.OUTSIDE

    def _copy(self, length: int) -> bytes:
        with memoryview(self._buffer) as view:
            return bytes(view[:length])


def _whole_and_half(content: bytes) -> list[Event]:
    """Split where a sender gave a block up and began again on the same connection.

    A vertical tab alone is content (word processors put it into text); before ``MSH`` it is a new start.
    """
    restart = content.rfind(_RESTART)
    if restart < 0:
        return [Frame(content)]
    return [*(HalfFrame(part) for part in _cut_starts(content[:restart])), Frame(content[restart + 1 :])]


def _cut_starts(content: bytes) -> list[bytes]:
    first, *others = content.split(_RESTART)
    return [first, *(_RESTART[1:] + other for other in others)]


def encode(payload: bytes) -> bytes:
    """Put `payload` into one block; content may hold neither of the two block bytes (MLLP R1)."""
    if START_BLOCK in payload or END_BLOCK in payload:
        raise Malformed("The content of an MLLP block may not hold the block bytes 0x0B or 0x1C.")
    return b"".join((START_BLOCK, payload, END_BLOCK, CARRIAGE_RETURN))


def commit(*, is_committed: bool) -> bytes:
    """Say of a block of content that it is in safe storage, or that it has to come again (MLLP R2)."""
    return encode(COMMITTED if is_committed else NOT_COMMITTED)
