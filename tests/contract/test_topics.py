"""The map of topics is whole: REQ-ARC-01, a message's way is found in one place."""

import typing

import pytest

from overread.contracts.envelope import Event
from overread.contracts.topics import REPORTS_SIGNED, SERVICES, TOPICS, Topic, read_by, topic_named, written_by
from tests.builders.events import an_event, one_of_each

PIPELINE = (
    "hl7.received",
    "orders.offered",
    "orders.received",
    "dicom.received",
    "orders.changed",
    "cases.changed",
    "inference.planned",
    "inference.requested",
    "inference.done",
    "reports.changed",
    "reports.signed",
    "deliveries.done",
    "audit.recorded",
    "replays.requested",
    "corrections.requested",
)

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)


def test_topics_stand_in_pipeline_order() -> None:
    """A newcomer reads the way of a message from top to bottom."""
    assert tuple(topic.name for topic in TOPICS) == PIPELINE


@each_topic
def test_topic_has_writers_and_readers_that_exist(topic: Topic) -> None:
    """A topic that nobody writes or reads is a way that ends nowhere."""
    assert topic.producers or topic.from_outside
    assert topic.consumers
    assert set(topic.producers) | set(topic.consumers) <= set(SERVICES)


@each_topic
def test_topic_key_is_a_field_of_the_envelope_or_of_every_body(topic: Topic) -> None:
    """Without its key field an event could not be written in its aggregate's order."""
    for field in topic.key:
        missing = [body.__name__ for body in topic.bodies if field not in body.model_fields]

        assert field in Event.model_fields or not missing


@each_topic
def test_topic_keeps_at_most_fourteen_days(topic: Topic) -> None:
    """DESIGN, contracts: retention is at most 14 days, so the inbox has an end."""
    assert 0 < topic.retention.days <= 14
    assert topic.partitions == 24


@each_topic
def test_topic_has_a_dead_letter_topic_beside_it(topic: Topic) -> None:
    """Nothing vanishes: what can't be used is kept under a name that follows from its source."""
    assert topic.dead_name == f"{topic.name}.dead"
    assert topic.dead_name not in PIPELINE
    assert topic_named(topic.name) is topic


def test_no_event_type_travels_on_two_topics() -> None:
    """The type on the wire says which topic carries it."""
    types = [body.event_type() for topic in TOPICS for body in topic.bodies]

    assert len(types) == len(set(types))


def test_only_review_writes_signed_reports() -> None:
    """REQ-REV-01: the third guard of the signature is the broker's access list, made from this line."""
    assert REPORTS_SIGNED.producers == ("review",)


def test_every_service_writes_the_audit_and_governance_reads_all_from_orders_on() -> None:
    """What anyone did can be audited, and governance hears what it counts."""
    unheard = [topic.name for topic in TOPICS[4:] if "governance" not in topic.consumers]

    assert unheard == ["inference.requested", "corrections.requested"]  # what was mended is in the audit
    assert all("audit.recorded" in {topic.name for topic in written_by(service)} for service in SERVICES)
    assert [topic.name for topic in read_by("routing")] == ["cases.changed", "replays.requested"]


def test_each_event_gives_its_record_key() -> None:
    """Every builder's event can be written: its key has as many parts as the topic names."""
    for body in one_of_each():
        topic = next(topic for topic in TOPICS if type(body) in topic.bodies)

        key = topic.key_of(an_event(body))

        assert len(key.decode().split("/")) == len(topic.key)


def test_unknown_topic_is_named_with_those_there_are() -> None:
    """A misspelt topic is answered with the list."""
    with pytest.raises(KeyError, match=r"cases\.changed"):
        topic_named("cases.chnaged")


def test_bodies_hold_no_untyped_dictionary() -> None:
    """Events are frozen facts with named fields; `dict[str, Any]` would hide a missing one."""
    for topic in TOPICS:
        for body in topic.bodies:
            hints = typing.get_type_hints(body)
            assert not [name for name, hint in hints.items() if typing.get_origin(hint) is dict]
            assert body.model_config["frozen"]


@each_topic
def test_tail_readers_read_back_what_they_write(topic: Topic) -> None:
    """Services meet in consumers; a tail reader only remembers its own."""
    assert set(topic.tail_readers) <= set(topic.producers)
    assert not set(topic.tail_readers) & set(topic.consumers)
