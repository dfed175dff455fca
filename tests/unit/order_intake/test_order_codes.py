"""What must be a code in an order: a word in its place comes back, since scanners would get it as it is."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from overread.order_intake import json_orders
from overread.order_intake.checks import NotAnOrder
from overread.order_intake.folder_settings import FolderLink
from overread.order_intake.order_rows import RowRefused
from overread.protocols.tables.rows import Row
from tests.builders.order_files import a_folder_link
from tests.fakes.order_intake import OrderBroker, an_order_as_json, an_order_intake, an_orders_client

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
PATIENT = {"identifiers": [{"id_number": "BN1"}]}


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"modality": "computed tomography"}, "/modality"),
        ({"modality": "ct"}, "/modality"),
        ({"patient": PATIENT | {"sex": "Nam"}}, "/patient/sex"),
        ({"patient": PATIENT | {"sex": "f"}}, "/patient/sex"),
    ],
)
def test_a_word_in_a_codes_place_is_a_fault_at_its_place(changed: dict[str, Any], pointer: str) -> None:
    """REQ-NON-03: (0008,0060) and (0010,0040) are code strings (PS3.5, 6.2): a worklist could not say them."""
    with pytest.raises(NotAnOrder) as refused:
        json_orders.read(an_order_as_json(**changed))

    assert [fault.pointer for fault in refused.value.faults] == [pointer]


@pytest.mark.parametrize("sex", ["M", "F", "O", "U", ""])
def test_a_code_is_taken(sex: str) -> None:
    read = json_orders.read(an_order_as_json(modality="CT", patient=PATIENT | {"sex": sex}))

    assert (read.statement.modality, read.statement.patient.sex) == ("CT", sex)


def test_a_row_whose_modality_is_a_word_goes_back() -> None:
    """REQ-NON-24: with its column and the reason."""
    told = a_folder_link(Path("/orders"), modality="Cắt lớp vi tính")

    with pytest.raises(RowRefused) as refused:
        told.reading(HANOI).statement(_a_row(told))

    assert (refused.value.fault.sentence, refused.value.fault.column) == ("no_modality", "modality")


def _a_row(link: FolderLink) -> Row:
    said = {"placer_order_number": "P1", "patient_id": "BN1", "service_text": "CT ngực"}
    return Row(1, 2, b"", {link.columns.named()[field]: value for field, value in said.items()}, None)


async def test_orders_are_read_from_no_address() -> None:
    """REQ-NON-03: who asks is told how they are sent, and 405 names the method (RFC 9110, 15.5.6)."""
    async with an_orders_client(an_order_intake(OrderBroker())) as client:
        answer = await client.get("/api/v1/orders")

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["title"] == "Orders are sent by POST to /api/v1/orders; nothing can be read here."


def test_the_fields_that_there_are_are_those_that_may_be_sent() -> None:
    """REQ-NON-03: `cleared` is said by null, and refused by its name."""
    with pytest.raises(NotAnOrder) as refused:
        json_orders.read(an_order_as_json(acession_number="A1"))

    (fault,) = refused.value.faults
    assert "accession_number" in fault.sentence
    assert "cleared" not in fault.sentence
