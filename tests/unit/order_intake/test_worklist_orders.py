"""What a RIS's items say of orders: names in any character set, the steps of one procedure, and what is no order."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from overread.contracts.errors import Malformed
from overread.contracts.events.order_statements import OrderAction, OrderNumber, OrderStatement, RequestPriority
from overread.contracts.events.orders import CodedElement, PatientIdentifier
from overread.order_intake.worklist_orders import ListedOrder, UnusableItem, orders_of
from overread.protocols.dicom.modality_worklist import WorklistItem, read_item
from tests.builders.worklist import a_read_item, a_step, a_worklist_item, a_worklist_link

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


def listed(*items: WorklistItem, **changed: Any) -> list[ListedOrder | UnusableItem]:
    return list(orders_of(items, a_worklist_link(**changed), HANOI))


def statement(*items: WorklistItem) -> OrderStatement:
    (order,) = listed(*items)
    assert isinstance(order, ListedOrder)
    return order.statement


def reason(*items: WorklistItem) -> str:
    (item,) = listed(*items)
    assert isinstance(item, UnusableItem)
    return item.reason


def test_an_item_says_all_that_an_order_can_hold() -> None:
    """REQ-NON-30: each item is a statement about one order."""
    said = statement(a_read_item())

    assert said.action is OrderAction.CHANGE
    assert (said.placer, said.filler) == (
        OrderNumber(number="ORD1", namespace="HIS"),
        OrderNumber(number="RIS00001", namespace="RIS"),
    )
    assert (said.accession_number, said.study_instance_uid, said.modality) == ("RIS00001", "2.25.1001", "CT")
    assert said.service == CodedElement(identifier="24627-2", text="CT Chest", coding_system="LN")
    assert said.priority is RequestPriority.STAT
    assert said.scheduled_at == datetime(2026, 11, 22, 2, 30, tzinfo=UTC)
    assert said.ordering_provider == CodedElement(identifier="", text="TRẦN THỊ MẪU")
    assert (said.visit_number, said.clinical_information) == ("V1", "ho kéo dài")
    assert said.patient.identifiers == (
        PatientIdentifier(id_number="BN000001", assigning_authority="BVX", identifier_type_code="MR"),
    )
    assert (said.patient.family_name, said.patient.given_name) == ("THỬ NGHIỆM", "ĐẶNG THỊ BÌNH")
    assert (said.patient.birth_date, said.patient.sex) == (date(1999, 5, 12), "F")


def test_namespaces_and_issuer_of_the_item_come_before_the_links() -> None:
    namespace = Dataset()
    namespace.LocalNamespaceEntityID = "RIS2"
    said = statement(a_read_item(OrderFillerIdentifierSequence=Sequence([namespace]), IssuerOfPatientID="BVY"))

    assert said.filler == OrderNumber(number="RIS00001", namespace="RIS2")
    assert said.patient.identifiers[0].assigning_authority == "BVY"


@pytest.mark.parametrize(
    ("changed", "number"),
    [({}, "RIS00001"), ({"AccessionNumber": ""}, "RP1"), ({"FillerOrderNumberImagingServiceRequest": "F1"}, "F1")],
)
def test_without_a_fillers_number_the_accession_number_or_the_procedures_is_it(
    changed: dict[str, str], number: str
) -> None:
    given: dict[str, Any] = {
        "FillerOrderNumberImagingServiceRequest": "",
        "PlacerOrderNumberImagingServiceRequest": "",
        **changed,
    }

    said = statement(a_read_item(**given))

    assert said.filler == OrderNumber(number=number, namespace="RIS")
    assert said.placer is None


def test_a_name_without_its_character_set_is_read_as_the_link_says() -> None:
    """A habit of senders that write UTF-8 and do not say so."""
    raw = b"\x10\x00\x10\x00" + (20).to_bytes(4, "little") + "NGUYỄN^VĂN ANH".encode().ljust(20)

    item = read_item(raw, is_implicit=True, fallback_charset="ISO_IR 192")

    assert item.patient_name == "NGUYỄN^VĂN ANH"


def test_what_is_inside_an_item_has_the_items_character_set() -> None:
    """PS3.5, 7.5.3: (0008,0005) holds for the sequences too."""
    item = a_read_item(
        SpecificCharacterSet="ISO_IR 100",
        PatientName="É^A",
        step={"ScheduledProcedureStepDescription": "Écho"},
        RequestingPhysician="",
        ReferringPhysicianName="",
        RequestedProcedureDescription="",
        ReasonForTheRequestedProcedure="",
    )

    assert (item.patient_name, item.step_description, item.undecodable) == ("É^A", "Écho", ())


def test_a_name_that_is_not_in_its_character_set_is_no_order() -> None:
    """Quarantine, never mojibake."""
    raw = a_read_item().raw.replace("ĐẶNG".encode(), b"\xff" * len("ĐẶNG".encode()))

    assert "PatientName" in reason(read_item(raw, is_implicit=True, fallback_charset="ISO_IR 192"))


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"PatientID": ""}, "number of the patient"),
        ({"StudyInstanceUID": "1.2.x"}, "study_instance_uid"),
        (
            {
                "PlacerOrderNumberImagingServiceRequest": "",
                "FillerOrderNumberImagingServiceRequest": "",
                "AccessionNumber": "",
                "RequestedProcedureID": "",
            },
            "neither a placer nor a filler",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_an_item_that_is_no_order_is_told_with_its_reason(changed: dict[str, Any], word: str) -> None:
    """REQ-NON-33: a bad item is counted and told, and the others are taken."""
    items = (a_read_item(2), a_read_item(1, **changed))

    good, bad = listed(*items)

    assert isinstance(good, ListedOrder)
    assert isinstance(bad, UnusableItem)
    assert word in bad.reason
    assert "THỬ" not in bad.reason


def test_the_steps_of_one_procedure_are_one_order_told_by_the_earliest() -> None:
    late = a_read_item(step={"ScheduledProcedureStepStartTime": "1400", "ScheduledProcedureStepID": "B"})
    early = a_read_item(step={"ScheduledProcedureStepStartTime": "08", "ScheduledProcedureStepID": "A"})

    said = {statement(late, early).scheduled_at, statement(early, late).scheduled_at}

    assert said == {datetime(2026, 11, 22, 1, 0, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("statuses", "action"),
    [
        (("SCHEDULED",), "change"),
        (("STARTED",), "change"),
        (("DEPARTED",), "change"),
        (("CANCELED",), "cancel"),
        (("DISCONTINUED",), "discontinue"),
        (("COMPLETED",), "complete"),
        (("CANCELED", "SCHEDULED"), "change"),
        (("CANCELED", "COMPLETED"), "complete"),
    ],
)
def test_an_order_ends_with_its_last_step(statuses: tuple[str, ...], action: str) -> None:
    """REQ-NON-32: a RIS's status ends an order; listing it opens none that was cancelled elsewhere."""
    items = [
        a_read_item(step={"ScheduledProcedureStepStatus": status, "ScheduledProcedureStepID": str(number)})
        for number, status in enumerate(statuses)
    ]

    assert statement(*items).action == action


