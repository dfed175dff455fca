"""Notes each message in the index in the transaction that takes it, or sets it aside, and forgets what the topic forgets.

One that somebody mended stands aside whenever it comes again, by a replay above all: the mended one has been used.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from overread.assembly import message_store
from overread.assembly.message_index import IndexedMessage, digests_under, indexed
from overread.assembly.settings import AssemblySettings
from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.topics import HL7_RECEIVED
from overread.runtime.consume import Delivered, Handler
from overread.runtime.dead_letter import SourceRecord, reason_of
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore, ObjectMissing
from overread.runtime.service import Service
from overread.runtime.telemetry import log

PRUNE_SECONDS = 600.0
AWAY_SECONDS = 1.0
DEAD_LETTERS_STAY = timedelta(days=90)
"""As long as a dead letter is kept it can be mended."""
MENDED_STAY = 2 * DEAD_LETTERS_STAY
"""One that failed again just before it was mended has a letter that lies for as long again, and must not be used."""


class Contents:
    """The bytes of messages: in their events, or, of large ones, in the object store."""

    def __init__(self, objects: LocalObjectStore) -> None:
        self._objects = objects

    async def of(self, received: HL7Received) -> bytes:
        """Return a message as it came, without its MLLP frame."""
        if received.raw_base64 is not None:
            return base64.b64decode(received.raw_base64)
        return await self._objects.get(received.object_key or "")


class MessageTaking:
    """Writes the index; `contents` says the bytes of a message that is set aside."""

    def __init__(self, settings: AssemblySettings, contents: Callable[[HL7Received], Awaitable[bytes]]) -> None:
        self._digests = digests_under(settings.message_index_key)
        self._contents = contents

    def noting(self, takes: Handler) -> Handler:
        """Return `takes` with the note that each message of its batch was used, where it lies, and what it is found by.

        What another message stands for is not used.
        """

        async def taken(batch: Sequence[Delivered], tx: Transaction) -> None:
            by_site = {site_id: await _for_use(tx, site_id, mine) for site_id, mine in _by_site(batch)}
            used = {delivered.event.id for mine in by_site.values() for delivered in mine}
            if not used:
                return
            await takes([delivered for delivered in batch if delivered.event.id in used], tx)
            for site_id, mine in by_site.items():
                if mine:
                    await message_store.note(tx, site_id, [await self._used(delivered) for delivered in mine])

        return taken

    async def _used(self, delivered: Delivered) -> IndexedMessage:
        raw = await self._contents(delivered.event.data)
        return indexed(delivered.event, raw, (delivered.partition, delivered.offset), self._digests)

    async def set_aside(self, source: SourceRecord, tx: Transaction) -> None:
        """Keep of a message why it was set aside; a record that is no message of a link is no message here either."""
        event = event_in(source)
        if event is None:
            return
        place, because = (source.partition, source.offset), reason_of(tx.outgoing[-1])
        one = indexed(event, await self._as_far_as_there(event.data), place, self._digests, set_aside_because=because)
        await message_store.note(tx, event.site_id, [one])

    async def _as_far_as_there(self, received: HL7Received) -> bytes | None:
        try:
            return await self._contents(received)
        except ObjectMissing:
            return None


def _by_site(batch: Sequence[Delivered]) -> list[tuple[str, list[Delivered]]]:
    by_site: dict[str, list[Delivered]] = {}
    for delivered in batch:
        by_site.setdefault(delivered.event.site_id, []).append(delivered)
    return sorted(by_site.items())


async def _for_use(tx: Transaction, site_id: str, batch: Sequence[Delivered]) -> list[Delivered]:
    """Leave out what was mended: what came wrong must not be said again after what is right."""
    answered = await message_store.lock_answered(tx, site_id, [delivered.event.id for delivered in batch])
    for event_id, by in answered.items():
        log.info("message_stands_aside", event_id=str(event_id), answered_by=str(by))
    return [delivered for delivered in batch if delivered.event.id not in answered]


def event_in(source: SourceRecord) -> Event[HL7Received] | None:
    """Return the message's event in a record of `hl7.received`; None when it holds none."""
    try:
        event = codec.decode(source.value, HL7_RECEIVED.bodies)
    except Malformed:
        return None
    return event  # type: ignore[return-value]  # the topic has one body


class Forgetting:
    """Takes out of the index what the topic does not hold any more."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def run(self) -> None:
        """Forget until cancelled; what is away is waited for."""
        while True:
            try:
                await self.forget()
                await asyncio.sleep(PRUNE_SECONDS)
            except Unavailable as away:
                log.warning("messages_wait", reason=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def forget(self) -> None:
        """Forget what is older than the topic's retention, or than that of its dead letters, some at a time."""
        now = self._service.clock()
        gone = 1
        while gone:
            async with self._service.transaction() as tx:
                gone = await message_store.prune(
                    tx.connection,
                    now - HL7_RECEIVED.retention,
                    now - DEAD_LETTERS_STAY,
                    now - MENDED_STAY,
                )
