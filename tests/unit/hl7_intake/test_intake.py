"""One link without socket and broker: what is answered, and what is published, for each kind of message."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from overread.contracts import codec
from overread.contracts.errors import Unavailable
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.intake import CLAIM_CHECK_BYTES, Intake
from overread.protocols.hl7.acknowledgement import Acknowledgment, parse_ack
from tests.builders.events import NOON
from tests.builders.hl7 import an_omi, an_orm
from tests.fakes.hl7_intake import FakeBroker, FakeClock, FakeObjects, an_intake

ORIGINAL = {"MSH-15": "", "MSH-16": ""}


async def answered(intake: Intake, raw: bytes) -> bytes | None:
    return await asyncio.wait_for(intake.begin(raw), 1)


async def judged(intake: Intake, raw: bytes) -> Acknowledgment:
    answer = await answered(intake, raw)
    assert answer is not None
    return parse_ack(answer)


@pytest.mark.parametrize(("raw", "code"), [(an_orm(), "AA"), (an_omi(), "CA")])
async def test_a_kept_order_gets_the_positive_code_of_its_mode(raw: bytes, code: str) -> None:
    """HL7 v2.5.1, 2.9.2 and 2.9.3: AA in original mode, CA in enhanced mode, MSA-2 echoes MSH-10."""
    broker = FakeBroker()

    ack = await judged(an_intake(broker), raw)

    (event,) = broker.events
    assert ack.code == code
    assert ack.message_control_id == event.data.message_control_id
    assert base64.b64decode(event.data.raw_base64) == raw
    assert broker.records[0].key == b"his"


async def test_nothing_is_answered_before_the_broker_has_it() -> None:
    """Promise 1: acknowledged means kept."""
    broker = FakeBroker(holds=True)
    intake = an_intake(broker)

    answer = intake.begin(an_omi())
    await asyncio.sleep(0)
    waited = not answer.done()
    broker.keep(0)

    assert waited
    assert await asyncio.wait_for(answer, 1) is not None


@pytest.mark.parametrize(
    ("condition", "good_is_answered", "bad_is_answered"),
    [("AL", True, True), ("NE", False, False), ("ER", False, True), ("SU", True, False)],
)
async def test_accept_acknowledgments_go_to_those_who_want_them(
    condition: str, *, good_is_answered: bool, bad_is_answered: bool
) -> None:
    """MSH-15, table HL70155: always, never, on error, on success."""
    broker = FakeBroker()
    intake = an_intake(broker)

    good = await answered(intake, an_omi(put={"MSH-15": condition}))
    repeat = await answered(intake, an_omi(put={"MSH-15": condition}))
    bad = await answered(intake, an_omi(put={"MSH-15": condition}, without="PID", control_id="BAD"))

    assert (good is not None, bad is not None) == (good_is_answered, bad_is_answered)
    assert repeat == good
    assert len(broker.records) == 1


@pytest.mark.parametrize("condition", ["AL", "NE", "ER", "SU"])
async def test_a_link_that_waits_for_aa_on_the_line_gets_it(condition: str) -> None:
    """DESIGN, Acknowledgment: per link, for senders that fill MSH-15 and wait for AA all the same."""
    intake = an_intake(FakeBroker(), answers_application_ack_on_the_line=True)

    ack = await judged(intake, an_omi(put={"MSH-15": condition}))

    assert ack.code == "AA"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The patient identifier list (PID-3) holds no identifier."),
        ("vi", "Danh sách mã người bệnh (PID-3) không có mã nào."),
        ("fr", "La liste des identifiants du patient (PID-3) n'en contient aucun."),
    ],
)
async def test_a_refusal_is_told_in_the_links_language(language: str, text: str) -> None:
    """ERR-8 is read by those who must mend the message."""
    intake = an_intake(FakeBroker(), language=language)

    ack = await judged(intake, an_omi(put={"PID-3": ""}))

    assert (ack.code, ack.text) == ("CE", text)


@pytest.mark.parametrize(
    ("put", "condition"),
    [
        ({"MSH-9": "DFT^P03"}, "200"),
        ({"MSH-9": "OMI^O99"}, "201"),
        ({"MSH-11": "X"}, "202"),
        ({"MSH-12": "9.9"}, "203"),
    ],
)
async def test_what_the_link_does_not_take_is_rejected(put: dict[str, str], condition: str) -> None:
    """HL7 v2.5.1, 2.9.2.2: MSH-9, MSH-11 and MSH-12 lead to AR, in enhanced mode CR (table HL70357)."""
    broker = FakeBroker()
    intake = an_intake(broker)

    original = await judged(intake, an_omi(put={**ORIGINAL, **put}))
    enhanced = await judged(intake, an_omi(put=put))

    assert (original.code, enhanced.code) == ("AR", "CR")
    assert (original.error_condition, enhanced.error_condition) in {(condition, condition), ("207", "207")}
    assert broker.records == []


async def test_an_order_without_a_number_is_an_error_in_the_message() -> None:
    """Nobody could ever name it: AE 101, which a sender does not send again unchanged."""
    broker = FakeBroker()

    ack = await judged(an_intake(broker), an_orm(put={"ORC-2": "", "ORC-3": "", "OBR-2": "", "OBR-3": ""}))

    assert (ack.code, ack.error_condition) == ("AE", "101")
    assert broker.records == []


async def test_bytes_outside_the_declared_character_set_are_refused_where_they_stand() -> None:
    """MSH-18 empty means 7-bit ASCII; guessing would change a patient's name."""
    broker = FakeBroker()

    ack = await judged(an_intake(broker), an_omi(charset="utf-8", put={"MSH-18": ""}))

    assert (ack.code, ack.error_condition) == ("CE", "102")
    assert ack.error_location.startswith("PID^1^5")
    assert broker.records == []


