"""One message as it comes in: checked against the link's rules, named, and how its sender wants to be answered."""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import NamedTuple

from overread.contracts import codec
from overread.contracts.identifiers import deterministic_text
from overread.hl7_intake.admission import allows_application
from overread.hl7_intake.duplicates import Key
from overread.hl7_intake.received import SenderEvents
from overread.hl7_intake.settings import Link
from overread.protocols.hl7 import charsets
from overread.protocols.hl7.acknowledgement import (
    AcknowledgmentCode,
    AcknowledgmentMode,
    AnswerTemplate,
    answer_template,
    code_for,
    echoed_control_id,
    mode_of,
    wants_accept_acknowledgment,
)
from overread.protocols.hl7.contents import check_content
from overread.protocols.hl7.delimiters import STANDARD
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.header import check_sequence_number
from overread.protocols.hl7.order import check_control_id, check_supported
from overread.protocols.hl7.tokenise import Header, tokenise
from overread.protocols.hl7.usual_order import is_usual_order

MOST_NAME_CHARACTERS = 227
"""What MSH-3 and MSH-4 may hold (HL7 v2.5.1, 2.15.9); longer names and control IDs are no names."""

MOST_SENDERS = 256
"""How many kinds of header a link knows at a time."""

_MOST_HEADER_BYTES = 1024
_PLAIN = re.compile("[0-9A-Za-z.+-]+")
_STANDARD_CHARACTERS = STANDARD.encoding_characters.encode()


class NotOfThisLink(HL7Error):
    """The sender that MSH-3 and MSH-4 name may not use the link."""

    def __init__(self) -> None:
        # 103: MSH-3 and MSH-4 are coded by tables HL70361 and HL70362, which are a site's own, and here the link's list.
        # Not 207, after which a sender tries again for ever; not 204, which tells of patients and orders.
        sentence = "This sender (MSH-3, MSH-4) is not one of this link."
        super().__init__(MessageErrorCondition.TABLE_VALUE_NOT_FOUND, ErrorLocation("MSH", 1, 3), sentence)


@dataclass(frozen=True, slots=True)
class Sender:
    """What the messages of one sender share: their headers but for MSH-7 and MSH-10, judged and read once."""

    application: str
    facility: str
    charset: str
    code: AcknowledgmentCode
    wants_positive: bool
    answers: AnswerTemplate
    events: SenderEvents


class Incoming(NamedTuple):
    """A message that the link takes; `code` of its sender is what it is answered with once it is kept.

    `is_plain` when control ID and time are of letters, digits, dots and signs, which are the same in every notation.
    """

    raw: bytes
    sender: Sender
    message_control_id: str
    message_datetime: str
    echoed_control_id: bytes
    key: Key
    digest: str
    event_id: str
    received_at: datetime
    is_plain: bool


