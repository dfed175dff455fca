"""The same suite on the fake broker and on real Kafka with a real database (STYLE 24)."""

from collections.abc import AsyncIterator

import pytest

from overread.runtime.consume import Delivered
from overread.runtime.publisher import Outgoing
from tests.fakes.brokers import Bench, FakeBench, RealBench, an_act, has_effects, until


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.stack)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """Yield a running service on either broker."""
    made = FakeBench() if request.param == "fake" else RealBench(request.getfixturevalue("stack").endpoints)
    async with made.running() as running:
        yield running


def failing_on(name: str, error: Exception) -> object:
    """Return a step that raises at the record called `name`."""

    def step(delivered: Delivered) -> None:
        if delivered.event.data.object_id == name:
            raise error

    return step


async def test_every_event_has_its_effect_once_whatever_repeats(bench: Bench) -> None:
    """Promise 4: effects happen once."""
    for name in ("a", "b", "a", "c", "b", "a"):
        await bench.send(an_act(bench, name))

    assert await has_effects(bench, "a", "b", "c") == ["a", "b", "c"]


async def test_bytes_that_are_no_event_are_set_aside_and_the_next_goes_on(bench: Bench) -> None:
    """Promise 2: nothing vanishes; one bad record blocks nobody."""
    bad = b"no event of run " + bench.run.encode()
    await bench.send(bad)
    await bench.send(an_act(bench, "after"))

    await has_effects(bench, "after")

    letter = (await until(bench.dead_letters))[0]
    headers = dict(letter.headers)
    assert (letter.value, headers["kind"], headers["reason"]) == (bad, b"Malformed", b"not JSON")


async def test_headers_of_strangers_are_no_obstacle(bench: Bench) -> None:
    """Whatever stands in a record's headers, its event is read."""
    await bench.send(an_act(bench, "a"), headers=(("content-type", b"text/plain"), ("reply_to", b"nowhere")))

    assert await has_effects(bench, "a") == ["a"]


async def test_our_bug_is_set_aside_after_five_tries_and_the_next_goes_on(bench: Bench) -> None:
    """DESIGN, Failure: dead letter with reason `Defect`, the partition moves on."""
    bench.on = failing_on("bad", KeyError("a bug"))  # type: ignore[assignment]
    for name in ("before", "bad", "after"):
        await bench.send(an_act(bench, name))

    assert sorted(await has_effects(bench, "before", "after")) == ["after", "before"]
    headers = dict((await until(bench.dead_letters))[0].headers)
    assert (headers["kind"], headers["attempts"]) == (b"Defect", b"5")


async def test_a_dead_letter_that_is_replayed_has_its_effect(bench: Bench) -> None:
    """Replay keeps the id with `replay_attempt`: after the bug is mended the record goes through, once."""

    def fails(_: Delivered) -> None:
        raise KeyError("a bug")

    bench.on = fails
    for name in ("bad", "last"):
        await bench.send(an_act(bench, name))
    bad, last = await until(lambda: both_letters(bench))
    bench.on = lambda _: None

    # Requests are taken in their order: when the last has had its effect, the second of the first has been looked at.
    for letter in (bad, bad, last):
        await bench.replay(letter)

    assert await has_effects(bench, "bad", "last") == ["bad", "last"]


async def both_letters(bench: Bench) -> list[Outgoing]:
    """Return the two dead letters of a run, in the order of their names; nothing while there are fewer."""
    letters = await bench.dead_letters()
    return sorted(letters, key=lambda letter: b'"last"' in letter.value) if len(letters) == 2 else []


async def test_while_a_dependency_is_away_nothing_is_set_aside_and_all_goes_on_by_itself(bench: Bench) -> None:
    """`Unavailable` is never dead-lettered; it pauses, and says so."""
    await bench.go_away()
    await bench.send(an_act(bench, "a"))
    assert await until(bench.why_it_waits)

    await bench.come_back()

    assert await has_effects(bench, "a") == ["a"]
    assert bench.why_it_waits() is None
    assert await bench.dead_letters() == []


async def test_what_a_handler_publishes_leaves_when_its_effects_commit(bench: Bench) -> None:
    """Inbox, effects and outbox are one transaction; the relay carries the event on."""
    await bench.send(an_act(bench, "question", action="ask"))
    await bench.send(an_act(bench, "question", action="ask"))

    assert await has_effects(bench, "question", "answer to question") == ["question", "answer to question"]
