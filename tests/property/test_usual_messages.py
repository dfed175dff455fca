"""The quick way through the HL7 intake gives what the thorough way gives: message, event and answer."""

import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.events.intake import HL7Received
from overread.contracts.identifiers import deterministic_id, deterministic_text
from overread.hl7_intake import incoming
from overread.hl7_intake.incoming import Incoming, LinkRules
from overread.hl7_intake.settings import Link
from overread.protocols.hl7.acknowledgement import AcknowledgmentCode, acknowledge
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.tokenise import read_header
from tests.builders.hl7 import an_orm

moments = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
controls = st.text(st.characters(codec="ascii", exclude_characters="|\r\n"), max_size=24) | st.just("M1")
times = st.sampled_from(["20261122093000", "20261122093000+0700", "20260230093000", "202611", "", "x"])
names = st.sampled_from(["THỬ^NGHIỆM", 'A"B\\C', "TEST^PATIENT", "\x1a"])
CHARSETS = ("UNICODE UTF-8", "", "8859/1")
charsets = st.sampled_from(CHARSETS)


def rules() -> LinkRules:
    """A link that has seen its senders before, one for each character set."""
    known = LinkRules("site", Link(link_id="his"), UTC)
    for charset in CHARSETS:
        plain = an_orm(put={"MSH-18": charset}).decode().encode("ascii", "replace")
        known.read(plain, datetime(2026, 11, 22, tzinfo=UTC))
    return known


def read(link: LinkRules, raw: bytes, now: datetime, *, is_quick: bool) -> Incoming | tuple[str, str]:
    """What becomes of `raw`, by both ways or by the thorough one alone."""
    try:
        if is_quick:
            return link.read(raw, now)
        with mock.patch.object(LinkRules, "_read_usual", return_value=None):
            return link.read(raw, now)
    except HL7Error as error:
        return error.condition.name, error.sentence


@given(control_id=controls, sent_at=times, name=names, charset=charsets, now=moments)
def test_both_ways_read_the_same_message(control_id: str, sent_at: str, name: str, charset: str, now: datetime) -> None:
    """A shortcut may save time, never a check; the names that messages are known by are the same."""
    link = rules()
    raw = an_orm(put={"MSH-7": sent_at, "MSH-10": control_id, "PID-5": name, "MSH-18": charset})

    quick, thorough = (read(link, raw, now, is_quick=is_quick) for is_quick in (True, False))

    assert quick == thorough


@given(control_id=controls, sent_at=times, now=moments)
def test_the_filled_template_says_what_the_codec_says(control_id: str, sent_at: str, now: datetime) -> None:
    """One form on the wire, whichever way it was written."""
    message = read(rules(), an_orm(put={"MSH-7": sent_at, "MSH-10": control_id}), now, is_quick=True)
    if not isinstance(message, Incoming):
        return

    written = message.sender.events.write(message, None)
    event: Event[Any] = codec.decode(written, (HL7Received,))

    assert json.loads(written) == json.loads(codec.encode(event))
    assert (event.id, event.time, event.data.received_at) == (UUID(message.event_id), now, now)
    assert event.data.message_control_id == message.message_control_id


@given(control_id=controls, now=moments)
def test_the_answer_of_the_template_is_that_of_acknowledge(control_id: str, now: datetime) -> None:
    """HL7 v2.5.1, 2.9.2: the same bytes, so that a repeat gets its first answer however it is written."""
    raw = an_orm(put={"MSH-10": control_id})
    message = read(rules(), raw, now, is_quick=True)
    if not isinstance(message, Incoming):
        return

    written = message.sender.answers.write(
        AcknowledgmentCode.AA, now=now, control_id="C1", echoed_control_id=message.echoed_control_id
    )

    assert written == acknowledge(read_header(raw), AcknowledgmentCode.AA, now=now, control_id="C1")


def test_the_usual_message_takes_the_quick_way() -> None:
    """Without this the properties above would hold of a shortcut that nobody takes."""
    link = rules()

    with mock.patch.object(LinkRules, "_read_any", side_effect=AssertionError):
        message = link.read(an_orm(control_id="NEXT1"), datetime(2026, 11, 22, tzinfo=UTC))

    assert message.message_control_id == "NEXT1"


@pytest.mark.parametrize(("msh_18", "codec", "name"), [("BIG-5", "big5", "功"), ("~ISO IR87", "iso2022_jp", "山田")])
def test_a_set_with_bytes_of_delimiters_never_takes_the_quick_way(msh_18: str, codec: str, name: str) -> None:
    """The pattern of a usual message looks at bytes, and some of these are no delimiters though they look like one."""
    link = LinkRules("site", Link(link_id="his"), UTC)
    raw = an_orm(put={"MSH-18": msh_18, "ORC-12": "", "PID-5": name}, clinical="ho", charset=codec)
    now = datetime(2026, 11, 22, tzinfo=UTC)

    first = link.read(raw, now)

    with mock.patch.object(LinkRules, "_read_any", side_effect=LookupError), pytest.raises(LookupError):
        link.read(raw, now)
    assert first.message_control_id == "HIS0002"


@given(known=st.sampled_from(["utf-8", "tcvn3"]), sent=st.sampled_from(["utf-8", "tcvn3", "vni"]))
def test_both_ways_read_the_same_on_a_link_with_a_set_of_its_own(known: str, sent: str) -> None:
    """MSH-18 says UTF-8 and is wrong now and then; what was remembered of the sender must not decide of the next."""
    link = LinkRules("site", Link(link_id="his", fallback_charset="tcvn3"), UTC)
    written = {codec: _orm_in(codec) for codec in (known, sent)}
    now = datetime(2026, 11, 22, tzinfo=UTC)
    link.read(written[known], now)

    quick, thorough = (read(link, written[sent], now, is_quick=is_quick) for is_quick in (True, False))

    assert quick == thorough


def _orm_in(codec: str) -> bytes:
    return an_orm(put={"ORC-12": "", "PID-5": "nguyễn^văn"}, clinical="ho kéo dài", charset=codec)


def test_a_link_knows_a_bounded_number_of_headers() -> None:
    """A sender that writes its headers differently each time must not fill the memory."""
    link = LinkRules("site", Link(link_id="his"), UTC)

    for number in range(incoming.MOST_SENDERS + 10):
        link.read(an_orm(put={"MSH-3": f"HIS{number}"}), datetime(2026, 11, 22, tzinfo=UTC))

    assert len(link._senders) <= incoming.MOST_SENDERS


@given(parts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_the_text_of_an_id_is_the_ids_text(parts: list[str]) -> None:
    """DESIGN, Identity of things: one id, whichever way it was made."""
    assert deterministic_text(*parts) == str(deterministic_id(*parts))
