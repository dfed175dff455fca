from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest
from pydantic import TypeAdapter

from overread.assembly import order_folding, orders
from overread.assembly.orders import Addressed, NamedOrder, OrderMessage
from overread.contracts.errors import Malformed
from overread.contracts.events.orders import OrderStatus
from overread.contracts.identifiers import deterministic_id
from tests.builders.events import NOON, SITE, STUDY
from tests.builders.orders import HANOI, a_cancellation, a_message, an_order, folded, fully_folded

TWO_STUDIES = an_order(accession="A1", study=f"{STUDY}.1") + (
    f"IPC|A2^RIS|RP2^RIS|{STUDY}.2^^{STUDY}.2^ISO|SPS2^RIS|CT\r".encode()
)


def test_new_order_says_all_that_its_message_says() -> None:
    """The first message makes revision 1."""
    stored = folded(an_order(priority="S"))

    order = stored.order
    assert (stored.revision, order.status, order.priority) == (1, OrderStatus.ACTIVE, "S")
    assert (order.placer_order_number, order.placer_namespace) == ("TEST-PLACER-1", "HIS")
    assert (order.accession_number, order.study_instance_uid, order.modality) == ("TEST-ACC-1", STUDY, "CT")
    assert (stored.patient.family_name, stored.patient.given_name) == ("THỬ NGHIỆM", "NGUYỄN VĂN")
    assert (stored.patient.birth_date, order.is_synthetic) == (date(1970, 1, 1), False)


def test_new_order_says_when_it_is_to_begin() -> None:
    """TQ1-7 comes back in the result; two double quotes take it away again."""
    planned = folded(an_order(0))
    unplanned = folded(an_order(0), an_order(1, "XO", put={"TQ1-7": '""'}))

    assert planned.order.scheduled_at == datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    assert unplanned.order.scheduled_at is None


def test_old_new_order_message_never_revives_a_cancelled_order() -> None:
    """A replayed NW is older in the sender's sequence, whenever it comes."""
    stored = folded(a_cancellation(1), an_order(0))

    assert stored.order.status is OrderStatus.CANCELLED


def test_what_only_the_old_message_says_is_known_all_the_same() -> None:
    """A cancellation names no study: without the older message its images would find no order."""
    stored = folded(a_cancellation(1), an_order(0))

    assert (stored.order.accession_number, stored.order.study_instance_uid) == ("TEST-ACC-1", STUDY)


def test_order_is_the_same_whatever_the_order_of_arrival() -> None:
    """Messages fold by the sender's sequence, not by arrival."""
    messages = [
        an_order(0, clinical="first"),
        an_order(1, control="XO", accession="B", clinical='""'),
        a_cancellation(2),
        an_order(3, control="SC", without=("OBR", "IPC", "TQ1"), put={"ORC-5": "CM"}),
    ]

    first, *others = [folded(*arrived) for arrived in permutations(messages)]

    stored = first
    assert all(other == first for other in others)
    assert (stored.order.status, stored.order.accession_number) == (OrderStatus.CANCELLED, "B")


def test_repeat_changes_nothing() -> None:
    """The same words again, under a later control ID and time, are the same order."""
    before = folded(an_order(0))

    again = folded(an_order(0), an_order(5), before=before)

    assert again is before


def test_change_order_changes_what_it_says_and_keeps_the_rest() -> None:
    """XO: what is left out stays as it was (HL7 v2.5.1, 2.7.1)."""
    before = folded(an_order(0, priority="S", clinical="cough"))

    after = folded(
        an_order(0, priority="S", clinical="cough"),
        an_order(1, control="XO", accession="TEST-ACC-2", priority="", clinical=""),
        before=before,
    )

    assert (after.revision, after.order.accession_number) == (2, "TEST-ACC-2")
    assert (after.order.priority, after.order.clinical_information) == ("S", "cough")


@pytest.mark.parametrize(
    ("put", "field", "left"),
    [
        ({"IPC-1": '""'}, "accession_number", None),
        ({"IPC-3": '""'}, "study_instance_uid", None),
        ({"OBR-13": '""'}, "clinical_information", ""),
        ({"TQ1-9": '""'}, "priority", "R"),
        ({"ORC-12": '""'}, "ordering_provider", None),
    ],
)
def test_two_double_quotes_delete(put: dict[str, str], field: str, left: object) -> None:
    """Null is not the same as not said (HL7 v2.5.1, 2.7.1)."""
    stored = folded(an_order(0, priority="S"), an_order(1, control="XO", priority="", put=put))

    assert getattr(stored.order, field) == left


