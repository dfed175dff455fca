"""Replay by reference: a service that is asked for it reads its own dead letter again, and takes it once more.

Nobody writes a record in another's name: who asks for a replay names a place, and needs no right on the source topic.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from overread.contracts.errors import Malformed
from overread.contracts.events.operations import ReplayRequested
from overread.runtime.consume import Delivered
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.dead_letters import DeadLetter, letter_at
from overread.runtime.inbox import Transaction
from overread.runtime.settings import ServiceSettings
from overread.runtime.telemetry import log

Find = Callable[[ServiceSettings, str, int, int], Awaitable[DeadLetter | None]]
Source = Callable[[ServiceSettings, str, int, int], Awaitable[SourceRecord | None]]


class Taking(Protocol):
    """A consumption, as far as a replay needs it."""

    async def take_again(self, source: SourceRecord, *, broker_milliseconds: int) -> None:
        """Handle a record that was set aside once more, to its end."""


class Replays:
    """What one service does with `replays.requested`: it takes its own letters again, and leaves the others'.

    With `source` it takes none whose bytes the topic that it came from does not hold in that place: only that topic's
    writers can have written those.
    """

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        consumptions: Mapping[str, Taking],
        *,
        find: Find = letter_at,
        source: Source | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._consumptions = consumptions
        self._find = find
        self._source = source

    async def requested(self, batch: Sequence[Delivered], _tx: Transaction) -> None:
        """Take each letter that this service is asked for; its effects commit on their own, once however often asked."""
        for delivered in batch:
            if delivered.event.data.consumer == self._service:
                await self._take(delivered.event.data, delivered.broker_milliseconds)

    async def _take(self, asked: ReplayRequested, broker_milliseconds: int) -> None:
        consumption = self._consumptions.get(asked.dead_topic.removesuffix(".dead"))
        if consumption is None or not asked.dead_topic.endswith(".dead"):
            raise Malformed(f"{self._service} has no dead letters on that topic")
        letter = await self._find(self._settings, asked.dead_topic, asked.partition, asked.offset)
        if letter is None or letter.consumer != self._service:
            raise Malformed(f"no dead letter of {self._service} lies in that place")
        await self._require_proof(letter)
        log.info("replay_taken", place=letter.place, requested_by=asked.requested_by)
        await consumption.take_again(letter.again, broker_milliseconds=broker_milliseconds)

    async def _require_proof(self, letter: DeadLetter) -> None:
        if self._source is None:
            return
        again = letter.again
        source = await self._source(self._settings, again.topic, again.partition, again.offset)
        if source is None:
            raise Malformed(f"{again.topic} does not keep that record any more: it is sent again from where it came")
        if (source.key, source.value) != (again.key, again.value):
            raise Malformed(f"that dead letter is not what {again.topic} holds in the place that it names")
