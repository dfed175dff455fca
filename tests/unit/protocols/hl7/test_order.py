from collections.abc import Callable

import pytest

from overread.protocols.hl7.contents import TAKEN
from overread.protocols.hl7.data_types import EntityIdentifier, PatientIdentifier
from overread.protocols.hl7.errors import HL7Error
from overread.protocols.hl7.order import (
    Acceptance,
    OrderRequest,
    check_control_id,
    check_supported,
    read_orders,
)
from overread.protocols.hl7.tokenise import tokenise
from tests.builders.hl7 import HANOI, STUDY, an_omi, an_orm


def _orders(raw: bytes, *places: str) -> tuple[OrderRequest, ...]:
    return read_orders(tokenise(raw), time_zone=HANOI, accession_places=places)


def _order(raw: bytes, *places: str) -> OrderRequest:
    (order,) = _orders(raw, *places)
    return order


def _error(raw: bytes) -> HL7Error:
    with pytest.raises(HL7Error) as caught:
        _orders(raw)
    return caught.value


@pytest.mark.parametrize("build", [an_omi, an_orm])
def test_order_says_the_same_in_either_message(build: Callable[..., bytes]) -> None:
    """OMI^O23 keeps study and accession in IPC, ORM^O01 in ZDS and OBR-18."""
    order = _order(build())

    assert order.order_control == "NW"
    assert order.placer_order_number == EntityIdentifier(entity_identifier="ORD20261122001", namespace_id="HIS")
    assert order.filler_order_number is None
    assert (order.accession_number, order.study_instance_uid) == ("ACC26112200123", STUDY)
    assert (order.modality, order.priority) == ("CT", "S")
    assert order.universal_service_identifier is not None
    assert order.universal_service_identifier.identifier == "24627-2"
    assert order.ordering_provider is not None
    assert order.ordering_provider.id_number == "BS001"
    assert order.relevant_clinical_information == "Ho kéo dài; theo dõi khí phế thũng"
    assert order.scheduled_at is not None
    assert order.scheduled_at.utc.isoformat() == "2026-11-22T03:00:00+00:00"
    assert order.cleared == frozenset()


def test_patient_and_visit_are_read() -> None:
    """PID-3 is a list: hospital number and 12-digit citizen number stand side by side."""
    order = _order(an_omi())

    assert order.patient.identifiers == (
        PatientIdentifier(id_number="BN000123", assigning_authority="BVX", identifier_type_code="MR"),
        PatientIdentifier(id_number="001099012345", assigning_authority="VNBCA", identifier_type_code="NI"),
    )
    assert [(name.family_name, name.given_name) for name in order.patient.names] == [("THỬ NGHIỆM", "NGUYỄN VĂN")]
    assert (order.patient.birth_date, order.patient.administrative_sex) == ("1999-05-12", "M")
    assert order.visit is not None
    assert order.visit.patient_class == "O"
    assert order.visit.assigned_patient_location == ("KHOA CDHA", "", "", "BVX")
    assert order.visit.visit_number is not None
    assert order.visit.visit_number.id_number == "V0077"


@pytest.mark.parametrize(
    ("raw", "condition", "location"),
    [
        (an_omi(without=("ORC-2", "OBR-2")), 101, "ORC^1^2"),
        (an_orm(without=("ORC-2", "OBR-2")), 101, "ORC^1^2"),
        (an_omi(without="ORC-1"), 101, "ORC^1^1"),
        (an_omi(control="ZZ"), 103, "ORC^1^1"),
        (an_omi(without="PID"), 100, "PID^1"),
        (an_omi(without="PID-3"), 101, "PID^1^3"),
        (an_omi(patient_id='""'), 101, "PID^1^3"),
        (an_omi(patient_id="^^^BVX^MR"), 101, "PID^1^3"),
        (an_omi(put={"PID-7": "12/05/1999"}), 102, "PID^1^7"),
        (an_omi(put={"TQ1-7": "tomorrow"}), 102, "TQ1^1^7^1^1"),
        (an_omi(put={"MSH-7": "now"}), 102, "MSH^1^7^1^1"),
        (an_omi(without="OBR"), 100, "OBR^1"),
        (an_omi(without="OBR-4"), 101, "OBR^1^4"),
        (an_omi(without=("ORC", "TQ1", "OBR", "IPC")), 100, "ORC^1"),
    ],
)
def test_order_that_cannot_work_names_the_first_fault(raw: bytes, condition: int, location: str) -> None:
    """The sender learns the field and the rule; the sentence holds nothing of the patient."""
    error = _error(raw)

    assert (error.condition, str(error.location)) == (condition, location)
    assert "BN000123" not in str(error)
    assert "1999" not in str(error)


def test_order_number_may_stand_in_obr_alone() -> None:
    """Absent in ORC it must be in OBR, and the other way round (4.5.1.2)."""
    order = _order(an_omi(without="ORC-2"))

    assert order.placer_order_number is not None
    assert order.placer_order_number.entity_identifier == "ORD20261122001"


def test_filler_order_number_alone_is_enough() -> None:
    """A RIS that made the order itself has only its own number."""
    order = _order(an_omi(without=("ORC-2", "OBR-2"), filler="F1^RIS"))

    assert order.placer_order_number is None
    assert order.filler_order_number == EntityIdentifier(entity_identifier="F1", namespace_id="RIS")


