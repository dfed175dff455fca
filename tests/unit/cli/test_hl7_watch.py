"""What `overread hl7 watch` says of each record."""

from collections.abc import Iterable
from uuid import UUID

from overread.cli.hl7_watch import Watch, unknown_link
from overread.contracts import codec
from overread.contracts.envelope import Body
from overread.contracts.topics import CASES_CHANGED, HL7_RECEIVED, ORDERS_CHANGED, Topic
from overread.runtime.dead_letter import SourceRecord
from overread.runtime.dead_letters import DeadLetter
from overread.runtime.following import Passed
from tests.builders.events import NOON, an_event, an_hl7_received, an_order_changed, an_order_linked
from tests.builders.hl7 import an_omi

TAKEN = an_event(an_hl7_received(an_omi()), source="hl7_intake", own_key="one")


def passed(topic: Topic, body: Body, *, caused_by: UUID | None = None) -> Passed:
    event = an_event(body, source="assembly", own_key="other", caused_by=caused_by)
    return Passed(topic=topic, value=codec.encode(event), at=NOON, letter=None)


def taken() -> Passed:
    return Passed(topic=HL7_RECEIVED, value=codec.encode(TAKEN), at=NOON, letter=None)


def set_aside() -> Passed:
    again = SourceRecord(
        topic=HL7_RECEIVED.name, partition=1, offset=2, key=b"his", value=codec.encode(TAKEN), replay_attempt=1
    )
    record = SourceRecord(
        topic=HL7_RECEIVED.dead_name, partition=1, offset=7, key=b"his", value=again.value, replay_attempt=0
    )
    letter = DeadLetter(record=record, again=again, kind="Malformed", reason="no patient number", consumer="assembly")
    return Passed(topic=HL7_RECEIVED, value=record.value, at=NOON, letter=letter)


def said(records: Iterable[Passed], watch: Watch | None = None) -> list[str]:
    """Return each line without its time of day."""
    eyes = watch or Watch()
    return [line.split("  ", 1)[1] for record in records for line in eyes.lines(record)]


def test_a_message_and_what_became_of_it() -> None:
    """REQ-TOOL-05: type, control ID, sender and answer; then the order and the case that it changed."""
    changed = passed(ORDERS_CHANGED, an_order_changed(), caused_by=TAKEN.id)
    linked = passed(CASES_CHANGED, an_order_linked(), caused_by=TAKEN.id)

    first, order, case = said([taken(), changed, linked])

    assert first == "his  OMI^O23  TEST-1  from HIS|TEST  AA"
    assert order.startswith("his  TEST-1  -> order ")
    assert case.startswith("his  TEST-1  -> OrderLinked of case ")


def test_a_message_that_was_set_aside_says_why_and_where_it_lies() -> None:
    """The place is what `overread dead replay` takes."""
    lines = said([taken(), set_aside()])

    assert lines[1] == (
        f"his  TEST-1  -> set aside by assembly (Malformed): no patient number; {HL7_RECEIVED.dead_name}/1/7"
    )


def test_what_another_cause_led_to_is_passed_over() -> None:
    """Images change cases too; they are no part of a message's story."""
    assert said([taken(), passed(CASES_CHANGED, an_order_linked())])[1:] == []


def test_one_link_alone_is_watched() -> None:
    """`--link`: another link's messages, and what they lead to, are not shown."""
    watch = Watch("ris")

    assert (said([taken(), set_aside()], watch), watch.messages) == ([], 0)


def test_no_patient_is_shown() -> None:
    """REQ-TOOL-02: the event holds the message and the order its patient; the line holds neither."""
    lines = "\n".join(said([taken(), passed(ORDERS_CHANGED, an_order_changed(), caused_by=TAKEN.id)]))

    assert [secret for secret in ("NGHIỆM", "BN000123", "TEST-0001", "1970") if secret in lines] == []


def test_a_record_that_is_none_of_ours_is_named_and_passed() -> None:
    """The line goes on."""
    (line,) = said([Passed(topic=HL7_RECEIVED, value=b"not an event", at=NOON, letter=None)])

    assert line.startswith(f"a record of {HL7_RECEIVED.name} can't be read")


def test_a_link_that_is_not_there_is_told_with_those_that_are() -> None:
    """Whoever mistypes a name would wait for ever."""
    view = {"links": [{"link_id": "his"}, {"link_id": "ris"}]}

    assert unknown_link("hsi", view) == "there is no link hsi now; there are his, ris"
    assert [unknown_link(known, view) for known in ("his", None)] == ["", ""]
    assert unknown_link("hsi", None) == ""
