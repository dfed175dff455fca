"""How long a connection waits for its sender: one timer a connection, moved seldom, since one for each read costs."""

import asyncio
from collections.abc import Callable


class Patience:
    """Calls `give_up` when the time that was last given is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop, give_up: Callable[[], None]) -> None:
        self._loop = loop
        self._give_up = give_up
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float) -> None:
        """Give up in so many seconds, unless told otherwise before."""
        self._deadline = self._loop.time() + seconds
        if self._timer is None or self._deadline < self._timer.when():
            self._set_timer()

    def end(self) -> None:
        """Never give up any more."""
        self._deadline = float("inf")
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._deadline > self._loop.time():
            self._set_timer()
        else:
            self._give_up()
