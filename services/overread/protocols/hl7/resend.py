"""A message under another control ID or time: MSH-7 and MSH-10 alone change, every other byte stays."""

from datetime import datetime

from overread.protocols.hl7.timestamps import write_timestamp
from overread.protocols.hl7.tokenise import read_header

_SENT_AT, _CONTROL_ID = 6, 9
"""Where MSH-7 and MSH-10 stand among the header's fields, MSH itself being the first."""


def readdressed(raw: bytes, *, control_id: str | None = None, sent_at: datetime | None = None) -> bytes:
    """Return the message with MSH-10 and MSH-7 as given, None to leave one; what has no MSH stays as it is."""
    start = raw.find(b"MSH", 0, 256)
    if start < 0:
        return raw
    ends = [at for at in (raw.find(b"\r", start), raw.find(b"\n", start)) if at >= 0]
    end = min(ends, default=len(raw))
    separator = read_header(raw).delimiters.field.encode()
    fields = raw[start:end].split(separator)
    if control_id is not None:
        _put(fields, _CONTROL_ID, control_id.encode("ascii"))
    if sent_at is not None:
        _put(fields, _SENT_AT, write_timestamp(sent_at).encode("ascii"))
    return raw[:start] + separator.join(fields) + raw[end:]


def _put(fields: list[bytes], index: int, value: bytes) -> None:
    fields.extend([b""] * (index + 1 - len(fields)))
    fields[index] = value
