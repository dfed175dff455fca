"""An association seen from its acceptor, as a state machine without a socket (PS3.8, 9.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from overread.contracts.errors import OverreadError
from overread.protocols.dicom import pdu
from overread.protocols.dicom.pdu import AbortReason, AbortSource, PduType
from overread.protocols.dicom.sop_classes import (
    APPLICATION_CONTEXT,
    IMPLICIT_VR_LITTLE_ENDIAN,
    PLAIN_SOP_CLASSES,
    PLAIN_TRANSFER_SYNTAXES,
    STORAGE_SOP_CLASSES,
    TRANSFER_SYNTAXES,
    VERIFICATION,
)

IMPLEMENTATION_CLASS_UID: Final = "2.25.216588514862049132799413428136272175977"
IMPLEMENTATION_VERSION_NAME: Final = "OVERREAD_1"

_MAXIMUM_ASSOCIATE_REQUEST: Final = 1 << 20  # 128 contexts with every transfer syntax are about 400 kB
_MAXIMUM_SHORT_PDU: Final = 1 << 10
# Some old senders count the headers of PDU and PDV on top of the maximum length that they were told.
_LENGTH_TOLERANCE: Final = 12


class AssociationState(Enum):
    """Where an accepted connection stands (PS3.8, table 9-10; ours is always the acceptor)."""

    AWAITING_REQUEST = auto()  # Sta2
    AWAITING_ANSWER = auto()  # Sta3
    ESTABLISHED = auto()  # Sta6
    AWAITING_RELEASE_ANSWER = auto()  # Sta8
    AWAITING_CLOSE = auto()  # Sta13
    CLOSED = auto()  # Sta1


class Reaction(Enum):
    """What a received PDU makes us do (PS3.8, tables 9-6 to 9-9)."""

    INDICATE_REQUEST = auto()  # AE-6
    DELIVER_DATA = auto()  # DT-2
    INDICATE_RELEASE = auto()  # AR-2
    INDICATE_ABORT = auto()  # AA-2, AA-3
    ABORT_AS_USER = auto()  # AA-1, AA-7
    ABORT_AS_PROVIDER = auto()  # AA-8
    IGNORE = auto()  # AA-6


class LocalAct(Enum):
    """What our side of the association may do (PS3.8, 9.2.1)."""

    ACCEPT = auto()
    REJECT = auto()
    SEND_DATA = auto()
    RELEASE = auto()
    ABORT = auto()


class MisusedAssociation(OverreadError):
    """An act was asked of an association whose state does not allow it."""


@dataclass(frozen=True, slots=True)
class AssociationRequested:
    """A peer asks for an association; `refusal` says why it must be rejected, None that it may be accepted."""

    request: pdu.AssociateRequest
    refusal: pdu.Rejection | None


@dataclass(frozen=True, slots=True)
class DataReceived:
    """The peer sent fragments of DIMSE messages, in this order."""

    values: tuple[pdu.PresentationDataValue, ...]


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """The peer has sent all it wanted and asks for an orderly end."""


@dataclass(frozen=True, slots=True)
class AbortedByPeer:
    """The peer ended the association at once."""

    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class ProtocolViolated:
    """The peer broke PS3.8: send `answer`, an A-ABORT, then wait for the peer to close."""

    answer: bytes
    explanation: str


Event = AssociationRequested | DataReceived | ReleaseRequested | AbortedByPeer | ProtocolViolated

_S = AssociationState
_KINDS: Final = {int(kind): kind for kind in PduType}
_ANY_OTHER: Final = None
"""The event "unrecognized or invalid PDU", the last row of PS3.8's table 9-10."""


def _row(default: Reaction, **own: Reaction) -> dict[PduType | None, Reaction]:
    row: dict[PduType | None, Reaction] = dict.fromkeys((*PduType, _ANY_OTHER), default)
    return row | {PduType.ABORT: Reaction.INDICATE_ABORT} | {PduType[name]: reaction for name, reaction in own.items()}


