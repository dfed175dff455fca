"""The intake's check refuses exactly the messages that reading the orders refuses, with the same error."""

from collections.abc import Callable
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import check_orders, read_orders
from overread.protocols.hl7.timestamps import is_timestamp, read_timestamp
from overread.protocols.hl7.tokenise import Message, tokenise
from tests.builders.hl7 import HANOI, an_omi, an_orm

PLACES = [
    "MSH-7",
    "PID-3",
    "PID-7",
    "ORC-1",
    "ORC-2",
    "ORC-3",
    "ORC-7",
    "ORC-8",
    "ORC-9",
    "TQ1-7",
    "OBR-2",
    "OBR-3",
    "OBR-4",
    "OBR-27",
    "OBR-36",
    "IPC-1",
    "ZDS-1",
    "PV1-3",
]
TEXTS = (
    '""',
    "",
    " ",
    "^",
    "~",
    "^^^^",
    "~BN1^^^BVX^MR",
    "\\F\\",
    "0",
    "00000000",
    "20261332",
    "20261122",
    "20261122240000",
    "20261122235960",
    "00010101000000",
    "99991231235959",
    "^^^20261122100000^^S",
    "^^^2026112210^^S",
    "^^^20261122100000-0030^^S",
    "20261122100000+1159",
    "20261122100000+2400",
    "^^^nonsense",
    "20260229120000",
    "NW",
    "xo",
    "ZZ",
    "CH",
    "RL",
    "RF",
    "Đơn thuốc",
)
SEGMENTS = ("PID", "PV1", "ORC", "TQ1", "OBR", "IPC", "ZDS")
texts = st.sampled_from(TEXTS) | st.from_regex(r"[0-9]{4,16}([+-][0-9]{4})?", fullmatch=True)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    build: Callable[..., bytes] = draw(st.sampled_from((an_omi, an_orm)))
    put = draw(st.dictionaries(st.sampled_from(PLACES), texts, max_size=3))
    without = draw(st.lists(st.sampled_from(SEGMENTS), max_size=1))
    segments = build(put=put, without=tuple(without)).rstrip(b"\r").split(b"\r")
    repeated = draw(st.lists(st.sampled_from(segments[1:]), max_size=3)) if len(segments) > 1 else []
    return b"\r".join((*segments, *repeated)) + b"\r"


def refusal(judge: Callable[[Message], object], raw: bytes) -> tuple[object, ...] | None:
    try:
        judge(tokenise(raw))
    except HL7Error as error:
        return error.condition, error.location, error.sentence
    return None


@settings(max_examples=400, deadline=None)
@given(messages())
def test_checking_refuses_what_reading_refuses(raw: bytes) -> None:
    """What the intake acknowledged, assembly can read; what assembly could read, the intake does not refuse."""
    read = refusal(lambda message: read_orders(message, time_zone=HANOI), raw)

    checked = refusal(lambda message: check_orders(message, time_zone=HANOI), raw)

    assert checked == read


@settings(deadline=None)
@given(texts | st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda moment: f"{moment:%Y%m%d%H%M%S}"))  # noqa: DTZ001 - only digits are wanted
def test_a_timestamp_is_one_exactly_when_it_can_be_read(text: str) -> None:
    """The quick answer is the same as the thorough one."""
    for zone in (HANOI, UTC):
        try:
            read_timestamp(text, zone)
        except ValueError:
            readable = False
        else:
            readable = True

        assert is_timestamp(text, zone) is readable