def test_the_same_items_in_any_order_have_the_same_digest() -> None:
    items = [a_read_item(1), a_read_item(2), a_read_item(1, step={"ScheduledProcedureStepID": "B"})]

    one, other = listed(*items), listed(*reversed(items))

    assert {(o.key, o.digest) for o in one if isinstance(o, ListedOrder)} == {
        (o.key, o.digest) for o in other if isinstance(o, ListedOrder)
    }


@pytest.mark.parametrize("raw", [b"\x08\x00\x50\x00\xff\xff\xff\x7fX", b"\x08\x00", bytes(range(64))])
def test_bytes_that_are_no_data_set_are_malformed_or_empty(raw: bytes) -> None:
    try:
        item = read_item(raw, is_implicit=True, fallback_charset="ISO_IR 192")
    except Malformed:
        return

    assert isinstance(listed(item)[0], UnusableItem)


def test_two_steps_in_one_item_are_one_too_many() -> None:
    from pynetdicom.dsutils import encode  # noqa: PLC0415 - here only

    item = a_worklist_item()
    item.ScheduledProcedureStepSequence = Sequence([a_step(1), a_step(2)])
    raw = encode(item, is_implicit_vr=False, is_little_endian=True)

    with pytest.raises(Malformed, match="more than one"):
        read_item(raw or b"", is_implicit=False, fallback_charset="ISO_IR 192")
