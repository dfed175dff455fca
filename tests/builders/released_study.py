"""A reported study before the gate: signed, for an EMR, a FHIR server and an archive, and what is let out."""

from datetime import timedelta
from typing import Any

from overread.contracts.events.reports import ReportDocument
from overread.delivery import gate
from overread.delivery.gate import Released
from overread.delivery.sequence import Position
from overread.delivery.telling import OutboundMessage
from tests.builders.delivery import (
    a_destination,
    a_dicom_destination,
    a_fhir_destination,
    a_release_request,
    some_circumstances,
)
from tests.builders.events import NOON, a_signer
from tests.builders.reported_study import an_imaged_case, an_imaged_document, some_imaging

EVERYWHERE = (a_destination(), a_fhir_destination(), a_dicom_destination())


def a_signed_imaged_document(**changed: Any) -> ReportDocument:
    """Return the report about the phantom as a clinician signed it."""
    return an_imaged_document(
        **{"signed_by": a_signer(), "signed_at": NOON + timedelta(minutes=5), "verdict": "accepted"} | changed
    )


def judged(document: ReportDocument | None = None, **changed: Any) -> gate.Released | gate.Held | gate.Wait:
    """Put a signed report for an EMR, a FHIR server and an archive before the gate."""
    known = {"case": an_imaged_case(), "destinations": EVERYWHERE, "imaging": some_imaging()}
    return gate.check(a_release_request(document or a_signed_imaged_document()), some_circumstances(**known | changed))


def released(document: ReportDocument | None = None, **changed: Any) -> list[OutboundMessage]:
    """Return what the gate lets out."""
    verdict = judged(document, **changed)
    assert isinstance(verdict, Released), verdict
    return list(verdict.messages)


def told(messages: list[OutboundMessage]) -> dict[str, tuple[Position, ...]]:
    """Return the messages as each destination then has them."""
    return {
        destination.name: tuple(
            Position(
                report_revision=m.report_revision,
                status=m.status,
                form=m.form,
                message_control_id=m.message_control_id,
            )
            for m in messages
            if m.destination == destination.name
        )
        for destination in EVERYWHERE
    }
