"""What one C-STORE does: check, keep on synced disk, tell (PS3.4, annex B; DESIGN, promise 1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Protocol
from uuid import UUID

from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HintKind, InstanceStored, StudyHint
from overread.contracts.identifiers import parse_uid
from overread.protocols.dicom.attributes import InstanceHeader, part10_header, read_header
from overread.protocols.dicom.dimse import SUCCESS, Command, Message, Status, StatusCode
from overread.protocols.dicom.pdu import AnsweredContext
from overread.protocols.dicom.sop_classes import is_accompanying
from overread.runtime.clock import Clock
from overread.runtime.telemetry import DICOM_STORED, log

INSTANCES_PER_HINT: Final = 2_000
"""More would make the event larger than a topic takes; the rest of the list follows in further hints."""

_TOO_MANY_EVENTS: Final = Status(StatusCode.OUT_OF_RESOURCES, "Events can't be published at present, send again later")
_DISCARDED: Final = Status(StatusCode.OUT_OF_RESOURCES, "Data set is larger than can be held at present")
_NOT_KEPT: Final = Status(StatusCode.OUT_OF_RESOURCES, "Storage has no room or is away, send again later")
_NO_DATA_SET: Final = Status(StatusCode.CANNOT_UNDERSTAND, "C-STORE request has no data set")
_NO_INSTANCE: Final = Status(StatusCode.INVALID_SOP_INSTANCE, "Affected SOP Instance UID is no UID")
_OTHER_CLASS: Final = Status(StatusCode.SOP_CLASS_NOT_SUPPORTED, "SOP class is not the one of the presentation context")
_MISMATCH: Final = StatusCode.DATA_SET_DOES_NOT_MATCH_SOP_CLASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who is at the other end of an association, and the ID that we gave to it."""

    association_id: UUID
    calling_ae_title: str
    called_ae_title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """Where an instance lies, and what its bytes are."""

    object_key: str
    digest: str
    size_bytes: int


class InstanceStore(Protocol):
    """Where instances are kept."""

    async def keep(self, header: bytes, fragments: Sequence[bytes], instance: InstanceHeader) -> StoredObject:
        """Return once header and fragments are on synced disk, folder too; raise `Unavailable` when they can't be."""
        ...


class IntakeEvents(Protocol):
    """Where the intake tells what has come; it publishes in the order in which it is told."""

    @property
    def has_room(self) -> bool:
        """False when so many events wait for the broker that no more instances may be taken."""
        ...

    async def instance_stored(self, event: InstanceStored) -> None:
        """Take the event for publication at once; it is tried until the broker has acknowledged it."""
        ...

    async def association_closed(self, hint: StudyHint) -> None:
        """Take the hint for publication, after every event that was given before."""
        ...


