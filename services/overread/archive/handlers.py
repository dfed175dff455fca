"""What we hold, what was announced beside it, and which restarts of an intake need a look at the objects."""

import base64
from collections.abc import Sequence

from overread.archive import commitments, step_taking, store, worklist_store
from overread.contracts.envelope import Event
from overread.contracts.events.intake import (
    Announced,
    CommitmentRequested,
    InstanceStored,
    IntakeRestarted,
    ProcedureStepReported,
)
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore


class Handlers:
    """What archive does with each topic; `objects` holds what was announced and is too large for an event."""

    def __init__(self, objects: LocalObjectStore) -> None:
        self._objects = objects

    async def dicom_received(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Note each instance, each restart, each step and each request for commitment."""
        await store.add_instances(tx, [d.event for d in batch if isinstance(d.event.data, InstanceStored)])
        for delivered in batch:
            event = delivered.event
            match event.data:
                case IntakeRestarted():
                    await store.add_sweep(tx, event)
                case ProcedureStepReported():
                    await step_taking.take(tx, event, await self._data_set(event))
                case CommitmentRequested():
                    await commitments.take(tx, event, await self._data_set(event))

    async def orders_changed(self, batch: Sequence[Delivered], tx: Transaction) -> None:
        """Keep each order as it is now, for the worklist."""
        await worklist_store.save(tx, [delivered.event for delivered in batch])

    async def _data_set(self, event: Event[Announced]) -> bytes:
        if event.data.data_set_base64 is not None:
            return base64.b64decode(event.data.data_set_base64)
        return await self._objects.get(event.data.object_key or "")
