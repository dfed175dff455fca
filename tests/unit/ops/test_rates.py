"""How fast a topic grows, from look to look."""

from datetime import timedelta

from overread.contracts.topics import HL7_RECEIVED
from overread.ops.rates import Rates
from overread.runtime.flow import Flow, TopicFlow
from tests.builders.events import NOON


def a_look(seconds: float, written: int) -> Flow:
    """Return what was seen of one topic."""
    topic = TopicFlow(topic=HL7_RECEIVED, kept=written, written=written, dead=0, groups=())
    return Flow(at=NOON + timedelta(seconds=seconds), topics=(topic,))


def test_rate_is_the_growth_since_the_oldest_look_of_the_last_half_minute() -> None:
    """Smooth enough to read, quick enough to see a stop."""
    rates = Rates()

    seen = [rates.after(a_look(seconds, written)) for seconds, written in ((0, 100), (10, 200), (20, 200), (45, 200))]

    assert [one and one[HL7_RECEIVED.name] for one in seen] == [None, 10.0, 5.0, 0.0]


def test_two_looks_at_once_give_no_rate() -> None:
    """A difference over no time says nothing."""
    rates = Rates()
    rates.after(a_look(0, 1))

    assert rates.after(a_look(0.2, 50)) is None
