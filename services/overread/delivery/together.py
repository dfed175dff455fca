"""What several ask for in the same moment, done in one go: each waits for its own answer as if it had asked alone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from overread.contracts.errors import OverreadError, Unavailable
from overread.runtime.retry import Defect, or_any_defect

Q = TypeVar("Q")
A = TypeVar("A")


class NotDone(OverreadError):
    """A defect of our own kept it from being done."""


@dataclass(eq=False, slots=True)
class _Asked(Generic[Q, A]):
    question: Q
    answer: "asyncio.Future[A]"


class Together(Generic[Q, A]):
    """Asks `do` for all that wait, while it is not at work; who comes meanwhile is in the next go."""

    def __init__(self, do: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]) -> None:
        self._do = do
        self._turn = asyncio.Lock()
        self._waiting: list[_Asked[Q, A]] = []

    async def ask(self, question: Q) -> A:
        """Return the answer to `question`; a failure of the whole go is everybody's, a defect only of whom it meets."""
        asked: _Asked[Q, A] = _Asked(question, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        try:
            async with self._turn:
                if not asked.answer.done():
                    await self._answer_all()
            return await asked.answer
        finally:
            asked.answer.cancel()

    async def _answer_all(self) -> None:
        everybody, self._waiting = self._waiting, []
        asking = [asked for asked in everybody if not asked.answer.done()]
        try:
            await self._answer(asking)
        finally:
            for asked in asking:
                if not asked.answer.done():
                    asked.answer.set_exception(Unavailable("what was asked for together was broken off"))
                    asked.answer.exception()  # who no longer waits for it misses nothing

    async def _answer(self, asking: Sequence[_Asked[Q, A]]) -> None:
        answers = await or_any_defect(self._do([asked.question for asked in asking]))
        if not isinstance(answers, Defect):
            for asked, answer in zip(asking, answers, strict=True):
                _give(asked, answer)
        elif len(asking) > 1:
            for asked in asking:
                await self._answer([asked])
        elif not asking[0].answer.done():
            asking[0].answer.set_exception(NotDone(f"a defect of our own ({answers.name})"))


def _give(asked: _Asked[Q, A], answer: A) -> None:
    if not asked.answer.done():
        asked.answer.set_result(answer)
