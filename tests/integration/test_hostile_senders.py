"""Hostile and broken senders on one link, on real sockets: each meets its limit, and the next link notices nothing."""

import asyncio
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from overread.protocols import mllp
from tests.builders.hl7 import an_omi
from tests.fakes.mllp_hospital import CA_OF, Hospital, a_hospital, is_answered, link
from tests.fakes.mllp_lines import HOST, Authority, Line, free_ports, until

CHUNK = b"x" * 65536


@asynccontextmanager
async def two_links(**told: Any) -> AsyncIterator[tuple[Hospital, int, int]]:
    """Open link `a`, which is attacked and has the limits `told`, and link `b` beside it."""
    a_port, b_port = free_ports(2)
    async with a_hospital() as hospital:
        await hospital.open(link("a", a_port, **told), link("b", b_port))
        yield hospital, a_port, b_port


async def slow_loris(hospital: Hospital, port: int) -> None:
    """Begin messages on many connections and let them trickle; each is closed in time."""
    lines = [await hospital.line(port) for _ in range(20)]
    for line in lines:
        line.write(b"\x0bMSH|")
    for _ in range(10):
        for line in lines:
            line.write(b"x")
        await asyncio.sleep(0.05)
    assert all([await line.is_closed() for line in lines])


async def endless_frame(hospital: Hospital, port: int) -> None:
    """Send a message without an end, as fast as it goes; it is answered once, let go, and closed in time."""
    line = await hospital.line(port)
    line.write(b"\x0b" + an_omi(control_id="ENDLESS"))
    sending = asyncio.create_task(_send_for_ever(line, CHUNK))
    refused = await line.answer()
    is_closed = await line.is_closed()
    sending.cancel()
    assert (b"MSA|CE|ENDLESS\r" in refused, is_closed) == (True, True)


async def garbage(hospital: Hospital, port: int) -> None:
    """Send what is no message at all; past the limit the line is closed without a word."""
    line = await hospital.line(port)
    sending = asyncio.create_task(_send_for_ever(line, b"GET / HTTP/1.1\r\n" * 512))
    is_closed = await line.is_closed()
    sending.cancel()
    assert is_closed


async def connection_flood(hospital: Hospital, port: int) -> None:
    """Open far more connections than the link takes; those beyond are closed at once."""
    lines = await asyncio.gather(*(hospital.line(port) for _ in range(100)))
    closed = await asyncio.gather(*(_is_closed_soon(line) for line in lines))
    assert closed.count(True) == 100 - 4


async def unread_answers(hospital: Hospital, port: int) -> None:
    """Send and read nothing: the link stops reading, and in the end cuts the line."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=1)
    lines = Line(reader, writer)
    hospital.lines.append(lines)
    sending = asyncio.create_task(_send_for_ever(lines, mllp.encode(an_omi(control_id="SAME")) * 50))
    await until(lambda: _transports_of(hospital, "a") == 0)
    sending.cancel()


async def message_flood(hospital: Hospital, port: int) -> None:
    """Send without waiting, on many connections."""
    lines = [await hospital.line(port) for _ in range(4)]
    for number, line in enumerate(lines):
        line.send(*(an_omi(control_id=f"F{number}-{message}") for message in range(200)))
    await asyncio.gather(*(_read_answers(line, 200) for line in lines))


ATTACKS: list[tuple[Callable[[Hospital, int], Awaitable[None]], dict[str, Any]]] = [
    (slow_loris, {"half_frame_seconds": 0.3}),
    (endless_frame, {"maximum_frame_bytes": 65536, "half_frame_seconds": 0.3}),
    (garbage, {"maximum_garbage_bytes": 4096}),
    (connection_flood, {"maximum_connections": 4}),
    (unread_answers, {"idle_seconds": 0.3}),
    (message_flood, {}),
]


@pytest.mark.parametrize(("attack", "limits"), ATTACKS, ids=lambda value: getattr(value, "__name__", ""))
async def test_an_attack_on_one_link_meets_its_limit_and_leaves_the_next_answering(
    attack: Callable[[Hospital, int], Awaitable[None]], limits: dict[str, Any]
) -> None:
    """A vendor's loop, a scanner, an enemy: the link beside it answers each message meanwhile and afterwards."""
    async with two_links(**limits) as (hospital, a_port, b_port):
        on_b = await hospital.line(b_port)
        attacking = asyncio.ensure_future(attack(hospital, a_port))

        number = 0
        while not attacking.done() or number < 3:
            assert await asyncio.wait_for(is_answered(on_b, f"B{number}"), 5)
            number += 1
        await attacking

        assert await is_answered(await hospital.line(b_port), "AFTER")


async def test_a_link_is_read_no_faster_than_its_pace_and_loses_nothing() -> None:
    """So many messages a second: the rest waits with its sender, in order, and is answered."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, messages_per_second=20))
        line = await hospital.line(port)
        loop = asyncio.get_running_loop()
        began = loop.time()

        line.send(*(an_omi(control_id=f"M{number}") for number in range(30)))
        answers = [await line.answer() for _ in range(30)]
        seconds = loop.time() - began

    # A second's worth goes at once, the other ten at their pace.
    assert seconds >= 0.5
    assert [CA_OF % b"M%d" % number in answer for number, answer in enumerate(answers)] == [True] * 30


async def test_the_pace_is_the_links_not_the_connections() -> None:
    """Ten connections are no way round it."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, messages_per_second=20))
        lines = [await hospital.line(port) for _ in range(10)]
        loop = asyncio.get_running_loop()
        began = loop.time()

        for number, line in enumerate(lines):
            line.send(*(an_omi(control_id=f"M{number}-{message}") for message in range(3)))
        await asyncio.gather(*(_read_answers(line, 3) for line in lines))

    assert loop.time() - began >= 0.5


