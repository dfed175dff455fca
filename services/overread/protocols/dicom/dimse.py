"""DIMSE messages: command sets, and the fragments that make up one message (PS3.7, 6.3 and 9.3; annex E)."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from overread.contracts.errors import Malformed
from overread.protocols.dicom.pdu import PresentationDataValue

_ELEMENT: Final = struct.Struct("<HHI")
_NO_DATA_SET: Final = 0x0101
_DATA_SET: Final = 0x0001
_RESPONSE_BIT: Final = 0x8000
_ERROR_COMMENT_LENGTH: Final = 64
_FRAGMENT_OVERHEAD: Final = 64  # what a fragment costs beside its bytes, so that tiny ones can't fill the memory

LARGEST_ANNOUNCEMENT: Final = 2 << 20
"""Bytes of a data set that is no image: a list of ten thousand instances takes a little more than half of it."""
LARGEST_QUESTION: Final = 64 << 10

AFFECTED_SOP_CLASS_UID: Final = 0x0002
REQUESTED_SOP_CLASS_UID: Final = 0x0003
COMMAND_FIELD: Final = 0x0100
MESSAGE_ID: Final = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO: Final = 0x0120
COMMAND_DATA_SET_TYPE: Final = 0x0800
STATUS: Final = 0x0900
ERROR_COMMENT: Final = 0x0902
ERROR_ID: Final = 0x0903
AFFECTED_SOP_INSTANCE_UID: Final = 0x1000
REQUESTED_SOP_INSTANCE_UID: Final = 0x1001
EVENT_TYPE_ID: Final = 0x1002
ACTION_TYPE_ID: Final = 0x1008


class CommandField(IntEnum):
    """(0000,0100) of the requests that we know (PS3.7, E.1-1)."""

    C_STORE_RQ = 0x0001
    C_FIND_RQ = 0x0020
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    C_CANCEL_RQ = 0x0FFF


LARGEST_DATA_SETS: Final[Mapping[int, int]] = {
    CommandField.C_FIND_RQ: LARGEST_QUESTION,
    CommandField.N_SET_RQ: LARGEST_ANNOUNCEMENT,
    CommandField.N_ACTION_RQ: LARGEST_ANNOUNCEMENT,
    CommandField.N_CREATE_RQ: LARGEST_ANNOUNCEMENT,
}
"""What a request may carry that is no image, in bytes; it is decoded whole, an image is not."""


class StatusCode(IntEnum):
    """(0000,0900) of our answers (PS3.7, annex C; PS3.4, B.2.3)."""

    SUCCESS = 0x0000
    INVALID_ATTRIBUTE_VALUE = 0x0106
    PROCESSING_FAILURE = 0x0110
    DUPLICATE_SOP_INSTANCE = 0x0111
    NO_SUCH_SOP_INSTANCE = 0x0112
    INVALID_ARGUMENT_VALUE = 0x0115
    INVALID_SOP_INSTANCE = 0x0117
    MISSING_ATTRIBUTE = 0x0120
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NO_SUCH_ACTION_TYPE = 0x0123
    UNRECOGNIZED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_DOES_NOT_MATCH_SOP_CLASS = 0xA900
    CANNOT_UNDERSTAND = 0xC000
    UNABLE_TO_PROCESS = 0xC001
    PENDING = 0xFF00
    PENDING_WITHOUT_SOME_KEYS = 0xFF01


@dataclass(frozen=True, slots=True)
class Status:
    """How a request ended; `error_comment` says in plain words what to mend, never who the patient is.

    `error_id` is a service's own number for the fault, 0 for none (PS3.7, C.4; as A506 in PS3.4, F.7.2.2.3).
    """

    code: StatusCode
    error_comment: str = ""
    error_id: int = 0


SUCCESS: Final = Status(StatusCode.SUCCESS)


class MalformedCommand(Malformed):
    """The peer sent a command set or a sequence of fragments that PS3.7 does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A request or response out of a command set; a UID that it does not carry is empty (PS3.7, 9.3 and 10.3).

    `action_type_id` is that of an N-ACTION, 0 without one (PS3.7, 10.3.4). `message_id` is that of the request, in a
    response too, which alone has a `status`.
    """

    command_field: int
    message_id: int
    has_data_set: bool
    affected_sop_class_uid: str = ""
    affected_sop_instance_uid: str = ""
    action_type_id: int = 0
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One whole request: its command and, as it came, its data set; one too large to hold was discarded."""

    context_id: int
    command: Command
    fragments: tuple[bytes, ...]
    size_bytes: int
    is_discarded: bool


