"""What to change about a refused message, for the person at the sender's: one sentence for each place and kind of error."""

from collections.abc import Mapping

from overread.protocols.hl7 import charsets
from overread.protocols.hl7.delimiters import Delimiters
from overread.protocols.hl7.errors import HL7Error, MessageErrorCondition
from overread.protocols.hl7.tokenise import Leniency, read_header

_C = MessageErrorCondition

_OF_PLACES: Mapping[tuple[MessageErrorCondition, str], str] = {
    (_C.SEGMENT_SEQUENCE_ERROR, "MSH"): "Send one message a block, beginning with MSH; a batch goes by file.",
    (_C.SEGMENT_SEQUENCE_ERROR, "PID"): "Let the sender add a PID segment with the patient's number in PID-3.",
    (_C.SEGMENT_SEQUENCE_ERROR, "ORC"): "Let the sender put an ORC segment before each OBR, with the control in ORC-1.",
    (_C.SEGMENT_SEQUENCE_ERROR, "OBR"): "Let the sender add an OBR after ORC that says in OBR-4 what is asked for.",
    (_C.REQUIRED_FIELD_MISSING, "MSH-2"): r"MSH must begin with MSH|^~\& or five other characters that differ.",
    (_C.REQUIRED_FIELD_MISSING, "MSH-10"): "Let the sender give each message a control ID of its own in MSH-10.",
    (_C.REQUIRED_FIELD_MISSING, "PID-3"): "Let the sender put the record number into PID-3, as in BN000123^^^BVX^MR.",
    (_C.REQUIRED_FIELD_MISSING, "ORC-1"): "Let the sender put NW (new), XO (change) or CA (cancel) into ORC-1.",
    (_C.REQUIRED_FIELD_MISSING, "ORC-2"): "Let the sender put its own order number into ORC-2, the same each time.",
    (
        _C.REQUIRED_FIELD_MISSING,
        "OBR-4",
    ): "Let the sender put the code of what is ordered into OBR-4: code^text^system.",
    (_C.DATA_TYPE_ERROR, "PID-7"): "PID-7 must read YYYYMMDD, or be empty where the date is not known.",
    (_C.TABLE_VALUE_NOT_FOUND, "MSH-18"): "Let the sender write UNICODE UTF-8 into MSH-18, "
    "or name its charset as fallback_charset of the link.",
    (_C.TABLE_VALUE_NOT_FOUND, "ORC-1"): "Let the sender use one of the order controls that are taken.",
}

_OF_CONDITIONS: Mapping[MessageErrorCondition, str] = {
    _C.SEGMENT_SEQUENCE_ERROR: "Let the sender add the segment that is missing, in the order of the message structure.",
    _C.REQUIRED_FIELD_MISSING: "Let the sender fill this field.",
    _C.DATA_TYPE_ERROR: "Let the sender write the value in the form of its data type; times read YYYYMMDDHHMMSS.",
    _C.TABLE_VALUE_NOT_FOUND: "Let the sender use a value of the field's table.",
    _C.UNSUPPORTED_MESSAGE_TYPE: "Overread has no use for this type: switch it off at the sender for this line.",
    _C.UNSUPPORTED_EVENT_CODE: "Overread has no use for this event: switch it off at the sender for this line.",
    _C.UNSUPPORTED_PROCESSING_ID: "Let the sender put P (production) or T (test) into MSH-11, "
    "or add the value to processing_ids of the link.",
    _C.UNSUPPORTED_VERSION_ID: "Let the sender send one of the versions that the link takes (2.5.1 is usual), "
    "or add this one to versions of the link.",
    _C.UNKNOWN_KEY_IDENTIFIER: "Send first the message that makes this number known.",
    _C.DUPLICATE_KEY_IDENTIFIER: "Let the sender give each message a control ID of its own; a repeat has the same bytes.",
    _C.APPLICATION_RECORD_LOCKED: "Send the message again later.",
    _C.APPLICATION_INTERNAL_ERROR: "The message may be right: send it again later, or raise the link's limits.",
}

LENIENCIES: Mapping[Leniency, str] = {
    Leniency.BYTE_ORDER_MARK: "A byte order mark stands before MSH. It is passed over; better without.",
    Leniency.BLANK_BEFORE_MSH: "White space stands before MSH. It is passed over; better without.",
    Leniency.LINE_FEED: "Segments end in line feeds. They are taken; by the standard a segment ends in CR (0x0D) alone.",
    Leniency.CHARACTER_SET: "The text is read in the charset of the link's setting, since MSH-18 does not name it.",
}
"""What was let pass, in words for the sender's owner."""

_READABLE = (("utf-8", "UNICODE UTF-8"), ("cp1258", "WINDOWS-1258"))


def what_to_change(error: HL7Error) -> str:
    """Say what the sender's owner is to change."""
    location = error.location
    place = ""
    if location is not None:
        place = f"{location.segment_id}-{location.field_position}" if location.field_position else location.segment_id
    return _OF_PLACES.get((error.condition, place)) or _OF_CONDITIONS[error.condition]


def where_text_breaks(raw: bytes, fallback_charset: str | None = None) -> str:
    """Name the byte at which a message stops being text, and the charset that it seems to be in; empty when it is text."""
    start = raw.find(b"MSH")
    header = read_header(raw)
    try:
        codec = charsets.codec_for(header.component(18, 1), fallback_charset)
    except HL7Error:
        return ""
    body = raw[max(start, 0) :]
    at = charsets.undecodable_at(body, codec)
    if at is None:
        return ""
    place = f"Byte {max(start, 0) + at + 1} of the message (0x{body[at]:02X}) is no text in {codec}"
    return f"{place}{_in_place(body[:at], header.delimiters)}.{_seems_to_be(body, codec)}"


def _in_place(before: bytes, delimiters: Delimiters) -> str:
    line = before.replace(b"\n", b"\r").rpartition(b"\r")[2]
    name = line[:3].decode("ascii", "replace")
    number = line.count(delimiters.field.encode()) + (name == "MSH")
    return f", in {name}-{number}" if name.isalnum() and number else ""


def _seems_to_be(body: bytes, codec: str) -> str:
    for candidate, name in _READABLE:
        if candidate != codec and charsets.undecodable_at(body, candidate) is None:
            return (
                f" All of it is text in {candidate}: let the sender declare {name} in MSH-18, or set fallback_charset = "
                f'"{candidate}" for the link if MSH-18 is empty.'
            )
    return " It is text neither in UTF-8 nor in Windows-1258: ask the sender's maker which charset it writes."
