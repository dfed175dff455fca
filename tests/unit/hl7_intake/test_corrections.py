"""What a person mended comes in as a message of its link: judged by the link's rules, told once, and named for what it is."""

import base64
from types import SimpleNamespace
from typing import Any, cast

import pytest

from overread.contracts import codec
from overread.contracts.envelope import Event
from overread.contracts.errors import Malformed, Unavailable
from overread.contracts.events.intake import HL7Received
from overread.contracts.identifiers import corrected_event_id
from overread.contracts.topics import HL7_RECEIVED
from overread.hl7_intake.corrections import Corrections
from overread.protocols.hl7.errors import HL7Error
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.publisher import Outgoing
from tests.builders.events import NOON, a_correction_requested, an_event
from tests.builders.hl7 import an_omi
from tests.fakes.hl7_intake import FakeBroker, an_intake


class Bench:
    """One link, and what it tells of mended messages."""

    def __init__(self, *, is_open: bool = True, **link: Any) -> None:
        intake = an_intake(FakeBroker(), **link)
        links = {"his": SimpleNamespace(intake=intake)} if is_open else {}
        self.kept = {"site/hl7/large": an_omi(control_id="LARGE")}
        self._corrections = Corrections(cast("Any", SimpleNamespace(open_links=links)), self._get)

    async def _get(self, key: str) -> bytes:
        return self.kept[key]

    async def told(self, raw: bytes, **changed: Any) -> Outgoing:
        """Ask for one correction, and return the record that leaves."""
        event = an_event(a_correction_requested(raw, **changed), source="assembly")
        tx = Transaction(service="hl7_intake", site_id="site", clock=lambda: NOON, connection=None)
        await self._corrections.requested([Delivered(event, 0, 0, 0)], tx)
        [record] = tx.outgoing
        return record


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_mended_message_is_a_message_of_its_link_that_says_what_it_stands_for(bench: Bench) -> None:
    """REQ-MSG-04: on the link's key, with the bytes as they were mended, under the id that was promised."""
    raw, asked = an_omi(control_id="BAD"), a_correction_requested()

    record = await bench.told(raw)

    event = cast("Event[HL7Received]", codec.decode(record.value, HL7_RECEIVED.bodies))
    assert (record.topic, record.key) == (HL7_RECEIVED.name, b"his")
    assert event.id == corrected_event_id("site", asked.corrects, codec.sha256(raw))
    assert (event.data.corrects, event.data.message_control_id) == (asked.corrects, "BAD")
    assert base64.b64decode(event.data.raw_base64 or "") == raw


async def test_correction_asked_for_twice_is_one_event_in_effect(bench: Bench) -> None:
    """REQ-MSG-04: whoever consumes the topic knows the repeat by its id."""
    first, again = [codec.decode((await bench.told(an_omi())).value, HL7_RECEIVED.bodies).id for _ in range(2)]

    assert first == again


async def test_large_mended_message_is_read_from_the_object_store(bench: Bench) -> None:
    """Its event names the object, as that of any large message does."""
    raw = bench.kept["site/hl7/large"]

    record = await bench.told(raw, raw_base64=None, object_key="site/hl7/large")

    event = cast("Event[HL7Received]", codec.decode(record.value, HL7_RECEIVED.bodies))
    assert (event.data.object_key, event.data.raw_base64) == ("site/hl7/large", None)


@pytest.mark.parametrize(
    ("raw", "changed", "fault"),
    [
        (an_omi(put={"PID-3": ""}), {}, HL7Error),
        (an_omi(), {"digest": "0" * 64}, Malformed),
        (an_omi(), {"link_id": "closed"}, Malformed),
    ],
)
async def test_what_the_link_does_not_take_is_set_aside(
    bench: Bench, raw: bytes, changed: dict[str, Any], fault: type[Exception]
) -> None:
    """REQ-MSG-04: by the rules of the link now, which may be stricter than when the message came."""
    with pytest.raises(fault):
        await bench.told(raw, **changed)


async def test_correction_waits_until_links_are_open() -> None:
    """At start the links are opened after the consumers: nothing is set aside for that."""
    with pytest.raises(Unavailable):
        await Bench(is_open=False).told(an_omi())