def decode_command(command_set: bytes) -> Command:
    """Return the request or response in `command_set`, always Implicit VR Little Endian (PS3.7, 6.3.1)."""
    elements = dict(_elements(command_set))
    command_field = _number(elements, COMMAND_FIELD)
    is_response = bool(command_field & _RESPONSE_BIT)
    class_uid = elements.get(AFFECTED_SOP_CLASS_UID) or elements.get(REQUESTED_SOP_CLASS_UID, b"")
    instance_uid = elements.get(AFFECTED_SOP_INSTANCE_UID) or elements.get(REQUESTED_SOP_INSTANCE_UID, b"")
    names_another = is_response or command_field == CommandField.C_CANCEL_RQ
    return Command(
        command_field=command_field,
        message_id=_number(elements, MESSAGE_ID_BEING_RESPONDED_TO if names_another else MESSAGE_ID),
        has_data_set=_number(elements, COMMAND_DATA_SET_TYPE) != _NO_DATA_SET,
        affected_sop_class_uid=_uid(class_uid),
        affected_sop_instance_uid=_uid(instance_uid),
        action_type_id=_number(elements, ACTION_TYPE_ID) if ACTION_TYPE_ID in elements else 0,
        status=_number(elements, STATUS) if is_response else None,
    )


def encode_event_report(message_id: int, sop_class_uid: str, sop_instance_uid: str, event_type_id: int) -> bytes:
    """Return the command set of an N-EVENT-REPORT with a data set (PS3.7, 10.3.1.1)."""
    return encode_command_set(
        {
            AFFECTED_SOP_CLASS_UID: _encoded_uid(sop_class_uid),
            COMMAND_FIELD: _encoded_number(CommandField.N_EVENT_REPORT_RQ),
            MESSAGE_ID: _encoded_number(message_id),
            COMMAND_DATA_SET_TYPE: _encoded_number(_DATA_SET),
            AFFECTED_SOP_INSTANCE_UID: _encoded_uid(sop_instance_uid),
            EVENT_TYPE_ID: _encoded_number(event_type_id),
        }
    )


def encode_response(
    request: Command, status: Status, *, sop_instance_uid: str = "", has_data_set: bool = False
) -> bytes:
    """Return the command set that answers `request` (PS3.7, 9.3, 10.3 and C).

    `sop_instance_uid` names the instance where the request left that to us (PS3.7, 10.1.5.1.3).
    """
    elements = {
        AFFECTED_SOP_CLASS_UID: _encoded_uid(request.affected_sop_class_uid),
        COMMAND_FIELD: _encoded_number(request.command_field | _RESPONSE_BIT),
        MESSAGE_ID_BEING_RESPONDED_TO: _encoded_number(request.message_id),
        COMMAND_DATA_SET_TYPE: _encoded_number(_DATA_SET if has_data_set else _NO_DATA_SET),
        STATUS: _encoded_number(status.code),
        ERROR_COMMENT: _encoded_text(status.error_comment),
        ERROR_ID: _encoded_number(status.error_id) if status.error_id else b"",
        ACTION_TYPE_ID: _encoded_number(request.action_type_id) if request.action_type_id else b"",
        AFFECTED_SOP_INSTANCE_UID: _encoded_uid(sop_instance_uid or request.affected_sop_instance_uid),
    }
    return encode_command_set({element: value for element, value in elements.items() if value})


def encode_command_set(elements: dict[int, bytes]) -> bytes:
    """Return a command set with its group length in front (PS3.7, E.1)."""
    body = b"".join(_ELEMENT.pack(0, tag, len(elements[tag])) + elements[tag] for tag in sorted(elements))
    return _ELEMENT.pack(0, 0, 4) + len(body).to_bytes(4, "little") + body


