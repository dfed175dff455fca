"""What a link is counted by: rates of whole minutes, answers by code, and where the last error stands."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from overread.hl7_intake.tally import Tally
from overread.protocols.hl7.errors import ErrorLocation
from tests.builders.events import NOON
from tests.builders.hl7 import an_omi
from tests.fakes.hl7_intake import FakeBroker, an_intake


def test_rates_forget_what_is_older_than_their_minutes() -> None:
    """REQ-LNK-07: the minute that runs counts, and what came an hour ago does not."""
    tally = Tally()
    for minutes in (0, 0, 3, 58):
        tally.came(100, NOON + timedelta(minutes=minutes))

    seen = [tally.within(back, NOON + timedelta(minutes=58)) for back in (1, 5, 60)]
    later = [tally.within(back, NOON + timedelta(minutes=62)) for back in (1, 5, 60)]
    long_after = tally.within(60, NOON + timedelta(days=2))

    assert (seen, later, long_after) == ([1, 1, 4], [0, 1, 2], 0)
    assert (tally.messages, tally.bytes) == (4, 400)


async def test_link_knows_what_it_answered_what_came_twice_and_where_the_last_error_stands() -> None:
    """REQ-LNK-07: the error by code, condition and place, never by what stands there."""
    intake = an_intake(FakeBroker())

    for raw in (an_omi(), an_omi(), an_omi(control_id="BAD", put={"PID-3": ""})):
        await asyncio.wait_for(intake.begin(raw), 1)

    tally = intake.tally
    assert dict(tally.answers) == {"CA": 2, "CE": 1}
    assert (tally.messages, tally.duplicates, tally.refused) == (3, 1, 1)
    assert tally.last_error is not None
    assert (tally.last_error.code, tally.last_error.condition, tally.last_error.place) == ("CE", 101, "PID-3")


@pytest.mark.parametrize(
    ("control_id", "logged"),
    [
        ("HIS-4711", "HIS-4711"),
        ("NGUYỄN VĂN AN", "(not an identifier)"),
        ("NGUYEN^AN", "(not an identifier)"),
        ("9" * 65, "(not an identifier)"),
    ],
)
async def test_refusal_is_logged_with_its_message_and_its_place(control_id: str, logged: str) -> None:
    """REQ-LNK-08: an engineer finds the message by MSH-10; a name that a sender put there is not written down."""
    intake = an_intake(FakeBroker())

    with capture_logs() as logs:
        await asyncio.wait_for(intake.begin(an_omi(control_id=control_id, charset="utf-8", put={"PID-3": ""})), 1)

    [line] = [line for line in logs if line["event"] == "message_refused"]
    assert (line["link"], line["message_control_id"], line["condition"], line["place"]) == (
        "his",
        logged,
        101,
        "PID-3",
    )


@pytest.mark.parametrize(
    ("location", "spoken"),
    [
        (ErrorLocation("PID", 1, 3), "PID-3"),
        (ErrorLocation("OBX", 2, 5, 1, 4), "OBX(2)-5.4"),
        (ErrorLocation("ORC"), "ORC"),
    ],
)
def test_place_is_spoken_as_people_do(location: ErrorLocation, spoken: str) -> None:
    """The second OBX is told from the first."""
    assert location.spoken == spoken
