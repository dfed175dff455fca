"""The seven protocol data units of the DICOM upper layer: bytes to values and back (PS3.8, 9.3)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from overread.contracts.errors import Malformed

HEADER: Final = struct.Struct(">BxI")  # type, reserved, length (9.3.1)
_ITEM: Final = struct.Struct(">BxH")
_PDV: Final = struct.Struct(">IBB")
_FIXED_FIELDS: Final = struct.Struct(">HH16s16s32x")
PDV_OVERHEAD: Final = _PDV.size
"""Bytes that a presentation data value needs beside its fragment: length, context ID, control header (9.3.5.1)."""


class PduType(IntEnum):
    """PS3.8, tables 9-11 to 9-26: the first byte of a PDU."""

    ASSOCIATE_RQ = 0x01
    ASSOCIATE_AC = 0x02
    ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    RELEASE_RQ = 0x05
    RELEASE_RP = 0x06
    ABORT = 0x07


class AbortSource(IntEnum):
    """Who aborts (PS3.8, 9.3.8)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why the service provider aborts; 0 when the service user does (PS3.8, 9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER_VALUE = 6


class MalformedPdu(Malformed):
    """The peer sent bytes that are no PDU of PS3.8."""

    def __init__(self, message: str, reason: AbortReason = AbortReason.INVALID_PDU_PARAMETER_VALUE) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8, 9.3.4)."""

    result: int
    source: int
    reason: int


PROTOCOL_VERSION_NOT_SUPPORTED: Final = Rejection(result=1, source=2, reason=2)
APPLICATION_CONTEXT_NOT_SUPPORTED: Final = Rejection(result=1, source=1, reason=2)
CALLING_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(result=1, source=1, reason=3)
CALLED_AE_TITLE_NOT_RECOGNIZED: Final = Rejection(result=1, source=1, reason=7)
LOCAL_LIMIT_EXCEEDED: Final = Rejection(result=2, source=3, reason=2)


class ContextResult(IntEnum):
    """The answer to one proposed presentation context (PS3.8, 9.3.3.2)."""

    ACCEPTANCE = 0
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context that the requestor proposes (PS3.8, 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnsweredContext:
    """Our answer to a proposed presentation context (PS3.8, 9.3.3.2)."""

    context_id: int
    result: ContextResult
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """Which roles the requestor may take for a SOP class (PS3.7, D.3.3.4)."""

    sop_class_uid: str
    scu_role: bool
    scp_role: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ asks for (PS3.8, 9.3.2)."""

    protocol_version: int
    called_ae_title: str
    calling_ae_title: str
    application_context: str
    presentation_contexts: tuple[ProposedContext, ...]
    maximum_length: int
    implementation_class_uid: str
    implementation_version_name: str
    role_selections: tuple[RoleSelection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociateAccept:
    """What our A-ASSOCIATE-AC answers (PS3.8, 9.3.3)."""

    request: AssociateRequest
    contexts: tuple[AnsweredContext, ...]
    maximum_length: int
    implementation_class_uid: str
    implementation_version_name: str
    role_selections: tuple[RoleSelection, ...]


@dataclass(frozen=True, slots=True)
class PresentationDataValue:
    """One fragment of a DIMSE message (PS3.8, 9.3.5.1 and annex E.2)."""

    context_id: int
    is_command: bool
    is_last: bool
    fragment: bytes


def decode_data(body: memoryview) -> tuple[PresentationDataValue, ...]:
    """Return the presentation data values of a P-DATA-TF; each fragment is copied once (PS3.8, 9.3.5)."""
    values = []
    offset = 0
    while offset < len(body):
        if offset + PDV_OVERHEAD > len(body):
            raise MalformedPdu("a presentation data value ends before its header does")
        length, context_id, control = _PDV.unpack_from(body, offset)
        end = offset + 4 + length
        if length < 2 or end > len(body):
            raise MalformedPdu("the length of a presentation data value does not fit its PDU")
        fragment = bytes(body[offset + PDV_OVERHEAD : end])
        values.append(PresentationDataValue(context_id, bool(control & 1), bool(control & 2), fragment))
        offset = end
    return tuple(values)


def encode_data(context_id: int, payload: bytes, *, is_command: bool, maximum_length: int) -> bytes:
    """Return the P-DATA-TF PDUs that carry `payload` to a peer that takes `maximum_length` a PDU, 0 meaning any."""
    room = max(maximum_length - PDV_OVERHEAD, 2) if maximum_length else max(len(payload), 1)
    pieces = [payload[at : at + room] for at in range(0, len(payload), room)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        HEADER.pack(PduType.P_DATA_TF, len(piece) + PDV_OVERHEAD)
        + _PDV.pack(len(piece) + 2, context_id, int(is_command) | (2 if number == last else 0))
        + piece
        for number, piece in enumerate(pieces)
    )


def decode_abort(body: memoryview) -> tuple[int, int]:
    """Return source and reason of an A-ABORT (PS3.8, 9.3.8)."""
    if len(body) < 4:
        raise MalformedPdu("an A-ABORT PDU has four bytes after its length")
    return body[2], body[3]


def encode_abort(source: AbortSource, reason: AbortReason) -> bytes:
    """Return an A-ABORT PDU (PS3.8, 9.3.8)."""
    return HEADER.pack(PduType.ABORT, 4) + bytes((0, 0, source, reason))


def encode_reject(rejection: Rejection) -> bytes:
    """Return an A-ASSOCIATE-RJ PDU (PS3.8, 9.3.4)."""
    body = bytes((0, rejection.result, rejection.source, rejection.reason))
    return HEADER.pack(PduType.ASSOCIATE_RJ, 4) + body


def encode_release_response() -> bytes:
    """Return an A-RELEASE-RP PDU (PS3.8, 9.3.7)."""
    return HEADER.pack(PduType.RELEASE_RP, 4) + bytes(4)


def decode_associate_request(body: memoryview) -> AssociateRequest:
    """Return the association that a peer asks for (PS3.8, 9.3.2)."""
    if len(body) < _FIXED_FIELDS.size:
        raise MalformedPdu("an A-ASSOCIATE-RQ PDU ends before its fixed fields do")
    version, _, called, calling = _FIXED_FIELDS.unpack_from(body)
    items = list(_items(body[_FIXED_FIELDS.size :]))
    user = [part for kind, value in items if kind == 0x50 for part in _items(value)]
    return AssociateRequest(
        protocol_version=version,
        called_ae_title=_ae_title(called),
        calling_ae_title=_ae_title(calling),
        application_context=next((_uid(value) for kind, value in items if kind == 0x10), ""),
        presentation_contexts=_proposed_contexts([value for kind, value in items if kind == 0x20]),
        maximum_length=_maximum_length(user),
        implementation_class_uid=next((_uid(value) for kind, value in user if kind == 0x52), ""),
        implementation_version_name=next((_text(value) for kind, value in user if kind == 0x55), ""),
        role_selections=tuple(_role_selection(value) for kind, value in user if kind == 0x54),
    )


def encode_associate_accept(accept: AssociateAccept) -> bytes:
    """Return an A-ASSOCIATE-AC PDU; the AE titles are sent back as they came (PS3.8, 9.3.3)."""
    request = accept.request
    called = request.called_ae_title.encode("ascii").ljust(16)
    calling = request.calling_ae_title.encode("ascii").ljust(16)
    body = b"".join(
        (
            _FIXED_FIELDS.pack(1, 0, called, calling),
            _item(0x10, request.application_context.encode("ascii")),
            *(_answered_context(context) for context in accept.contexts),
            _item(0x50, _user_information(accept)),
        )
    )
    return HEADER.pack(PduType.ASSOCIATE_AC, len(body)) + body


def _items(body: memoryview) -> Iterator[tuple[int, memoryview]]:
    offset = 0
    while offset < len(body):
        if offset + _ITEM.size > len(body):
            raise MalformedPdu("an item of an A-ASSOCIATE-RQ PDU ends before its header does")
        kind, length = _ITEM.unpack_from(body, offset)
        offset += _ITEM.size
        if offset + length > len(body):
            raise MalformedPdu("the length of an item does not fit its A-ASSOCIATE-RQ PDU")
        yield kind, body[offset : offset + length]
        offset += length


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _text(value: memoryview) -> str:
    try:
        return bytes(value).decode("ascii").strip("\0 ")
    except UnicodeDecodeError as error:
        raise MalformedPdu("an A-ASSOCIATE-RQ PDU has text outside of the ISO 646 repertoire") from error


def _uid(value: memoryview) -> str:
    return _text(value)


def _ae_title(value: bytes) -> str:
    return _text(memoryview(value))


def _maximum_length(user: Sequence[tuple[int, memoryview]]) -> int:
    value = next((value for kind, value in user if kind == 0x51), None)
    if value is None:
        return 0
    if len(value) != 4:
        raise MalformedPdu("the maximum length sub-item has four bytes")
    return int.from_bytes(value, "big")


def _proposed_contexts(values: Sequence[memoryview]) -> tuple[ProposedContext, ...]:
    contexts = tuple(_proposed_context(value) for value in values)
    if len({context.context_id for context in contexts}) != len(contexts):
        raise MalformedPdu("two presentation contexts have the same ID")
    return contexts


def _proposed_context(value: memoryview) -> ProposedContext:
    if len(value) < 4 or value[0] % 2 == 0:
        raise MalformedPdu("a presentation context has an odd ID between 1 and 255")
    parts = list(_items(value[4:]))
    abstract_syntaxes = [_uid(part) for kind, part in parts if kind == 0x30]
    if len(abstract_syntaxes) != 1:
        raise MalformedPdu("a presentation context proposes exactly one abstract syntax")
    transfer_syntaxes = tuple(_uid(part) for kind, part in parts if kind == 0x40)
    return ProposedContext(value[0], abstract_syntaxes[0], transfer_syntaxes)


def _role_selection(value: memoryview) -> RoleSelection:
    length = int.from_bytes(value[:2], "big")
    if len(value) != length + 4:
        raise MalformedPdu("the length of an SCP/SCU role selection does not fit its item")
    return RoleSelection(_uid(value[2 : 2 + length]), bool(value[-2]), bool(value[-1]))


def _answered_context(context: AnsweredContext) -> bytes:
    head = bytes((context.context_id, 0, context.result, 0))
    return _item(0x21, head + _item(0x40, context.transfer_syntax.encode("ascii")))


def _user_information(accept: AssociateAccept) -> bytes:
    return b"".join(
        (
            _item(0x51, accept.maximum_length.to_bytes(4, "big")),
            _item(0x52, accept.implementation_class_uid.encode("ascii")),
            *(_answered_role(role) for role in accept.role_selections),
            _item(0x55, accept.implementation_version_name.encode("ascii")),
        )
    )


def _answered_role(role: RoleSelection) -> bytes:
    uid = role.sop_class_uid.encode("ascii")
    return _item(0x54, len(uid).to_bytes(2, "big") + uid + bytes((role.scu_role, role.scp_role)))