@pytest.mark.parametrize("control", ["CA", "DC"])
def test_within_one_second_a_cancellation_comes_last(control: str) -> None:
    """MSH-7 often has no fraction, and a control ID is no sequence."""
    stored = folded(an_order(1, control=control, control_id="HIS9"), an_order(1, control_id="HIS10"))

    assert stored.order.status is OrderStatus.CANCELLED


def test_within_one_second_changes_fold_as_they_came() -> None:
    """A link's order is kept."""
    stored = folded(
        an_order(1, control_id="HIS9"), an_order(1, control="XO", control_id="HIS10", accession="TEST-ACC-2")
    )

    assert stored.order.accession_number == "TEST-ACC-2"


def test_message_without_any_time_counts_from_when_it_came() -> None:
    """It must not be older than everything, or it would have no effect at all."""
    undated = an_order(1, control="XO", accession="TEST-ACC-2", without=("MSH-7", "ORC-9"))

    assert folded(an_order(0), undated).order.accession_number == "TEST-ACC-2"


@pytest.mark.parametrize(
    ("status", "expected"),
    [("CM", OrderStatus.COMPLETED), ("HD", OrderStatus.HELD), ("CA", OrderStatus.CANCELLED), ("", OrderStatus.ACTIVE)],
)
def test_status_change_folds_the_order_status(status: str, expected: OrderStatus) -> None:
    """ORC-1 SC with ORC-5 (table HL70038)."""
    changed = an_order(1, control="SC", put={"ORC-5": status})

    assert folded(an_order(0), changed).order.status is expected


def test_newer_message_that_names_the_patient_by_number_alone_keeps_the_name() -> None:
    """Many cancellations carry PID-3 and nothing more."""
    stored = folded(an_order(0), an_order(1, control="CA", put={"PID-5": "", "PID-7": "", "PID-8": ""}))

    assert (stored.patient.family_name, stored.patient.birth_date) == ("THỬ NGHIỆM", date(1970, 1, 1))


def test_order_moved_to_a_relative_with_the_same_card_keeps_nothing_of_the_first() -> None:
    """A newborn under the mother's insurance number: her birth date and sex are not the child's."""
    card = "GD4790000000001^^^BHXH^HC"
    child = an_order(1, "XO", patient_id=f"BN2^^^BVX^MR~{card}", name="THỬ^BÉ", put={"PID-7": "", "PID-8": ""})

    stored = folded(an_order(0, patient_id=f"BN1^^^BVX^MR~{card}"), child)

    assert (stored.patient.given_name, stored.patient.birth_date, stored.patient.sex) == ("BÉ", None, "")


def test_order_moved_to_another_patient_keeps_nothing_of_the_first() -> None:
    """Half of one person and half of another is nobody."""
    moved = an_order(1, control="XO", patient_id="TEST-0002^^^HIS^PI", put={"PID-5": "", "PID-7": ""})

    stored = folded(an_order(0), moved)

    assert (stored.patient.identifiers[0].id_number, stored.patient.family_name) == ("TEST-0002", "")
    assert stored.patient.birth_date is None


def test_new_order_under_the_number_of_another_patient_inherits_nothing() -> None:
    """A number that is used again: accession, study and clinical text are the first patient's."""
    another = {"patient_id": "TEST-9999^^^HIS^PI", "name": "KHÁC^NGƯỜI", "accession": "", "study": ""}
    again = an_order(30, put={"PID-7": "19500101", "OBR-13": ""}, **another)

    stored = folded(an_order(0, clinical="cough"), an_order(1, "SC", put={"ORC-3": "F1^RIS"}), again)

    order = stored.order
    assert (order.accession_number, order.study_instance_uid, order.clinical_information) == (None, None, "")
    assert (order.filler_order_number, stored.patient.family_name) == ("", "KHÁC")


def test_new_order_said_again_of_the_same_patient_keeps_what_others_said() -> None:
    """A HIS that repeats NW under a corrected name means the same order."""
    again = an_order(30, accession="", name="THỬ NGHIỆM^NGUYỄN VĂN A")

    stored = folded(an_order(0), again)

    assert (stored.order.accession_number, stored.patient.given_name) == ("TEST-ACC-1", "NGUYỄN VĂN A")


