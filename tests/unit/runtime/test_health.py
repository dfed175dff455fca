"""Two questions, two routes: does the loop turn, does every dependency answer (STYLE 6)."""

import asyncio
from pathlib import Path

import httpx
import pytest

from overread.contracts.errors import Unavailable
from overread.runtime import health
from overread.runtime.health import Health, operations_app
from tests.builders.events import NOON


async def answers() -> None:
    """Answer a ping."""


async def is_away() -> None:
    """Refuse a ping."""
    raise Unavailable("the event broker does not answer")


async def hangs() -> None:
    """Never answer a ping."""
    await asyncio.Event().wait()


async def breaks() -> None:
    """Fail a ping in a way that nobody foresaw."""
    raise ZeroDivisionError


async def ask(subject: Health, path: str, **told: health.Answer) -> httpx.Response:
    """Ask the service's own socket, without a socket; `told` is what else it answers."""
    transport = httpx.ASGITransport(operations_app(subject, {f"/{name}": answer for name, answer in told.items()}))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


def started(**pings: health.Ping) -> Health:
    """Return the health of a service that has started."""
    subject = Health()
    subject.is_started = True
    for name, ping in pings.items():
        subject.register(name, ping)
    return subject


async def test_ready_when_every_dependency_answers() -> None:
    """200 means: send me work."""
    answer = await ask(started(kafka=answers), "/readyz")

    assert (answer.status_code, answer.json()) == (200, {"ready": True, "failing": {}})


@pytest.mark.parametrize(
    ("ping", "reason"),
    [
        (is_away, "the event broker does not answer"),
        (hangs, "no answer within 0 s"),
        (breaks, "fails with ZeroDivisionError"),
    ],
)
async def test_not_ready_names_the_dependency_that_fails(
    ping: health.Ping, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/readyz` names the failing one, and one failing ping hides no other."""
    monkeypatch.setattr(health, "PING_SECONDS", 0.05)

    answer = await ask(started(postgresql=answers, kafka=ping), "/readyz")

    assert answer.status_code == 503
    assert answer.json()["failing"] == {"kafka": reason}


async def test_dependency_that_registers_while_the_others_are_asked_waits_for_the_next_question() -> None:
    """A service is asked while it starts, too."""
    subject = started()

    async def registers_another() -> None:
        subject.register("late", is_away)

    subject.register("first", registers_another)

    assert (await ask(subject, "/readyz")).status_code == 200
    assert (await ask(subject, "/readyz")).json()["failing"].keys() == {"late"}


async def test_not_ready_while_starting_or_waiting() -> None:
    """A paused consumption makes the service red, with the reason."""
    subject = Health()
    subject.register_wait("consumption of cases.changed", lambda: "the database does not answer")

    failing = (await ask(subject, "/readyz")).json()["failing"]

    assert failing == {
        "start": "the service is still starting",
        "consumption of cases.changed": "the database does not answer",
    }


async def test_alive_though_nothing_answers() -> None:
    """Restarting a service does not bring its broker back: `/healthz` asks only whether the loop turns."""
    answer = await ask(started(kafka=is_away), "/healthz")

    assert (answer.status_code, answer.text) == (200, "ok")


async def test_metrics_are_in_prometheus_form() -> None:
    """Each metric is declared once, with its meaning."""
    answer = await ask(started(), "/metrics")

    assert "# HELP overread_consumed_records_total" in answer.text


async def test_open_requests_are_ended_when_the_service_stops(tmp_path: Path) -> None:
    """Stopping is orderly: who had asked gets an answer, and the socket is closed afterwards."""
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        asked.set()
        await may_answer.wait()

    socket_path = tmp_path / "service.sock"
    serving = asyncio.create_task(health.serve_on_socket(operations_app(started(kafka=slow)), socket_path))
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(socket_path), retries=20)) as client:
        asking = asyncio.create_task(client.get("http://service/readyz"))
        await asyncio.wait_for(asked.wait(), 5)
        serving.cancel()
        await asyncio.sleep(0)
        may_answer.set()

        answer = await asyncio.wait_for(asking, 5)

    with pytest.raises(asyncio.CancelledError):
        await serving
    assert answer.status_code == 200


async def test_all_who_ask_at_the_same_time_share_one_round_of_pings() -> None:
    """Ten consumptions that wait for one server ask it once; who asks later asks anew."""
    asked: list[str] = []

    async def counts() -> None:
        asked.append("kafka")
        await asyncio.sleep(0)

    subject = started(kafka=counts)

    await asyncio.gather(*(subject.dependencies_failing() for _ in range(10)))
    await subject.dependencies_failing()

    assert asked == ["kafka", "kafka"]


async def test_service_answers_what_it_was_given_to_say_beside_its_health() -> None:
    """REQ-OUT-28: what a service alone knows is asked on its own socket; what it needs for that may be away."""

    async def ways() -> object:
        return [{"destination": "emr", "since": NOON}]

    said = await ask(started(), "/ways", ways=ways)
    away = await ask(started(), "/ways", ways=is_away)

    assert (said.status_code, said.json()) == (200, [{"destination": "emr", "since": NOON.isoformat()}])
    assert (away.status_code, away.json()) == (503, {"reason": "the event broker does not answer"})
