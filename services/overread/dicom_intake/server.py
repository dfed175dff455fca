"""Associations over TCP: sockets, time-outs and limits around the state machine of `protocols.dicom` (PS3.8, 9)."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, assert_never
from uuid import UUID

from overread.dicom_intake.find_scp import FindScp
from overread.dicom_intake.normalized_scp import Answer, EventReport, NormalizedScp
from overread.dicom_intake.storage_scp import Peer, StorageScp, StorageSession
from overread.protocols.dicom import pdu
from overread.protocols.dicom.announced import encode_data_set
from overread.protocols.dicom.dimse import (
    SUCCESS,
    CommandField,
    MalformedCommand,
    Message,
    MessageAssembler,
    Status,
    StatusCode,
    encode_event_report,
    encode_response,
)
from overread.protocols.dicom.sop_classes import MODALITY_WORKLIST_FIND
from overread.protocols.dicom.upper_layer import (
    AbortedByPeer,
    AcceptorConfig,
    Association,
    AssociationRequested,
    AssociationState,
    DataReceived,
    Event,
    LocalAct,
    ProtocolViolated,
    ReleaseRequested,
)
from overread.runtime.telemetry import log

_READ_BYTES: Final = 1 << 18
_SPARE_CONNECTIONS: Final = 16  # above the associations, so that a peer too many still gets its answer
_UNRECOGNIZED_OPERATION: Final = Status(StatusCode.UNRECOGNIZED_OPERATION, "This operation is not served here")
MOST_REPORTS: Final = 8
"""Requests of one association that may wait for their answer on it."""
_TOO_MANY_REPORTS: Final = Status(
    StatusCode.PROCESSING_FAILURE, f"{MOST_REPORTS} requests of this association wait for their answers already"
)
_NORMALIZED: Final = frozenset({CommandField.N_CREATE_RQ, CommandField.N_SET_RQ, CommandField.N_ACTION_RQ})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """How much the server takes on, and how long it waits."""

    maximum_associations: int = 32
    maximum_data_set_bytes: int = 1 << 30
    maximum_held_bytes: int = 2 << 30
    artim_seconds: float = 30.0
    idle_seconds: float = 120.0


class DicomServer:
    """Takes associations on one address; `new_association_id` names each of them."""

    def __init__(
        self,
        acceptor: AcceptorConfig,
        storage: StorageScp,
        *,
        new_association_id: Callable[[], UUID],
        limits: ServerLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        normalized: NormalizedScp | None = None,
        finds: FindScp | None = None,
    ) -> None:
        self.acceptor = acceptor
        self.storage = storage
        self.normalized = normalized
        self.finds = finds
        self.limits = limits or ServerLimits()
        self.new_association_id = new_association_id
        self._ssl_context = ssl_context
        self._listener: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        if self._listener is None:
            raise RuntimeError("the server has not been started")
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def associations(self) -> int:
        """How many associations are open now."""
        return sum(connection.is_associated for connection in self._connections.values())

    @property
    def has_room(self) -> bool:
        """True while another association may be accepted."""
        return self.associations < self.limits.maximum_associations

    @property
    def held_bytes(self) -> int:
        """How much memory the data sets take that are being received or written."""
        return sum(connection.held_bytes for connection in self._connections.values())

    async def start(self, host: str, port: int) -> None:
        """Listen; returns when peers may connect."""
        handshake_seconds = self.limits.artim_seconds if self._ssl_context else None
        self._listener = await asyncio.start_server(
            self._on_connection,
            host,
            port,
            limit=_READ_BYTES,
            ssl=self._ssl_context,
            ssl_handshake_timeout=handshake_seconds,
            reuse_address=True,
        )

    async def stop(self, grace_seconds: float) -> None:
        """Stop listening, let begun stores end within the grace, then abort what is still open."""
        if self._listener is not None:
            self._listener.close()
        for task, connection in tuple(self._connections.items()):
            if connection.ends_when_idle():
                task.cancel()
        await self._ended(grace_seconds)
        for task in tuple(self._connections):
            task.cancel()
        await self._ended(grace_seconds)

    async def _ended(self, seconds: float) -> None:
        if self._connections:
            await asyncio.wait(tuple(self._connections), timeout=seconds)

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= self.limits.maximum_associations + _SPARE_CONNECTIONS:
            writer.transport.abort()
            return
        connection = _Connection(self, reader, writer)
        task = asyncio.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("association_failed", exc_info=error)


class _Connection:
    """One TCP connection: reads only while nothing is being stored, which is all the flow control there is."""

    def __init__(self, server: DicomServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_associated = False
        self._server = server
        self._reader = reader
        self._writer = writer
        self._association = Association(server.acceptor)
        self._assembler = MessageAssembler(maximum_data_set=server.limits.maximum_data_set_bytes)
        self._session: StorageSession | None = None
        self._peer: Peer | None = None
        self._association_id = server.new_association_id()
        self._reports: set[asyncio.Task[None]] = set()
        self._asked: set[int] = set()
        self._last_asked = 0
        self._stored_bytes = 0
        self._is_reading = False
        self._is_orderly = False
        self._ends_when_idle = False
        self._artim_ends_at = 0.0

    @property
    def held_bytes(self) -> int:
        return self._stored_bytes + self._assembler.held_bytes

    def ends_when_idle(self) -> bool:
        """Ask for an end after the message under way; True when there is none."""
        self._ends_when_idle = True
        return self._is_reading and self._assembler.is_idle

    async def run(self) -> None:
        _set_socket_options(self._writer)
        self._restart_artim()
        try:
            await self._converse()
        except (OSError, TimeoutError) as error:
            log.info("association_lost", association_id=str(self._association_id), reason=type(error).__name__)
        finally:
            self._abort()
            await self._end()

    async def _converse(self) -> None:
        while self._association.state is not AssociationState.CLOSED:
            data = await self._read()
            if not data:
                return
            await self._on_events(self._association.receive(data))
            self._discard_if_too_much_is_held()
            if self._ends_when_idle and self._assembler.is_idle:
                return

    async def _read(self) -> bytes:
        self._is_reading = True
        try:
            async with asyncio.timeout_at(self._waits_until()):
                return await self._reader.read(_READ_BYTES)
        finally:
            self._is_reading = False

    def _waits_until(self) -> float:
        if self._association.state is AssociationState.ESTABLISHED:
            return asyncio.get_running_loop().time() + self._server.limits.idle_seconds
        return self._artim_ends_at

    def _restart_artim(self) -> None:
        self._artim_ends_at = asyncio.get_running_loop().time() + self._server.limits.artim_seconds

    async def _on_events(self, events: list[Event]) -> None:
        try:
            for event in events:
                await self._on_event(event)
        except MalformedCommand as error:
            log.warning("association_violated", association_id=str(self._association_id), reason=str(error))
            self._restart_artim()
            self._abort()

    async def _on_event(self, event: Event) -> None:
        match event:
            case DataReceived(values):
                await self._on_data(values)
            case AssociationRequested():
                await self._on_association_requested(event)
            case ReleaseRequested():
                await self._on_release_requested()
            case AbortedByPeer(source, reason):
                log.info("association_aborted", association_id=str(self._association_id), source=source, reason=reason)
            case ProtocolViolated(answer, explanation):
                log.warning("association_violated", association_id=str(self._association_id), reason=explanation)
                self._restart_artim()
                await self._write(answer)
            case _:
                assert_never(event)

    async def _on_association_requested(self, event: AssociationRequested) -> None:
        refusal = event.refusal or (None if self._may_accept() else pdu.LOCAL_LIMIT_EXCEEDED)
        if refusal is not None:
            log.warning("association_rejected", source=refusal.source, reason=refusal.reason)
            self._restart_artim()
            await self._write(self._association.reject(refusal))
            return
        self.is_associated = True
        self._peer = Peer(
            association_id=self._association_id,
            calling_ae_title=event.request.calling_ae_title,
            called_ae_title=event.request.called_ae_title,
        )
        self._session = self._server.storage.open(self._peer)
        await self._write(self._association.accept())

    def _may_accept(self) -> bool:
        return self._server.has_room and not self._ends_when_idle

    async def _on_release_requested(self) -> None:
        self._is_orderly = True
        self._restart_artim()
        await self._end_session()
        await self._write(self._association.release())

    async def _on_data(self, values: tuple[pdu.PresentationDataValue, ...]) -> None:
        for value in values:
            message = self._assembler.add(value)
            if message is not None:
                await self._on_message(message)

    async def _on_message(self, message: Message) -> None:
        if message.command.status is not None:
            self._on_response(message.command.message_id, message.command.status)
            return
        if message.command.command_field == CommandField.C_CANCEL_RQ:
            return  # what it would cancel has been answered already (PS3.7, 9.3.2.3)
        self._stored_bytes = message.size_bytes
        try:
            answer = await self._perform(message) if self._has_room_to_report(message) else Answer(_TOO_MANY_REPORTS)
        finally:
            self._stored_bytes = 0
        # The peer may have aborted behind the message.
        if self._association.may(LocalAct.SEND_DATA):
            response = encode_response(message.command, answer.status, sop_instance_uid=answer.sop_instance_uid)
            await self._write(self._association.respond(message.context_id, response))
        if answer.later is not None:
            task = asyncio.create_task(self._report(message.context_id, answer.later))
            self._reports.add(task)
            task.add_done_callback(self._reports.discard)

    def _has_room_to_report(self, message: Message) -> bool:
        return message.command.command_field != CommandField.N_ACTION_RQ or len(self._reports) < MOST_REPORTS

    def _on_response(self, message_id: int, status: int) -> None:
        if message_id not in self._asked:
            raise MalformedCommand("the peer sent a response although nothing was asked of it")
        self._asked.discard(message_id)
        log.info("report_answered", association_id=str(self._association_id), status=f"{status:04X}")

    async def _report(self, context_id: int, later: Callable[[], Awaitable[EventReport | None]]) -> None:
        report = await later()
        if report is None or not self._association.may(LocalAct.SEND_DATA):
            return
        self._last_asked += 1
        self._asked.add(self._last_asked)
        command = encode_event_report(
            self._last_asked, report.sop_class_uid, report.sop_instance_uid, report.event_type_id
        )
        data_set = encode_data_set(report.data_set, self._association.contexts[context_id].transfer_syntax)
        with contextlib.suppress(OSError, TimeoutError):  # the conversation notices its end itself
            await self._write(self._association.respond(context_id, command, data_set))

    async def _perform(self, message: Message) -> Answer:
        command_field, context = message.command.command_field, self._association.contexts[message.context_id]
        if command_field == CommandField.C_FIND_RQ:
            return await self._find(message, context)
        if command_field == CommandField.C_ECHO_RQ:
            return Answer(SUCCESS)
        if command_field == CommandField.C_STORE_RQ and self._session is not None:
            return Answer(await self._session.store(message, context))
        if command_field in _NORMALIZED and self._server.normalized is not None and self._peer is not None:
            return await self._server.normalized.perform(message, context, self._peer)
        return Answer(_UNRECOGNIZED_OPERATION)

    async def _find(self, message: Message, context: pdu.AnsweredContext) -> Answer:
        """Send each item that is found; the last answer says how it ended (PS3.7, 9.3.2.2)."""
        is_worklist = context.abstract_syntax == MODALITY_WORKLIST_FIND
        if not is_worklist or self._server.finds is None or self._peer is None:
            return Answer(_UNRECOGNIZED_OPERATION)
        found = await self._server.finds.find(message, context, self._peer)
        for status, data_set in found.items:
            if self._association.may(LocalAct.SEND_DATA):
                response = encode_response(message.command, status, has_data_set=True)
                await self._write(self._association.respond(message.context_id, response, data_set))
        return Answer(found.status)

    def _discard_if_too_much_is_held(self) -> None:
        if not self._assembler.is_idle and self._server.held_bytes > self._server.limits.maximum_held_bytes:
            self._assembler.discard()

    async def _write(self, data: bytes) -> None:
        self._writer.write(data)
        async with asyncio.timeout(self._server.limits.idle_seconds):
            await self._writer.drain()

    def _abort(self) -> None:
        if self._association.may(LocalAct.ABORT) and not self._writer.is_closing():
            self._writer.write(self._association.abort())

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        self.is_associated = False
        if session is not None:
            await session.close(is_orderly=self._is_orderly)

    async def _end(self) -> None:
        for report in self._reports:
            report.cancel()
        self._writer.close()
        await self._end_session()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._server.limits.artim_seconds):
                await self._writer.wait_closed()


def _set_socket_options(writer: asyncio.StreamWriter) -> None:
    connected = writer.get_extra_info("socket")
    if connected is not None:
        # Small responses must not wait for an acknowledgement: Nagle costs a factor of 45 here.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
