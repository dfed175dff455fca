"""An order as an item of the Modality Worklist (PS3.4, table K.6-1)."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from overread.archive import worklist
from overread.contracts.events.orders import OrderStatus, PatientIdentifier
from tests.builders.events import NOON, a_patient, a_service_request, an_order_changed

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


def test_an_item_has_what_the_order_says_in_the_hospitals_time() -> None:
    """Names as they are, the record number before an insurance number, the step at local time."""
    numbers = (
        PatientIdentifier(id_number="HC-1", assigning_authority="BHXH", identifier_type_code="HC"),
        PatientIdentifier(id_number="BN-1", assigning_authority="BVX", identifier_type_code="MR"),
    )
    changed = an_order_changed(patient=a_patient(identifiers=numbers), order=a_service_request(modality="CT"))

    item = worklist.item(changed, datetime(2026, 11, 22, 20, 30, tzinfo=UTC), HANOI, "CT1")

    step = item.ScheduledProcedureStepSequence[0]
    assert (str(item.PatientName), item.PatientID, item.IssuerOfPatientID) == ("THỬ NGHIỆM^NGUYỄN VĂN", "BN-1", "BVX")
    assert item.AccessionNumber == changed.order.accession_number
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == ("20261123", "033000")
    assert (step.Modality, step.ScheduledStationAETitle) == ("CT", "CT1")


def test_an_order_without_a_study_gets_the_same_one_at_every_question() -> None:
    """The images that come back name it; an order with a StudyInstanceUID keeps its own."""
    changed = an_order_changed(order=a_service_request(study_instance_uid=None))
    with_own = an_order_changed(order=a_service_request(study_instance_uid="1.2.3"))

    assert worklist.study_instance_uid(changed) == f"2.25.{changed.order_id.int}"
    assert worklist.study_instance_uid(with_own) == "1.2.3"


@pytest.mark.parametrize(
    ("changed", "is_open"),
    [
        ({}, True),
        ({"status": OrderStatus.HELD}, False),
        ({"status": OrderStatus.CANCELLED}, False),
        ({"status": OrderStatus.COMPLETED}, False),
        ({"accession_number": None, "study_instance_uid": None}, False),
    ],
)
def test_only_what_may_be_performed_is_on_the_list(changed: dict[str, object], is_open: bool) -> None:  # noqa: FBT001
    """On hold, cancelled or done: no; neither is an order by whose numbers no image could be told to be its own."""
    assert worklist.is_open(an_order_changed(order=a_service_request(**changed))) is is_open


def test_an_order_that_names_no_time_is_for_the_day_on_which_it_came() -> None:
    """A ward's order is often for now."""
    assert worklist.scheduled_at(an_order_changed(order=a_service_request(scheduled_at=None))) == NOON
