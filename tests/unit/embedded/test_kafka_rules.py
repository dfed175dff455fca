from overread.contracts.topics import SERVICES, TOPICS
from overread.embedded.kafka_admin import OPS, rules


def writers_of(topic: str) -> set[str]:
    return {user for user, kind, name, _, operation in rules() if (kind, name, operation) == ("TOPIC", topic, "WRITE")}


def test_each_topic_is_written_by_its_producers_alone() -> None:
    """The broker's rights are the map's; an operator asks for replays, and writes nothing else."""
    wanted = {topic.name: set(topic.producers) - set(topic.not_yet) for topic in TOPICS}
    wanted["replays.requested"] |= {OPS}

    found = {name: writers_of(name) for name in wanted}

    assert found == wanted


def test_signed_reports_and_cases_have_one_writer() -> None:
    """Promise 3: only review may write reports.signed, and the gate's view of a case is assembly's alone."""
    assert writers_of("reports.signed") == {"review"}
    assert writers_of("cases.changed") == {"assembly"}


def test_dead_letters_are_written_by_the_consumers() -> None:
    """Who reads a topic sets aside what it can not use."""
    for topic in TOPICS:
        assert writers_of(topic.dead_name) == set(topic.consumers) - set(topic.not_yet)


def test_groups_begin_with_the_service_that_reads() -> None:
    """A service joins groups under its own name only."""
    groups = {
        (user, name) for user, kind, name, pattern, operation in rules() if (kind, operation) == ("GROUP", "READ")
    }

    assert groups == {(user, user) for user in (*SERVICES, OPS)}


def test_no_right_is_named_twice() -> None:
    """The broker refuses a request with duplicates."""
    assert len(rules()) == len(set(rules()))


def test_a_tail_reader_may_read_and_set_nothing_aside() -> None:
    """An intake reads back what it wrote itself; it consumes none of it, so it has no dead letters of it to write."""
    given = {(name, operation) for user, kind, name, _, operation in rules() if (user, kind) == ("hl7_intake", "TOPIC")}

    assert {("hl7.received", "READ"), ("hl7.received", "WRITE")} <= given
    assert {name for name, _ in given if name.endswith(".dead")} == {
        "corrections.requested.dead",
        "replays.requested.dead",
    }