class StorageScp:
    """The Storage Service Class as SCP (PS3.4, B.2)."""

    def __init__(self, store: InstanceStore, events: IntakeEvents, clock: Clock, *, fallback_charset: str) -> None:
        self._store = store
        self._events = events
        self._clock = clock
        self._fallback_charset = fallback_charset

    def open(self, peer: Peer) -> "StorageSession":
        """Begin to count what `peer` delivers on one association."""
        return StorageSession(self, peer)

    async def store(self, message: Message, context: AnsweredContext, peer: Peer) -> InstanceHeader | Status:
        """Return what was kept, after it is on synced disk and its event is on the way, or why nothing was."""
        refusal = self._refusal(message, context)
        if refusal is not None:
            return refusal
        try:
            instance = read_header(message.fragments, context.transfer_syntax, fallback_charset=self._fallback_charset)
        except Malformed as error:
            return Status(StatusCode.CANNOT_UNDERSTAND, str(error))
        mismatch = _mismatch(message.command, instance)
        if mismatch is not None:
            return mismatch
        return await self._keep(message, context, instance, peer)

    def _refusal(self, message: Message, context: AnsweredContext) -> Status | None:
        if not self._events.has_room:
            return _TOO_MANY_EVENTS
        if message.is_discarded:
            return _DISCARDED
        if not message.command.has_data_set:
            return _NO_DATA_SET
        if message.command.affected_sop_class_uid != context.abstract_syntax:
            return _OTHER_CLASS
        return None if _is_uid(message.command.affected_sop_instance_uid) else _NO_INSTANCE

    async def _keep(
        self, message: Message, context: AnsweredContext, instance: InstanceHeader, peer: Peer
    ) -> InstanceHeader | Status:
        received_at = self._clock()
        header = part10_header(
            instance.sop_class_uid, instance.sop_instance_uid, context.transfer_syntax, peer.calling_ae_title
        )
        try:
            stored = await self._store.keep(header, message.fragments, instance)
        except (Unavailable, OSError) as error:
            log.warning("instance_not_kept", association_id=str(peer.association_id), reason=type(error).__name__)
            return _NOT_KEPT
        event = InstanceStored(
            study_instance_uid=instance.study_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
            sop_class_uid=instance.sop_class_uid,
            transfer_syntax_uid=context.transfer_syntax,
            object_key=stored.object_key,
            digest=stored.digest,
            size_bytes=stored.size_bytes,
            received_at=received_at,
            calling_ae_title=peer.calling_ae_title,
            association_id=peer.association_id,
            is_accompanying=is_accompanying(instance.sop_class_uid, manufacturer=instance.attributes.manufacturer),
            attributes=instance.attributes,
        )
        await self._events.instance_stored(event)
        return instance

    async def tell_closed(
        self, peer: Peer, study_instance_uid: str, delivered: Sequence[str], *, orderly: bool
    ) -> None:
        """Tell what one association delivered of one study; some scanners open one per series."""
        rest = iter(delivered)
        while part := tuple(islice(rest, INSTANCES_PER_HINT)):
            hint = StudyHint(
                study_instance_uid=study_instance_uid,
                kind=HintKind.ASSOCIATION_CLOSED,
                calling_ae_title=peer.calling_ae_title,
                association_id=peer.association_id,
                sop_instance_uids=part,
                is_orderly=orderly,
            )
            await self._events.association_closed(hint)


class StorageSession:
    """The stores of one association, from its acceptance to its end."""

    def __init__(self, scp: StorageScp, peer: Peer) -> None:
        self._scp = scp
        self._peer = peer
        self._delivered: dict[str, dict[str, None]] = {}  # per study, in the order of arrival

    async def store(self, message: Message, context: AnsweredContext) -> Status:
        """Answer one C-STORE; 0x0000 means that the instance is on synced disk."""
        outcome = await self._scp.store(message, context, self._peer)
        status = outcome if isinstance(outcome, Status) else SUCCESS
        if isinstance(outcome, InstanceHeader):
            self._delivered.setdefault(outcome.study_instance_uid, {})[outcome.sop_instance_uid] = None
        else:
            log.warning(
                "instance_refused",
                association_id=str(self._peer.association_id),
                status=f"{status.code:04X}",
                reason=status.error_comment,
            )
        DICOM_STORED.labels(f"{status.code:04X}").inc()
        return status

    async def close(self, *, is_orderly: bool) -> None:
        """Tell, study by study, which instances the association delivered."""
        for study_instance_uid, delivered in self._delivered.items():
            await self._scp.tell_closed(self._peer, study_instance_uid, tuple(delivered), orderly=is_orderly)


def _is_uid(value: str) -> bool:
    try:
        parse_uid(value)
    except Malformed:
        return False
    return True


def _mismatch(command: Command, instance: InstanceHeader) -> Status | None:
    if instance.sop_class_uid != command.affected_sop_class_uid:
        return Status(_MISMATCH, "SOP Class UID of data set and command differ")
    if instance.sop_instance_uid != command.affected_sop_instance_uid:
        return Status(_MISMATCH, "SOP Instance UID of data set and command differ")
    return None
