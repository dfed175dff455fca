"""Who did what: views, sign-ins, decisions, configuration (DICOM PS3.15, A.5; IHE ATNA)."""

from uuid import UUID

from pydantic import AwareDatetime

from overread.contracts.envelope import Body


class Recorded(Body):
    """One act by one actor on one object; `object_id` is ours, never a patient's."""

    actor: str
    action: str
    object_type: str
    object_id: str
    outcome: str
    recorded_at: AwareDatetime
    detail: str = ""
    case_id: UUID | None = None
