"""One message as it comes in: checked against the link's rules, named, and how its sender wants to be answered."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from uuid import UUID

from overread.contracts import codec
from overread.contracts.identifiers import deterministic_id
from overread.hl7_intake.duplicates import Key
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.acknowledgement import (
    AcknowledgmentCode,
    AcknowledgmentMode,
    code_for,
    mode_of,
    wants_accept_acknowledgment,
)
from overread.protocols.hl7.errors import ErrorLocation, HL7Error, MessageErrorCondition
from overread.protocols.hl7.order import check_control_id, check_orders, check_supported
from overread.protocols.hl7.tokenise import Header, tokenise

MOST_NAME_CHARACTERS = 227
"""What MSH-3 and MSH-4 may hold (HL7 v2.5.1, 2.15.9); longer names and control IDs are no names."""


@dataclass(frozen=True, slots=True)
class Sender:
    """What the messages of one sender share: their headers but for MSH-7 and MSH-10, judged and read once."""

    application: str
    facility: str
    message_type: str
    trigger_event: str
    version_id: str
    code: AcknowledgmentCode
    wants_positive: bool


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that the link takes; `code` of its sender is what it is answered with once it is kept."""

    raw: bytes
    header: Header
    sender: Sender
    message_control_id: str
    message_datetime: str
    key: Key
    digest: str
    event_id: UUID
    received_at: datetime


class LinkRules:
    """What one link takes, and how it answers."""

    def __init__(self, site_id: str, link: Link, time_zone: tzinfo) -> None:
        self._site_id = site_id
        self._link = link
        self._time_zone = time_zone
        self._acceptance = link.acceptance
        self._sender_of: Callable[[Header], Sender] = lru_cache(maxsize=256)(self._judge_sender)

    def read(self, raw: bytes, now: datetime) -> Incoming:
        """Return the message that came `now`, or raise the HL7Error that refuses it."""
        message = tokenise(raw, self._link.fallback_charset or None)
        header = message.header
        sender = self._sender_of(_without_what_changes(header))
        check_control_id(header)
        check_orders(message, time_zone=self._time_zone)
        control_id, sent_at = _name(header.message_control_id, 10), header.component(7, 1)
        names, digest = (sender.application, sender.facility, control_id), codec.sha256(raw)
        event_id = deterministic_id("hl7", self._site_id, self._link.link_id, *names, digest)
        return Incoming(raw, header, sender, control_id, sent_at, self.key(*names, sent_at), digest, event_id, now)

    def key(self, application: str, facility: str, control_id: str, message_datetime: str) -> Key:
        """Return what the duplicate guard knows a message by."""
        key = (application, facility, control_id)
        return (*key, message_datetime) if self._link.duplicate_key_has_message_datetime else key

    def code(self, header: Header, error: HL7Error | None) -> AcknowledgmentCode:
        """Return the code of the answer: taken, or refused for `error`."""
        on_the_line = self._link.answers_application_ack_on_the_line
        return code_for(AcknowledgmentMode.ORIGINAL if on_the_line else mode_of(header), error)

    def wants(self, header: Header, code: AcknowledgmentCode) -> bool:
        """Whether the sender waits for the answer; one that is used to AA on the line waits for every one."""
        return self._link.answers_application_ack_on_the_line or wants_accept_acknowledgment(header, code)

    def _judge_sender(self, header: Header) -> Sender:
        check_supported(header, self._acceptance)
        code = self.code(header, None)
        return Sender(
            application=_name(header.component(3, 1), 3),
            facility=_name(header.component(4, 1), 4),
            message_type=header.message_code,
            trigger_event=header.trigger_event,
            version_id=header.version_id,
            code=code,
            wants_positive=self.wants(header, code),
        )


def _without_what_changes(header: Header) -> Header:
    fields = header.fields
    return Header(header.delimiters, (*fields[:6], b"", *fields[7:9], b"", *fields[10:18]))


def _name(name: str, number: int) -> str:
    if len(name) > MOST_NAME_CHARACTERS:
        sentence = f"MSH-{number} is longer than {MOST_NAME_CHARACTERS} characters."
        raise HL7Error(MessageErrorCondition.DATA_TYPE_ERROR, ErrorLocation("MSH", 1, number), sentence)
    return name
