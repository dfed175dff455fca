"""Every look at images is recorded: once for a reader and a study within a while, not once a frame."""

from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import uuid4

from overread.contracts.events.audit import Recorded
from overread.contracts.identifiers import case_id_for
from overread.contracts.topics import AUDIT_RECORDED
from overread.runtime.passes import Visitor
from overread.runtime.service import Service

ONE_LOOK = timedelta(minutes=10)
LOOKS_REMEMBERED = 10_000


class Views:
    """Records who looked at which study (IHE ATNA: DICOM Instances Accessed)."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    async def record(self, visitor: Visitor, study_instance_uid: str) -> None:
        """Record the look unless it is the same that was recorded a moment ago."""
        now = self._service.clock()
        look = (visitor.subject, study_instance_uid)
        last = self._seen.get(look)
        if last is not None and now - last < ONE_LOOK:
            return
        async with self._service.transaction() as tx:
            case_id = case_id_for(visitor.site_id, study_instance_uid)
            body = Recorded(
                actor=visitor.subject,
                action="retrieve",
                object_type="case",
                object_id=str(case_id),
                outcome="done",
                recorded_at=now,
                case_id=case_id,
            )
            tx.publish(AUDIT_RECORDED, body, subject=str(case_id), own_key=str(uuid4()), caused_by=None)
        self._seen[look] = now
        self._seen.move_to_end(look)
        while len(self._seen) > LOOKS_REMEMBERED:
            self._seen.popitem(last=False)
