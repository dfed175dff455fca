"""The stack for code that has no loop of its own, such as a test session: it runs on a thread beside it."""

import asyncio
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from overread.embedded.endpoints import Endpoints
from overread.embedded.supervisor import Stack

Answer = TypeVar("Answer")


class StackThread:
    """A context manager around a Stack; its methods are the Stack's, without `await`.

    The kernel ties children to the thread that started them, so that thread lives as long as the stack.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="embedded stack", daemon=True)

    @property
    def endpoints(self) -> Endpoints:
        """Return the addresses and credentials."""
        return self._stack.endpoints

    @property
    def seconds(self) -> dict[str, float]:
        """Return how long the parts took to become healthy."""
        return self._stack.seconds

    def pid(self, name: str) -> int:
        """Return the process number of a child."""
        return self._stack.pid(name)

    def starts(self, name: str) -> int:
        """Return how often a child was started."""
        return self._stack.starts(name)

    def log_of(self, name: str) -> Path:
        """Return the log file of a child."""
        return self._stack.log_of(name)

    def kill(self, name: str) -> None:
        """End a child by SIGKILL; its keeper starts it again."""
        self._call(self._kill(name))

    def wait_ready(self, name: str, timeout_seconds: float = 60) -> None:
        """Wait until a child is healthy (again)."""
        self._call(self._stack.wait_ready(name, timeout_seconds))

    def __enter__(self) -> Self:
        """Start thread and stack."""
        self._thread.start()
        try:
            self._call(self._stack.__aenter__())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop stack and thread."""
        try:
            self._call(self._stack.stop())
        finally:
            self._end()

    async def _kill(self, name: str) -> None:
        self._stack.kill(name)

    def _call(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
