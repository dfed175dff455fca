from datetime import timedelta
from typing import Any

from overread.cli import demo_hops
from tests.builders.events import (
    NOON,
    a_report_changed,
    a_study_ready,
    an_event,
    an_inference_done,
    an_inference_planned,
    an_order_linked,
)


def at(seconds: float, body: Any) -> Any:
    """Return the event of `body`, so many seconds after the last image."""
    return an_event(body, time=NOON + timedelta(seconds=seconds))


def test_each_service_has_its_own_seconds() -> None:
    """The way to the draft is split where a service handed the study on; an order that came meanwhile is no hand-over."""
    told = {
        "assembly": [at(2.5, a_study_ready()), at(9, an_order_linked())],
        "routing": [at(2.75, an_inference_planned())],
        "inference_worker": [at(4.25, an_inference_done())],
        "review": [at(4.5, a_report_changed())],
    }

    seconds = demo_hops.seconds_of(told, NOON)

    assert seconds == {"assembly": 2.5, "routing": 0.25, "inference_worker": 1.5, "review": 0.25}


def test_several_models_count_until_the_last_has_answered() -> None:
    """The draft waits for it."""
    told = {
        "assembly": [at(2, a_study_ready())],
        "routing": [at(3, an_inference_planned())],
        "inference_worker": [at(5, an_inference_done()), at(8, an_inference_done())],
        "review": [at(9, a_report_changed())],
    }

    assert demo_hops.seconds_of(told, NOON)["inference_worker"] == 5


def test_service_that_had_nothing_to_do_is_left_out() -> None:
    """No model was meant for the study: the draft follows the plan."""
    told = {
        "assembly": [at(2, a_study_ready())],
        "routing": [at(3, an_inference_planned())],
        "inference_worker": [],
        "review": [at(5, a_report_changed())],
    }

    assert demo_hops.seconds_of(told, NOON) == {"assembly": 2, "routing": 1, "review": 2}


def test_every_hop_is_a_service_that_writes_its_topic() -> None:
    """A name in the table is a name in the map."""
    wrong = [name for name, (topic, body) in demo_hops.HOPS.items() if name not in topic.producers]

    assert wrong == []
    assert all(body in topic.bodies for topic, body in demo_hops.HOPS.values())