@pytest.mark.parametrize("put", [{"IPC-3": "SPS1"}, {"IPC-1": "9" * 65}])
def test_number_that_can_be_none_is_malformed_without_its_value(put: dict[str, str]) -> None:
    """It can never work, so it is set aside with the field's name; the value could be anybody's."""
    with pytest.raises(Malformed) as refused:
        folded(an_order(put=put))

    assert "the order's" in str(refused.value)
    assert next(iter(put.values())) not in str(refused.value)


def test_processing_id_t_makes_a_synthetic_order() -> None:
    """MSH-11 T: what is sent about it says so."""
    assert folded(an_order(processing_id="T")).order.is_synthetic


def test_message_for_two_studies_makes_two_orders() -> None:
    """One IPC segment a study, under one number (IHE RAD-4)."""
    messages = orders.read(TWO_STUDIES, "UNICODE UTF-8", HANOI, received_at=NOON)

    ids = {orders.addressed(message, [], SITE)[0].order_id for message in messages}
    assert ([message.suffix for message in messages], len(ids)) == (["#A1", "#A2"], 2)


def a_named_order(suffix: str = "", **changed: str | None) -> NamedOrder:
    """Return an order that the number of `an_order()` names."""
    return NamedOrder(
        order_id=deterministic_id("test", suffix),
        suffix=suffix,
        accession_number=changed.get("accession_number"),
        study_instance_uid=changed.get("study_instance_uid"),
    )


def test_number_not_known_makes_an_order_whose_id_follows_from_it() -> None:
    """The same message makes the same order anywhere."""
    (made,) = orders.addressed(a_message(an_order()), [], SITE)

    assert made == Addressed(order_id=deterministic_id("order", SITE, "TEST-PLACER-1^HIS"), suffix="")


def test_number_that_is_known_names_its_order_whatever_the_study_is_called_now() -> None:
    """An accession number may change; the order number may not."""
    known = a_named_order(accession_number="OLD")

    assert orders.addressed(a_message(an_order()), [known], SITE)[0].order_id == known.order_id


def test_cancellation_without_a_study_is_about_every_order_under_its_number() -> None:
    """Otherwise the orders of a message for two studies would stay active."""
    known = [a_named_order("#A1", accession_number="A1"), a_named_order("#A2", accession_number="A2")]

    about = orders.addressed(a_message(a_cancellation()), known, SITE)

    assert [order.suffix for order in about] == ["#A1", "#A2"]


def test_message_that_names_one_study_is_about_that_order_alone() -> None:
    """One of two procedures is changed."""
    known = [a_named_order("#A1", accession_number="A1"), a_named_order("#A2", accession_number="A2")]

    about = orders.addressed(a_message(an_order(accession="A2")), known, SITE)

    assert [order.suffix for order in about] == ["#A2"]


def test_second_study_added_later_leaves_the_first_order_what_it_is() -> None:
    """The order was alone under its number when it came."""
    known = [a_named_order("", accession_number="A1")]
    first, second = orders.read(TWO_STUDIES, "UNICODE UTF-8", HANOI, received_at=NOON)

    about = [orders.addressed(message, known, SITE)[0] for message in (first, second)]

    assert about[0].order_id == known[0].order_id
    assert about[1].order_id != known[0].order_id


def test_kept_message_reads_as_it_came() -> None:
    """Messages are folded anew with each that comes, from what the table keeps."""
    adapter = TypeAdapter(OrderMessage)
    message = a_message(an_order(put={"IPC-1": '""'}))

    kept = adapter.validate_json(adapter.dump_json(message))

    assert kept == message
    assert fully_folded([kept]) == fully_folded([message])


@pytest.mark.parametrize(
    ("later", "moves"),
    [
        ({"control": "SC", "put": {"ORC-5": "CM"}}, False),
        ({"control": "XO", "put": {"TQ1-7": "20261123080000+0700"}}, False),
        ({"control": "SC", "put": {"ORC-5": "CA"}}, True),
        ({"control": "XO", "patient_id": "TEST-0002^^^HIS^PI"}, True),
        ({"control": "XO", "accession": "TEST-ACC-2"}, True),
    ],
)
def test_progress_alone_does_not_move_the_identity(*, later: dict[str, Any], moves: bool) -> None:
    """A routine "exam done" after signing must not hold the report; another patient, number or a cancellation must."""
    before = folded(an_order(0))

    after = folded(an_order(0), an_order(1, **later))

    assert order_folding.moves_identity(before, after) is moves
