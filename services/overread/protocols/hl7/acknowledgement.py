"""Answers to HL7 messages: what to say, and reading what others say (HL7 v2.5.1, 2.9.2 and 2.9.3)."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from functools import lru_cache

from overread.protocols.hl7 import charsets
from overread.protocols.hl7.delimiters import escape
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.sentences import Language, key_of, translate
from overread.protocols.hl7.timestamps import write_timestamp
from overread.protocols.hl7.tokenise import Header, Message, Segment, tokenise, tokenise_as

OUR_CODES = "99OVERREAD"
"""The coding system of ERR-5: the keys of `sentence_table` (table HL70533 is each site's own)."""

_USUAL_HEADER_BYTES = 1024

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_NO_TEXT = re.compile(rb"[^\x00-\x7f]|\x1b")
_REJECTIONS = frozenset(
    {
        MessageErrorCondition.UNSUPPORTED_MESSAGE_TYPE,
        MessageErrorCondition.UNSUPPORTED_EVENT_CODE,
        MessageErrorCondition.UNSUPPORTED_PROCESSING_ID,
        MessageErrorCondition.UNSUPPORTED_VERSION_ID,
    }
)


class AcknowledgmentCode(StrEnum):
    """MSA-1 (table HL70008): application answers, and the accept answers of enhanced mode."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"

    @property
    def is_positive(self) -> bool:
        """True when the message was taken."""
        return self in (AcknowledgmentCode.AA, AcknowledgmentCode.CA)


class AcknowledgmentMode(Enum):
    """Original: one answer, by the application. Enhanced: an accept answer on the line, the application's later."""

    ORIGINAL = auto()
    ENHANCED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgment:
    """What a receiver answered; `text` may quote the message, so it belongs in no log."""

    code: AcknowledgmentCode
    message_control_id: str
    text: str
    error_condition: str
    error_location: str


def mode_of(header: Header) -> AcknowledgmentMode:
    """Tell the mode the sender asks for: enhanced when MSH-15 or MSH-16 is valued.

    The standard wants both or neither (MSH-15 text); senders that fill only one mean enhanced mode.
    """
    is_enhanced = bool(header.field(15).strip() or header.field(16).strip())
    return AcknowledgmentMode.ENHANCED if is_enhanced else AcknowledgmentMode.ORIGINAL


def code_for(mode: AcknowledgmentMode, error: HL7Error | None = None) -> AcknowledgmentCode:
    """Choose the code that says how it went (2.9.2.2, 2.9.3.1): taken, content error, or MSH-9, -11, -12 refused.

    Trouble of our own (207) is AR in original mode, "unrelated to its content", and CE in enhanced mode.
    """
    enhanced = mode is AcknowledgmentMode.ENHANCED
    if error is None:
        return AcknowledgmentCode.CA if enhanced else AcknowledgmentCode.AA
    if error.condition in _REJECTIONS:
        return AcknowledgmentCode.CR if enhanced else AcknowledgmentCode.AR
    if error.condition is MessageErrorCondition.APPLICATION_INTERNAL_ERROR and not enhanced:
        return AcknowledgmentCode.AR
    return AcknowledgmentCode.CE if enhanced else AcknowledgmentCode.AE


def wants_accept_acknowledgment(header: Header, code: AcknowledgmentCode) -> bool:
    """Whether the sender wants this answer on the line (MSH-15, table HL70155); always in original mode."""
    condition = header.field(15).strip().upper()
    if mode_of(header) is AcknowledgmentMode.ORIGINAL:
        return True
    return {b"NE": False, b"ER": not code.is_positive, b"SU": code.is_positive}.get(condition, True)


@dataclass(frozen=True, slots=True)
class AnswerTemplate:
    """What the positive answers to one sender share; what changes is written between its pieces."""

    before_datetime: bytes
    before_control_id: bytes
    before_code: bytes
    separator: bytes

    def write(self, code: AcknowledgmentCode, *, now: datetime, control_id: str, echoed_control_id: bytes) -> bytes:
        """Write what `acknowledge` would, for a message whose MSH-10 is answered with as `echoed_control_id`."""
        sent_at = write_timestamp(now).encode()
        changing = (self.before_datetime, sent_at, self.before_control_id, control_id.encode("ascii"))
        return b"".join((*changing, self.before_code, code.value.encode(), self.separator, echoed_control_id, b"\r"))


def answer_template(header: Header, sending_application: str = "OVERREAD") -> AnswerTemplate:
    """Read from `header` what the answers to its sender share: all but MSH-7 and MSH-10."""
    before, between, after = _lasting(header, sending_application)
    separator = header.delimiters.field.encode()
    return AnswerTemplate(before, between, after + b"\rMSA" + separator, separator)


def echoed_control_id(header: Header) -> bytes:
    """Return MSH-10 as MSA-2 echoes it."""
    return _echo(header, 10)


def acknowledge(
    header: Header,
    code: AcknowledgmentCode,
    *,
    now: datetime,
    control_id: str,
    error: HL7Error | None = None,
    language: Language = "en",
    sending_application: str = "OVERREAD",
) -> bytes:
    """Answer the message that began with `header` so that its sender can match the reply.

    MSA-2 echoes MSH-10; sender and receiver swap places; MSH-11, MSH-12 and MSH-18 are the sender's, byte for byte, in
    the sender's delimiters (2.9.2). A header that is only half readable gets an answer with what there is.
    What went wrong is said in `language`. `sending_application` is used when the message names no receiver.
    """
    segments = [
        _msh(header, now, control_id, sending_application),
        _msa(header, code, error, language),
        *([] if error is None else [_err(header, error, language)]),
    ]
    return b"".join(segment + b"\r" for segment in segments)


def _msh(header: Header, now: datetime, control_id: str, sending_application: str) -> bytes:
    before, between, after = _lasting(header, sending_application)
    return before + write_timestamp(now).encode() + between + control_id.encode("ascii") + after


def _lasting(header: Header, sending_application: str) -> tuple[bytes, bytes, bytes]:
    fields = header.fields
    lasting = Header(header.delimiters, (*fields[:6], b"", *fields[7:9], b"", *fields[10:18]))
    is_usual = sum(map(len, fields)) < _USUAL_HEADER_BYTES  # so that what is kept of strange headers stays small
    return (_pieces if is_usual else _pieces.__wrapped__)(lasting, sending_application)


@lru_cache(maxsize=512)
def _pieces(header: Header, sending_application: str) -> tuple[bytes, bytes, bytes]:
    """Build what stands before MSH-7, between it and MSH-10, and after MSH-10: a link's messages share it."""
    delimiters = header.delimiters
    separator = delimiters.field.encode()
    receiver = _echo(header, 5) or escape(sending_application, delimiters).encode("ascii")
    characters = delimiters.encoding_characters.encode()
    before = [b"MSH", characters, receiver, _echo(header, 6), _echo(header, 3), _echo(header, 4), b""]
    between = [b"", b"", _message_type(header), b""]
    lasting = [_echo(header, 11) or b"P", _echo(header, 12) or b"2.5.1", b"", b"", b"", b""]
    charset = _echo(header, 18) if charsets.is_echoed(header.component(18, 1)) else b""
    after = [b"", *lasting, _echo(header, 17), charset]
    return separator.join(before), separator.join(between), separator.join(after).rstrip(separator)


def _message_type(header: Header) -> bytes:
    event = header.trigger_event
    if not event.isalnum():
        return b"ACK"
    structure = ("ACK",) if _version(header) >= (2, 3, 1) else ()
    return header.delimiters.component.join(("ACK", event, *structure)).encode("ascii")


def _msa(header: Header, code: AcknowledgmentCode, error: HL7Error | None, language: Language) -> bytes:
    separator = header.delimiters.field.encode()
    fields = [b"MSA", code.encode(), _echo(header, 10)]
    if error is not None and _version(header) < (2, 5):
        fields.append(_text(header, translate(error.sentence, language)))  # before ERR-8 words have no other place
    return separator.join(fields)


def _err(header: Header, error: HL7Error, language: Language) -> bytes:
    """Write ERR: place, code of HL70357, our key (ERR-5), the words for users (ERR-8), in English too (ERR-7)."""
    separator, component = header.delimiters.field, header.delimiters.component
    if _version(header) < (2, 5):
        return separator.join(("ERR", _err_1(header, error))).encode("ascii")
    location = component.join(error.location.components()) if error.location else ""
    condition = component.join((str(error.condition.value), error.condition.text, "HL70357"))
    key = key_of(error.sentence)
    application_code = component.join((key, "", OUR_CODES)) if key else ""
    start = separator.join(("ERR", "", location, condition, "E", application_code, "", ""))
    said = translate(error.sentence, language)
    diagnosis = _text(header, error.sentence) if said != error.sentence else b""
    return separator.encode().join((start.encode("ascii") + diagnosis, _text(header, said)))


def _err_1(header: Header, error: HL7Error) -> str:
    """ERR-1 as the versions before 2.5 know it: segment, sequence, field, then the code as subcomponents (ELD)."""
    delimiters = header.delimiters
    known = error.location.components() if error.location else ()
    subcomponents = (str(error.condition.value), error.condition.text, "HL70357")
    code = delimiters.subcomponent.join(subcomponents) if delimiters.subcomponent else subcomponents[0]
    return delimiters.component.join((*(*known, "", "", "")[:3], code))


def _echo(header: Header, number: int) -> bytes:
    # With unusable delimiters the fields were cut by another separator than the answer is written with.
    field = header.field(number)
    if not field or field.isalnum():
        return field
    return _CONTROL.sub(b"", field).partition(header.delimiters.field.encode())[0]


def _text(header: Header, sentence: str) -> bytes:
    """Write a sentence in the sender's character set, or without marks where that set lacks them."""
    encoded = escape(sentence, header.delimiters)
    codec = charsets.CHARSETS.get(header.component(18, 1).upper(), "ascii")
    try:
        return encoded.encode(codec if charsets.is_delimiter_safe(codec) else "ascii")
    except UnicodeEncodeError:
        plain = unicodedata.normalize("NFD", encoded.replace("đ", "d").replace("Đ", "D"))
        return plain.encode("ascii", "ignore")


def _version(header: Header) -> tuple[int, ...]:
    """MSH-12 as numbers; one that can't be read counts as the newest that we speak."""
    parts = header.version_id.split(".")
    is_readable = all(part.isdecimal() and len(part) < 4 for part in parts)
    return tuple(int(part) for part in parts) if is_readable else (2, 5, 1)


def parse_ack(raw: bytes) -> Acknowledgment:
    """Read what a receiver answered; HL7Error when it is no acknowledgment.

    The code and the control ID count; words that are no text in the answer's character set are left out.
    """
    message = _tokenise_leniently(raw)
    msa = message.segment("MSA")
    if msa is None:
        sentence = "The answer has no MSA segment."
        raise HL7Error(MessageErrorCondition.SEGMENT_SEQUENCE_ERROR, ErrorLocation("MSA"), sentence)
    err = message.segment("ERR")
    condition, location, words = _error_of(err) if err else ("", "", "")
    return Acknowledgment(
        code=_code_of(msa),
        message_control_id=msa.field(2).text.strip(),
        text=words or msa.field(3).text.strip(),
        error_condition=condition,
        error_location=location,
    )


def _tokenise_leniently(raw: bytes) -> Message:
    try:
        return tokenise(raw, fallback_charset="utf-8")
    except HL7Error:
        return tokenise_as(_NO_TEXT.sub(b"?", raw.replace(b"\x00", b"")), "ascii")


def _code_of(msa: Segment) -> AcknowledgmentCode:
    try:
        return AcknowledgmentCode(msa.field(1).text.strip().upper())
    except ValueError:
        sentence = "MSA-1 holds no acknowledgment code of table HL70008."
        raise HL7Error(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, msa.location(1), sentence) from None


def _error_of(err: Segment) -> tuple[str, str, str]:
    """Condition, location and words, from ERR-2, -3 and -8, or from ERR-1 before v2.5."""
    if err.field(3):
        return err.field(3).component(1).text, err.field(2).text, err.field(8).text or err.field(7).text
    old = err.field(1)
    place = "^".join(old.component(number).text for number in (1, 2, 3))
    return old.component(4).subcomponent(1).text, place.rstrip("^"), ""
