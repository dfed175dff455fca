"""The sender against a peer in the same process: each resend is the same bytes, and only its own answer ends a message."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery import sending
from overread.delivery.destinations import Hl7Destination
from overread.delivery.hl7_sender import MllpChannel, refusal
from overread.delivery.sending import Patience, Sender
from overread.delivery.sequence import Status
from overread.delivery.store import OutboundRow, Why
from overread.protocols import mllp
from overread.protocols.hl7.acknowledgement import Acknowledgment, AcknowledgmentCode
from overread.runtime.telemetry import DELIVERIES_POSTPONED
from tests.builders.delivery import HASTE, Rows, a_destination, an_outbound_row

Answer = Callable[[bytes, int], bytes | None]


def an_ack(control_id: str, code: str = "AA", text: str = "", condition: str = "") -> bytes:
    """Return a framed acknowledgment; with an ERR segment when a condition is given."""
    err = f"ERR||ORC^1^2|{condition}^^HL70357|E||||the words of ERR-8\r" if condition else ""
    msh = "MSH|^~\\&|EMR||||20261122||ACK|A1|P|2.5.1\r"
    return mllp.encode(f"{msh}MSA|{code}|{control_id}|{text}\r{err}".encode())


def control_id_of(message: bytes) -> str:
    """Read MSH-10."""
    return message.split(b"|")[9].decode()


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


async def send_all(rows: Rows, port: int, destination: Hl7Destination | None = None) -> None:
    """Run a sender until every row has ended."""
    channel = MllpChannel(destination or a_destination(url=f"mllp://127.0.0.1:{port}"), HASTE)
    sender = Sender(channel, rows, HASTE, jitter=lambda: 1.0)
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


@pytest.mark.parametrize("condition", ["100", "101", "102", "103", "104", "105", "200", "203", "204", "205"])
@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
async def test_a_fault_of_its_content_ends_a_message(code: str, condition: str) -> None:
    """The same bytes would be refused again: given up and visible; the next message goes on (table HL70357)."""
    peer = Peer(
        lambda message, _: (
            an_ack(control_id_of(message), code, condition=condition)
            if control_id_of(message) == "TEST-1"
            else an_ack(control_id_of(message))
        )
    )
    rows = Rows(an_outbound_row(1), an_outbound_row(2))

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert rows.ended[0] == ("TEST-1", DeliveryOutcome.GIVEN_UP, f"{code} {condition} ORC^1^2")
    assert rows.ended[1][1] is DeliveryOutcome.ACKNOWLEDGED


@pytest.mark.parametrize("condition", ["", "206", "207", "E-LOCKED"])
@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
async def test_a_final_that_is_refused_without_a_fault_of_its_content_comes_again(code: str, condition: str) -> None:
    """One bad minute of a receiver never costs it a final: the same bytes again, until it takes them."""
    peer = Peer(lambda message, count: an_ack(control_id_of(message), *((code, "", condition) if count < 4 else ())))
    row = an_outbound_row()
    rows = Rows(row)
    before = DELIVERIES_POSTPONED.labels("emr")._value.get()

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert peer.got == [row.message] * 4
    assert rows.postponed == [" ".join(filter(None, (code, condition, condition and "ORC^1^2")))] * 3
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]
    assert DELIVERIES_POSTPONED.labels("emr")._value.get() == before + 3


async def test_an_unread_result_that_is_refused_never_holds_back_the_final() -> None:
    """FIFO per case would keep the final behind it for as long as the receiver refuses unread results."""
    peer = Peer(lambda message, _: an_ack(control_id_of(message), "AE" if control_id_of(message) == "TEST-1" else "AA"))
    rows = Rows(an_outbound_row(1, status=Status.UNVERIFIED), an_outbound_row(2))

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert [(name, outcome) for name, outcome, _ in rows.ended] == [
        ("TEST-1", DeliveryOutcome.GIVEN_UP),
        ("TEST-2", DeliveryOutcome.ACKNOWLEDGED),
    ]


async def test_a_defect_at_one_message_puts_off_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours that one message meets does not stop the others of its destination."""
    exchange = MllpChannel.exchange
    met: list[str] = []

    async def failing(channel: MllpChannel, row: OutboundRow) -> sending.Answer:
        if row.message_control_id == "TEST-1" and not met:
            met.append(row.message_control_id)
            raise ValueError("nobody foresaw this")
        return await exchange(channel, row)

    monkeypatch.setattr(MllpChannel, "exchange", failing)
    peer, rows = Peer(lambda message, _: an_ack(control_id_of(message))), Rows(an_outbound_row(1), an_outbound_row(2))

    async with a_listener(peer) as port:
        await send_all(rows, port)

    assert rows.postponed == ["a defect of our own (ValueError)"]
    assert [name for name, *_ in rows.ended] == ["TEST-2", "TEST-1"]


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
        connect_seconds=1,
        acknowledgment_seconds=1,
        first_retry_seconds=1,
        longest_retry_seconds=1,
        longest_refusal_seconds=1,
        idle_seconds=60,
    )
    async with a_listener(peer) as port:
        channel = MllpChannel(a_destination(url=f"mllp://127.0.0.1:{port}"), patience)
        sender = Sender(channel, rows, patience, jitter=lambda: 0.0)
        running = asyncio.create_task(sender.run())
        await asyncio.sleep(0.01)

        rows.waiting.append(an_outbound_row())
        sender.wake()
        await asyncio.wait_for(rows.done.wait(), timeout=2)

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(rows.ended) == 1


def a_patience() -> Patience:
    """Return what is waited for by default."""
    return Patience(
        connect_seconds=1,
        acknowledgment_seconds=1,
        first_retry_seconds=0.2,
        longest_retry_seconds=30,
        longest_refusal_seconds=600,
    )


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    """0.2 s to 30 s, with jitter, so that many senders don't knock at once."""
    patience = a_patience()

    assert [patience.delay(failures, 1.0) for failures in (1, 2, 3)] == [0.2, 0.4, 0.8]
    assert patience.delay(10_000, 1.0) == 30
    assert patience.delay(1, 0.0) == 0.1


def test_a_refused_message_comes_again_ever_more_seldom_within_bounds() -> None:
    """A receiver that refuses the same for days is not flooded; an unread result may hold others back, so it hurries."""
    patience, tired = a_patience(), an_outbound_row(attempts=10_000)

    assert patience.delay_after_refusal(an_outbound_row(attempts=2), 1.0) == 0.8
    assert patience.delay_after_refusal(tired, 1.0) == 600
    assert patience.delay_after_refusal(replace(tired, status=Status.UNVERIFIED), 1.0) == 30


def test_the_receivers_words_stay_apart_from_codes_and_place() -> None:
    """Free text may quote the patient: what other services hear is MSA-1, the condition and the place."""
    answer = Acknowledgment(
        code=AcknowledgmentCode.AE,
        message_control_id="TEST-1",
        text="unknown\r\norder " + "x" * 1000,
        error_condition="204",
        error_location="ORC^1^2",
    )
    strange = replace(answer, error_condition="TEST^PATIENT unknown", error_location="bed 7", text="")

    assert refusal(answer).reason == "AE 204 ORC^1^2"
    assert refusal(answer).receiver_text.startswith("unknown order xxx")
    assert len(refusal(answer).receiver_text) == 300
    assert refusal(strange) == Why(reason="AE", receiver_text="TEST^PATIENT unknown bed 7")