def test_cancellation_needs_no_detail() -> None:
    """CA names the order and nothing more."""
    order = _order(an_omi(control="CA", without=("OBR", "TQ1", "IPC")))

    assert order.order_control == "CA"
    assert order.universal_service_identifier is None
    assert order.study_instance_uid is None


def test_accession_number_is_looked_for_where_the_link_says() -> None:
    """Systems keep it in different fields; the order of places is a setting."""
    raw = an_omi(filler="FILLER9^RIS", put={"OBR-18": "OTHER"})

    found = [_order(raw, *places).accession_number for places in (("OBR-18", "IPC-1"), ("ORC-3",))]

    assert found == ["OTHER", "FILLER9"]


def test_no_accession_number_is_no_fault() -> None:
    """The order may be linked by its Study Instance UID."""
    order = _order(an_omi(without="IPC-1"))

    assert order.accession_number is None
    assert order.study_instance_uid == STUDY


def test_null_clears_what_absence_leaves() -> None:
    """Two double quotes ask to delete a value (2.5.3)."""
    order = _order(an_omi(control="XO", clinical='""'))

    assert order.relevant_clinical_information is None
    assert order.cleared == {"relevant_clinical_information"}


def test_each_order_of_a_message_is_read() -> None:
    """A message may hold several ORC groups, and several OBRs under one ORC."""
    second = b"ORC|NW|ORD2^HIS\rOBR|2|ORD2^HIS||1^A^L\rOBR|3|ORD3^HIS||2^B^L\r"

    orders = _orders(an_omi() + second)

    numbers = [order.placer_order_number and order.placer_order_number.entity_identifier for order in orders]
    assert numbers == ["ORD20261122001", "ORD2", "ORD3"]


def test_each_procedure_with_its_own_accession_number_is_an_order() -> None:
    """Steps of one procedure repeat IPC with the same numbers; those are one order."""
    same_study = f"IPC|ACC26112200123^RIS|RP1^RIS|{STUDY}|SPS2^RIS|CT\r".encode()
    other_study = b"IPC|ACC2^RIS|RP2^RIS|1.2.3|SPS3^RIS|MR\r"

    orders = _orders(an_omi() + same_study + other_study)

    assert [(order.accession_number, order.modality) for order in orders] == [("ACC26112200123", "CT"), ("ACC2", "MR")]


@pytest.mark.parametrize(
    ("service", "modality"), [("CT", "CT"), ("NMR", "MR"), ("RUS", "US"), ("RAD", None), ("", None)]
)
def test_modality_comes_from_obr_24_when_it_is_one(service: str, modality: str | None) -> None:
    """Table HL70074 is not a list of modalities; `RAD` says none."""
    order = _order(an_orm(modality=service))

    assert order.modality == modality


def test_unknown_birth_date_is_no_fault() -> None:
    """Zeros stand for "not known" in some systems."""
    dates = [_order(an_omi(put={"PID-7": text})).patient.birth_date for text in ("", "00000000", "1955", "19550000")]

    assert dates == [None, None, "1955", "1955"]


def test_patient_without_a_name_is_taken() -> None:
    """An unknown emergency patient has a number and no name."""
    order = _order(an_omi(without="PID-5"))

    assert order.patient.names == ()


def test_omg_o19_is_read_like_the_others() -> None:
    """General clinical orders have the same ORC, TQ1 and OBR."""
    order = _order(an_orm(version="2.5.1", put={"MSH-9": "OMG^O19^OMG_O19"}))

    assert order.accession_number == "ACC26112200123"


@pytest.mark.parametrize(
    ("field", "value", "condition", "location"),
    [
        ("MSH-9", "MDM^T02", 200, "MSH^1^9^1^1"),
        ("MSH-9", "", 200, "MSH^1^9^1^1"),
        ("MSH-9", "ORM^O02", 201, "MSH^1^9^1^2"),
        ("MSH-11", "D", 202, "MSH^1^11^1^1"),
        ("MSH-11", "", 202, "MSH^1^11^1^1"),
        ("MSH-12", "3.0", 203, "MSH^1^12^1^1"),
    ],
)
def test_message_outside_the_links_terms_is_rejected(field: str, value: str, condition: int, location: str) -> None:
    """2.9.2.2: unacceptable MSH-9, MSH-11 or MSH-12 is a rejection."""
    message = tokenise(an_orm(put={field: value}))

    with pytest.raises(HL7Error) as caught:
        check_supported(message.header, Acceptance(messages=TAKEN))

    assert (caught.value.condition, str(caught.value.location)) == (condition, location)


def test_message_without_a_control_id_is_refused() -> None:
    """MSH-10 is required: without it no answer could name the message."""
    with pytest.raises(HL7Error) as caught:
        check_control_id(tokenise(an_orm(put={"MSH-10": " "})).header)

    assert (caught.value.condition, str(caught.value.location)) == (101, "MSH^1^10")


def test_version_and_processing_id_are_compared_by_their_first_component() -> None:
    """MSH-11 and MSH-12 may name a mode or a country behind it."""
    message = tokenise(an_omi(put={"MSH-11": "P^T", "MSH-12": "2.5.1^VNM"}))

    check_supported(message.header, Acceptance(messages=TAKEN))

    assert message.header.version_id == "2.5.1"
