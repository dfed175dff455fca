"""What we hold, and which restarts of an intake need a look at the objects."""

from collections.abc import Sequence

from overread.archive import store
from overread.contracts.events.intake import InstanceStored, IntakeRestarted
from overread.runtime.consume import Delivered
from overread.runtime.inbox import Transaction


async def dicom_received(batch: Sequence[Delivered], tx: Transaction) -> None:
    """Note each instance and each restart."""
    for delivered in batch:
        match delivered.event.data:
            case InstanceStored():
                await store.add_instance(tx, delivered.event)
            case IntakeRestarted():
                await store.add_sweep(tx, delivered.event)
