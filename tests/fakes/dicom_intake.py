"""The ports of the DICOM intake without a disk and without a broker."""

import asyncio
import hashlib
from collections.abc import Sequence

from overread.archive.commitment_store import JudgedCommitment
from overread.contracts.events.intake import Announced, InstanceStored, StudyHint
from overread.dicom_intake.storage_scp import StoredObject
from overread.protocols.dicom.attributes import InstanceHeader


class FakeInstanceStore:
    """Keeps in memory; `failure` is raised instead, `gate` holds every store until it is set."""

    def __init__(self, *, failure: Exception | None = None, gate: asyncio.Event | None = None) -> None:
        self.headers: dict[str, bytes] = {}
        self.data_sets: dict[str, bytes] = {}
        self.failure = failure
        self.gate = gate
        self.begun = asyncio.Event()

    async def keep(self, header: bytes, fragments: Sequence[bytes], instance: InstanceHeader) -> StoredObject:
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        data_set = b"".join(fragments)
        self.headers[instance.sop_instance_uid] = header
        self.data_sets[instance.sop_instance_uid] = data_set
        return StoredObject(
            object_key=f"site/studies/{instance.study_instance_uid}/{instance.sop_instance_uid}/receipt",
            digest=hashlib.sha256(header + data_set).hexdigest(),
            size_bytes=len(header) + len(data_set),
        )


class FakeIntakeEvents:
    """Remembers what it was told, in order."""

    def __init__(self, *, has_room: bool = True) -> None:
        self.has_room = has_room
        self.told: list[InstanceStored | StudyHint] = []

    @property
    def instances(self) -> list[InstanceStored]:
        return [event for event in self.told if isinstance(event, InstanceStored)]

    @property
    def hints(self) -> list[StudyHint]:
        return [event for event in self.told if isinstance(event, StudyHint)]

    async def instance_stored(self, event: InstanceStored) -> None:
        self.told.append(event)

    async def association_closed(self, hint: StudyHint) -> None:
        self.told.append(hint)


class FakeAnnouncements:
    """Keeps announcements in memory; `failure` is raised instead. `steps` are those that archive knows."""

    def __init__(self, *, steps: dict[str, str] | None = None, failure: Exception | None = None) -> None:
        self.kept: list[tuple[Announced, bytes]] = []
        self.hints: list[StudyHint] = []
        self.steps = steps or {}
        self.failure = failure
        self.judgement: JudgedCommitment | None = None
        self.is_judging = False

    async def keep(self, announced: Announced, data_set: bytes, subject: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.kept.append((announced, data_set))

    async def tell(self, hints: list[StudyHint]) -> None:
        if self.failure is not None:
            raise self.failure
        self.hints += hints

    async def step_status(self, procedure_step_uid: str) -> str | None:
        return self.steps.get(procedure_step_uid)

    async def awaited_step_status(self, procedure_step_uid: str) -> str | None:
        return self.steps.get(procedure_step_uid)

    async def judged(self, transaction_uid: str, calling_ae_title: str) -> JudgedCommitment | None:
        if self.is_judging:
            await asyncio.Event().wait()
        return self.judgement
