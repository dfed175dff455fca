"""What a sender's codes mean at the site: which row counts, what stays, what no row names."""

from dataclasses import replace

import pytest

from overread.assembly.mapping import SiteMapping
from overread.assembly.mapping_rows import Key, Kind, MappingRow
from overread.assembly.orders import OrderMessage
from overread.contracts.events.orders import CodedElement, ServiceRequest
from tests.builders.events import a_service_request
from tests.builders.mappings import a_code_system, a_doctor, a_service, a_ward
from tests.builders.orders import a_message, an_order, fully_folded

CODES = ((a_ward, "K01"), (a_doctor, "D1"))


def asked(code: str = "CTNGUC", system: str = "99HIS", **said: object) -> ServiceRequest:
    """Return an order as its sender said it."""
    known = {"service": CodedElement(identifier=code, text="CT ngực", coding_system=system), "link_id": "his"}
    order: ServiceRequest = a_service_request(**(known | said))
    return order


def procedure(order: ServiceRequest, *rows: MappingRow) -> str | None:
    """Return the Vietnamese name of what is asked, as the rows have it."""
    shown = SiteMapping(rows).shown(order).procedure
    return shown.text if shown else None


def test_without_rows_an_order_reads_as_it_was_said() -> None:
    """REQ-MAP-01: the very same value, so that a site without a mapping pays nothing."""
    order = asked()

    assert SiteMapping().shown(order) is order


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([a_service(vi="mọi đường")], "mọi đường"),
        ([a_service(vi="mọi đường"), a_service(vi="riêng", link="his")], "riêng"),
        ([a_service(vi="khác", link="ris")], None),
        ([a_service(vi="chung"), a_service(vi="hệ mã", system="99HIS")], "hệ mã"),
        ([a_service(vi="hệ mã", system="99HIS"), a_service(vi="riêng", link="his")], "riêng"),
        ([a_service(vi="khác", system="99RIS")], None),
        ([a_service(code="ctnguc")], None),
        ([a_service(vi="LOINC", system="LN"), a_code_system("99HIS", to_system="LN")], "LOINC"),
    ],
)
def test_links_own_row_counts_first_then_the_systems(rows: list[MappingRow], expected: str | None) -> None:
    """REQ-MAP-01: a row without link holds for all links, one without system for every system."""
    assert procedure(asked(), *rows) == expected


def test_code_of_a_standards_system_needs_no_row() -> None:
    """REQ-MAP-01: a HIS that calls LOINC by another name is understood by its code system alone."""
    shown = SiteMapping((a_code_system(),)).shown(asked("24627-2", "LOINC"))

    assert shown.procedure is not None
    assert (shown.procedure.identifier, shown.procedure.coding_system) == ("24627-2", "LN")


def test_said_modality_stays_and_a_missing_one_is_filled_in() -> None:
    """REQ-MAP-01: what the sender said counts."""
    mapping = SiteMapping((a_service(modality="CT"),))

    assert mapping.shown(asked(modality="MR")).modality == "MR"
    assert mapping.shown(asked(modality="")).modality == "CT"


def test_row_that_names_a_model_alone_makes_no_procedure() -> None:
    """REQ-MAP-01: a code may be sent to a model before anybody has named it."""
    shown = SiteMapping((MappingRow(kind=Kind.SERVICE, code="CTNGUC", models=("ct-lung-density",)),)).shown(asked())

    assert (shown.procedure, shown.models) == (None, ("ct-lung-density",))


def test_what_no_row_names_is_told_by_its_code() -> None:
    """REQ-MAP-06: the code, its system, its link and its own text."""
    order = asked(
        system="HISNEW",
        patient_location="KCC&X^P1",
        ordering_provider=CodedElement(identifier="BS001", text="MẪU^Một"),
    )

    found = dict(SiteMapping((a_service("OTHER"),)).unmapped(order))

    assert found == {
        Key(Kind.SERVICE, "his", "CTNGUC", "HISNEW"): "CT ngực",
        Key(Kind.CODE_SYSTEM, "his", "HISNEW", ""): "",
        Key(Kind.WARD, "his", "KCC", ""): "",
        Key(Kind.DOCTOR, "his", "BS001", ""): "MẪU Một",
    }


def test_what_rows_name_is_not_told() -> None:
    """REQ-MAP-06: and `names` says of each code what telling it would."""
    order = asked(patient_location="KCC", ordering_provider=CodedElement(identifier="BS001"))
    mapping = SiteMapping((a_service(), a_ward(), a_doctor()))

    assert not list(mapping.unmapped(order))
    assert all(mapping.names(key) for key, _ in SiteMapping((a_service("OTHER"),)).unmapped(order))


@pytest.mark.parametrize(
    ("system", "is_told"), [("LN", False), ("99HIS", False), ("L", False), ("", False), ("X", True)]
)
def test_code_system_is_told_when_nobody_can_know_it(system: str, *, is_told: bool) -> None:
    """REQ-MAP-06: names of table HL70396 are known, and local ones say so (99…, L)."""
    found = [key.kind for key, _ in SiteMapping((a_service(),)).unmapped(asked(system=system))]

    assert (Kind.CODE_SYSTEM in found) is is_told


def told(control: str, link_id: str, *, without: tuple[str, ...] = (), **put: str) -> OrderMessage:
    """Return the order of one message as a link said it."""
    places = {name.replace("_", "-"): value for name, value in put.items()}
    return replace(a_message(an_order(5 if without else 0, control, without, places)), link_id=link_id)


def test_ward_and_doctor_are_read_by_the_mapping_of_the_link_that_said_them() -> None:
    """REQ-MAP-01: a RIS that tells the state of the HIS's order, and what is asked, says nothing of the ward."""
    rows = [row(code=code, vi=f"{link} {code}", link=link) for row, code in CODES for link in ("his", "ris")]
    said = told("NW", "his", PV1_3="K01", ORC_12="D1^BS")

    order = fully_folded([said, told("SC", "ris", without=("PV1", "ORC-12"))]).order

    shown = SiteMapping(tuple(rows)).shown(order)
    assert (order.link_id, shown.location and shown.location.text) == ("ris", "his K01, Nhà A")
    assert getattr(shown.requester, "text", None) == "his D1"