async def test_a_links_own_character_set_stands_in_for_an_empty_msh_18() -> None:
    """DESIGN, Text: a per-link fallback codec; the event says which one was used."""
    broker = FakeBroker()

    ack = await judged(an_intake(broker, fallback_charset="utf-8"), an_omi(put={"MSH-18": ""}))

    assert ack.code == "CA"
    assert broker.events[0].data.fallback_charset == "utf-8"


async def test_what_is_no_message_at_all_is_answered_too() -> None:
    """An answer is owed to a broken message (HL7 v2.5.1, 2.8.2); the link stays open."""
    broker = FakeBroker()
    intake = an_intake(broker)

    for raw in (b"", b"hello", b"MSH", b"MSH|^~\\&|HIS\r", b"\x00\xff" * 40):
        answer = await answered(intake, raw)

        assert answer is not None
        assert b"MSA|A" in answer

    assert broker.records == []


async def test_a_repeat_gets_the_same_bytes_and_publishes_nothing() -> None:
    """Promise 4: a repeat has no second effect, and its sender sees the answer that it missed."""
    broker, clock = FakeBroker(), FakeClock()
    intake = an_intake(broker, clock=clock)

    first = await answered(intake, an_omi())
    clock.now += timedelta(minutes=7)
    second = await answered(intake, an_omi())

    assert first is not None
    assert second == first
    assert len(broker.records) == 1


async def test_a_repeat_while_the_first_is_in_flight_waits_for_the_same_answer() -> None:
    """An impatient sender reconnects and sends again before the broker has answered."""
    broker = FakeBroker(holds=True)
    intake = an_intake(broker)

    first, second = intake.begin(an_omi()), intake.begin(an_omi())
    broker.keep(0)
    answers = await asyncio.wait_for(asyncio.gather(first, second), 1)

    assert answers[0] == answers[1] is not None
    assert len(broker.records) == 1


async def test_a_reused_control_id_is_refused_before_and_after_the_first_is_kept() -> None:
    """DESIGN, Acknowledgment: a reused ID with another body: AE 205 (CE in enhanced mode)."""
    broker = FakeBroker(holds=True)
    intake = an_intake(broker)

    intake.begin(an_omi())
    in_flight = await judged(intake, an_omi(placer="OTHER^HIS"))
    broker.keep(0)
    await asyncio.sleep(0.01)
    kept = await judged(intake, an_omi(placer="OTHER^HIS"))
    original = await judged(intake, an_omi(placer="OTHER^HIS", put=ORIGINAL))

    assert [(ack.code, ack.error_condition) for ack in (in_flight, kept, original)] == [
        ("CE", "205"),
        ("CE", "205"),
        ("AE", "205"),
    ]
    assert len(broker.records) == 1


