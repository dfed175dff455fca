"""The sender against a peer in the same process: each resend is the same bytes, and only its own answer ends a message."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.hl7_sender import Hl7Sender, Patience, refusal
from overread.delivery.store import OutboundRow
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import Acknowledgment, AcknowledgmentCode
from tests.builders.delivery import a_destination, an_outbound_row

HASTE = Patience(
    connect_seconds=1.0,
    acknowledgment_seconds=0.15,
    first_retry_seconds=0.01,
    longest_retry_seconds=0.02,
    idle_seconds=0.01,
)

Answer = Callable[[bytes, int], bytes | None]


def an_ack(control_id: str, code: str = "AA", text: str = "") -> bytes:
    """Return a framed acknowledgment."""
    return mllp.encode(f"MSH|^~\\&|EMR||||20261122||ACK|A1|P|2.5.1\rMSA|{code}|{control_id}|{text}\r".encode())


def control_id_of(message: bytes) -> str:
    """Read MSH-10."""
    return message.split(b"|")[9].decode()


class Rows:
    """The outbox in memory."""

    def __init__(self, *rows: OutboundRow) -> None:
        self.waiting = list(rows)
        self.ended: list[tuple[str, DeliveryOutcome, str]] = []
        self.postponed: list[str] = []
        self.done = asyncio.Event()

    async def next_row(self) -> OutboundRow | None:
        return self.waiting[0] if self.waiting else None

    async def mark_sending(self, row: OutboundRow) -> None:
        assert row is self.waiting[0]

    async def postpone(self, row: OutboundRow, delay: timedelta, reason: str) -> None:
        self.postponed.append(reason)

    async def end(self, row: OutboundRow, outcome: DeliveryOutcome, reason: str) -> None:
        self.waiting.remove(row)
        self.ended.append((row.message_control_id, outcome, reason))
        if not self.waiting:
            self.done.set()


class Peer:
    """A listener that answers as it is told; None closes the connection instead."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.got: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        decoder = mllp.FrameDecoder(1_000_000)
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                for frame in decoder.feed(chunk):
                    assert isinstance(frame, mllp.Frame)
                    self.got.append(frame.payload)
                    answer = self._answer(frame.payload, len(self.got))
                    if answer is None:
                        writer.close()
                        return
                    writer.write(answer)
        writer.close()