class MessageAssembler:
    """Puts the fragments of a connection together to messages, one after the other (PS3.8, annex E)."""

    def __init__(self, *, maximum_command_set: int = 65_536, maximum_data_set: int = 1 << 30) -> None:
        self._maximum_command_set = maximum_command_set
        self._maximum_data_set = maximum_data_set
        self._context_id = 0
        self._reset()

    @property
    def is_idle(self) -> bool:
        """True between two messages."""
        return not self._has_begun

    def add(self, value: PresentationDataValue) -> Message | None:
        """Return the message that `value` completes, None when more fragments have to come."""
        if not self.is_idle and value.context_id != self._context_id:
            raise MalformedCommand("the fragments of one message come on two presentation contexts")
        if value.is_command is (self._command is not None):
            raise MalformedCommand("the peer sent a fragment of the command where data was due, or the reverse")
        self._has_begun, self._context_id = True, value.context_id
        if self._command is None:
            return self._add_to_command(value)
        return self._add_to_data_set(value)

    @property
    def held_bytes(self) -> int:
        """How much memory the unfinished message takes."""
        return 0 if self._is_discarded else self._held_bytes

    def discard(self) -> None:
        """Drop the data set of the unfinished message; its end is still awaited, so that it can be answered."""
        self._is_discarded = True
        self._fragments.clear()

    def _reset(self) -> None:
        self._has_begun = False
        self._is_discarded = False
        self._command_set = b""
        self._command: Command | None = None
        self._fragments: list[bytes] = []
        self._size_bytes = 0
        self._held_bytes = 0

    def _add_to_command(self, value: PresentationDataValue) -> Message | None:
        self._command_set += value.fragment
        if len(self._command_set) > self._maximum_command_set:
            raise MalformedCommand("the command set is longer than any command needs")
        if not value.is_last:
            return None
        self._command = decode_command(self._command_set)
        return None if self._command.has_data_set else self._message(self._command)

    def _add_to_data_set(self, value: PresentationDataValue) -> Message | None:
        self._size_bytes += len(value.fragment)
        self._held_bytes += len(value.fragment) + _FRAGMENT_OVERHEAD
        if self._held_bytes > self._limit():
            self.discard()
        if not self._is_discarded:
            self._fragments.append(value.fragment)
        return self._message(self._command) if value.is_last and self._command else None

    def _limit(self) -> int:
        field = self._command.command_field if self._command else 0
        return min(self._maximum_data_set, LARGEST_DATA_SETS.get(field, self._maximum_data_set))

    def _message(self, command: Command) -> Message:
        message = Message(self._context_id, command, tuple(self._fragments), self._size_bytes, self._is_discarded)
        self._reset()
        return message


def _elements(command_set: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(command_set):
        if offset + _ELEMENT.size > len(command_set):
            raise MalformedCommand("the command set ends inside an element")
        group, element, length = _ELEMENT.unpack_from(command_set, offset)
        offset += _ELEMENT.size
        if group != 0 or offset + length > len(command_set):
            raise MalformedCommand("the command set has an element that is none of a command")
        yield element, command_set[offset : offset + length]
        offset += length


def _number(elements: dict[int, bytes], tag: int) -> int:
    value = elements.get(tag, b"")
    if len(value) != 2:
        raise MalformedCommand(f"the command set needs one number in (0000,{tag:04X})")
    return int.from_bytes(value, "little")


def _uid(value: bytes) -> str:
    try:
        return value.decode("ascii").strip("\0 ")
    except UnicodeDecodeError as error:
        raise MalformedCommand("a UID of the command set has other characters than digits and dots") from error


def _encoded_number(value: int) -> bytes:
    return value.to_bytes(2, "little")


def _encoded_uid(value: str) -> bytes:
    raw = value.encode("ascii")
    return raw + b"\0" * (len(raw) % 2)


def _encoded_text(value: str) -> bytes:
    raw = value.encode("ascii", "replace")[:_ERROR_COMMENT_LENGTH]
    return raw + b" " * (len(raw) % 2)