class LinkRules:
    """What one link takes, and how it answers."""

    def __init__(self, site_id: str, link: Link, time_zone: tzinfo) -> None:
        self._site_id = site_id
        self._link = link
        self._time_zone = time_zone
        self._acceptance = link.acceptance
        self._senders: dict[bytes, Sender] = {}

    def read(self, raw: bytes, now: datetime) -> Incoming:
        """Return the message that came `now`, or raise the HL7Error that refuses it."""
        return self._read_usual(raw, now) or self._read_any(raw, now)

    def _read_usual(self, raw: bytes, now: datetime) -> Incoming | None:
        """Return a usual order of a sender that is known already: what `_read_any` would, sooner; None for others."""
        lasting, sent_at, control_id = _split(raw)
        sender = self._senders.get(lasting)
        if sender is None or not control_id.isalnum() or len(control_id) > MOST_NAME_CHARACTERS:
            return None
        if not is_usual_order(raw, STANDARD) or charsets.undecodable_at(raw, sender.charset) is not None:
            return None
        return self._incoming(raw, now, sender, control_id.decode(), sent_at.decode(), control_id)

    def _read_any(self, raw: bytes, now: datetime) -> Incoming:
        message = tokenise(raw, self._link.fallback_charset or None)
        header = message.header
        sender = self._sender(header, message.coding.charset)
        check_control_id(header)
        check_content(message, time_zone=self._time_zone)
        control_id, sent_at = _name(header.message_control_id, 10), header.component(7, 1)
        return self._incoming(raw, now, sender, control_id, sent_at, echoed_control_id(header))

    def _incoming(
        self, raw: bytes, now: datetime, sender: Sender, control_id: str, sent_at: str, echoed: bytes
    ) -> Incoming:
        names, digest = (sender.application, sender.facility, control_id), codec.sha256(raw)
        event_id = deterministic_text("hl7", self._site_id, self._link.link_id, *names, digest)
        is_plain = sent_at != "" and _PLAIN.fullmatch(control_id + sent_at) is not None
        key = self.key(*names, sent_at)
        return Incoming(raw, sender, control_id, sent_at, echoed, key, digest, event_id, now, is_plain)

    def key(self, application: str, facility: str, control_id: str, message_datetime: str) -> Key:
        """Return what the duplicate guard knows a message by."""
        key = (application, facility, control_id)
        return (*key, message_datetime) if self._link.duplicate_key_has_message_datetime else key

    def code(self, header: Header, error: HL7Error | None) -> AcknowledgmentCode:
        """Return the code of the answer: taken, or refused for `error`."""
        on_the_line = self._link.answers_application_ack_on_the_line
        mode = AcknowledgmentMode.ORIGINAL if on_the_line else mode_of(header)
        if isinstance(error, NotOfThisLink):  # rejected, for a reason that has nothing to do with the content (2.9.2.2)
            return AcknowledgmentCode.AR if mode is AcknowledgmentMode.ORIGINAL else AcknowledgmentCode.CR
        return code_for(mode, error)

    def wants(self, header: Header, code: AcknowledgmentCode) -> bool:
        """Whether the sender waits for the answer; one that is used to AA on the line waits for every one."""
        return self._link.answers_application_ack_on_the_line or wants_accept_acknowledgment(header, code)

    def _sender(self, header: Header, charset: str) -> Sender:
        lasting = _join([*header.fields], header.delimiters.field.encode())
        sender = self._senders.get(lasting)
        if sender is None:
            sender = self._judge_sender(header, charset)
            if len(lasting) <= _MOST_HEADER_BYTES and charsets.is_delimiter_safe(charset):
                self._remember(lasting, sender)
        return sender

    def _remember(self, lasting: bytes, sender: Sender) -> None:
        if len(self._senders) >= MOST_SENDERS:
            self._senders.clear()
        self._senders[lasting] = sender

    def _judge_sender(self, header: Header, charset: str) -> Sender:
        if not allows_application(self._link, header):
            raise NotOfThisLink
        check_supported(header, self._acceptance)
        check_sequence_number(header)
        code = self.code(header, None)
        said = {
            "message_type": header.message_code,
            "trigger_event": header.trigger_event,
            "version_id": header.version_id,
            "sending_application": _name(header.component(3, 1), 3),
            "sending_facility": _name(header.component(4, 1), 4),
            "fallback_charset": self._link.fallback_charset,
            "acknowledgment_code": code.value,
        }
        return Sender(
            application=said["sending_application"],
            facility=said["sending_facility"],
            charset=charset,
            code=code,
            wants_positive=self.wants(header, code),
            answers=answer_template(header),
            events=SenderEvents(
                self._site_id, self._link.link_id, {**said, "accession_places": self._link.accession_places}
            ),
        )


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut the header of a message in standard delimiters into what lasts, MSH-7 and MSH-10; empty for others."""
    fields = raw[: raw.find(b"\r")].split(b"|")
    if len(fields) < 12 or fields[1] != _STANDARD_CHARACTERS:
        return b"", b"", b""
    sent_at, control_id = fields[6], fields[9]
    return _join(fields, b"|"), sent_at, control_id


def _join(fields: list[bytes], separator: bytes) -> bytes:
    """Return the header as one key, without MSH-7 and MSH-10, which change from message to message."""
    fields[6:7] = fields[9:10] = [b""]
    return separator.join(fields)


def _name(name: str, number: int) -> str:
    if len(name) > MOST_NAME_CHARACTERS:
        sentence = f"MSH-{number} is longer than {MOST_NAME_CHARACTERS} characters."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, ErrorLocation("MSH", 1, number), sentence)
    return name
