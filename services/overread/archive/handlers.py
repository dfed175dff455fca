"""What we hold, and which restarts of an intake need a look at the objects."""

from collections.abc import Sequence

from overread.archive import store
from overread.contracts.events.intake import InstanceStored, IntakeRestarted
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction


async def dicom_received(batch: Sequence[Delivered], tx: Transaction) -> None:
    """Note each instance and each restart."""
    await store.add_instances(tx, [d.event for d in batch if isinstance(d.event.data, InstanceStored)])
    for delivered in batch:
        if isinstance(delivered.event.data, IntakeRestarted):
            await store.add_sweep(tx, delivered.event)
