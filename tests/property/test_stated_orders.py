"""The same story of an order, told as HL7 v2 messages and as statements, reads the same."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from overread.assembly import stated_orders
from overread.assembly.orders import OrderMessage
from overread.contracts.events.order_statements import OrderAction, RequestPriority
from overread.contracts.events.orders import CodedElement
from tests.builders.events import STUDY, a_patient, an_order_received, an_order_statement
from tests.builders.orders import a_message, an_order, fully_folded

OTHER = {"id_number": "TEST-0002", "assigning_authority": "HIS", "identifier_type_code": "PI"}
NUMBER = {"number": "TEST-PLACER-1", "namespace": "HIS"}
SAID_BY_DEFAULT: Mapping[str, Any] = {
    "placer": NUMBER,
    "accession_number": "TEST-ACC-1",
    "study_instance_uid": STUDY,
    "service": {"identifier": "24627-2", "text": "CT Chest", "coding_system": "LN"},
    "modality": "CT",
    "priority": RequestPriority.ROUTINE,
    "scheduled_at": datetime(2026, 11, 22, 3, 0, tzinfo=UTC),
    "ordering_provider": CodedElement(identifier="BS001", text="MẪU^BÁC SĨ"),
    "patient_class": "O",
    "patient_location": "KHOA CDHA^^^BVX",
    "visit_number": "V0077",
    "clinical_information": "Ho kéo dài; theo dõi khí phế thũng",
}
FACETS: Sequence[tuple[Mapping[str, str], Mapping[str, Any]]] = (
    ({}, {}),
    ({"OBR-13": "cough"}, {"clinical_information": "cough"}),
    ({"OBR-13": ""}, {"clinical_information": None}),
    ({"OBR-13": '""'}, {"clinical_information": None, "cleared": ["clinical_information"]}),
    ({"IPC-1": "TEST-ACC-2"}, {"accession_number": "TEST-ACC-2"}),
    ({"IPC-1": '""'}, {"accession_number": None, "cleared": ["accession_number"]}),
    ({"IPC-3": '""'}, {"study_instance_uid": None, "cleared": ["study_instance_uid"]}),
    ({"TQ1-9": "S"}, {"priority": "stat"}),
    ({"TQ1-9": "A"}, {"priority": "asap"}),
    ({"TQ1-9": '""'}, {"priority": None, "cleared": ["priority"]}),
    ({"TQ1-7": '""'}, {"scheduled_at": None, "cleared": ["scheduled_at"]}),
    ({"ORC-12": '""'}, {"ordering_provider": None, "cleared": ["ordering_provider"]}),
    ({"ORC-3": "F1^RIS"}, {"filler": {"number": "F1", "namespace": "RIS"}}),
    ({"ORC-8": "P9&HIS"}, {"parent": {"number": "P9", "namespace": "HIS"}}),
    ({"OBR-4": "MRBRAIN^MR não^L"}, {"service": {"identifier": "MRBRAIN", "text": "MR não", "coding_system": "L"}}),
    (
        {"PID-3": "TEST-0002^^^HIS^PI", "PID-5": "", "PID-7": "", "PID-8": ""},
        {"patient": a_patient(identifiers=[OTHER], family_name="", given_name="", birth_date=None, sex="")},
    ),
)
CONTROLS: Mapping[OrderAction, str] = {
    OrderAction.NEW: "NW",
    OrderAction.CHANGE: "XO",
    OrderAction.CANCEL: "CA",
    OrderAction.DISCONTINUE: "DC",
    OrderAction.HOLD: "HD",
    OrderAction.RELEASE: "RL",
    OrderAction.COMPLETE: "SC",
}
"""What a HIS sends in ORC-1 (docs/orders.md)."""
ACTIONS = sorted(OrderAction)
steps = st.tuples(st.integers(0, 7), st.sampled_from(ACTIONS), st.integers(0, len(FACETS) - 1))


def in_hl7(minute: int, action: OrderAction, facet: int) -> OrderMessage:
    """Return what an OMI^O23 says."""
    plain = {"ORC-9": f"2026112209{minute:02d}00+0700", "ORC-5": "CM" if action is OrderAction.COMPLETE else ""}
    raw = an_order(minute, CONTROLS[action], put={**plain, **FACETS[facet][0]})
    return a_message(raw)


def stated(minute: int, action: OrderAction, facet: int) -> OrderMessage:
    """Return what a statement says."""
    moment = datetime(2026, 11, 22, 2, minute, tzinfo=UTC)
    said = {"action": action, "stated_at": moment, **SAID_BY_DEFAULT, **FACETS[facet][1]}
    (message,) = stated_orders.read(an_order_received(statement=an_order_statement(**said), link_id="his"))
    return message


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(steps, st.booleans()), min_size=1, max_size=7), st.randoms(use_true_random=False))
def test_the_same_story_in_hl7_and_in_statements_is_the_same_order(
    story: list[tuple[tuple[int, OrderAction, int], bool]], shuffling: Any
) -> None:
    """REQ-NON-04: word for word, whole in one form or mixed, whatever came when."""
    said_in_hl7 = [in_hl7(*step) for step, _ in story]
    said = [stated(*step) for step, _ in story]
    mixed = [in_hl7(*step) if is_hl7 else stated(*step) for step, is_hl7 in story]

    expected = fully_folded(said_in_hl7)

    for told in (said, mixed):
        arrived = _shuffled_between_moments(told, shuffling)
        folded = fully_folded(arrived)
        assert _without_link(folded.order) == _without_link(expected.order)
        assert folded.patient == expected.patient


def _shuffled_between_moments(told: list[OrderMessage], shuffling: Any) -> list[OrderMessage]:
    """Let messages arrive in any order; of one place they keep theirs, since nothing else tells which is later."""
    places = sorted({message.place[::2] for message in told})
    shuffling.shuffle(places)
    return [message for place in places for message in told if message.place[::2] == place]


def _without_link(order: Any) -> Any:
    return order.model_copy(update=dict.fromkeys(("link_id", "location_link_id", "provider_link_id"), ""))
