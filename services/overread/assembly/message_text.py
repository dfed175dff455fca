"""A message as people read and mend it: explained by names, judged as its listener judges it, and written back to bytes."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import NamedTuple

from overread.contracts.events.intake import HL7Received
from overread.protocols.hl7 import charsets
from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, AcknowledgmentMode, code_for, mode_of
from overread.protocols.hl7.advice import what_to_change
from overread.protocols.hl7.contents import TAKEN, check_content
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.explain import ExplainedSegment, explain, printable
from overread.protocols.hl7.header import check_sender, check_sequence_number
from overread.protocols.hl7.message_files import as_sent
from overread.protocols.hl7.order import VERSIONS, Acceptance, check_control_id, check_supported
from overread.protocols.hl7.sentences import Language, translate
from overread.protocols.hl7.taken_as import USUAL_PLACES, name_of, taken_as
from overread.protocols.hl7.tokenise import Message, read_header, tokenise

__all__ = ["Judged", "Rules", "explained", "lines_of", "written"]

_ACCEPTANCE = Acceptance(messages=TAKEN, processing_ids=frozenset("PTD"), versions=VERSIONS)


class Judged(NamedTuple):
    """What the listener would answer: the code, and for a refused message the sentence, the place, and what to change."""

    code: str
    sentence: str = ""
    place: str = ""
    condition: int | None = None
    change: str = ""
    taken_as: tuple[str, ...] = ()

    @property
    def is_taken(self) -> bool:
        """Say whether it would be taken."""
        return self.condition is None


class Rules(NamedTuple):
    """By what a message of a link is read: what its event says of the link, and the hospital's time zone."""

    received: HL7Received
    time_zone: tzinfo

    def judge_lines(self, lines: Sequence[str], language: Language) -> Judged:
        """Judge mended lines."""
        try:
            raw = written(lines, self.received.fallback_charset)
        except HL7Error as error:
            return self._refused("\r".join(lines).encode(), error, language)
        return self.judge(raw, language)

    def judge(self, raw: bytes, language: Language) -> Judged:
        """Judge a mended message as the listener does; its settings bind when it comes there."""
        try:
            message = self._checked(raw)
        except HL7Error as error:
            return self._refused(raw, error, language)
        places = self.received.accession_places or USUAL_PLACES
        used = taken_as(message, time_zone=self.time_zone, accession_places=places, language=language)
        said = (name_of(message, language), *used)
        return Judged(self._code(raw, None).value, taken_as=tuple(map(printable, said)))

    def check(self, raw: bytes) -> Message:
        """Return a mended message, or raise the HL7Error that refuses it."""
        return self._checked(raw)

    def _checked(self, raw: bytes) -> Message:
        message = tokenise(raw, self.received.fallback_charset or None)
        check_supported(message.header, _ACCEPTANCE)
        check_sequence_number(message.header)
        check_control_id(message.header)
        check_sender(message.header, self.received.sending_application, self.received.sending_facility)
        check_content(message, time_zone=self.time_zone)
        return message

    def _refused(self, raw: bytes, error: HL7Error, language: Language) -> Judged:
        return Judged(
            code=self._code(raw, error).value,
            sentence=translate(error.sentence, language),
            place=error.location.spoken if error.location else "",
            condition=int(error.condition),
            change=what_to_change(error, language),
        )

    def _code(self, raw: bytes, error: HL7Error | None) -> AcknowledgmentCode:
        was_original = self.received.acknowledgment_code.startswith("A")
        return code_for(AcknowledgmentMode.ORIGINAL if was_original else mode_of(read_header(raw)), error)


def explained(
    raw: bytes, fallback_charset: str, language: Language = "en", *, shows_patient: bool
) -> Sequence[ExplainedSegment]:
    """Return the message segment by segment; HL7Error when it can't be cut."""
    message = tokenise(raw, fallback_charset or None)
    return tuple(explain(message, shows_patient=shows_patient, language=language))


def lines_of(raw: bytes, fallback_charset: str) -> list[str]:
    """Return the segments of a message as text, one a line, for mending."""
    message = tokenise(raw, fallback_charset or None)
    body = message.body.decode(message.coding.codec)
    return [line for line in body.replace("\r\n", "\r").replace("\n", "\r").split("\r") if line]


def written(lines: Sequence[str], fallback_charset: str) -> bytes:
    """Return mended segments as the bytes of a message, in the character set that its MSH-18 names.

    Raises HL7Error at MSH-18 when a letter is not in it.
    """
    text = "\r".join(line.strip("\r\n") for line in lines if line.strip())
    header = read_header(text.encode())
    declared, *alternates = header.character_sets
    codec = charsets.codec_for(declared, fallback_charset or None, tuple(alternates))
    try:
        return as_sent(text.encode(codec))
    except UnicodeEncodeError as error:
        sentence = f"Bytes that are no text in this message's character set ({codec}); MSH-18 must name the one in use."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, ErrorLocation("MSH", 1, 18), sentence) from error
