"""Every look is recorded: at images once for a reader and a study within a while, not once a frame; each search."""

from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from overread.contracts.events.audit import Recorded
from overread.contracts.identifiers import case_id_for
from overread.contracts.topics import AUDIT_RECORDED
from overread.runtime.passes import Visitor
from overread.runtime.service import Service

ONE_LOOK = timedelta(minutes=10)
LOOKS_REMEMBERED = 10_000


class Views:
    """Records who looked at which study, and who searched (PS3.15, A.5.3.6 and A.5.3.10)."""

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
        await self._tell(visitor, "retrieve", case_id_for(visitor.site_id, study_instance_uid))
        self._seen[look] = now
        self._seen.move_to_end(look)
        while len(self._seen) > LOOKS_REMEMBERED:
            self._seen.popitem(last=False)

    async def record_search(self, visitor: Visitor, study_instance_uid: str | None) -> None:
        """Record a search among all studies, or for the one that is named: its answer says who the patients are."""
        case_id = case_id_for(visitor.site_id, study_instance_uid) if study_instance_uid else None
        await self._tell(visitor, "search", case_id)

    async def _tell(self, visitor: Visitor, action: str, case_id: UUID | None) -> None:
        """Return once the record is kept."""
        body = Recorded(
            actor=visitor.subject,
            action=action,
            object_type="case" if case_id else "studies",
            object_id=str(case_id or ""),
            outcome="done",
            recorded_at=self._service.clock(),
            case_id=case_id,
        )
        async with self._service.transaction() as tx:
            tx.publish(
                AUDIT_RECORDED, body, subject=body.object_id or body.object_type, own_key=str(uuid4()), caused_by=None
            )
