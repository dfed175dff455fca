"""An order reads the same whichever way its messages are folded: onto what is stored, or anew from all of them."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from overread.assembly.order_folding import OrderLife, StoredOrder
from overread.assembly.orders import OrderMessage
from overread.contracts.events.orders import Patient, ServiceRequest
from overread.protocols.hl7.order_controls import CONTROLS
from tests.builders.events import ORDER_ID
from tests.builders.orders import a_message, an_order, fully_folded

SAID: Sequence[dict[str, str]] = (
    {},
    {"OBR-13": "cough"},
    {"OBR-13": '""'},
    {"IPC-1": "TEST-ACC-2"},
    {"IPC-1": '""'},
    {"TQ1-9": "S"},
    {"ORC-5": "CM"},
    {"ORC-5": "IP"},
    {"ORC-8": "P9&HIS"},
    {"ORC-12": '""'},
    {"PID-3": "TEST-0002^^^HIS^PI", "PID-5": ""},
    {"PID-5": "", "PID-7": ""},
    {"ORC-3": "F1^RIS"},
)
READ = {
    (minute, control, said): a_message(an_order(minute, control, put=SAID[said]))
    for minute in range(8)
    for control in CONTROLS
    for said in range(len(SAID))
}
names = st.tuples(st.integers(0, 7), st.sampled_from(sorted(CONTROLS)), st.integers(0, len(SAID) - 1))
messages = names.map(READ.__getitem__)
arrivals = st.lists(st.lists(messages, min_size=1, max_size=5), min_size=1, max_size=5)


def as_stored(stored: StoredOrder | None) -> StoredOrder | None:
    """Return the order as the next transaction reads it from its table."""
    return stored and StoredOrder(
        revision=stored.revision,
        order=ServiceRequest.model_validate_json(stored.order.model_dump_json()),
        patient=Patient.model_validate_json(stored.patient.model_dump_json()),
    )


def taken(life: OrderLife, kept: Sequence[OrderMessage], message: OrderMessage) -> None:
    """Let the order hear `message`, and what was kept before this transaction where it must."""
    if life.must_recall(message):
        life.recall(kept)
    life.take(message)


@settings(max_examples=300, deadline=None)
@given(arrivals, st.sampled_from([1, 10**6]))
def test_folding_onto_what_is_stored_gives_what_folding_anew_gives(
    batches: list[list[OrderMessage]], forgets_after: int
) -> None:
    """REQ-ORD-04: after each message, revision by revision; also where a row does not say how far it is folded."""
    kept: list[OrderMessage] = []
    stored, newest, expected = None, None, None
    for number, batch in enumerate(batches):
        life = OrderLife(ORDER_ID, as_stored(stored), newest if number < forgets_after else None)
        for position, message in enumerate(batch):
            taken(life, kept, message)

            expected = fully_folded([*kept, *batch[: position + 1]], before=expected)
            assert life.stored == expected
        kept += batch
        stored, newest = life.stored, life.newest


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_order_and_repetition_of_messages_ends_the_same(data: st.DataObject) -> None:
    """REQ-ORD-04: every control of the table; repeats of a message say nothing new."""
    sent = data.draw(st.lists(names, min_size=1, max_size=8, unique_by=lambda name: name[0]))
    in_sequence = [READ[name] for name in sorted(sent)]
    repeated = data.draw(st.lists(st.sampled_from(in_sequence), max_size=4))
    arrived = data.draw(st.permutations([*in_sequence, *repeated]))
    life = OrderLife(ORDER_ID)

    for message in arrived:
        life.take(message)

    expected = fully_folded(in_sequence)
    assert life.stored is not None
    assert (life.stored.order, life.stored.patient) == (expected.order, expected.patient)


@settings(max_examples=100, deadline=None)
@given(st.lists(messages, min_size=1, max_size=6))
def test_message_folded_twice_says_what_it_said_once(told: list[OrderMessage]) -> None:
    """A repeat under a new control ID and the same time changes nothing."""
    once = fully_folded(told)

    twice = fully_folded([message for message in told for _ in range(2)])

    assert (twice.order, twice.patient) == (once.order, once.patient)
