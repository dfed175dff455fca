"""A study that is ready becomes a plan: every model gets a job, or the reason why not."""

from collections.abc import Sequence

from overread.contracts.envelope import Event
from overread.contracts.events.cases import StudyReady
from overread.contracts.manifest import Manifest
from overread.contracts.topics import INFERENCE_PLANNED, INFERENCE_REQUESTED
from overread.inference.catalog import Catalog
from overread.routing import planning
from overread.routing.rules import Rules
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.telemetry import log


class Handlers:
    """Routing keeps no state: the same `StudyReady` gives the same plan with the same ids."""

    def __init__(self, catalog: Catalog, rules: Rules, objects: LocalObjectStore) -> None:
        self._catalog = catalog
        self._rules = rules
        self._objects = objects

    async def cases_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Plan each study revision that became ready; linking an order never infers again."""
        for delivered in batch:
            if isinstance(delivered.event.data, StudyReady):
                await self._plan(delivered.event, tx)

    async def _plan(self, event: Event[StudyReady], tx: Transaction) -> None:
        case = event.data.case
        manifest = Manifest.from_bytes(await self._objects.get(case.study.manifest_key if case.study else ""))
        planned, jobs = planning.plan(
            case, manifest, self._catalog, self._rules, site_id=event.site_id, ready_at=event.time
        )
        subject, key = str(case.case_id), f"{case.case_id}/{planned.study_revision}"
        tx.publish(INFERENCE_PLANNED, planned, subject=subject, own_key=key, caused_by=event)
        for job in jobs:
            tx.publish(INFERENCE_REQUESTED, job, subject=subject, own_key=str(job.job_id), caused_by=event)
        log.info("planned", case_id=subject, jobs=len(jobs), models=len(planned.planned))
