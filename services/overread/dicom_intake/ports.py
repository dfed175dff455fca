"""Where the intake's instances and events go: the object store, and Kafka in the order in which they were told."""

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID, uuid4

from overread.contracts import codec
from overread.contracts.envelope import Body, event_of
from overread.contracts.events.audit import Recorded
from overread.contracts.events.intake import InstanceStored, IntakeRestarted, StudyHint
from overread.contracts.identifiers import deterministic_id, instance_event_id
from overread.contracts.topics import AUDIT_RECORDED, DICOM_RECEIVED, Topic
from overread.dicom_intake.outstanding import OutstandingEvents
from overread.dicom_intake.storage_scp import Peer, StoredObject
from overread.protocols.dicom.attributes import InstanceHeader
from overread.runtime.clock import Clock
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.publisher import Outgoing, Publisher
from overread.runtime.telemetry import child_traceparent, new_traceparent


class SyncedInstances:
    """Keeps instances under `{site}/studies/{study}/{sop}/{receipt}`; the receipt is the data set's digest."""

    def __init__(self, site_id: str, objects: LocalObjectStore) -> None:
        self._site_id = site_id
        self._objects = objects

    async def keep(self, header: bytes, fragments: Sequence[bytes], instance: InstanceHeader) -> StoredObject:
        """Return once header and fragments are on synced disk, folder too."""
        return await self._objects.in_writer(self._keep, header, fragments, instance)

    def _keep(self, header: bytes, fragments: Sequence[bytes], instance: InstanceHeader) -> StoredObject:
        digest, size = _digest(fragments)
        key = f"{self._site_id}/studies/{instance.study_instance_uid}/{instance.sop_instance_uid}/{digest}"
        self._objects.write(key, [header, *fragments])
        return StoredObject(object_key=key, digest=digest, size_bytes=size + len(header))


class PublishedEvents:
    """Tells what came, in order, until the broker has acknowledged it."""

    def __init__(self, site_id: str, publisher: Publisher, clock: Clock, *, bound: int) -> None:
        self._site_id = site_id
        self._clock = clock
        self._publisher = publisher
        self._outstanding = OutstandingEvents[Outgoing](publisher.publish, bound=bound)

    @property
    def has_room(self) -> bool:
        """False when so many events wait for the broker that no more instances may be taken."""
        return self._outstanding.has_room

    async def run(self) -> None:
        """Publish until cancelled."""
        await self._outstanding.run()

    async def flushed(self) -> None:
        """Return when everything has been acknowledged."""
        await self._outstanding.flushed()

    async def instance_stored(self, event: InstanceStored) -> None:
        """Take the event for publication; its id follows from site, SOPInstanceUID and digest."""
        event_id = instance_event_id(self._site_id, event.sop_instance_uid, event.digest)
        self._put(event, event.study_instance_uid, _trace_of(event.association_id), event_id)

    async def association_closed(self, hint: StudyHint) -> None:
        """Take the hint for publication, after every event that was given before."""
        trace = _trace_of(hint.association_id)
        first = hint.sop_instance_uids[0] if hint.sop_instance_uids else ""
        key = (str(hint.association_id), hint.study_instance_uid, first)
        self._put(hint, hint.study_instance_uid, trace, deterministic_id("association closed", self._site_id, *key))

    async def tell_now(self, body: Body, subject: str, association_id: UUID, own_key: str) -> None:
        """Return when the broker holds what is kept nowhere else; raise `Unavailable` when it does not."""
        event_id = deterministic_id(body.event_type(), self._site_id, own_key)
        await self._publisher.publish(
            [self._outgoing(DICOM_RECEIVED, body, subject, _trace_of(association_id), event_id)]
        )

    async def worklist_asked(self, peer: Peer, items: int) -> None:
        """Return when the audit trail has it that a peer was told of patients; raise `Unavailable` otherwise."""
        recorded = Recorded(
            actor=peer.calling_ae_title,
            action="query",
            object_type="worklist",
            object_id=str(peer.association_id),
            outcome="success",
            recorded_at=self._clock(),
            detail=f"{items} items",
        )
        trace = _trace_of(peer.association_id)
        await self._publisher.publish([self._outgoing(AUDIT_RECORDED, recorded, "worklist", trace, uuid4())])

    def tell_restart(self) -> None:
        """Let archive announce again what was stored and not told before this process began."""
        now = self._clock()
        restarted = IntakeRestarted(study_instance_uid="-", intake="dicom_intake", restarted_at=now)
        event_id = deterministic_id("intake restarted", self._site_id, "dicom_intake", now.isoformat())
        self._put(restarted, "dicom_intake", new_traceparent(), event_id)

    def _put(self, body: Body, subject: str, traceparent: str, event_id: UUID) -> None:
        self._outstanding.put(self._outgoing(DICOM_RECEIVED, body, subject, traceparent, event_id))

    def _outgoing(self, topic: Topic, body: Body, subject: str, traceparent: str, event_id: UUID) -> Outgoing:
        event = event_of(
            body,
            source="dicom_intake",
            time=self._clock(),
            subject=subject,
            site_id=self._site_id,
            traceparent=traceparent,
            own_key="",
            event_id=event_id,
        )
        return Outgoing(topic.name, topic.key_of(event), codec.encode(event))


def _trace_of(association_id: UUID) -> str:
    """Return a span of the association's own trace: what came on one association is one trace."""
    return child_traceparent(f"00-{association_id.hex}-{'0' * 16}-01")


def _digest(fragments: Sequence[bytes]) -> tuple[str, int]:
    total, size = sha256(), 0
    for fragment in fragments:
        total.update(fragment)
        size += len(fragment)
    return total.hexdigest(), size