REACTIONS: Final[Mapping[AssociationState, Mapping[PduType | None, Reaction]]] = MappingProxyType(
    {
        _S.AWAITING_REQUEST: _row(Reaction.ABORT_AS_USER, ASSOCIATE_RQ=Reaction.INDICATE_REQUEST),
        _S.AWAITING_ANSWER: _row(Reaction.ABORT_AS_PROVIDER),
        _S.ESTABLISHED: _row(
            Reaction.ABORT_AS_PROVIDER,
            P_DATA_TF=Reaction.DELIVER_DATA,
            RELEASE_RQ=Reaction.INDICATE_RELEASE,
        ),
        _S.AWAITING_RELEASE_ANSWER: _row(Reaction.ABORT_AS_PROVIDER),
        _S.AWAITING_CLOSE: _row(Reaction.IGNORE, ASSOCIATE_RQ=Reaction.ABORT_AS_USER)
        | {_ANY_OTHER: Reaction.ABORT_AS_USER},
        _S.CLOSED: _row(Reaction.IGNORE, ABORT=Reaction.IGNORE),
    }
)
"""State × received PDU: every cell has a reaction (PS3.8, table 9-10)."""

STATE_AFTER_REACTION: Final[Mapping[Reaction, AssociationState]] = MappingProxyType(
    {
        Reaction.INDICATE_REQUEST: _S.AWAITING_ANSWER,
        Reaction.DELIVER_DATA: _S.ESTABLISHED,
        Reaction.INDICATE_RELEASE: _S.AWAITING_RELEASE_ANSWER,
        Reaction.INDICATE_ABORT: _S.CLOSED,
        Reaction.ABORT_AS_USER: _S.AWAITING_CLOSE,
        Reaction.ABORT_AS_PROVIDER: _S.AWAITING_CLOSE,
    }
)

