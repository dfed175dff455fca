import pytest

from overread.protocols.hl7.accession_places import read_place
from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.data_types import EntityIdentifier
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import VERSIONS, Acceptance, OrderRequest, check_orders, check_supported, read_orders
from overread.protocols.hl7.order_controls import CONTROLS
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import HANOI, an_omi, an_orm

HL70119 = frozenset(
    [
        "AF",
        "CA",
        "CH",
        "CN",
        "CP",
        "CR",
        "DC",
        "DE",
        "DF",
        "DR",
        "FU",
        "HD",
        "HR",
        "LI",
        "MC",
        "NA",
        "NW",
        "OC",
        "OD",
        "OE",
        "OF",
        "OH",
        "OK",
        "OP",
        "OR",
        "PA",
        "PR",
        "PY",
        "RE",
        "RF",
        "RL",
        "RO",
        "RP",
        "RQ",
        "RR",
        "RU",
        "SC",
        "SN",
        "SR",
        "SS",
        "UA",
        "UC",
        "UD",
        "UF",
        "UH",
        "UM",
        "UN",
        "UR",
        "UX",
        "XO",
        "XR",
        "XX",
    ]
)
FAMILY = (
    b"ORC|PA|P1^HIS|F1^RIS\r"
    b"ORC|CH|P1^HIS|F2^RIS\rOBR|1|P1^HIS|F2^RIS|1^A^L\r"
    b"ORC|CH|P3^HIS|F3^RIS|||||P1&HIS^F1&RIS\rOBR|2|P3^HIS|F3^RIS|2^B^L\r"
)


def _orders(raw: bytes) -> tuple[OrderRequest, ...]:
    return read_orders(tokenise(raw), time_zone=HANOI)


def _family() -> tuple[OrderRequest, ...]:
    return _orders(an_omi(without=("ORC", "TQ1", "OBR", "IPC")) + FAMILY)


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_control_that_is_taken_is_read_in_either_case(control: str) -> None:
    """REQ-ORD-01: ORC-1 by table HL70119; some systems write it small."""
    (order,) = _orders(an_orm(control=control.lower()))

    assert order.order_control == control


@pytest.mark.parametrize("control", [*sorted(HL70119 - CONTROLS.keys()), "ZZ"])
def test_control_that_is_no_word_about_an_imaging_order_is_refused_with_its_place(control: str) -> None:
    """REQ-ORD-02: table value not found (HL70357: 103), in ORC-1 of the group that has it."""
    raw = an_orm() + b"ORC" + an_orm(control=control).partition(b"ORC")[2]

    with pytest.raises(HL7Error) as refused:
        check_orders(tokenise(raw), time_zone=HANOI)

    assert (refused.value.condition, str(refused.value.location)) == (103, "ORC^2^1")


def test_every_control_that_is_taken_is_one_of_the_table() -> None:
    """A typing error here would be a code that nobody sends."""
    assert CONTROLS.keys() < HL70119


@pytest.mark.parametrize("control", ["NW", "RO", "CH", "SN", "XO"])
def test_control_that_asks_for_something_says_what(control: str) -> None:
    """OBR-4 is required of an order, and not of a word about one."""
    with pytest.raises(HL7Error) as refused:
        _orders(an_orm(control=control, without="OBR-4"))

    assert str(refused.value.location) == "OBR^1^4"


def test_children_know_their_parent() -> None:
    """REQ-ORD-03: by ORC-8, else by the PA group before them; the parent has none (4.5.1.8)."""
    parents = [order.parent for order in _family()]

    assert parents == [None, *[EntityIdentifier(entity_identifier="P1", namespace_id="HIS")] * 2]


def test_child_that_inherits_its_placer_number_is_told_from_its_parent_by_the_fillers() -> None:
    """A filler that makes children may leave them the parent's placer number (table HL70119, PA)."""
    assert [order.inherits_number for order in _family()] == [False, True, False]


def test_parent_may_be_named_in_obr_29() -> None:
    """OBR-29 says the same as ORC-8, and older systems fill only it."""
    (order,) = _orders(an_orm(control="CH", put={"OBR-29": "^F9&RIS"}))

    assert order.parent == EntityIdentifier(entity_identifier="F9", namespace_id="RIS")


@pytest.mark.parametrize("version", sorted(VERSIONS))
def test_version_is_taken(version: str) -> None:
    """REQ-ORD-07: 2.3 to 2.8 say an order in the same fields; TQ1 took the place of ORC-7."""
    message = tokenise(an_orm(version=version))

    check_supported(message.header, Acceptance(messages=TAKEN))

    assert read_orders(message, time_zone=HANOI)[0].priority == "S"


def test_what_a_newer_version_adds_is_passed_over() -> None:
    """2.8.2: PRT, ARV and whatever comes are no fault."""
    added = b"PRT|1|AD||OP^Ordering provider^HL70443\rARV|1|A\r"

    (order,) = _orders(an_orm(version="2.8.2") + added)

    assert order.accession_number == "ACC26112200123"


@pytest.mark.parametrize(
    ("version", "put", "priority"),
    [
        ("2.3", {"ORC-7": "^^^20261122100000^^A", "OBR-27": ""}, "A"),
        ("2.3", {"ORC-7": "", "OBR-27": "^^^20261122100000^^S"}, "S"),
        ("2.3", {"ORC-7": "", "OBR-5": "R"}, "R"),
        ("2.6", {"TQ1-9": "S", "ORC-7": ""}, "S"),
    ],
)
def test_timing_is_found_where_the_version_has_it(version: str, put: dict[str, str], priority: str) -> None:
    """ORC-7 and OBR-27 until 2.4, TQ1 since 2.5, OBR-5 in the oldest."""
    build = an_omi if "TQ1-9" in put else an_orm

    (order,) = _orders(build(put={"MSH-12": version, **put}))

    assert order.priority == priority


def test_z_segment_before_the_first_order_speaks_for_every_order() -> None:
    """Its own in the group goes before it."""
    head, orc, tail = an_orm().partition(b"ORC")
    raw = head + b"ZAC|COMMON\r" + orc + tail + b"ORC|NW|ORD2^HIS\rOBR|2|ORD2^HIS||1^A^L\rZAC|OWN\r"

    orders = read_orders(tokenise(raw), time_zone=HANOI, accession_places=("ZAC-1",))

    assert [order.accession_number for order in orders] == ["COMMON", "OWN"]


def test_two_double_quotes_in_the_links_place_delete_the_accession_number() -> None:
    """2.7.1: null deletes, wherever the sender keeps it."""
    raw = an_orm(control="XO") + b'ZAC|""\r'

    (order,) = read_orders(tokenise(raw), time_zone=HANOI, accession_places=("ZAC-1",))

    assert (order.accession_number, order.cleared) == (None, frozenset({"accession_number"}))


def test_place_names_segment_field_and_component() -> None:
    """The first component where none is named."""
    assert [tuple(read_place(text)) for text in ("OBR-18", "ZPA-3.2")] == [("OBR", 18, 1), ("ZPA", 3, 2)]
