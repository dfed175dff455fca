"""Messages out of a file: one or many, in MLLP blocks or bare, with any line ends, inside a batch or not."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from overread.protocols import mllp

_MESSAGE_START = re.compile(rb"(?:(?<=\r)|(?<=\n))MSH(?=[^A-Za-z0-9\s])")
_BATCH_LINE = re.compile(rb"(?:\A|(?<=\r)|(?<=\n))(?:FHS|BHS|BTS|FTS)[^\r\n]*(?:\r\n|\r|\n|\Z)")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Finding(StrEnum):
    """What a file holds beside its messages, said to whoever opened it."""

    BLOCKS = "The file holds MLLP blocks; each is taken as it would come on the line."
    OUTSIDE_BLOCKS = "Bytes stand outside the MLLP blocks; a listener passes over them."
    HALF_BLOCK = "The last MLLP block has no end (0x1C 0x0D); a listener waits for it, then closes the line."
    BATCH = "The file is a batch (FHS, BHS); on a line a batch is refused. Send its messages one by one: so they are read here."


@dataclass(frozen=True, slots=True)
class Cut:
    """The messages of a file in their order, byte for byte, and what else was found."""

    messages: tuple[bytes, ...]
    findings: tuple[Finding, ...] = ()


def cut(content: bytes) -> Cut:
    """Cut a file into its messages; a file without an MSH is one message, which says so when it is read."""
    if mllp.START_BLOCK in content:
        return _of_blocks(content)
    plain = content.removeprefix(_BYTE_ORDER_MARK)
    if _BATCH_LINE.match(plain):
        return Cut(tuple(_of_lines(_BATCH_LINE.sub(b"", plain))), (Finding.BATCH,))
    return Cut(tuple(_of_lines(content)))


def as_sent(message: bytes) -> bytes:
    """Write a message as it goes over a line: CR as segment end, no byte order mark (HL7 v2.5.1, 2.5.2)."""
    plain = message.removeprefix(_BYTE_ORDER_MARK).strip(b"\r\n\t ")
    return plain.replace(b"\r\n", b"\r").replace(b"\n", b"\r") + b"\r"


def _of_blocks(content: bytes) -> Cut:
    decoder = mllp.FrameDecoder(max_frame_bytes=len(content))
    events = decoder.feed(content)
    messages = tuple(event.payload for event in events if isinstance(event, mllp.Frame))
    half = decoder.close() or next((event for event in events if isinstance(event, mllp.HalfFrame)), None)
    stray = any(isinstance(event, mllp.Garbage) and not event.is_blank for event in events)
    told = ((True, Finding.BLOCKS), (stray, Finding.OUTSIDE_BLOCKS), (half is not None, Finding.HALF_BLOCK))
    return Cut(messages or ((half.content,) if half else ()), tuple(finding for is_so, finding in told if is_so))


def _of_lines(content: bytes) -> Iterator[bytes]:
    starts = [found.start() for found in _MESSAGE_START.finditer(content)]
    if not starts or content[: starts[0]].strip(b"\r\n\t " + _BYTE_ORDER_MARK):
        starts = [0, *starts]
    else:
        starts[0] = 0
    ends = [*starts[1:], len(content)]
    pieces = (content[start:end] for start, end in zip(starts, ends, strict=True))
    return (piece for piece in pieces if piece.strip())
