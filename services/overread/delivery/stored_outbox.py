"""The rows of one destination in delivery's own tables, as its sender sees them."""

from datetime import timedelta

from overread.contracts import topics
from overread.contracts.events.deliveries import DeliveryDone, DeliveryOutcome
from overread.delivery import store
from overread.delivery.destinations import Destination
from overread.delivery.dispatch_store import RightToSend
from overread.delivery.large_messages import with_message
from overread.runtime.inbox import Transaction
from overread.runtime.object_store import LocalObjectStore
from overread.runtime.service import Service
from overread.runtime.telemetry import DELIVERIES_ENDED, DELIVERIES_OPEN


class StoredOutbox:
    """The rows of one destination in delivery's own tables."""

    def __init__(
        self, service: Service, destination: Destination, right: RightToSend, objects: LocalObjectStore | None = None
    ) -> None:
        self._service = service
        self._destination = destination
        self._right = right
        self._objects = objects

    async def next_row(self) -> store.OutboundRow | None:
        """Return the message that is due, None when there is none."""
        destination, site_id = self._destination.name, self._destination.site_id or ""
        row = await store.next_row(self._service.pool, site_id, destination, self._service.clock())
        if row is None:
            DELIVERIES_OPEN.labels(destination).set(await store.open_messages(self._service.pool, site_id, destination))
        return row

    async def with_message(self, row: store.OutboundRow) -> store.OutboundRow:
        """Return the row with its bytes, which are those that were rendered."""
        return await with_message(self._objects, row)

    async def mark_sending(self, row: store.OutboundRow) -> bool:
        """Keep that it is about to leave, by the right to send itself; False when it must not leave any more."""
        return await self._right.mark_sending(row)

    async def postpone(self, row: store.OutboundRow, delay: timedelta, why: store.Why) -> None:
        """Keep that it was not taken and when it is due again."""
        await store.postpone(self._service.pool, row, self._service.clock() + delay, why)

    async def is_overtaken(self, row: store.OutboundRow) -> bool:
        """Say whether a later message of the same report waits behind it."""
        return await store.is_overtaken(self._service.pool, row)

    async def end(self, row: store.OutboundRow, outcome: DeliveryOutcome, why: store.Why) -> None:
        """Keep how it ended, and say so to the other services, without the receiver's own words."""
        async with self._service.transaction() as tx:
            attempts = await store.end(tx.connection, row, outcome, why, tx.clock())
            if attempts is None:
                return
            done = _done(row, outcome, why.reason, attempts, tx)
            own_key = f"{row.delivery_id}/{attempts}"
            tx.publish(topics.DELIVERIES_DONE, done, subject=str(row.delivery_id), own_key=own_key, caused_by=row.cause)
        DELIVERIES_ENDED.labels(row.destination, outcome.value).inc()


def _done(
    row: store.OutboundRow, outcome: DeliveryOutcome, reason: str, attempts: int, tx: Transaction
) -> DeliveryDone:
    return DeliveryDone(
        case_id=row.case_id,
        report_id=row.report_id,
        report_revision=row.report_revision,
        delivery_id=row.delivery_id,
        destination=row.destination,
        form=row.form,
        status=row.status.value,
        outcome=outcome,
        reason=reason,
        attempts=attempts,
        message_digest=row.message_digest,
        message_control_id=row.message_control_id,
        ended_at=tx.clock(),
    )