async def test_a_message_that_waits_for_its_pace_is_no_half_message() -> None:
    """We are the ones who read slowly: no time-out of the sender's runs out meanwhile."""
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, messages_per_second=2, half_frame_seconds=0.2, idle_seconds=0.2))
        line = await hospital.line(port)
        third = mllp.encode(an_omi(control_id="M3"))

        line.send(an_omi(control_id="M0"), an_omi(control_id="M1"), an_omi(control_id="M2"))
        line.write(third[:50])
        answers = [await line.answer() for _ in range(3)]
        line.write(third[50:])

        assert CA_OF % b"M3" in await line.answer()
    assert len(answers) == 3


async def test_silent_connections_on_a_shared_port_keep_nobody_out() -> None:
    """Who has not said which link it uses gives way, the oldest first: the next sender is let in."""
    (port,) = free_ports(1)
    async with a_hospital(port) as hospital:
        limits = {"maximum_connections": 4}
        await hospital.open(
            link("a", allowed_applications=["RIS"], **limits), link("b", allowed_applications=["HIS"], **limits)
        )
        first = await hospital.line(port)
        assert await is_answered(first, "B1")

        silent = [await hospital.line(port) for _ in range(50)]
        late = await hospital.line(port)

        assert await is_answered(late, "B2")
        assert await is_answered(first, "B3")
        assert await silent[0].is_closed()


async def test_a_full_link_on_a_shared_port_leaves_room_for_the_other() -> None:
    """Its connections are counted once they have said whose they are."""
    (port,) = free_ports(1)
    async with a_hospital(port) as hospital:
        await hospital.open(
            link("a", allowed_applications=["RIS"], maximum_connections=2), link("b", allowed_applications=["HIS"])
        )
        on_a = [await hospital.line(port) for _ in range(4)]
        for number, line in enumerate(on_a):
            line.send(an_omi(control_id=f"A{number}", put={"MSH-3": "RIS"}))
        refused = [await line.is_closed() for line in on_a[2:]]

        assert refused == [True, True]
        assert await is_answered(await hospital.line(port), "B1")


async def test_a_flood_is_one_line_in_the_log_not_thousands() -> None:
    """Who floods a link must not fill the disk with lines about it."""
    async with two_links(maximum_connections=1) as (hospital, a_port, _):
        await hospital.line(a_port)
        with capture_logs() as logs:
            for _ in range(50):
                assert await (await hospital.line(a_port)).is_closed()

    assert [line["event"] for line in logs].count("connection_refused") == 1


async def test_tls_that_never_begins_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that makes no handshake holds a socket, and only for so long."""
    monkeypatch.setattr("overread.hl7_intake.listener.HANDSHAKE_SECONDS", 0.2)
    certificate, key = Authority(tmp_path).issue("server")
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, tls_certificate=certificate, tls_key=key))
        line = await hospital.line(port)

        assert await line.is_closed()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")  # that is why it is asked for here
async def test_old_tls_is_refused(tmp_path: Path) -> None:
    """BCP 195 (RFC 9325): TLS 1.2 or newer."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("server")
    (port,) = free_ports(1)
    async with a_hospital() as hospital:
        await hospital.open(link("his", port, tls_certificate=certificate, tls_key=key))

        versions = (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        spoken = [await _speaks(hospital, port, authority.client(), version) for version in versions]

    assert spoken == [False, True, True]


async def test_an_endless_message_takes_no_memory() -> None:
    """No more than the link's cap is ever held, however much is sent."""
    async with two_links(maximum_frame_bytes=65536) as (hospital, a_port, _):
        line = await hospital.line(a_port)
        line.write(b"\x0b" + an_omi(control_id="ENDLESS"))
        for _ in range(16):
            await line.write_through(CHUNK)
        tracemalloc.start()
        for _ in range(512):
            await line.write_through(CHUNK)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peak < 8 * 1024 * 1024


async def _speaks(hospital: Hospital, port: int, context: ssl.SSLContext, version: ssl.TLSVersion) -> bool:
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that the client would speak what the server must refuse
    context.minimum_version = context.maximum_version = version
    try:
        return await is_answered(await hospital.line(port, ssl=context, server_hostname="localhost"), version.name)
    except OSError:
        return False


async def _send_for_ever(line: Line, piece: bytes) -> None:
    while True:
        await line.write_through(piece)
        await asyncio.sleep(0)


async def _read_answers(line: Line, number: int) -> None:
    for _ in range(number):
        assert b"MSA|CA|" in await line.answer()


async def _is_closed_soon(line: Line) -> bool:
    try:
        return await asyncio.wait_for(line.is_closed(), 0.5)
    except TimeoutError:
        return False


def _transports_of(hospital: Hospital, link_id: str) -> int:
    return len(hospital.reception._links[link_id].connections)
