"""What `overread flow` prints: every number that an operator looks for, and the services that are not ready."""

from overread.cli.flow import lines_of
from overread.ops.flow_view import FlowView, GroupView, TopicView
from tests.builders.events import NOON


def a_topic(**changed: object) -> TopicView:
    """Return a topic that flows and that nobody is behind of."""
    fields: dict[str, object] = {
        "name": "hl7.received",
        "says": "one raw message",
        "producers": ["hl7_intake"],
        "consumers": ["assembly"],
        "records": 14,
        "rate_per_second": 2.5,
        "dead": 0,
        "groups": [GroupView(service="assembly", lag=0, oldest_unread_seconds=None)],
    }
    return TopicView.model_validate(fields | changed)


def test_topic_tells_rate_kept_dead_and_how_long_the_oldest_waits() -> None:
    """One line a topic, in pipeline order."""
    behind = [
        GroupView(service="assembly", lag=3, oldest_unread_seconds=12.4),
        GroupView(service="archive", lag=0, oldest_unread_seconds=None),
    ]
    view = FlowView(at=NOON, topics=[a_topic(), a_topic(name="dicom.received", dead=2, groups=behind)])

    _, hl7, dicom, services = lines_of(view, {"assembly": {}})

    assert hl7.split() == ["hl7.received", "2.5", "14", "0", "assembly", "0"]
    assert dicom.split(maxsplit=4) == ["dicom.received", "2.5", "14", "2", "assembly 3 (12 s), archive 0"]
    assert services == "services: 1 of 1 ready"


def test_service_that_is_not_ready_says_what_it_waits_for() -> None:
    """The last lines are the ones to act on."""
    lines = [*lines_of(FlowView(at=NOON, topics=[]), {"assembly": {}, "review": {"database": "does not answer"}})]

    assert lines[1:] == ["services: 1 of 2 ready", "review: database: does not answer"]
