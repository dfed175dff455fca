"""`overread hl7 explain` on messages that were damaged anywhere: never a crash, never another word than the listener's."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from overread.cli.hl7_explain import lines_of
from overread.cli.hl7_propose import proposal, table
from overread.cli.hl7_verdict import Judge
from overread.hl7_intake import links
from overread.hl7_intake.settings import HL7IntakeSettings, Link
from overread.protocols.hl7.acknowledgement import parse_ack
from overread.protocols.hl7.survey import survey
from overread.runtime.settings import ServiceSettings
from tests.builders.events import NOON
from tests.builders.hl7 import an_omi, an_orm, an_oru
from tests.fakes.hl7_intake import FakeBroker, an_intake

MESSAGES = (an_omi(), an_orm(), an_oru("F"), an_orm(put={"MSH-18": ""}), an_omi(put={"MSH-9": "ADT^A08"}))
PIECES = st.sampled_from([b"", b"|", b"^", b"~", b"&", b"\\", b"\r", b"\n", b"\x00", b"\x1b", b"\xff", b"MSH|", b'""'])
JUDGE = Judge(Link(), ServiceSettings())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message with some of its bytes replaced, lost or added."""
    raw = draw(st.sampled_from(MESSAGES))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = start + draw(st.integers(0, 12))
        raw = raw[:start] + draw(st.one_of(PIECES, st.binary(max_size=4))) + raw[end:]
    return raw


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_it_says_what_the_listener_says(raw: bytes) -> None:
    """REQ-TOOL-01: the answer's code and condition, whatever came."""
    answer = asyncio.run(_answered(raw))

    verdict = JUDGE(raw, NOON)

    heard = parse_ack(answer) if answer is not None else None
    condition = str(verdict.error.condition.value) if verdict.error else ""
    assert verdict.is_answered is (heard is not None)
    assert heard is None or (heard.code, heard.error_condition) == (verdict.code, condition)


async def _answered(raw: bytes) -> bytes | None:
    return await an_intake(FakeBroker()).begin(raw)


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_it_explains_whatever_came_and_sends_nothing_to_the_terminal_but_text(raw: bytes) -> None:
    """A terminal obeys control characters; each line is one line."""
    said = list(lines_of(raw, JUDGE(raw, NOON), JUDGE, shows_patient=True, is_brief=False))

    assert [line for line in said if not line.isprintable()] == []


@settings(max_examples=150, deadline=None)
@given(st.lists(damaged(), max_size=4))
def test_a_recorded_day_of_damaged_messages_is_counted(day: list[bytes]) -> None:
    """Each counts, none ends the table."""
    seen = survey(day)

    said = [*table(seen), *proposal(seen)]

    assert (seen.total, [line for line in said if not line.isprintable()]) == (len(day), [])


@settings(max_examples=150, deadline=None)
@given(st.lists(damaged(), min_size=1, max_size=4))
def test_what_is_proposed_is_a_link_that_the_intake_takes(day: list[bytes]) -> None:
    """REQ-TOOL-04: it can be put into the file of links as it stands, and lets its own sender in."""
    (link,) = links.parse("\n".join(proposal(survey(day))), HL7IntakeSettings())

    assert link.link_id != "default"
