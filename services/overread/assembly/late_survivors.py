"""Merges that waited for their surviving patient: an order or an image that names them lets the merge apply.

Orders and images of many patients are taken at the same time, a merge changes patients and is taken alone: so what
names a survivor is noted with the order or image, and the merge applies at once after it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from overread.assembly import patient_store, patient_taking
from overread.assembly.orders import OrderMessage
from overread.contracts.envelope import Event
from overread.contracts.errors import Unavailable
from overread.contracts.events.intake import InstanceStored
from overread.runtime.inbox import Cause, Transaction
from overread.runtime.retry import or_any_defect
from overread.runtime.service import Service
from overread.runtime.telemetry import log

TICK_SECONDS = 0.2
AWAY_SECONDS = 1.0


class LateSurvivors:
    """Applies the merges whose survivor an order or an image has named."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def run(self) -> None:
        """Look for merges that need wait no longer until cancelled; what is away is waited for."""
        while True:
            try:
                await self.tick()
                await asyncio.sleep(TICK_SECONDS)
            except Unavailable as away:
                log.warning("merges_wait", reason=str(away))
                await asyncio.sleep(AWAY_SECONDS)

    async def tick(self) -> None:
        """Apply each merge that was waited for, in a transaction of its own; one that fails waits on, and stops no other."""
        async with self._service.transaction() as tx:
            named = await patient_store.named_since(tx)
        for key, cause in named:
            if await or_any_defect(self._apply(key, cause), event_id=str(cause.id)):
                async with self._service.transaction() as tx:
                    await patient_store.forget_named(tx, cause.site_id, key)

    async def _apply(self, key: str, cause: Cause) -> None:
        async with self._service.transaction() as tx:
            await patient_store.lock_patients(tx, [cause.site_id], to_change=True)
            await patient_taking.settle(tx, cause, frozenset({key}))


async def note_ordered(tx: Transaction, told: Sequence[tuple[Event[Any], OrderMessage]]) -> None:
    """Note whom orders name."""
    for site_id in sorted({event.site_id for event, _ in told}):
        mine = [(event, message) for event, message in told if event.site_id == site_id]
        numbers = (
            (identifier.id_number, event)
            for event, message in mine
            for identifier in message.request.patient.identifiers
        )
        await _note(tx, site_id, numbers)


async def note_imaged(tx: Transaction, site_id: str, events: Iterable[Event[Any]]) -> None:
    """Note whom images name."""
    images = [event for event in events if isinstance(event.data, InstanceStored)]
    numbers = ((patient_id, event) for event in images if (patient_id := event.data.attributes.patient_id))
    await _note(tx, site_id, numbers)


async def _note(tx: Transaction, site_id: str, numbers: Iterable[tuple[str, Cause]]) -> None:
    first: dict[str, Cause] = {}
    for number, cause in numbers:
        first.setdefault(number, cause)
    if first:
        await patient_store.note_named(tx, site_id, sorted(first.items()))