async def test_a_link_may_take_reused_control_ids_with_a_warning() -> None:
    """DESIGN, Acknowledgment: or `accept_and_warn`; both are kept under ids of their own, also while in flight."""
    broker = FakeBroker(holds=True)
    intake = an_intake(broker, reused_control_id="accept_and_warn")

    first, second = intake.begin(an_omi()), intake.begin(an_omi(placer="OTHER^HIS"))
    broker.keep(0)
    broker.keep(1)
    answers = await asyncio.wait_for(asyncio.gather(first, second), 1)

    assert all(answer and b"MSA|CA|" in answer for answer in answers)
    assert len({event.id for event in broker.events}) == 2


async def test_a_link_may_tell_messages_apart_by_their_time_too() -> None:
    """DESIGN, Acknowledgment: MSH-7 in the key if the link says so, for senders that count MSH-10 anew."""
    broker = FakeBroker()
    intake = an_intake(broker, duplicate_key_has_message_datetime=True)

    today = await judged(intake, an_omi(put={"MSH-7": "20261122095000+0700"}))
    tomorrow = await judged(intake, an_omi(put={"MSH-7": "20261123095000+0700"}))

    assert (today.code, tomorrow.code) == ("CA", "CA")
    assert len(broker.records) == 2


@pytest.mark.parametrize(("raw", "code"), [(an_orm(), "AR"), (an_omi(), "CE")])
async def test_while_the_broker_is_away_the_sender_is_told_to_come_again(raw: bytes, code: str) -> None:
    """DESIGN, Failure: an intake that can't keep says so (AR 207, CE 207); what it refused it does not remember."""
    broker = FakeBroker()
    intake = an_intake(broker)

    broker.is_away = True
    refused = await judged(intake, raw)
    broker.is_away = False
    taken = await judged(intake, raw)

    assert (refused.code, refused.error_condition) == (code, "207")
    assert taken.code.is_positive
    assert len(broker.records) == 1


async def test_a_message_that_the_broker_did_not_keep_is_refused_with_its_repeats() -> None:
    """Promise 1: no answer says kept when the acknowledgement of the broker never came."""
    broker = FakeBroker(holds=True)
    intake = an_intake(broker)

    first, repeat = intake.begin(an_omi()), intake.begin(an_omi())
    broker.lose(0)
    answers = await asyncio.wait_for(asyncio.gather(first, repeat), 1)
    again = intake.begin(an_omi())
    broker.keep(1)

    assert all(answer and b"MSA|CE|" in answer for answer in answers)
    assert b"MSA|CA|" in (await again or b"")


