from typing import Any

import pytest

from overread.assembly import matching
from overread.assembly.matching import ImagedStudy, Link, NoMatch, ToTheDesk, decide
from overread.contracts.events.orders import OrderStatus, PatientIdentifier, ServiceRequest
from overread.protocols.dicom.attributes import read_header
from tests.builders import dicom
from tests.builders.events import ORDER_ID, STUDY, a_patient, a_service_request
from tests.builders.orders import a_message, an_order

OTHER_STUDY = f"{STUDY}.9"


def a_study(**changed: Any) -> ImagedStudy:
    """Return the study that `a_service_request()` asks for."""
    known: dict[str, Any] = {"study_instance_uid": STUDY, "accession_numbers": frozenset({"TEST-ACC-1"})}
    return ImagedStudy(**{**known, "patient": a_patient(), **changed})


@pytest.mark.parametrize(
    "order",
    [
        a_service_request(),
        a_service_request(accession_number="OTHER"),
        a_service_request(study_instance_uid=OTHER_STUDY),
        a_service_request(study_instance_uid=None),
    ],
)
def test_order_links_itself_by_accession_number_or_study_instance_uid(order: ServiceRequest) -> None:
    """One of the two is enough when the patient does not conflict."""
    assert decide(order, a_patient(), a_study(), is_linked=False) == Link(ORDER_ID)


@pytest.mark.parametrize("status", OrderStatus)
def test_order_without_a_common_number_is_no_match(status: OrderStatus) -> None:
    """The same patient alone ties nothing."""
    order = a_service_request(status=status, accession_number="OTHER", study_instance_uid=None)

    assert decide(order, a_patient(), a_study(), is_linked=False) == NoMatch(ORDER_ID)


def test_study_without_numbers_matches_no_order_without_numbers() -> None:
    """Absent is not equal to absent."""
    order = a_service_request(accession_number=None, study_instance_uid=None)

    decision = decide(order, a_patient(), a_study(accession_numbers=frozenset()), is_linked=False)

    assert decision == NoMatch(ORDER_ID)


@pytest.mark.parametrize("is_linked", [False, True])
def test_patient_in_conflict_goes_to_the_desk(*, is_linked: bool) -> None:
    """The rest goes to the desk, with its reason; an order corrected to another patient too."""
    other = a_patient(identifiers=(PatientIdentifier(id_number="TEST-0002", assigning_authority="HIS"),))

    decision = decide(a_service_request(), other, a_study(), is_linked=is_linked)

    assert decision == ToTheDesk(ORDER_ID, "patient identifiers differ")


def test_order_cancelled_before_its_images_goes_to_the_desk() -> None:
    """Somebody took images that nobody wants any more: a person asks why."""
    order = a_service_request(status=OrderStatus.CANCELLED)

    assert decide(order, a_patient(), a_study(), is_linked=False) == ToTheDesk(ORDER_ID, matching.CANCELLED_BEFORE)


def test_order_cancelled_once_linked_stays_linked() -> None:
    """What was read for it must be withdrawn or held for it."""
    order = a_service_request(status=OrderStatus.CANCELLED)

    assert decide(order, a_patient(), a_study(), is_linked=True) == Link(ORDER_ID)


def test_linked_order_whose_numbers_move_away_goes_to_the_desk() -> None:
    """Its results would name another examination."""
    order = a_service_request(accession_number="OTHER", study_instance_uid=OTHER_STUDY)

    assert decide(order, a_patient(), a_study(), is_linked=True) == ToTheDesk(ORDER_ID, matching.MOVED_AWAY)


@pytest.mark.parametrize("said", ["ACC-7 ", " ACC-7", "  ACC-7  "])
def test_blanks_around_a_number_do_not_part_an_order_from_its_images(said: str) -> None:
    """Leading and trailing spaces of SH mean nothing (PS3.5, 6.2), and no identifier of HL7 means them."""
    ordered = a_message(an_order(accession=said, placer=f"{said}^ HIS "))
    header = read_header([dicom.encoded(dicom.a_ct_slice(AccessionNumber=said))], dicom.EXPLICIT_VR_LITTLE_ENDIAN)

    assert ordered.accession_numbers == {header.attributes.accession_number} == {"ACC-7"}
    assert ordered.placer == "ACC-7^HIS"


def test_keys_to_lock_are_the_same_from_both_sides() -> None:
    """An order and its images wait for each other at the same keys."""
    message = a_message(an_order())

    keys = matching.matching_keys(message.accession_numbers, message.study_instance_uids)

    assert keys == matching.matching_keys({"TEST-ACC-1"}, {STUDY})
