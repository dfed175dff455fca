"""Brings orders that are there already to a new version of the mapping, while their study is not read; in small batches."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

from overread.assembly import linking, mapping_store, order_taking, patient_store, store
from overread.assembly.mapping import SiteMapping
from overread.assembly.mapping_difference import difference
from overread.assembly.mapping_rows import Key
from overread.assembly.order_folding import StoredOrder
from overread.contracts.errors import Unavailable
from overread.contracts.events import cases
from overread.contracts.identifiers import deterministic_id
from overread.runtime.inbox import Cause, Transaction
from overread.runtime.retry import Defect, or_any_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import log, new_traceparent

BATCH = 50
TICK_SECONDS = 0.5
AWAY_SECONDS = 1.0
_DEFECT_SECONDS = 30.0


class VersionMade:
    """What led to the events: a version of the mapping."""

    def __init__(self, site_id: str, version: int) -> None:
        self.id = deterministic_id("mapping", site_id, str(version))
        self.site_id = site_id
        self.traceparent = new_traceparent()


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Orders that a version may make read differently than the one before did; `after` is the order before them."""

    site_id: str
    version: int
    after: UUID
    old: SiteMapping
    new: SiteMapping
    keys: tuple[Key, ...]
    order_ids: tuple[UUID, ...]


class Remapping:
    """Tells each open order anew that reads differently under a new version, and the case that it belongs to."""

    def __init__(self, service: Service, reach: timedelta) -> None:
        self._service = service
        self._reach = reach

    async def run(self) -> None:
        """Look for new versions until cancelled; what is away is waited for."""
        while True:
            try:
                has_more = await or_any_defect(self.tick())
                await asyncio.sleep(_pause(has_more=has_more))
            except Unavailable as away:
                log.warning("mapping_waits", reason=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def tick(self) -> bool:
        """Apply the oldest version that is not applied to the next orders; say whether there is more to do."""
        async with self._service.transaction() as tx:
            waiting = await mapping_store.waiting(tx)
        for site_id, version, after in waiting:
            async with self._service.transaction() as tx:
                batch = await self._next(tx, site_id, version, after)
            async with self._service.transaction() as tx:
                await self._apply(tx, batch)
        return bool(waiting)

    async def _next(self, tx: Transaction, site_id: str, version: int, after: UUID) -> Batch:
        """Return the next orders that hold a code whose row changed; orders and images are taken meanwhile."""
        old = await mapping_store.mapping_at(tx, site_id, version - 1) or SiteMapping()
        new = await mapping_store.mapping_at(tx, site_id, version) or SiteMapping()
        keys, since = tuple(difference(old.rows, new.rows).keys()), tx.clock() - self._reach
        order_ids = await mapping_store.touched_after(tx, site_id, keys, since, after, BATCH)
        return Batch(
            site_id=site_id, version=version, after=after, old=old, new=new, keys=keys, order_ids=tuple(order_ids)
        )

    async def _apply(self, tx: Transaction, batch: Batch) -> None:
        """Tell one batch, alone: no order or image is taken in that moment."""
        site_id, old, new = batch.site_id, batch.old, batch.new
        await patient_store.lock_patients(tx, [site_id], to_change=True)
        if await mapping_store.lock_progress(tx, site_id, batch.version) != batch.after:
            return  # another process told it
        since = tx.clock() - self._reach
        orders = await mapping_store.lock_touched(tx, site_id, batch.keys, since, batch.order_ids)
        cause = VersionMade(site_id, batch.version)
        differing = [stored for stored in orders if old.shown(stored.order) != new.shown(stored.order)]
        told = [stored for stored in differing if await self._tell(tx, cause, stored)]
        reached = batch.order_ids[-1] if len(batch.order_ids) == BATCH else None
        await mapping_store.note_progress(tx, site_id, batch.version, reached, len(told))

    async def _tell(self, tx: Transaction, cause: Cause, stored: StoredOrder) -> bool:
        """Tell the order as it reads now, unless a reader's report of another system closes its study."""
        order_id, site_id = stored.order.order_id, cause.site_id
        linked = await mapping_store.cases_of(tx, site_id, order_id)
        rows = [row for case_id in linked if (row := await store.lock_case(tx, site_id, case_id)) is not None]
        shown = [await store.shown_case(tx, site_id, row) for row in rows]
        if any(case.read_elsewhere for case in shown):
            return False
        mapping: SiteMapping = await mapping_store.current(tx, site_id)
        await patient_store.raise_order(tx, site_id, order_id)
        patient = (await patient_store.known(tx, site_id, stored.patient)).shown(stored.patient)
        order_taking.tell(tx, cause, mapping.shown(stored.order), stored.revision + 1, patient)
        for row in rows:
            changed = partial(cases.OrderChangedOnCase, order_id=order_id)
            await linking.tell(tx, cause, row, changed, identity_moved=False)
        return True


def _pause(*, has_more: bool | Defect) -> float:
    """Return how long to wait: a moment between batches, so that orders and images go on."""
    if isinstance(has_more, Defect):
        return _DEFECT_SECONDS
    return TICK_SECONDS / 10 if has_more else TICK_SECONDS
