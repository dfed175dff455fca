"""The MLLP listener on real sockets, with a broker in memory: order of answers, limits, time-outs, TLS, another's client."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hl7.mllp import open_hl7_connection

from overread.hl7_intake.intake import Intake
from overread.hl7_intake.listener import Listener
from overread.hl7_intake.open_link import OpenLink
from overread.protocols import mllp
from overread.runtime.group_commit import OnKept
from overread.runtime.publisher import Outgoing
from overread.runtime.tls import server_context
from tests.builders.hl7 import an_omi
from tests.fakes.hl7_intake import FakeBroker, an_intake
from tests.fakes.mllp_lines import HOST, PATIENCE_SECONDS, Authority, Line, until


class Connector:
    """Opens lines to a listener."""

    def __init__(self, listener: Listener, intake: Intake) -> None:
        self.listener = listener
        self.intake = intake
        self.port = listener.port
        self.lines: list[Line] = []

    async def __call__(self, **options: Any) -> Line:
        self.lines.append(Line(*await asyncio.open_connection(HOST, self.port, **options)))
        return self.lines[-1]


@asynccontextmanager
async def a_listener(broker: FakeBroker, *, tls: ssl.SSLContext | None = None, **told: Any) -> AsyncIterator[Connector]:
    """Listen on a free port for the time of the block; `told` are the link's settings."""
    intake = an_intake(broker, **told)
    listener = Listener([OpenLink(intake)])
    await listener.start(HOST, 0, tls)
    connector = Connector(listener, intake)
    try:
        yield connector
    finally:
        for line in connector.lines:
            line.close()
        await listener.stop()


async def test_answers_leave_in_the_order_of_the_messages() -> None:
    """STANDARDS, MLLP: pipelining is allowed, answers in order, whatever order the broker acknowledges in."""
    broker = FakeBroker(holds=True)
    async with a_listener(broker) as connect:
        line = await connect()

        line.send(*(an_omi(control_id=f"M{number}") for number in range(3)))
        await until(lambda: len(broker.records) == 3)
        broker.keep(2)
        broker.keep(1)
        was_silent = await line.has_silence()
        broker.keep(0)
        answers = [await line.answer() for _ in range(3)]

    assert was_silent
    assert [b"MSA|CA|M%d\r" % number in answer for number, answer in enumerate(answers)] == [True] * 3


async def test_a_refused_message_waits_for_the_answers_before_it() -> None:
    """The order of answers is the sender's only way to tell them apart when it ignores MSA-2."""
    broker = FakeBroker(holds=True)
    async with a_listener(broker) as connect:
        line = await connect()

        line.send(an_omi(control_id="M0"), an_omi(control_id="M1", without="PID"))
        await until(lambda: len(broker.records) == 1)
        was_silent = await line.has_silence()
        broker.keep(0)
        first, second = await line.answer(), await line.answer()

    assert was_silent
    assert b"MSA|CA|M0\r" in first
    assert b"MSA|CE|M1\r" in second


async def test_a_sender_that_does_not_wait_is_slowed_not_buffered() -> None:
    """DESIGN, Failure: never buffers without bound: only so many messages of a connection wait for their answer."""
    broker = FakeBroker(holds=True)
    async with a_listener(broker, pipelined_messages=4) as connect:
        line = await connect()

        line.send(*(an_omi(control_id=f"M{number}") for number in range(20)))
        await until(lambda: len(broker.records) == 4)
        await asyncio.sleep(0.05)
        taken_unanswered = len(broker.records)
        for number in range(20):
            await until(lambda number=number: len(broker.records) > number)  # type: ignore[misc]
            broker.keep(number)
        answers = [await line.answer() for _ in range(20)]

    assert taken_unanswered == 4
    assert b"MSA|CA|M19\r" in answers[19]


async def test_a_sender_that_says_no_more_still_gets_its_answers() -> None:
    """A half-closed connection is no reason to forget what was taken on it."""
    broker = FakeBroker(holds=True)
    async with a_listener(broker) as connect:
        line = await connect()

        line.send(an_omi())
        line.say_no_more()
        await until(lambda: len(broker.records) == 1)
        await asyncio.sleep(0.05)
        broker.keep(0)

        assert b"MSA|CA|" in await line.answer()
        assert await line.is_closed()


async def test_a_sender_that_hangs_up_finds_its_answer_on_another_connection() -> None:
    """The broker was slow, the sender impatient: sent again on a new line, the message is published once."""
    broker = FakeBroker(holds=True)
    async with a_listener(broker) as connect:
        impatient, again = await connect(), await connect()

        impatient.send(an_omi())
        await until(lambda: len(broker.records) == 1)
        impatient.close()
        again.send(an_omi())
        await asyncio.sleep(0.05)
        broker.keep(0)

        assert b"MSA|CA|" in await again.answer()
    assert len(broker.records) == 1


async def test_half_a_message_ends_the_connection_in_time() -> None:
    """A message that began must end within its time, even when its sender trickles byte after byte."""
    broker = FakeBroker()
    async with a_listener(broker, half_frame_seconds=0.2) as connect:
        line = await connect()

        line.write(b"\x0bMSH|")
        trickling = asyncio.create_task(_trickle(line))
        is_closed = await line.is_closed()
        trickling.cancel()

    assert is_closed
    assert broker.records == []


async def _trickle(line: Line) -> None:
    while True:
        line.write(b"x")
        await asyncio.sleep(0.05)


async def test_a_silent_connection_is_closed_after_its_time() -> None:
    """Firewalls forget idle connections without a word; ours end visibly, and a whole message keeps one alive."""
    broker = FakeBroker()
    async with a_listener(broker, idle_seconds=0.3) as connect:
        line = await connect()

        line.send(an_omi())
        answer = await line.answer()

        assert b"MSA|CA|" in answer
        assert await line.is_closed()


