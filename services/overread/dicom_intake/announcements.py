"""Where the intake keeps what a peer announces beside images: the broker, before any 0x0000 leaves (DESIGN, promise 1)."""

import asyncio
import base64
from contextlib import suppress
from typing import Final, TypeVar

from overread.archive.queries import ArchiveQueries, JudgedCommitment
from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.events.intake import Announced, StudyHint
from overread.dicom_intake.ports import PublishedEvents
from overread.runtime.object_store import LocalObjectStore

A = TypeVar("A", bound=Announced)

LARGEST_IN_EVENT: Final = 96 * 1024
"""A data set above this is a stored object: no event may exceed 256 KiB."""
ARCHIVE_SECONDS: Final = 2.0
"""How long archive is waited for: it hears of a step by the broker, a moment after the peer has our answer."""
JUDGEMENT_SECONDS: Final = 60.0
"""How long an association is kept an answer for: archive itself waits half of that for instances on their way."""
_LOOK_AGAIN_SECONDS: Final = 0.1


class PublishedAnnouncements:
    """Publishes announcements, and knows the steps of this process and those that archive has heard of."""

    def __init__(
        self,
        site_id: str,
        events: PublishedEvents,
        objects: LocalObjectStore,
        *,
        archive: ArchiveQueries | None,
    ) -> None:
        self._site_id = site_id
        self._events = events
        self._objects = objects
        self._archive = archive

    async def keep(self, announced: A, data_set: bytes, subject: str) -> None:
        """Return when the broker, and for a large data set the object store, holds it; raise `Unavailable` otherwise."""
        digest = codec.sha256(data_set)
        held = await self._held(announced, data_set, digest)
        await self._events.tell_now(held, subject, held.association_id, f"{subject}/{held.association_id}/{digest}")

    async def tell(self, hints: list[StudyHint]) -> None:
        """Return when the broker holds every hint; raise `Unavailable` otherwise."""
        for hint in hints:
            own_key = f"{hint.list_id}/{hint.study_instance_uid}/{hint.part}"
            await self._events.tell_now(hint, hint.study_instance_uid, hint.association_id, own_key)

    async def step_status(self, procedure_step_uid: str) -> str | None:
        """Return the state of a step that archive knows, None of one that it does not; raise `Unavailable`."""
        if self._archive is None:
            raise Unavailable("archive is not to be asked here")
        try:
            async with asyncio.timeout(ARCHIVE_SECONDS):
                return await self._archive.step_status(procedure_step_uid)
        except TimeoutError as error:
            raise Unavailable("archive does not answer in time") from error

    async def awaited_step_status(self, procedure_step_uid: str) -> str | None:
        """Return the state of a step, waiting a moment for archive to hear of it."""
        ends_at = asyncio.get_running_loop().time() + ARCHIVE_SECONDS
        while (status := await self.step_status(procedure_step_uid)) is None:
            if asyncio.get_running_loop().time() > ends_at:
                return None
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return status

    async def judged(self, transaction_uid: str, calling_ae_title: str) -> JudgedCommitment | None:
        """Return what a request for commitment came to, None when archive does not say so in time."""
        if self._archive is None:
            return None
        ends_at = asyncio.get_running_loop().time() + JUDGEMENT_SECONDS
        while asyncio.get_running_loop().time() < ends_at:
            with suppress(Unavailable):
                if judged := await self._archive.judged_commitment(transaction_uid, calling_ae_title):
                    return judged
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        return None

    async def _held(self, announced: A, data_set: bytes, digest: str) -> A:
        if len(data_set) <= LARGEST_IN_EVENT:
            return announced.model_copy(update={"data_set_base64": base64.b64encode(data_set).decode()})
        key = f"{self._site_id}/announced/{digest}"
        await self._objects.put(key, [data_set])
        return announced.model_copy(update={"object_key": key})