async def test_a_sender_that_gives_up_takes_no_answer_from_its_own_repeat() -> None:
    """The connection of the first is gone, and its repeat on another one still learns that it is kept."""
    broker = FakeBroker(holds=True)
    intake = an_intake(broker)

    waiting = asyncio.ensure_future(_begin_and_wait(intake, an_omi()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    broker.keep(0)

    assert await answered(intake, an_omi()) is not None
    assert len(broker.records) == 1


async def _begin_and_wait(intake: Intake, raw: bytes) -> None:
    await intake.begin(raw)


async def test_a_large_message_is_stored_and_named() -> None:
    """DESIGN, Contracts: no event exceeds 256 KiB; large HL7 bodies are claim-checked, stored before they are told."""
    broker, objects = FakeBroker(), FakeObjects()
    raw = an_omi(clinical="ho khan " * (CLAIM_CHECK_BYTES // 8))

    ack = await judged(an_intake(broker, objects=objects), raw)

    (received,) = [event.data for event in broker.events]
    assert ack.code == "CA"
    assert received.raw_base64 is None
    assert objects.kept == {received.object_key: raw}
    assert received.object_key == f"site/hl7/{received.digest}"


async def test_a_large_message_without_room_is_refused_and_forgotten() -> None:
    """DESIGN, Failure: what can't be kept is refused; once there is room the same message is taken."""
    broker, objects = FakeBroker(), FakeObjects(failure=Unavailable("the disk is at its watermark"))
    intake = an_intake(broker, objects=objects)
    raw = an_omi(clinical="ho khan " * (CLAIM_CHECK_BYTES // 8))

    refused = await judged(intake, raw)
    objects.failure = None
    taken = await judged(intake, raw)

    assert (refused.code, refused.error_condition) == ("CE", "207")
    assert taken.code == "CA"


async def test_at_the_watermark_what_is_new_is_refused_and_what_was_kept_is_not() -> None:
    """DESIGN, Failure: an intake that can't keep says so (207) before the broker's log fills the disk."""
    broker = FakeBroker()
    intake = an_intake(broker)
    kept = await judged(intake, an_omi())

    intake.refuse_all(Unavailable("the disk is at its watermark"))
    repeat = await judged(intake, an_omi())
    enhanced, original = await judged(intake, an_omi(control_id="M2")), await judged(intake, an_orm(control_id="M3"))
    intake.refuse_all(None)
    again = await judged(intake, an_omi(control_id="M2"))

    assert [(ack.code, ack.error_condition) for ack in (enhanced, original)] == [("CE", "207"), ("AR", "207")]
    assert "watermark" in enhanced.text
    assert (kept.code, repeat.code, again.code) == ("CA", "CA", "CA")


async def test_a_failure_of_ours_leaves_nothing_in_flight() -> None:
    """A bug ends the connection; the same message sent again is judged anew, not left waiting for ever."""
    objects = FakeObjects(failure=RuntimeError("a bug"))
    intake = an_intake(FakeBroker(), objects=objects)
    raw = an_omi(clinical="ho khan " * (CLAIM_CHECK_BYTES // 8))

    with pytest.raises(RuntimeError):
        await intake.begin(raw)
    objects.failure = None

    assert (await judged(intake, raw)).code == "CA"


async def test_names_too_long_to_be_names_are_refused() -> None:
    """MSH-3, MSH-4 and MSH-10 go into every event: they are bounded (HL7 v2.5.1, 2.15.9)."""
    broker = FakeBroker()

    ack = await judged(an_intake(broker), an_omi(control_id="M" * 300_000))

    assert (ack.code, ack.error_condition) == ("CE", "102")
    assert broker.records == []


async def test_an_oversized_message_is_refused_by_its_head() -> None:
    """What is larger than the link takes is answered with what could be read of it."""
    ack = parse_ack(await an_intake(FakeBroker()).refuse_oversize(an_omi()[:200]) or b"")

    assert (ack.code, ack.error_condition, ack.message_control_id) == ("CE", "207", "HIS0001")


async def test_what_was_taken_before_a_restart_is_recalled_from_the_topic() -> None:
    """DESIGN, Acknowledgment: warmed from the topic's tail, a repeat gets its first answer again, to the byte."""
    before, after, clock = FakeBroker(), FakeBroker(), FakeClock()
    first = await answered(an_intake(before, clock=clock), an_omi())
    clock.now = NOON + timedelta(minutes=3)
    restarted = an_intake(after, clock=clock)

    for event in reversed(before.events):
        restarted.recall(event.data)
    repeat = await answered(restarted, an_omi())
    reused = await judged(restarted, an_omi(placer="OTHER^HIS"))

    assert repeat == first
    assert (reused.code, reused.error_condition) == ("CE", "205")
    assert after.records == []


async def test_the_same_message_has_the_same_event_id_wherever_it_is_taken() -> None:
    """DESIGN, Identity of things: link, MSH-3/4/10 and digest make the id, so a consumer knows a repeat."""
    one, other = FakeBroker(), FakeBroker()

    await answered(an_intake(one), an_omi())
    await answered(an_intake(other, clock=FakeClock(NOON + timedelta(days=3))), an_omi())

    assert one.events[0].id == other.events[0].id


async def test_the_record_is_what_the_contract_would_write() -> None:
    """One form on the wire: built quickly, it has the bytes' meaning and the key that topics.py and codec give it."""
    broker = FakeBroker()

    await answered(an_intake(broker), an_omi())

    (record,), (event,) = broker.records, broker.events
    assert json.loads(record.value) == json.loads(codec.encode(event))
    assert record.key == HL7_RECEIVED.key_of(event)
    assert record.topic == HL7_RECEIVED.name