async def test_an_oversized_message_is_answered_and_the_line_goes_on() -> None:
    """The frame is let go, not kept; the next message on the connection is taken."""
    broker = FakeBroker()
    async with a_listener(broker, maximum_frame_bytes=4096) as connect:
        line = await connect()

        line.send(an_omi(control_id="BIG", clinical="x" * 200_000), an_omi(control_id="SMALL"))
        refused, taken = await line.answer(), await line.answer()

    assert b"MSA|CE|BIG\r" in refused
    assert b"^HL70357" in refused
    assert b"MSA|CA|SMALL\r" in taken
    assert len(broker.records) == 1


async def test_a_message_cut_anywhere_is_still_one_message() -> None:
    """TCP keeps no boundaries: a Vietnamese letter may come in two pieces."""
    broker = FakeBroker()
    async with a_listener(broker) as connect:
        line = await connect()

        for byte in mllp.encode(an_omi()):
            line.write(bytes((byte,)))
            await asyncio.sleep(0)

        assert b"MSA|CA|" in await line.answer()
    assert len(broker.records) == 1


async def test_bytes_between_messages_harm_nothing() -> None:
    """Line ends and strangers' bytes outside a block are passed over."""
    broker = FakeBroker()
    async with a_listener(broker) as connect:
        line = await connect()

        line.write(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        line.send(an_omi())

        assert b"MSA|CA|" in await line.answer()


async def test_a_connection_over_the_limit_is_closed_and_the_others_live() -> None:
    """A sender that leaks connections must not take the link down; once one ends there is room again."""
    broker = FakeBroker()
    async with a_listener(broker, maximum_connections=2) as connect:
        first, second = await connect(), await connect()
        third = await connect()

        third_is_closed = await third.is_closed()
        first.send(an_omi())
        answer = await first.answer()
        second.close()
        await asyncio.sleep(0.05)
        fourth = await connect()
        fourth.send(an_omi(control_id="M2"))

        assert third_is_closed
        assert b"MSA|CA|" in answer
        assert b"MSA|CA|M2\r" in await fourth.answer()


async def test_stopping_answers_what_was_begun() -> None:
    """Promise 1, the other way round: what was kept is also said, also by a service that is being stopped."""
    broker = FakeBroker(holds=True)
    async with a_listener(broker) as connect:
        line = await connect()
        line.send(an_omi())
        await until(lambda: len(broker.records) == 1)

        stopping = asyncio.create_task(connect.listener.stop())
        await asyncio.sleep(0.05)
        broker.keep(0)
        await asyncio.wait_for(stopping, PATIENCE_SECONDS)

        assert b"MSA|CA|" in await line.answer()
        with pytest.raises(ConnectionRefusedError):
            await connect()


async def test_a_failure_of_ours_closes_one_connection_only() -> None:
    """A bug met by one message must not stop the link; the sender sees the line close and sends again."""
    broker = FakeBroker()
    async with a_listener(broker) as connect:
        line, other = await connect(), await connect()
        connect.intake._enqueue = _broken

        line.send(an_omi())
        is_closed = await line.is_closed()
        connect.intake._enqueue = broker.enqueue
        other.send(an_omi())

        assert is_closed
        assert b"MSA|CA|" in await other.answer()


def _broken(record: Outgoing, on_kept: OnKept) -> None:
    raise RuntimeError("a bug")


async def test_python_hl7s_own_client_is_served() -> None:
    """Somebody else's client: python-hl7's `hl7.mllp`, with Vietnamese text in UTF-8."""
    broker = FakeBroker()
    async with a_listener(broker) as connect:
        reader, writer = await open_hl7_connection(HOST, connect.port, encoding="utf-8")

        writer.writemessage(an_omi().decode())
        await writer.drain()
        answer = await asyncio.wait_for(reader.readmessage(), PATIENCE_SECONDS)
        writer.close()

    assert str(answer.segment("MSA")[1]) == "CA"
    assert str(answer.segment("MSA")[2]) == "HIS0001"


async def test_tls_takes_messages_from_senders_that_trust_us(tmp_path: Path) -> None:
    """IHE ITI-19 over MLLP: the same messages, encrypted; a certificate asked of nobody."""
    authority = Authority(tmp_path)
    server = server_context(*authority.issue("server"), None)
    async with a_listener(FakeBroker(), tls=server) as connect:
        line = await connect(ssl=authority.client(), server_hostname="localhost")

        line.send(an_omi())

        assert b"MSA|CA|" in await line.answer()


async def test_mutual_tls_takes_only_senders_with_a_certificate(tmp_path: Path) -> None:
    """With a client CA, who shows no certificate of it, or another CA's, is not heard."""
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    server = server_context(*authority.issue("server"), authority.root)
    broker = FakeBroker()
    async with a_listener(broker, tls=server) as connect:
        known = authority.client(authority.issue("sender"))
        line = await connect(ssl=known, server_hostname="localhost")
        line.send(an_omi())
        answer = await line.answer()

        for refused in (authority.client(), authority.client(stranger.issue("sender"))):
            assert not await _is_served(connect, refused)

    assert b"MSA|CA|" in answer
    assert len(broker.records) == 1


async def _is_served(connect: Connector, context: ssl.SSLContext) -> bool:
    try:
        line = await connect(ssl=context, server_hostname="localhost")
        line.send(an_omi(control_id="STRANGER"))
        await line.answer()
    except (ssl.SSLError, OSError, asyncio.IncompleteReadError):
        return False
    return True
