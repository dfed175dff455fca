"""What becomes of a refused message: the destination's own table first, then what holds for every receiver."""

from uuid import uuid4

import pytest

from overread.contracts.events.deliveries import DeliveryOutcome
from overread.delivery.destinations import DestinationsRefused, Hl7Destination, parse
from overread.delivery.hl7_sender import answer_of
from overread.delivery.refusals import Treatment, treatment_by
from overread.delivery.sending import NotTaken
from overread.delivery.sequence import Status
from overread.protocols.hl7.acknowledgement import Acknowledgment, AcknowledgmentCode
from tests.builders.delivery import Rows, a_destination, an_outbound_row
from tests.unit.delivery.test_hl7_sender import Peer, a_listener, an_ack, control_id_of, send_all

LISTED = """
[[destination]]
name = "emr"
kind = "hl7"
url = "mllp://127.0.0.1:2580"
[destination.refusals]
{entry}
"""


def an_answer(code: AcknowledgmentCode, condition: str = "") -> Acknowledgment:
    """Return a refusal of `TEST-1`."""
    return Acknowledgment(code=code, message_control_id="TEST-1", text="", error_condition=condition, error_location="")


def test_the_most_exact_entry_of_the_table_holds() -> None:
    """REQ-OUT-16: code and condition before condition before code."""
    table = {"AE 204": Treatment.HOLD, "204": Treatment.RETRY, "AE": Treatment.GIVE_UP}

    said = [treatment_by(table, *refusal) for refusal in (("AE", "204"), ("AR", "204"), ("AE", "100"), ("AR", ""))]

    assert said == [Treatment.HOLD, Treatment.RETRY, Treatment.GIVE_UP, None]


@pytest.mark.parametrize(
    ("condition", "treatment"),
    [("", Treatment.RETRY), ("207", Treatment.RETRY), ("204", Treatment.GIVE_UP), ("101", Treatment.GIVE_UP)],
)
def test_without_a_table_a_fault_of_the_content_ends_and_all_else_comes_again(
    condition: str, treatment: Treatment
) -> None:
    """REQ-OUT-16: what a destination does not say stays as it was."""
    answer = answer_of(an_answer(AcknowledgmentCode.AE, condition), {})

    assert isinstance(answer, NotTaken)
    assert answer.treatment is treatment


def test_a_table_is_read_from_the_list_of_destinations() -> None:
    """REQ-OUT-16: `[destination.refusals]` belongs to the destination above it."""
    [destination] = parse(LISTED.format(entry='"AE 204" = "hold"\n"AE E-LOCKED" = "give_up"'), site_id="site")

    assert isinstance(destination, Hl7Destination)
    assert destination.refusals == {"AE 204": Treatment.HOLD, "AE E-LOCKED": Treatment.GIVE_UP}


@pytest.mark.parametrize(
    "entry", ['"AA" = "hold"', '"AE" = "drop"', '"999" = "hold"', '"204 AE" = "hold"', '"AE " = "hold"', '"" = "hold"']
)
def test_a_table_that_names_no_refusal_is_refused_at_once(entry: str) -> None:
    """REQ-OUT-16: a mistyped entry would otherwise be found by a message that is treated otherwise than was meant."""
    with pytest.raises(DestinationsRefused):
        parse(LISTED.format(entry=entry), site_id="site")


async def test_a_held_message_keeps_what_is_behind_it_and_lets_other_cases_pass() -> None:
    """REQ-OUT-17: its case waits for an operator; nobody else does."""
    peer = Peer(
        lambda message, _: an_ack(
            control_id_of(message), *(("AE", "", "204") if control_id_of(message) == "TEST-1" else ())
        )
    )
    other = an_outbound_row(3, case_id=uuid4(), report_id=uuid4())
    rows = Rows(an_outbound_row(1), an_outbound_row(2), other)

    async with a_listener(peer) as port:
        await send_all(rows, port, a_destination(url=f"mllp://127.0.0.1:{port}", refusals={"204": "hold"}))

    assert rows.held == [("TEST-1", "AE 204 ORC^1^2")]
    assert rows.ended == [("TEST-3", DeliveryOutcome.ACKNOWLEDGED, "")]
    assert [control_id_of(message) for message in peer.got] == ["TEST-1", "TEST-3"]


async def test_an_unread_result_is_never_held_before_a_final() -> None:
    """REQ-OUT-17: a table that holds refusals does not let a draft hold back what a clinician signed."""
    peer = Peer(lambda message, _: an_ack(control_id_of(message), "AE" if control_id_of(message) == "TEST-1" else "AA"))
    rows = Rows(an_outbound_row(1, status=Status.UNVERIFIED), an_outbound_row(2))

    async with a_listener(peer) as port:
        await send_all(rows, port, a_destination(url=f"mllp://127.0.0.1:{port}", refusals={"AE": "hold"}))

    assert [(name, outcome) for name, outcome, _ in rows.ended] == [
        ("TEST-1", DeliveryOutcome.GIVEN_UP),
        ("TEST-2", DeliveryOutcome.ACKNOWLEDGED),
    ]


async def test_a_fault_of_the_content_comes_again_where_the_table_says_so() -> None:
    """REQ-OUT-16: a receiver that says 204 until its own order has come gets the same bytes again."""
    peer = Peer(lambda message, count: an_ack(control_id_of(message), *(("AE", "", "204") if count < 3 else ())))
    rows = Rows(an_outbound_row(1))

    async with a_listener(peer) as port:
        await send_all(rows, port, a_destination(url=f"mllp://127.0.0.1:{port}", refusals={"AE 204": "retry"}))

    assert len(peer.got) == 3
    assert rows.ended == [("TEST-1", DeliveryOutcome.ACKNOWLEDGED, "")]
