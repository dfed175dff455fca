"""Events on their way to the broker: in order, tried until acknowledged, never more than a bound."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from overread.contracts.errors import Unavailable
from overread.runtime.telemetry import log

E = TypeVar("E")

_LARGEST_BATCH: Final = 500


class OutstandingEvents(Generic[E]):
    """What has been told and not yet acknowledged; `publish` returns when a batch is, in its order."""

    def __init__(
        self, publish: Callable[[Sequence[E]], Awaitable[None]], *, bound: int, retry_seconds: float = 0.5
    ) -> None:
        self._publish = publish
        self._bound = bound
        self._retry_seconds = retry_seconds
        self._waiting: deque[E] = deque()
        self._has_some = asyncio.Event()
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    @property
    def has_room(self) -> bool:
        """False when nothing more may be taken on until the broker has acknowledged some."""
        return len(self._waiting) < self._bound

    def put(self, event: E) -> None:
        """Take `event` on; it goes out after all that were taken on before."""
        self._waiting.append(event)
        self._is_empty.clear()
        self._has_some.set()

    async def flushed(self) -> None:
        """Return when everything has been acknowledged."""
        await self._is_empty.wait()

    async def run(self) -> None:
        """Publish for ever; while the broker is away the same events are tried again."""
        while True:
            await self._has_some.wait()
            batch = [self._waiting[number] for number in range(min(len(self._waiting), _LARGEST_BATCH))]
            try:
                await self._publish(batch)
            except Unavailable:
                log.warning("events_wait_for_broker", waiting=len(self._waiting))
                await asyncio.sleep(self._retry_seconds)
                continue
            self._drop(len(batch))

    def _drop(self, count: int) -> None:
        for _ in range(count):
            self._waiting.popleft()
        if not self._waiting:
            self._has_some.clear()
            self._is_empty.set()