@contextlib.asynccontextmanager
async def a_listener(
    peer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], port: int = 0
) -> AsyncIterator[int]:
    """Listen on loopback with `peer`; yield the port."""
    server = await asyncio.start_server(peer, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def send_all(rows: Rows, port: int) -> None:
    """Run a sender until every row has ended."""
    sender = Hl7Sender(a_destination(url=f"mllp://127.0.0.1:{port}"), rows, HASTE, jitter=lambda: 1.0)
    running = asyncio.create_task(sender.run())
    try:
        await asyncio.wait_for(rows.done.wait(), timeout=5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("code", ["AA", "CA"])
async def test_a_positive_answer_ends_a_message(code: str) -> None:
    """AA in original mode, CA in enhanced: the destination has it."""
    peer, rows = Peer(lambda message, _: an_ack(control_id_of(message), code)), Rows(an_outbound_row())

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_one_connection_carries_every_message_in_order() -> None:
    """The connection stays open between messages."""
    peer = Peer(lambda message, _: an_ack(control_id_of(message)))
    rows = Rows(*(an_outbound_row(number) for number in range(1, 6)))

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert peer.connections == 1
    assert [control_id_of(message) for message in peer.got] == [f"TEST-{number}" for number in range(1, 6)]


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
async def test_a_refusal_ends_a_message_with_the_destinations_words(code: str) -> None:
    """A refused message is given up and stays visible; the next one goes on."""
    peer = Peer(
        lambda message, _: an_ack(
            control_id_of(message), code if control_id_of(message) == "TEST-1" else "AA", "no such order"
        )
    )
    rows = Rows(an_outbound_row(1), an_outbound_row(2))

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert rows.ended[0] == ("TEST-1", DeliveryOutcome.GIVEN_UP, f"{code} no such order")
    assert rows.ended[1][1] is DeliveryOutcome.ACKNOWLEDGED


async def test_a_lost_connection_brings_the_same_bytes_again() -> None:
    """No answer came: the message is sent again, byte for byte, so that a receiver recognises it."""
    peer = Peer(lambda message, count: None if count < 3 else an_ack(control_id_of(message)))
    row = an_outbound_row()
    rows = Rows(row)

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert peer.got == [row.message] * 3
    assert len(rows.postponed) == 2
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_a_silent_destination_brings_the_same_bytes_on_a_new_connection() -> None:
    """After the time-out the old connection is left, so that a late answer can't end the wrong message."""
    peer = Peer(lambda message, count: b"" if count == 1 else an_ack(control_id_of(message)))
    row = an_outbound_row()
    rows = Rows(row)

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert peer.got == [row.message] * 2
    assert peer.connections == 2


@pytest.mark.parametrize(
    "noise",
    [
        an_ack("TEST-0"),
        an_ack("FOREIGN", "AE"),
        an_ack(""),
        b"garbage between frames",
        mllp.encode(b"MSH|^~\\&|EMR||||20261122||ACK|A1|P|2.5.1\r"),
        mllp.encode(b"no HL7 at all"),
        an_ack("TEST-1", "ZZ"),
    ],
)
async def test_an_answer_to_another_message_is_dropped(noise: bytes) -> None:
    """MSA-2 must be our MSH-10: a late or foreign answer, or none at all, ends nothing (HL7 v2.5.1, 2.9.2)."""
    peer, rows = Peer(lambda message, _: noise + an_ack(control_id_of(message))), Rows(an_outbound_row())

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]
    assert len(peer.got) == 1


async def test_an_answer_in_pieces_is_one_answer() -> None:
    """TCP may cut anywhere."""

    async def peer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        for byte in an_ack("TEST-1"):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()
        writer.close()

    rows = Rows(an_outbound_row())

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_a_destination_that_is_away_is_never_given_up() -> None:
    """Refused connections cost the message nothing; it leaves when somebody listens again."""
    peer, rows = Peer(lambda message, _: an_ack(control_id_of(message))), Rows(an_outbound_row())
    async with a_listener(peer) as port:
        pass
    sending = asyncio.create_task(send_all(rows, port))
    await asyncio.sleep(0.1)

    async with a_listener(peer, port):
        await sending

    assert rows.postponed == []
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]


async def test_a_new_row_wakes_an_idle_sender_at_once() -> None:
    """Nobody waits for a poll."""
    peer, rows = Peer(lambda message, _: an_ack(control_id_of(message))), Rows()
    patience = Patience(
        connect_seconds=1, acknowledgment_seconds=1, first_retry_seconds=1, longest_retry_seconds=1, idle_seconds=60
    )
    async with a_listener(peer) as port:
        sender = Hl7Sender(a_destination(url=f"mllp://127.0.0.1:{port}"), rows, patience, jitter=lambda: 0.0)
        running = asyncio.create_task(sender.run())
        await asyncio.sleep(0.01)

        rows.waiting.append(an_outbound_row())
        sender.wake()
        await asyncio.wait_for(rows.done.wait(), timeout=2)

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(rows.ended) == 1


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    """0.2 s to 30 s, with jitter, so that many senders don't knock at once."""
    patience = Patience(connect_seconds=1, acknowledgment_seconds=1, first_retry_seconds=0.2, longest_retry_seconds=30)

    assert [patience.delay(failures, 1.0) for failures in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert patience.delay(10_000, 1.0) == 30
    assert patience.delay(1, 0.0) == 0.1


def test_the_reason_of_a_refusal_is_one_short_line() -> None:
    """The receiver's words are kept for the operator, trimmed."""
    answer = Acknowledgment(
        code=AcknowledgmentCode.AE,
        message_control_id="TEST-1",
        text="unknown\r\norder " + "x" * 1000,
        error_condition="204",
        error_location="ORC^1^2",
    )

    assert refusal(answer).startswith("AE 204 ORC^1^2 unknown order xxx")
    assert len(refusal(answer)) == 300