STATE_AFTER_ACT: Final[Mapping[tuple[AssociationState, LocalAct], AssociationState]] = MappingProxyType(
    {
        (_S.AWAITING_ANSWER, LocalAct.ACCEPT): _S.ESTABLISHED,
        (_S.AWAITING_ANSWER, LocalAct.REJECT): _S.AWAITING_CLOSE,
        (_S.ESTABLISHED, LocalAct.SEND_DATA): _S.ESTABLISHED,
        (_S.AWAITING_RELEASE_ANSWER, LocalAct.SEND_DATA): _S.AWAITING_RELEASE_ANSWER,  # AR-7
        (_S.AWAITING_RELEASE_ANSWER, LocalAct.RELEASE): _S.AWAITING_CLOSE,
        (_S.AWAITING_REQUEST, LocalAct.ABORT): _S.AWAITING_CLOSE,
        (_S.AWAITING_ANSWER, LocalAct.ABORT): _S.AWAITING_CLOSE,
        (_S.ESTABLISHED, LocalAct.ABORT): _S.AWAITING_CLOSE,
        (_S.AWAITING_RELEASE_ANSWER, LocalAct.ABORT): _S.AWAITING_CLOSE,
    }
)
"""State × act of ours; an act without a row raises `MisusedAssociation`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptorConfig:
    """Whom we answer and what we take.

    `calling_ae_titles` None takes any calling AE. `maximum_length` is what one P-DATA-TF may carry (PS3.8, D.1). What
    is no storage has a data set without pixels, and of it only the `plain_transfer_syntaxes` are taken.
    """

    called_ae_titles: frozenset[str]
    calling_ae_titles: frozenset[str] | None = None
    maximum_length: int = 131_072
    abstract_syntaxes: frozenset[str] = STORAGE_SOP_CLASSES | {VERIFICATION} | PLAIN_SOP_CLASSES
    transfer_syntaxes: frozenset[str] = TRANSFER_SYNTAXES
    plain_transfer_syntaxes: frozenset[str] = PLAIN_TRANSFER_SYNTAXES

    def takes(self, abstract_syntax: str) -> frozenset[str]:
        """Return the transfer syntaxes in which a SOP class is taken."""
        return self.plain_transfer_syntaxes if abstract_syntax in PLAIN_SOP_CLASSES else self.transfer_syntaxes


def refusal_of(request: pdu.AssociateRequest, config: AcceptorConfig) -> pdu.Rejection | None:
    """Return why `request` must be rejected, None when it may be accepted (PS3.8, 9.3.4)."""
    if not request.protocol_version & 1:
        return pdu.PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return pdu.APPLICATION_CONTEXT_NOT_SUPPORTED
    if request.called_ae_title not in config.called_ae_titles:
        return pdu.CALLED_AE_TITLE_NOT_RECOGNIZED
    if config.calling_ae_titles is not None and request.calling_ae_title not in config.calling_ae_titles:
        return pdu.CALLING_AE_TITLE_NOT_RECOGNIZED
    return None


def negotiate(context: pdu.ProposedContext, config: AcceptorConfig) -> pdu.AnsweredContext:
    """Answer one presentation context: the first proposed transfer syntax that we keep wins (PS3.8, 9.3.3.2)."""
    taken = config.takes(context.abstract_syntax)
    supported = next((uid for uid in context.transfer_syntaxes if uid in taken), None)
    if context.abstract_syntax not in config.abstract_syntaxes:
        result = pdu.ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    elif supported is None:
        result = pdu.ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED
    else:
        result = pdu.ContextResult.ACCEPTANCE
    # A refused context carries a transfer syntax that the peer does not look at.
    return pdu.AnsweredContext(
        context.context_id, result, context.abstract_syntax, supported or IMPLICIT_VR_LITTLE_ENDIAN
    )


class Association:
    """One connection from its first byte to its last: give it what arrives, send what it returns."""

    def __init__(self, config: AcceptorConfig) -> None:
        self.state = AssociationState.AWAITING_REQUEST
        self.contexts: Mapping[int, pdu.AnsweredContext] = {}
        self._config = config
        self._request: pdu.AssociateRequest | None = None
        self._buffer = bytearray()

    @property
    def request(self) -> pdu.AssociateRequest:
        """What the peer asked for; there is none before `AssociationRequested`."""
        if self._request is None:
            raise MisusedAssociation("this connection has not asked for an association yet")
        return self._request

    def receive(self, data: bytes) -> list[Event]:
        """Return what `data` completes; a PDU may come in any number of pieces (PS3.8, 9.2.3)."""
        self._buffer += data
        events: list[Event] = []
        while (event := self._next_event()) is not None:
            events.extend(event)
        return events

    def accept(self) -> bytes:
        """Return the A-ASSOCIATE-AC; from now on the peer may send data (PS3.8, AE-7)."""
        self._act(LocalAct.ACCEPT)
        answers = tuple(negotiate(context, self._config) for context in self.request.presentation_contexts)
        accepted = [answer for answer in answers if answer.result is pdu.ContextResult.ACCEPTANCE]
        self.contexts = {answer.context_id: answer for answer in accepted}
        return pdu.encode_associate_accept(
            pdu.AssociateAccept(
                request=self.request,
                contexts=answers,
                maximum_length=self._config.maximum_length,
                implementation_class_uid=IMPLEMENTATION_CLASS_UID,
                implementation_version_name=IMPLEMENTATION_VERSION_NAME,
                role_selections=self._answered_roles({answer.abstract_syntax for answer in accepted}),
            )
        )

    def reject(self, rejection: pdu.Rejection) -> bytes:
        """Return the A-ASSOCIATE-RJ; the peer closes (PS3.8, AE-8)."""
        self._act(LocalAct.REJECT)
        return pdu.encode_reject(rejection)

    def respond(self, context_id: int, command_set: bytes, data_set: bytes | None = None) -> bytes:
        """Return the P-DATA-TF PDUs of one DIMSE message, cut to what the peer takes (PS3.8, 9.3.5 and D.1)."""
        self._act(LocalAct.SEND_DATA)
        limit = self.request.maximum_length
        command = pdu.encode_data(context_id, command_set, is_command=True, maximum_length=limit)
        if data_set is None:
            return command
        return command + pdu.encode_data(context_id, data_set, is_command=False, maximum_length=limit)

    def release(self) -> bytes:
        """Return the A-RELEASE-RP; the peer closes (PS3.8, AR-4)."""
        self._act(LocalAct.RELEASE)
        return pdu.encode_release_response()

    def abort(self) -> bytes:
        """Return the A-ABORT of the service user (PS3.8, AA-1)."""
        self._act(LocalAct.ABORT)
        return pdu.encode_abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)

    def may(self, act: LocalAct) -> bool:
        """Tell whether the state allows `act`."""
        return (self.state, act) in STATE_AFTER_ACT

    def _act(self, act: LocalAct) -> None:
        if not self.may(act):
            raise MisusedAssociation(f"{act.name} is not possible while the association is {self.state.name}")
        self.state = STATE_AFTER_ACT[self.state, act]

    def _answered_roles(self, accepted: set[str]) -> tuple[pdu.RoleSelection, ...]:
        # We are never an SCU on an accepted association, so a peer may not be the SCP (PS3.7, D.3.3.4.2).
        proposed = [role for role in self.request.role_selections if role.sop_class_uid in accepted]
        return tuple(pdu.RoleSelection(role.sop_class_uid, role.scu_role, scp_role=False) for role in proposed)

    def _next_event(self) -> list[Event] | None:
        """Return what the next whole PDU in the buffer says, None when there is none."""
        if len(self._buffer) < pdu.HEADER.size:
            return None
        number, length = pdu.HEADER.unpack_from(self._buffer)
        kind = _KINDS.get(number)
        if kind is None or length > self._limit(kind):
            return self._give_up(kind)
        end = pdu.HEADER.size + length
        if len(self._buffer) < end:
            return None
        return self._take(kind, end)

    def _limit(self, kind: PduType) -> int:
        if kind is PduType.P_DATA_TF:
            return self._config.maximum_length + _LENGTH_TOLERANCE
        return _MAXIMUM_ASSOCIATE_REQUEST if kind is PduType.ASSOCIATE_RQ else _MAXIMUM_SHORT_PDU

    def _take(self, kind: PduType, end: int) -> list[Event]:
        reaction = REACTIONS[self.state][kind]
        try:
            return self._react(reaction, kind, end)
        except pdu.MalformedPdu as error:
            return self._violated(REACTIONS[self.state][_ANY_OTHER], error.reason, str(error))
        finally:
            del self._buffer[:end]

    def _give_up(self, kind: PduType | None) -> list[Event]:
        """Drop everything: what follows an unknown or oversized PDU can't be told apart."""
        self._buffer.clear()
        if kind is None:
            return self._violated(
                REACTIONS[self.state][_ANY_OTHER], AbortReason.UNRECOGNIZED_PDU, "the peer sent an unknown PDU type"
            )
        return self._violated(
            REACTIONS[self.state][_ANY_OTHER],
            AbortReason.INVALID_PDU_PARAMETER_VALUE,
            f"the peer sent a longer {kind.name} PDU than was agreed",
        )

    def _react(self, reaction: Reaction, kind: PduType, end: int) -> list[Event]:
        match reaction:
            case Reaction.DELIVER_DATA:
                return [self._data_received(end)]
            case Reaction.INDICATE_REQUEST:
                self._request = pdu.decode_associate_request(self._body(end))
                event: Event = AssociationRequested(self._request, refusal_of(self._request, self._config))
            case Reaction.INDICATE_RELEASE:
                event = ReleaseRequested()
            case Reaction.INDICATE_ABORT:
                event = AbortedByPeer(*pdu.decode_abort(self._body(end)))
            case _:
                return self._violated(
                    reaction, AbortReason.UNEXPECTED_PDU, f"{kind.name} is not expected while {self.state.name}"
                )
        self.state = STATE_AFTER_REACTION[reaction]
        return [event]

    def _body(self, end: int) -> memoryview:
        return memoryview(bytes(self._buffer[pdu.HEADER.size : end]))

    def _data_received(self, end: int) -> DataReceived:
        # The hot path: fragments are copied out of the buffer once, and no view outlives this block.
        with memoryview(self._buffer) as whole, whole[pdu.HEADER.size : end] as body:
            values = pdu.decode_data(body)
        if any(value.context_id not in self.contexts for value in values):
            raise pdu.MalformedPdu("the peer sent data on a presentation context that was not accepted")
        return DataReceived(values)

    def _violated(self, reaction: Reaction, reason: AbortReason, explanation: str) -> list[Event]:
        if reaction is Reaction.IGNORE:
            return []
        self.state = STATE_AFTER_REACTION[reaction]
        if reaction is Reaction.ABORT_AS_USER:
            answer = pdu.encode_abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        else:
            answer = pdu.encode_abort(AbortSource.SERVICE_PROVIDER, reason)
        return [ProtocolViolated(answer, explanation)]
