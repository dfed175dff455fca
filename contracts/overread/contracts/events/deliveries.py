"""What became of a signed report at the gate, and of each message at its destination."""

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body
from overread.contracts.identifiers import Sha256


class GateVerdict(StrEnum):
    """What delivery's gate decided about a signed report."""

    RELEASED = "released"
    HELD = "held"


class GateDecided(Body):
    """The gate compared document, rendering and case, and let the report out or held it for re-confirmation.

    `submission` is that of the `ReportSigned` that it judged.
    """

    case_id: UUID
    report_id: UUID
    report_revision: int
    verdict: GateVerdict
    reason: str
    decided_at: AwareDatetime
    submission: int = 1


class DeliveryOutcome(StrEnum):
    """How a message to one destination ended."""

    ACKNOWLEDGED = "acknowledged"
    GIVEN_UP = "given_up"


class DeliveryDone(Body):
    """A destination acknowledged a message, or we gave up and an operator decides.

    `reason` holds codes and places of the destination's answer, never its words: those may quote the patient.
    """

    case_id: UUID
    report_id: UUID
    report_revision: int
    delivery_id: UUID
    destination: str
    form: str
    status: str
    outcome: DeliveryOutcome
    reason: str
    attempts: int
    message_digest: Sha256
    message_control_id: str
    ended_at: AwareDatetime
