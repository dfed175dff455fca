import time

from hypothesis import given
from hypothesis import strategies as st

from overread.protocols.mllp import Event, Frame, FrameDecoder, Garbage, encode

LIMIT = 32

# Many of the bytes that matter, so that the odd orders occur.
STREAMS = st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"MSH|", b"x", b"\x0bMSH|a\x1c\r", b"y" * 20])).map(
    b"".join
)
CONTENTS = st.binary(max_size=LIMIT).filter(lambda content: b"\x0b" not in content and b"\x1c" not in content)


def _joined(events: list[Event]) -> list[Event]:
    """Garbage comes in pieces; neighbouring pieces say the same as one."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, Garbage) and isinstance(last, Garbage):
            joined[-1] = Garbage(last.content + event.content)
        else:
            joined.append(event)
    return joined


@given(stream=STREAMS, data=st.data())
def test_decoder_survives_any_chunking(stream: bytes, data: st.DataObject) -> None:
    """The events depend on the bytes, not on how the network cut them."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    whole, cut = FrameDecoder(LIMIT), FrameDecoder(LIMIT)

    expected = whole.feed(stream)
    events = [e for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for e in cut.feed(stream[a:b])]

    assert _joined(events) == _joined(expected)
    assert cut.close() == whole.close()


@given(contents=st.lists(CONTENTS, max_size=5), chunk=st.integers(1, 7))
def test_what_is_encoded_is_decoded(contents: list[bytes], chunk: int) -> None:
    """Framing is lossless for any content that MLLP allows."""
    stream = b"".join(encode(content) for content in contents)
    decoder = FrameDecoder(LIMIT)

    events = [event for i in range(0, len(stream), chunk) for event in decoder.feed(stream[i : i + chunk])]

    assert events == [Frame(content) for content in contents]


def test_work_grows_with_the_bytes_however_they_are_cut() -> None:
    """A sender that dribbles single bytes and stray end blocks costs no more than its bytes."""
    stream = b"\x0b" + b"\x1cx" * 50_000

    started = time.process_time()
    decoder = FrameDecoder(len(stream))
    for i in range(0, len(stream), 1):
        decoder.feed(stream[i : i + 1])

    assert time.process_time() - started < 10
