"""What goes back on the line for one message, told in the turn of the loop in which it is known.

A future would tell in the next turn, after everything else that is ready: a sender that waits for its answer notices.
"""

import asyncio
from collections.abc import Callable, Generator


class Answer:
    """The bytes of an acknowledgement, None when the sender wants nothing, or a bug of ours instead of either.

    `is_committed` unless the message could not be kept and has to come again, which MLLP release 2 says of the block.
    """

    __slots__ = ("_is_done", "_listeners", "_written", "failure", "is_committed")

    def __init__(self) -> None:
        self._is_done = False
        self.is_committed = True
        self._written: bytes | None = None
        self.failure: BaseException | None = None
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def ready(cls, written: bytes | None) -> "Answer":
        """Return an answer that is there already."""
        answer = cls()
        answer.set(written)
        return answer

    @classmethod
    def not_kept(cls, written: bytes | None) -> "Answer":
        """Return the answer to a message that has to come again."""
        answer = cls.ready(written)
        answer.is_committed = False
        return answer

    def done(self) -> bool:
        """Say whether it is there."""
        return self._is_done

    def set(self, written: bytes | None) -> None:
        """Tell it to all who listen."""
        self._written = written
        self._tell()

    def fail(self, failure: BaseException) -> None:
        """Tell all who listen that there will be none."""
        self.failure = failure
        self._tell()

    def result(self) -> bytes | None:
        """Return what is to be written; raise what went wrong instead."""
        if self.failure is not None:
            raise self.failure
        return self._written

    def when_done(self, listener: Callable[[], None]) -> None:
        """Call `listener` once it is there: now, if it is."""
        if self._is_done:
            listener()
        else:
            self._listeners.append(listener)

    def __await__(self) -> Generator[object, None, bytes | None]:
        """Wait for it."""
        if not self._is_done:
            told = asyncio.get_running_loop().create_future()
            self.when_done(lambda: None if told.done() else told.set_result(None))
            yield from told
        return self.result()

    def _tell(self) -> None:
        self._is_done = True
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()
