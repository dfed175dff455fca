"""An order that the next revision does not answer: what was told under it is taken back where it was told."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from overread.contracts.events.reports import ReportDocument
from overread.delivery import gate
from overread.delivery.destinations import Destination
from overread.delivery.dropped import taking_back
from overread.delivery.gate import Released
from overread.delivery.sequence import Position, Status
from overread.protocols.hl7.oru_content import ResultStatus, TakenBack
from overread.protocols.hl7.oru_reading import read_back
from tests.builders.delivery import (
    a_destination,
    a_dicom_destination,
    a_fhir_destination,
    a_release_request,
    a_telling,
    some_circumstances,
)
from tests.builders.events import a_case, a_report_document, a_service_request, a_signed_document

WRONG, RIGHT = UUID(int=1), UUID(int=2)


def an_order(order_id: UUID) -> Any:
    """Return one of two orders, each with its own numbers."""
    number = str(order_id.int)
    return a_service_request(
        order_id=order_id, accession_number=f"ACC{number}", placer_order_number=number, filler_order_number=number
    )


def before(status: Status, *orders: UUID) -> tuple[ReportDocument, tuple[Position, ...]]:
    """Return the first revision under these orders, as a destination was told of it."""
    make = a_signed_document if status.is_signed else a_report_document
    document = make(orders=tuple(an_order(order) for order in orders))
    return document, (Position(report_revision=1, status=status),)


def withdrawals(
    destination: Destination, was: tuple[ReportDocument, tuple[Position, ...]], *now: UUID, is_told: bool = True
) -> list[tuple[Status, list[UUID]]]:
    """Return what is taken back of `was` when the next revision answers the orders `now`."""
    previous, earlier = was
    is_signed = earlier[-1].status.is_signed
    make = a_signed_document if is_signed else a_report_document
    document = make(report_revision=2, orders=tuple(an_order(order) for order in now))
    status = Status.CORRECTED if is_signed else Status.UNVERIFIED
    telling = replace(a_telling(document, status=status, destination=destination), previous=previous, earlier=earlier)
    return [(told.status, [order.order_id for order in told.orders]) for told in taking_back(telling, is_told=is_told)]


HL7, FHIR, DICOM = a_destination(), a_fhir_destination(), a_dicom_destination()


@pytest.mark.parametrize(
    ("destination", "was", "now", "is_told", "expected"),
    [
        (HL7, before(Status.UNVERIFIED, WRONG), (RIGHT,), True, [(Status.CANCELLED, [WRONG])]),
        (HL7, before(Status.UNVERIFIED, WRONG), (), False, [(Status.CANCELLED, [WRONG])]),
        (HL7, before(Status.UNVERIFIED, WRONG, RIGHT), (RIGHT,), True, [(Status.CANCELLED, [WRONG])]),
        (HL7, before(Status.UNVERIFIED, RIGHT), (RIGHT, WRONG), True, []),
        (HL7, before(Status.UNVERIFIED), (RIGHT,), True, []),
        (HL7, before(Status.FINAL, WRONG), (RIGHT,), True, [(Status.WITHDRAWN, [WRONG])]),
        (HL7, before(Status.FINAL, WRONG, RIGHT), (), False, [(Status.WITHDRAWN, [WRONG, RIGHT])]),
        (FHIR, before(Status.UNVERIFIED, WRONG), (RIGHT,), True, [(Status.CANCELLED, [WRONG])]),
        (FHIR, before(Status.UNVERIFIED, WRONG, RIGHT), (RIGHT,), True, []),
        (DICOM, before(Status.UNVERIFIED, WRONG), (), False, [(Status.CANCELLED, [WRONG])]),
        (FHIR, before(Status.FINAL, WRONG), (RIGHT,), True, []),
        (FHIR, before(Status.FINAL, WRONG), (), False, [(Status.WITHDRAWN, [WRONG])]),
    ],
)
def test_what_stands_under_a_dropped_order_is_taken_back(
    destination: Destination,
    was: tuple[ReportDocument, tuple[Position, ...]],
    now: tuple[UUID, ...],
    is_told: bool,  # noqa: FBT001 - a parameter of the table
    expected: list[tuple[Status, list[UUID]]],
) -> None:
    """REQ-DSK-10: HL7 by order; FHIR and DICOM, which have one report, where nothing takes its place."""
    assert withdrawals(destination, was, *now, is_told=is_told) == expected


def test_what_was_taken_back_is_not_taken_back_twice() -> None:
    """REQ-DSK-10: the next revision says nothing about it any more."""
    document, earlier = before(Status.UNVERIFIED, WRONG)
    gone = (*earlier, Position(report_revision=1, status=Status.CANCELLED))

    assert withdrawals(HL7, (document, gone)) == []


def test_unsigned_draft_takes_nothing_signed_back() -> None:
    """REQ-REV-01: what a clinician signed is taken back by a clinician's signature alone."""
    previous, earlier = before(Status.FINAL, WRONG)
    draft = a_report_document(report_revision=2, orders=())
    telling = replace(a_telling(draft, status=Status.UNVERIFIED), previous=previous, earlier=earlier)

    assert list(taking_back(telling, is_told=True)) == []


def test_gate_withdraws_under_the_dropped_order_before_it_corrects_under_the_right_one() -> None:
    """REQ-DSK-10: both under the new signature, each read back and compared."""
    previous, earlier = before(Status.FINAL, WRONG)
    right = an_order(RIGHT)
    document = a_signed_document(report_revision=2, orders=(right,))
    known = some_circumstances(
        case=a_case(orders=(right,), identity_version=document.identity_version),
        earlier={"emr": earlier},
        previous={"emr": previous},
        released_revision=1,
    )

    verdict = gate.check(a_release_request(document), known)

    assert isinstance(verdict, Released), verdict
    said = [read_back(message.message) for message in verdict.messages]
    assert [(one.accession_number, one.status, one.taken_back) for one in said] == [
        ("ACC1", ResultStatus.CORRECTED, TakenBack.DELETED),
        ("ACC2", ResultStatus.CORRECTED, None),
    ]
    assert [(one.report_revision, one.status) for one in verdict.messages] == [
        (1, Status.WITHDRAWN),
        (2, Status.CORRECTED),
    ]
    assert said[0].observations == ()
    assert len(said[0].retracted) == len(previous.findings)
    assert len({message.delivery_id for message in verdict.messages}) == 2
