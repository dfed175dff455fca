"""Several askers in one go: each has its own answer, and a defect that one meets is that one's alone."""

import asyncio
from collections.abc import Sequence

import pytest

from overread.contracts.errors import Unavailable
from overread.delivery.together import NotDone, Together


class Register:
    """Doubles numbers, and remembers which came together; the first go waits until it is let on."""

    def __init__(self) -> None:
        self.goes: list[list[int]] = []
        self.may_go_on = asyncio.Event()
        self.is_away = False

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.goes.append(list(numbers))
        await self.may_go_on.wait()
        if self.is_away:
            raise Unavailable("the database does not answer")
        return [1 // number and number * 2 if number == 0 else number * 2 for number in numbers]


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_comes_while_it_is_at_work_is_in_the_next_go() -> None:
    """REQ-OUT-19: one statement for all that waited, and each its own answer."""
    register = Register()
    together = Together(register)
    asking = [asyncio.create_task(together.ask(1))]
    await _turns()

    asking += [asyncio.create_task(together.ask(number)) for number in (2, 3, 4)]
    await _turns()
    register.may_go_on.set()

    assert await asyncio.gather(*asking) == [2, 4, 6, 8]
    assert register.goes == [[1], [2, 3, 4]]


async def test_a_defect_is_that_ones_alone() -> None:
    """REQ-OUT-19: the others of the same go have their answers."""
    register = Register()
    together = Together(register)
    asking = [asyncio.create_task(together.ask(number)) for number in (1, 2, 0, 3)]
    register.may_go_on.set()

    answers = await asyncio.gather(*asking, return_exceptions=True)

    assert answers[:2] + answers[3:] == [2, 4, 6]
    assert isinstance(answers[2], NotDone)


async def test_a_database_that_is_away_is_away_for_everybody() -> None:
    """REQ-OUT-19: nobody goes on as if it had been kept."""
    register = Register()
    together = Together(register)
    asking = [asyncio.create_task(together.ask(number)) for number in (1, 2)]
    register.is_away = True
    register.may_go_on.set()

    answers = await asyncio.gather(*asking, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_who_gives_up_waiting_keeps_nobody_else_waiting(cancelled: int) -> None:
    """REQ-OUT-19: also the one in whose name the others are asked for."""
    register = Register()
    together = Together(register)
    asking = [asyncio.create_task(together.ask(number)) for number in (1, 2, 3)]
    await _turns()

    asking[cancelled].cancel()
    await _turns()
    register.may_go_on.set()
    answers = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), timeout=5)

    assert isinstance(answers[cancelled], asyncio.CancelledError)
    left = [answer for number, answer in enumerate(answers) if number != cancelled]
    expected = [[4, 6], [2, 6], [2, 4]][cancelled]
    assert left == expected
