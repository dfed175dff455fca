"""What a person did or looked at in assembly leaves a record, in the transaction of the act itself."""

from uuid import UUID, uuid4

from overread.contracts.events.audit import Recorded
from overread.contracts.topics import AUDIT_RECORDED
from overread.runtime.inbox import Cause, Transaction

DONE = "done"
REFUSED = "refused"


def record(
    tx: Transaction,
    *,
    actor: str,
    action: str,
    object_type: str,
    object_id: str,
    outcome: str = DONE,
    detail: str = "",
    case_id: UUID | None = None,
    cause: Cause | None = None,
) -> None:
    """Say who did what to which object of ours; never a word about the patient."""
    body = Recorded(
        actor=actor,
        action=action,
        object_type=object_type,
        object_id=object_id,
        outcome=outcome,
        recorded_at=tx.clock(),
        detail=detail,
        case_id=case_id,
    )
    tx.publish(AUDIT_RECORDED, body, subject=object_id or object_type, own_key=str(uuid4()), caused_by=cause)
