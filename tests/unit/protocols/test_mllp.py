import pytest

from overread.contracts.errors import Malformed
from overread.protocols.mllp import Event, Frame, FrameDecoder, Garbage, HalfFrame, Oversize, encode

LIMIT = 64


def _events(*chunks: bytes, limit: int = LIMIT) -> list[Event]:
    decoder = FrameDecoder(limit)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_decoder_finds_every_frame_of_a_pipelined_stream() -> None:
    """Senders may send the next block before the answer; answers go in order."""
    stream = encode(b"MSH|one") + encode(b"MSH|two")

    events = _events(stream)

    assert events == [Frame(b"MSH|one"), Frame(b"MSH|two")]


def test_decoder_waits_for_the_byte_after_an_end_block() -> None:
    """0x1C may be the last byte of a packet; whether the frame ended is known with the next one."""
    decoder = FrameDecoder(LIMIT)

    before = decoder.feed(b"\x0bMSH|one\x1c")
    after = decoder.feed(b"\r")

    assert before == []
    assert after == [Frame(b"MSH|one")]


def test_decoder_accepts_a_frame_without_its_last_carriage_return() -> None:
    """Some senders leave 0x0D out and begin the next block at once."""
    events = _events(b"\x0bMSH|one\x1c\x0bMSH|two\x1c\r")

    assert events == [Frame(b"MSH|one"), Frame(b"MSH|two")]


def test_decoder_keeps_an_end_block_byte_that_ends_nothing() -> None:
    """Only 0x1C 0x0D ends a block."""
    events = _events(b"\x0bMSH|a\x1cb\x1c\r")

    assert events == [Frame(b"MSH|a\x1cb")]


def test_decoder_reports_bytes_between_frames() -> None:
    """Nothing is lost silently; blanks between blocks are a known habit."""
    first, middle, last = _events(b"hello\x0bMSH|one\x1c\r\r\n\x0bMSH|two\x1c\r")[0:3]

    assert (first, middle) == (Garbage(b"hello"), Frame(b"MSH|one"))
    assert isinstance(last, Garbage)
    assert last.is_blank


def test_decoder_keeps_a_vertical_tab_inside_text() -> None:
    """Word processors put 0x0B into free text; only before MSH it is a new start."""
    events = _events(b"\x0bMSH|one\x0btwo\x1c\r")

    assert events == [Frame(b"MSH|one\x0btwo")]


def test_decoder_reports_the_half_frame_of_a_sender_that_began_again() -> None:
    """A sender that lost its thread sends the message anew on the same connection."""
    events = _events(b"\x0bMSH|ha\x0bMSH|half\x0bMSH|whole\x1c\r")

    assert events == [HalfFrame(b"MSH|ha"), HalfFrame(b"MSH|half"), Frame(b"MSH|whole")]


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT])
def test_decoder_takes_a_frame_up_to_the_limit(size: int) -> None:
    """The limit is on the content, however the stream is cut."""
    stream = encode(b"x" * size)

    whole, cut = _events(stream), _events(*(stream[i : i + 1] for i in range(len(stream))))

    assert whole == cut == [Frame(b"x" * size)]


def test_decoder_reports_an_oversize_frame_once_and_goes_on_after_it() -> None:
    """An oversize frame is answered from its head and never held."""
    stream = encode(b"x" * 1000) + encode(b"MSH|next")

    whole, cut = _events(stream), _events(*(stream[i : i + 1] for i in range(len(stream))))

    assert whole == cut == [Oversize(b"x" * LIMIT), Frame(b"MSH|next")]


def test_decoder_never_holds_more_than_the_limit() -> None:
    """Memory stays bounded, whatever a sender does."""
    decoder = FrameDecoder(LIMIT)
    decoder.feed(b"\x0b")

    for _ in range(1000):
        decoder.feed(b"y" * 100)

    assert len(decoder._buffer) <= LIMIT


def test_close_returns_the_half_frame() -> None:
    """A connection that ends inside a block is reported with what came."""
    decoder = FrameDecoder(LIMIT)
    decoder.feed(b"\x0bMSH|ha")

    half = decoder.close()

    assert half == HalfFrame(b"MSH|ha")
    assert decoder.close() is None
    assert not decoder.is_inside_frame


def test_close_tells_when_only_the_carriage_return_is_missing() -> None:
    """Then the content is whole, and the intake may choose to take it."""
    decoder = FrameDecoder(LIMIT)
    decoder.feed(b"\x0bMSH|whole\x1c")

    half = decoder.close()

    assert half == HalfFrame(b"MSH|whole", has_end_block=True)


@pytest.mark.parametrize("byte", [b"\x0b", b"\x1c"])
def test_encode_refuses_content_with_block_bytes(byte: bytes) -> None:
    """MLLP R1: no block byte inside the content."""
    with pytest.raises(Malformed):
        encode(b"MSH|" + byte)
